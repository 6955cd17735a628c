import LinuxSystem
public import SwanctlConfig

/// Configuration files on this machine's disk.
public struct DiskFiles: FileSource {
    /// The disk.
    public init() {}

    /// The contents of the file at `path`.
    public func contents(of path: String) throws(FileProblem) -> [UInt8] {
        do { return try RawFile.read(path) } catch { throw FileProblem(error.description) }
    }

    /// The files that a shell would put in place of `pattern`.
    public func glob(_ pattern: String) throws(FileProblem) -> [String] {
        do { return try FileGlob.paths(pattern) } catch { throw FileProblem(error.description) }
    }
}
