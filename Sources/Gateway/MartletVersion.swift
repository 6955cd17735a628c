/// Which Martlet this is.
public enum MartletVersion {
    /// Semantic version.
    public static let current = "0.1.0"

    /// The machine that it was built for, as `uname -m` names it.
    public static var machine: String {
        #if arch(x86_64)
            "x86_64"
        #elseif arch(arm64)
            "aarch64"
        #else
            "unknown"
        #endif
    }
}
