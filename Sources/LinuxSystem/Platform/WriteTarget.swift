private import CLinux

/// Where the octets go that are written to a path.
///
/// It looks, and changes nothing.
enum WriteTarget: Equatable {
    /// An ordinary file, there or not yet; symbolic links are followed.
    case file(String)
    /// A character device or a pipe: nothing may take its place.
    case inPlace

    /// What is at the end of `path`; EISDIR for a directory, EINVAL for what holds no text, ELOOP for links in a
    /// circle, EACCES for another user's link in a directory that everybody writes to.
    init(_ path: String) throws(SystemError) {
        var found = martlet_file_identity()
        // Here and below: strings ended by a zero for the length of each call, and local variables that the shim fills.
        let result = unsafe martlet_identify_end(path, &found)
        if result == -ErrorNumber.noSuchEntry.rawValue {
            self = .file(try Self.end(of: path))
            return
        }
        _ = try checked(result, "stat", path)
        switch found.mode & Self.kinds {
        case Self.regular:
            let end = try Self.end(of: path)
            var named = martlet_file_identity()
            // What /proc and /dev/fd call a link need not lead to a name.
            let isNamed = unsafe martlet_identify(end, &named) == 0
            self = isNamed && named.device == found.device && named.inode == found.inode ? .file(end) : .inPlace
        case Self.characters, Self.pipe: self = .inPlace
        case Self.directory: throw SystemError(call: "open", errno: .isDirectory, context: path)
        default:
            throw SystemError(
                call: "open", errno: .invalidArgument, context: "\(path), a block device or a socket")
        }
    }

    private static let kinds: UInt32 = 0o170000
    private static let pipe: UInt32 = 0o010000
    private static let characters: UInt32 = 0o020000
    private static let directory: UInt32 = 0o040000
    private static let regular: UInt32 = 0o100000
    /// As many as the kernel follows.
    private static let mostLinks = 40

    /// The path without links in its last part.
    private static func end(of path: String) throws(SystemError) -> String {
        var path = path
        for _ in 0..<mostLinks {
            var room = [CChar](repeating: 0, count: 4096)
            // A string ended by a zero, and an array that lives for the length of the call.
            let length = unsafe room.withUnsafeMutableBufferPointer { buffer in
                unsafe martlet_read_link(path, buffer.baseAddress, buffer.count)
            }
            // No link, or nothing at all.
            if length < 0 { return path }
            guard length < room.count else { throw SystemError(call: "readlink", errno: .nameTooLong, context: path) }
            let target = String(decoding: room[..<Int(length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
            try checkOwner(of: path, in: folder.isEmpty ? "." : folder)
            path = target.hasPrefix("/") ? target : folder + target
        }
        throw SystemError(call: "open", errno: .tooManyLinks, context: path)
    }

    /// Refuses (EACCES) to follow what another user has put into a directory that everybody writes to, whether or not the
    /// kernel does (`fs.protected_symlinks`).
    private static func checkOwner(of link: String, in folder: String) throws(SystemError) {
        var (own, place) = (martlet_file_identity(), martlet_file_identity())
        // Strings ended by a zero for the length of each call, and local variables that the shim fills.
        _ = try checked(unsafe martlet_identify(link, &own), "lstat", link)
        _ = try checked(unsafe martlet_identify_end(folder, &place), "stat", folder)
        let isShared = place.mode & 0o1002 == 0o1002
        guard !isShared || own.owner == place.owner || own.owner == martlet_effective_user() else {
            throw SystemError(call: "open", errno: .accessDenied, context: "\(link), another user's symbolic link")
        }
    }
}
