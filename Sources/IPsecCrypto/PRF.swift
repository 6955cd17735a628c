public import WireFormat

/// A pseudorandom function of IKE (RFC 7296 §2.13): `prf` and `prf+`.
///
/// It owns no key. Its inputs and outputs are secrets and stay in memory that is wiped.
public struct PRF: Hashable, Sendable {
    /// Which one it is.
    public let transform: Transform
    private let specification: PRFSpecification

    /// The function with these numbers; nil when Martlet does not have it, or when the library's policy forbids it (MD5
    /// under FIPS, for example): a peer may choose it only if it can be carried out.
    public init?(_ transform: Transform) {
        guard case .prf(let specification) = AlgorithmRegistry.specification(of: transform) else { return nil }
        guard KeyedHash.isAvailable(specification.function) else { return nil }
        self.transform = transform
        self.specification = specification
    }

    /// Octets of a key that IKE derives for it (RFC 7296 §2.14: SK_d, SK_pi, SK_pr).
    public var keyLength: Int { specification.keyLength }

    /// Octets that it puts out.
    public var outputLength: Int { specification.outputLength }

    /// How many octets of each nonce make the key of SKEYSEED; nil for all of them (RFC 7296 §2.14).
    public var seedNonceLength: Int? { specification.seedNonceLength }

    /// The function with a key of any length: HMAC takes it as it is, the functions over AES make 16 octets of it.
    private func keyed(_ key: SecretBytes) -> KeyedHash {
        let function = specification.function
        switch function {
        case .hmac, .aesGMAC: return KeyedHash(function, key: key)
        case .aesXCBC, .aesCMAC:
            if key.count == 16 { return KeyedHash(function, key: key) }
            if key.count < 16, function == .aesXCBC {
                // RFC 4434 §2: zeros behind a short key.
                let padded = SecretBytes(count: 16) { output in
                    key.withSpan { octets in
                        for index in octets.indices { output[index] = octets[index] }
                    }
                }
                return KeyedHash(function, key: padded)
            }
            // RFC 4434 §2, RFC 4615 §3: the function itself, with a key of zeros, over the key.
            let digest = KeyedHash(function, key: SecretBytes([UInt8](repeating: 0, count: 16)))
            key.withSpan { digest.update($0) }
            return KeyedHash(function, key: digest.finishSecret())
        }
    }

    /// prf(key, data).
    public func compute(key: SecretBytes, _ data: [UInt8]) -> SecretBytes {
        let mac = keyed(key)
        mac.update(data.span)
        return mac.finishSecret()
    }

    /// prf(key, part | part | …).
    public func compute(key: SecretBytes, parts: [[UInt8]]) -> SecretBytes {
        let mac = keyed(key)
        for part in parts { mac.update(part.span) }
        return mac.finishSecret()
    }

    /// prf(key, secret | part | … | further | …): the data starts with a shared secret (RFC 7296 §2.18), and ends with
    /// those of additional key exchanges (RFC 9370 §2.2.4).
    public func compute(
        key: SecretBytes, secret: SecretBytes, parts: [[UInt8]] = [], further: [SecretBytes] = []
    ) -> SecretBytes {
        let mac = keyed(key)
        secret.withSpan { mac.update($0) }
        for part in parts { mac.update(part.span) }
        for secret in further { secret.withSpan { mac.update($0) } }
        return mac.finishSecret()
    }

    /// prf+(key, seed), `count` octets of it. The function ends after 255 blocks: what is asked for beyond them is not
    /// given, so the result may be shorter than `count`.
    public func plus(key: SecretBytes, seed: [UInt8], count: Int) -> SecretBytes {
        plus(key: key, secret: .empty, seed: seed, count: count)
    }

    /// prf+(key, secret | seed | further | …): the seed starts with a shared secret (RFC 7296 §2.17), and ends with those
    /// of additional key exchanges (RFC 9370 §2.2.4).
    public func plus(
        key: SecretBytes, secret: SecretBytes, seed: [UInt8], further: [SecretBytes] = [], count: Int
    ) -> SecretBytes {
        let length = outputLength
        let wanted = max(0, min(count, 255 * length))
        let mac = keyed(key)
        return SecretBytes(count: wanted) { output in
            var written = 0
            var number: UInt8 = 1
            while written < wanted {
                // Each block begins with the one before, which is whole wherever another follows.
                if written > 0 { mac.update(output.span.extracting((written - length)..<written)) }
                secret.withSpan { mac.update($0) }
                mac.update(seed.span)
                for secret in further { secret.withSpan { mac.update($0) } }
                mac.update(number)
                let end = min(written + length, wanted)
                mac.finish(&output, at: written..<end)
                written = end
                number &+= 1
            }
        }
    }
}
