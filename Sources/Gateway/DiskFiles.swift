import LinuxSystem
public import SwanctlConfig
public import WireFormat

/// Configuration files on this machine's disk.
public struct DiskFiles: FileSource {
    /// The disk.
    public init() {}

    /// The contents of the file at `path`.
    public func contents(of path: String) throws(FileProblem) -> [UInt8] {
        // A revocation list may be large.
        do { return try RawFile.read(path, limit: 64 << 20) } catch { throw FileProblem(error.description) }
    }

    /// The contents of a private key's file, at most a megabyte.
    public func secret(at path: String) throws(FileProblem) -> SecretBytes {
        do { return try RawFile.readSecret(path) } catch { throw FileProblem(error.description) }
    }

    /// The files that a shell would put in place of `pattern`.
    public func glob(_ pattern: String) throws(FileProblem) -> [String] {
        do { return try FileGlob.paths(pattern) } catch { throw FileProblem(error.description) }
    }
}
