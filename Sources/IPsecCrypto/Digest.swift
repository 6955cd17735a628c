import CIPsecCrypto
public import WireFormat

/// Hashes of public data: NAT detection (RFC 7296 §2.23), cookies, certificate fingerprints.
///
/// It owns nothing. Lack of memory inside libcrypto stops the process; data cannot.
public enum Digest {
    /// SHA-1 of the parts in their order: 20 octets. Only for what demands it.
    public static func sha1(_ parts: [[UInt8]]) -> [UInt8] { hash(.sha1, parts) }

    /// SHA-256 of the parts in their order: 32 octets.
    public static func sha256(_ parts: [[UInt8]]) -> [UInt8] { hash(.sha256, parts) }

    /// SHA-384 of the parts in their order: 48 octets.
    public static func sha384(_ parts: [[UInt8]]) -> [UInt8] { hash(.sha384, parts) }

    /// SHA-512 of the parts in their order: 64 octets.
    public static func sha512(_ parts: [[UInt8]]) -> [UInt8] { hash(.sha512, parts) }

    /// The hash of the parts in their order.
    public static func hash(_ function: HashFunction, _ parts: [[UInt8]]) -> [UInt8] {
        let number = function.number
        // All of these live in this frame and are used during the calls only.
        var digest = martlet_digest()
        var done = unsafe LibraryAlgorithms.allowsDigest(function) && martlet_digest_start(&digest, number) == 1
        for part in parts {
            let updated = unsafe part.withUnsafeBytes { buffer in
                unsafe martlet_digest_update(&digest, number, buffer.baseAddress, buffer.count)
            }
            done = done && updated == 1
        }
        var output = [UInt8](repeating: 0, count: function.outputLength)
        let finished = unsafe output.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return Int32(0) }
            // The array has exactly the octets that this hash writes.
            return unsafe martlet_digest_finish(&digest, number, base)
        }
        guard done, finished == 1 else { fatalError("libcrypto cannot compute \(function.rawValue)") }
        return output
    }
}

/// HMAC (RFC 2104) outside of packets and key derivation: cookies, tickets.
public enum HMAC {
    /// The whole tag over the parts in their order; as many octets as the hash puts out.
    public static func compute(_ function: HashFunction, key: SecretBytes, _ parts: [[UInt8]]) -> [UInt8] {
        let mac = KeyedHash(.hmac(function), key: key)
        for part in parts { mac.update(part.span) }
        var tag = [UInt8](repeating: 0, count: function.outputLength)
        var span = tag.mutableSpan
        mac.finish(&span)
        return tag
    }

    /// HMAC-SHA-256 over the parts in their order: 32 octets.
    public static func sha256(key: SecretBytes, _ parts: [[UInt8]]) -> [UInt8] { compute(.sha256, key: key, parts) }

    /// Whether `tag` is the beginning (at least 8 octets) of the tag over the parts; in constant time.
    public static func verify(
        _ tag: [UInt8], _ function: HashFunction, key: SecretBytes, _ parts: [[UInt8]]
    ) -> Bool {
        guard tag.count >= 8, tag.count <= function.outputLength else { return false }
        return ConstantTime.equal(tag, Array(compute(function, key: key, parts).prefix(tag.count)))
    }
}
