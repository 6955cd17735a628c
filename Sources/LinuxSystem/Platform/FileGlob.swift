private import Glibc

/// The files that a shell would put in place of a pattern.
public enum FileGlob {
    /// The paths that match `pattern` (`*`, `?`, `[…]`), sorted; none is not an error. An unreadable directory counts
    /// as empty, as in a shell.
    public static func paths(_ pattern: String) throws(SystemError) -> [String] {
        var found = unsafe glob_t()
        // glob(3) allocates what `found` points to; freed in every case.
        defer { unsafe globfree(&found) }
        switch unsafe glob(pattern, 0, nil, &found) {
        case 0: break
        case GLOB_NOMATCH: return []
        default: throw SystemError(call: "glob", errno: ErrorNumber(rawValue: errno), context: pattern)
        }
        guard let first = unsafe found.gl_pathv else { return [] }
        return (0..<Int(unsafe found.gl_pathc)).compactMap { unsafe first[$0].map { unsafe String(cString: $0) } }
    }
}
