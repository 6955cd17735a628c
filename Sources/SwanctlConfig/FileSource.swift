public import WireFormat

/// Where configuration files come from: a disk in the daemon, a dictionary in a test.
public protocol FileSource {
    /// The contents of the file at `path`.
    func contents(of path: String) throws(FileProblem) -> [UInt8]
    /// The paths of the files that a shell would put in place of `pattern`, sorted; none is not a problem.
    func glob(_ pattern: String) throws(FileProblem) -> [String]
    /// The contents of a file that holds a private key: kept in no memory that is not wiped.
    func secret(at path: String) throws(FileProblem) -> SecretBytes
}

extension FileSource {
    /// A copy of what ``contents(of:)`` has: for sources that hold everything in memory anyway.
    public func secret(at path: String) throws(FileProblem) -> SecretBytes {
        SecretBytes(try contents(of: path))
    }
}

/// Why a file can't be read: one clause.
public struct FileProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// One clause.
    public let description: String
    /// A file that can't be read since…
    public init(_ description: String) { self.description = description }
}

/// Paths as text.
enum FilePath {
    /// The directory that a file lies in; empty for the current one.
    static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "" }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// `path`, seen from `directory` unless it is absolute.
    static func resolve(_ path: String, in directory: String) -> String {
        if path.hasPrefix("/") || directory.isEmpty { return path }
        return directory.hasSuffix("/") ? directory + path : directory + "/" + path
    }
}

/// Files held in memory.
public struct FilesInMemory: FileSource {
    private let files: [String: [UInt8]]

    /// These files, by path.
    public init(_ files: [String: [UInt8]]) { self.files = files }

    /// These files, by path, as text.
    public init(_ files: [String: String]) { self.files = files.mapValues { Array($0.utf8) } }

    /// The file of this path.
    public func contents(of path: String) throws(FileProblem) -> [UInt8] {
        guard let contents = files[path] else { throw FileProblem("there is no such file") }
        return contents
    }

    /// `*` and `?`, neither of which stands for a slash.
    public func glob(_ pattern: String) throws(FileProblem) -> [String] {
        let wanted = Array(pattern.utf8)
        return files.keys.filter { Self.matches(wanted[...], Array($0.utf8)[...]) }.sorted()
    }

    /// A shell's `*` and `?`, neither of which matches a slash.
    private static func matches(_ pattern: ArraySlice<UInt8>, _ path: ArraySlice<UInt8>) -> Bool {
        var (pattern, path) = (pattern, path)
        // Where to take up again when a star has to swallow one more octet.
        var retry: (pattern: ArraySlice<UInt8>, path: ArraySlice<UInt8>)?
        while true {
            if let next = pattern.first, next == UInt8(ascii: "*") {
                pattern = pattern.dropFirst()
                retry = (pattern, path)
            } else if let next = pattern.first, let octet = path.first,
                next == octet || (next == UInt8(ascii: "?") && octet != UInt8(ascii: "/"))
            {
                pattern = pattern.dropFirst()
                path = path.dropFirst()
            } else if pattern.isEmpty, path.isEmpty {
                return true
            } else if let again = retry, let swallowed = again.path.first, swallowed != UInt8(ascii: "/") {
                retry = (again.pattern, again.path.dropFirst())
                pattern = again.pattern
                path = again.path.dropFirst()
            } else {
                return false
            }
        }
    }
}
