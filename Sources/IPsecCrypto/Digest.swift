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
        var digest = RunningDigest(function)
        for part in parts { digest.update(part.span) }
        return digest.finish()
    }

    /// SHA-1 of octets in one piece: 20 octets. Only for what demands it.
    public static func sha1(_ octets: Span<UInt8>) -> [UInt8] { hash(.sha1, octets) }

    /// SHA-256 of octets in one piece: 32 octets.
    public static func sha256(_ octets: Span<UInt8>) -> [UInt8] { hash(.sha256, octets) }

    private static func hash(_ function: HashFunction, _ octets: Span<UInt8>) -> [UInt8] {
        var digest = RunningDigest(function)
        digest.update(octets)
        return digest.finish()
    }
}

/// A hash that is being made.
private struct RunningDigest: ~Copyable {
    private let function: HashFunction
    private var state = martlet_digest()
    private var isGood: Bool

    init(_ function: HashFunction) {
        self.function = function
        // Memory of this value, here and below, used during the calls only.
        isGood = unsafe LibraryAlgorithms.allowsDigest(function) && martlet_digest_start(&state, function.number) == 1
    }

    mutating func update(_ octets: Span<UInt8>) {
        let updated = unsafe octets.withUnsafeBytes { buffer in
            unsafe martlet_digest_update(&state, function.number, buffer.baseAddress, buffer.count)
        }
        isGood = isGood && updated == 1
    }

    consuming func finish() -> [UInt8] {
        let output = unsafe [UInt8](unsafeUninitializedCapacity: function.outputLength) { buffer, count in
            guard let base = buffer.baseAddress, isGood else { return }
            // The memory has room for the octets that this hash writes, all of them.
            if unsafe martlet_digest_finish(&state, function.number, base) == 1 { count = function.outputLength }
        }
        guard output.count == function.outputLength else { fatalError("libcrypto cannot compute \(function.rawValue)") }
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
