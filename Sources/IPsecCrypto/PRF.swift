public import WireFormat

/// A pseudorandom function of IKE (RFC 7296 §2.13): `prf` and `prf+`.
///
/// It owns no key. Its inputs and outputs are secrets and stay in memory that is wiped.
public struct PRF: Hashable, Sendable {
    /// Which one it is.
    public let transform: Transform
    private let hash: HashFunction

    /// The function with these numbers; nil when Martlet does not have it.
    public init?(_ transform: Transform) {
        guard case .prf(let specification) = AlgorithmRegistry.specification(of: transform) else { return nil }
        self.transform = transform
        hash = specification.hash
    }

    /// Octets of a key that IKE derives for it (RFC 7296 §2.14: SK_d, SK_pi, SK_pr).
    public var keyLength: Int { hash.outputLength }

    /// Octets that it puts out.
    public var outputLength: Int { hash.outputLength }

    /// prf(key, data).
    public func compute(key: SecretBytes, _ data: [UInt8]) -> SecretBytes { compute(key: key, parts: [data]) }

    /// prf(key, part | part | …).
    public func compute(key: SecretBytes, parts: [[UInt8]]) -> SecretBytes {
        let mac = KeyedHash(hash, key: key)
        for part in parts { mac.update(part.span) }
        return mac.finishSecret()
    }

    /// prf(key, secret | part | …): the data starts with a shared secret (RFC 7296 §2.18).
    public func compute(key: SecretBytes, secret: SecretBytes, parts: [[UInt8]] = []) -> SecretBytes {
        let mac = KeyedHash(hash, key: key)
        secret.withSpan { mac.update($0) }
        for part in parts { mac.update(part.span) }
        return mac.finishSecret()
    }

    /// prf+(key, seed), `count` octets of it. The function ends after 255 blocks: what is asked for beyond them is not
    /// given, so the result may be shorter than `count`.
    public func plus(key: SecretBytes, seed: [UInt8], count: Int) -> SecretBytes {
        plus(key: key, secret: SecretBytes([]), seed: seed, count: count)
    }

    /// prf+(key, secret | seed): the seed starts with a shared secret (RFC 7296 §2.17).
    public func plus(key: SecretBytes, secret: SecretBytes, seed: [UInt8], count: Int) -> SecretBytes {
        let length = outputLength
        let wanted = max(0, min(count, 255 * length))
        let mac = KeyedHash(hash, key: key)
        return SecretBytes(count: wanted) { output in
            var block = SecretBytes([])
            var written = 0
            var number: UInt8 = 1
            while written < wanted {
                block.withSpan { mac.update($0) }
                secret.withSpan { mac.update($0) }
                mac.update(seed.span)
                mac.update([number].span)
                block = mac.finishSecret()
                let take = min(length, wanted - written)
                block.withSpan { octets in
                    for index in 0..<take { output[written + index] = octets[index] }
                }
                written += take
                number &+= 1
            }
        }
    }
}
