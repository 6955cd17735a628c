/// Why a key agreement came to nothing.
public enum KeyAgreementError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Martlet does not have this group.
    case unknownGroup(Transform)
    /// The peer's public value has the wrong length, in octets.
    case publicValueLength(Transform, expected: Int, had: Int)
    /// The peer's public value is not one that an honest peer can have made: out of range, not on the curve, or of
    /// small order (RFC 6989 §2, RFC 7748 §6.1).
    case publicValueRefused(Transform)
    /// libcrypto refused (out of memory, or its policy forbids the group).
    case libraryRefused(Transform)

    /// One clause, without a capital or a full stop.
    public var description: String {
        switch self {
        case .unknownGroup(let group): "no such group: \(group)"
        case .publicValueLength(let group, let expected, let had):
            "the public value for \(group) has \(expected) octets, had \(had)"
        case .publicValueRefused(let group): "the public value is not valid in \(group)"
        case .libraryRefused(let group): "libcrypto refused \(group)"
        }
    }
}
