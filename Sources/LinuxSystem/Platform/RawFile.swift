private import CLinux
public import WireFormat

/// Small files, whole: configuration, keys, state.
public enum RawFile {
    /// All of the file at `path`; EFBIG when it is larger than `limit` octets. For ordinary files and pipes.
    public static func read(_ path: String, limit: Int = 16 << 20) throws(SystemError) -> [UInt8] {
        try checkedText(path, "open")
        // A checked string, ended by a zero for the length of the call.
        let descriptor = Descriptor(owning: try checked(unsafe martlet_open_reading(path), "open", path))
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while true {
            let result: ReadOutcome
            do { result = try descriptor.read(into: &chunk) } catch {
                throw SystemError(call: "read", errno: error.errno, context: path)
            }
            guard case .octets(let count) = result else { return contents }
            contents += chunk[..<count]
            if contents.count > limit {
                throw SystemError(call: "read", errno: .fileTooLarge, context: "\(path): more than \(limit) octets")
            }
        }
    }

    /// The text of the file at `path`; octets that are no UTF-8 become U+FFFD.
    public static func readText(_ path: String, limit: Int = 16 << 20) throws(SystemError) -> String {
        String(decoding: try read(path, limit: limit), as: UTF8.self)
    }

    /// All of the file at `path`, read into memory that is wiped; EFBIG when it is larger than `limit` octets.
    public static func readSecret(_ path: String, limit: Int = 1 << 20) throws(SystemError) -> SecretBytes {
        try checkedText(path, "open")
        // A checked string, ended by a zero for the length of the call.
        let descriptor = Descriptor(owning: try checked(unsafe martlet_open_reading(path), "open", path))
        var length = 0
        var result: Int64 = 1
        let room = SecretBytes(count: limit + 1) { span in
            unsafe span.withUnsafeMutableBufferPointer { buffer in
                while result > 0, length < buffer.count {
                    // The part of the buffer that is not filled yet.
                    result = unsafe martlet_read(
                        descriptor.number, buffer.baseAddress.map { unsafe $0 + length }, buffer.count - length)
                    if result > 0 { length += Int(result) }
                }
            }
        }
        _ = try checked(result, "read", path)
        guard length <= limit, let contents = room.slice(0..<length) else {
            throw SystemError(call: "read", errno: .fileTooLarge, context: "\(path): more than \(limit) octets")
        }
        return contents
    }

    /// Replaces the file at `path` by `contents` so that a reader, or a crash, finds the old or the new one, never half:
    /// a temporary file beside it, fsync, rename, fsync of the directory. The file gets `mode` whatever the umask. A
    /// symbolic link stays: the file at its end is replaced. A character device or a pipe is written to as it is; a
    /// directory (EISDIR), a block device or a socket (EINVAL) is refused.
    public static func write(_ path: String, _ contents: [UInt8], mode: UInt32 = 0o600) throws(SystemError) {
        try checkedText(path, "open")
        switch try WriteTarget(path) {
        case .file(let end): try replace(end, contents, mode: mode)
        case .inPlace:
            // A checked string, ended by a zero for the length of the call.
            let descriptor = Descriptor(owning: try checked(unsafe martlet_open_present(path), "open", path))
            try write(contents, to: descriptor, path)
        }
    }

    private static func replace(_ path: String, _ contents: [UInt8], mode: UInt32) throws(SystemError) {
        let unique = String(UInt64.random(in: 0 ... .max), radix: 36)
        let temporary = "\(path).\(martlet_process_identifier()).\(unique).new"
        // Here and below: checked strings, ended by a zero for the length of each call.
        let descriptor = Descriptor(owning: try checked(unsafe martlet_open_new(temporary, 0o600), "open", temporary))
        do {
            try write(contents, to: descriptor, temporary)
            _ = try checked(martlet_change_mode_of(descriptor.number, mode), "fchmod", temporary)
            _ = try checked(martlet_sync(descriptor.number), "fsync", temporary)
            _ = try checked(unsafe martlet_rename(temporary, path), "rename", path)
        } catch {
            _ = unsafe martlet_unlink(temporary)
            throw error
        }
        try syncDirectory(of: path)
    }

    private static func write(
        _ contents: [UInt8], to descriptor: Descriptor, _ path: String
    ) throws(SystemError) {
        var written = 0
        while written < contents.count {
            // The bounds were just compared; the array lives for the length of the call.
            let count = unsafe contents.withUnsafeBytes { bytes in
                unsafe martlet_write(
                    descriptor.number, bytes.baseAddress.map { unsafe $0 + written }, bytes.count - written)
            }
            written += Int(try checked(count, "write", path))
        }
    }

    /// Opens the file at `path` so that what is written goes to its end; one that is not there is made. The file gets
    /// `mode` whatever the umask and whatever it had. A symbolic link is refused (ELOOP).
    public static func openAppending(_ path: String, mode: UInt32 = 0o600) throws(SystemError) -> Descriptor {
        try checkedText(path, "open")
        // A checked string, ended by a zero for the length of the call.
        let descriptor = Descriptor(owning: try checked(unsafe martlet_open_appending(path, mode), "open", path))
        _ = try checked(martlet_change_mode_of(descriptor.number, mode), "fchmod", path)
        return descriptor
    }

    /// Removes the file at `path`; false when there was none.
    @discardableResult
    public static func remove(_ path: String) throws(SystemError) -> Bool {
        try checkedText(path, "unlink")
        // A checked string, ended by a zero for the length of the call.
        let result = unsafe martlet_unlink(path)
        if result == -ErrorNumber.noSuchEntry.rawValue { return false }
        _ = try checked(result, "unlink", path)
        return true
    }

    /// Makes a symbolic link at `path` that leads to `target`; one that is there already stays as it is.
    public static func link(_ path: String, to target: String) throws(SystemError) {
        try checkedText(path, "symlink")
        try checkedText(target, "symlink")
        // Checked strings, ended by a zero for the length of the call.
        let result = unsafe martlet_make_link(target, path)
        if result != -ErrorNumber.exists.rawValue { _ = try checked(result, "symlink", path) }
    }

    /// Makes the directory at `path`, with these permissions less the umask's; one that is there already stays as it is.
    public static func makeDirectory(_ path: String, mode: UInt32) throws(SystemError) {
        try checkedText(path, "mkdir")
        // A checked string, ended by a zero for the length of the call.
        _ = try checked(unsafe martlet_make_directory(path, mode), "mkdir", path)
    }

    /// Whether there is anything at `path`.
    public static func exists(_ path: String) -> Bool {
        var identity = martlet_file_identity()
        // A string ended by a zero, and a local variable that the shim fills.
        return unsafe martlet_identify(path, &identity) == 0
    }

    /// Whether there is a directory at `path` itself: a symbolic link to one is none.
    public static func isDirectory(_ path: String) -> Bool {
        var identity = martlet_file_identity()
        // A string ended by a zero, and a local variable that the shim fills.
        return unsafe martlet_identify(path, &identity) == 0 && identity.mode & 0o170000 == 0o040000
    }

    /// The permission bits of the file at `path`.
    public static func mode(_ path: String) throws(SystemError) -> UInt32 {
        try checkedText(path, "lstat")
        var identity = martlet_file_identity()
        // A checked string, and a local variable that the shim fills.
        _ = try checked(unsafe martlet_identify(path, &identity), "lstat", path)
        return identity.mode & 0o7777
    }

    private static func syncDirectory(of path: String) throws(SystemError) {
        let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        // A string ended by a zero for the length of the call.
        let descriptor = Descriptor(
            owning: try checked(unsafe martlet_open_directory(directory), "open", directory))
        // EINVAL: a file system that cannot; then there is nothing to wait for.
        let result = martlet_sync(descriptor.number)
        if result != -ErrorNumber.invalidArgument.rawValue { _ = try checked(result, "fsync", directory) }
    }
}
