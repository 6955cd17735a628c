/// Why a cryptographic object could not be made. None of these can come from a packet.
public enum CryptoError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Martlet does not have this algorithm, or it is not of the kind that was asked for.
    case unknownAlgorithm(Transform)
    /// This cipher needs an integrity algorithm beside it.
    case integrityMissing(Transform)
    /// A key has the wrong length, in octets.
    case keyLength(Transform, expected: Int, had: Int)
    /// libcrypto refused (out of memory, or its policy forbids the algorithm).
    case libraryRefused(Transform)

    /// One clause, without a capital or a full stop. Never a secret.
    public var description: String {
        switch self {
        case .unknownAlgorithm(let transform): "no such algorithm: \(transform)"
        case .integrityMissing(let transform): "\(transform) needs an integrity algorithm"
        case .keyLength(let transform, let expected, let had):
            "\(transform) needs a key of \(expected) octets, had \(had)"
        case .libraryRefused(let transform): "libcrypto refused \(transform)"
        }
    }
}
