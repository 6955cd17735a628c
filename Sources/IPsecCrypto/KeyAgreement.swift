import CIPsecCrypto
public import Clockwork
public import WireFormat

/// Our half of one key exchange: an ephemeral private value, and what its public value is on the wire.
///
/// It owns the private value, inside a key of libcrypto's that is wiped when this object goes. The private value is
/// made from the entropy it is given and nothing else, so that a seeded run repeats. It is used for one exchange only;
/// it never decides which group is used. Making one and using it takes 40 µs to several milliseconds: not for a thread
/// that has packets to send.
@safe
public final class KeyAgreement: @unchecked Sendable {
    // `@unchecked`: libcrypto's key is never changed once made, and its reference count is atomic.

    /// The group.
    public let group: Transform
    /// Our public value in IKE's wire form: a MODP number padded to the modulus (RFC 7296 §3.4), x and y of a point
    /// (RFC 5903 §7), the 32 octets of X25519 (RFC 8031 §3).
    public let publicValue: [UInt8]

    private let specification: KeyExchangeSpecification
    private let key: OpaquePointer

    /// Octets of a public value in `group`; nil when Martlet does not have the group.
    public static func publicValueLength(of group: Transform) -> Int? {
        guard case .keyExchange(let specification) = AlgorithmRegistry.specification(of: group),
            specification != .none
        else { return nil }
        return specification.publicValueLength
    }

    /// Makes a private value from `entropy`, and the public value that belongs to it.
    public convenience init(group: Transform, entropy: inout some Entropy) throws(KeyAgreementError) {
        guard case .keyExchange(let specification) = AlgorithmRegistry.specification(of: group) else {
            throw .unknownGroup(group)
        }
        // The order of NIST's curves lies so close to a power of two that a second draw is rare; Brainpool's and the
        // subgroups of RFC 5114 take up to two on average. The bound is there for a broken source of entropy: 64 draws
        // in vain happen once in 2⁶⁴ times at worst.
        for _ in 0..<64 {
            guard let length = specification.privateValueLength else { throw .unknownGroup(group) }
            let value = SecretBytes(count: length) { octets in
                entropy.fill(&octets)
                if case .ecp(_, _, let mask) = specification { octets[0] &= mask }
            }
            do throws(KeyAgreementError) {
                try self.init(group: group, privateValue: value)
                return
            } catch .publicValueRefused {
                continue
            }
        }
        throw .libraryRefused(group)
    }

    /// The key for a private value that is given: test vectors.
    /// - Throws: `publicValueRefused` when the value is out of the group's range: draw another.
    init(group: Transform, privateValue: SecretBytes) throws(KeyAgreementError) {
        guard case .keyExchange(let specification) = AlgorithmRegistry.specification(of: group),
            specification.privateValueLength != nil
        else { throw .unknownGroup(group) }
        let form = LibraryForm(specification)
        guard let pair = unsafe form.pair(privateValue) else { throw .publicValueRefused(group) }
        self.group = group
        self.specification = specification
        unsafe publicValue = pair.publicValue
        unsafe key = pair.key
    }

    deinit {
        // Made by `init`; libcrypto wipes the private value in it.
        unsafe martlet_key_free(key)
    }

    /// The shared secret: g^ir as RFC 7296 §2.14 uses it. For MODP padded to the modulus; for a curve the x coordinate
    /// (RFC 5903 §9, errata to RFC 4753); for X25519 its 32 octets.
    public func sharedSecret(with peer: [UInt8]) throws(KeyAgreementError) -> SecretBytes {
        let expected = specification.publicValueLength
        guard peer.count == expected else {
            throw .publicValueLength(group, expected: expected, had: peer.count)
        }
        let form = LibraryForm(specification)
        guard form.isInRange(peer), let peerKey = unsafe form.key(peer) else { throw .publicValueRefused(group) }
        defer { unsafe martlet_key_free(peerKey) }
        var derived = false
        let secret = SecretBytes(count: specification.sharedSecretLength) { output in
            unsafe output.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                // libcrypto writes exactly `count` octets; both keys live until after the call.
                derived =
                    unsafe martlet_derive(key, peerKey, form.pads, base, buffer.count) == 1
            }
        }
        // libcrypto refuses secrets that an attacker can force: zero for X25519 (RFC 7748 §6.1), 0, 1 and p-1 for MODP.
        guard derived else { throw .publicValueRefused(group) }
        return secret
    }
}

extension KeyExchangeSpecification {
    /// Octets of a private value; nil where there is none.
    fileprivate var privateValueLength: Int? {
        switch self {
        case .none: nil
        case .modp(_, _, let exponentLength): exponentLength
        case .ecp(_, let length, _): length
        case .x25519: 32
        case .x448: 56
        case .mlkem: nil
        }
    }
}

/// A group as libcrypto takes it.
private struct LibraryForm {
    let specification: KeyExchangeSpecification

    init(_ specification: KeyExchangeSpecification) { self.specification = specification }

    /// Whether the secret is padded to the modulus.
    var pads: Int32 { if case .modp = specification { 1 } else { 0 } }

    private var isCurve: Bool { if case .ecp = specification { true } else { false } }

    /// Whether a MODP value lies strictly between 1 and p-1, and in the subgroup where there is one (RFC 6989 §2.1, §2.2).
    func isInRange(_ peer: [UInt8]) -> Bool {
        guard case .modp(_, let library, _) = specification else { return true }
        return unsafe peer.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return false }
            // Read during the call only.
            return unsafe martlet_modp_accepts(library, base, buffer.count) == 1
        }
    }

    /// The public value in wire form, and libcrypto's key for both; nil when the private value is out of range. The
    /// caller frees the key.
    func pair(_ privateValue: SecretBytes) -> (publicValue: [UInt8], key: OpaquePointer)? {
        // An uncompressed point begins with an octet of its own that IKE leaves away.
        let header = isCurve ? 1 : 0
        var output = [UInt8](repeating: 0, count: specification.publicValueLength + header)
        let key = unsafe privateValue.withSpan { secret -> OpaquePointer? in
            unsafe secret.withUnsafeBufferPointer { source in
                unsafe output.withUnsafeMutableBufferPointer { target in
                    guard let from = source.baseAddress, let to = target.baseAddress else { return nil }
                    // Each call reads and writes exactly the octets it is told of; X25519's are 32 and 32, X448's 56 and 56.
                    switch specification {
                    case .none, .mlkem: return nil
                    case .modp(_, let library, _):
                        let (size, length) = (target.count, source.count)
                        guard unsafe martlet_modp_public(library, from, length, to, size) == 1 else { return nil }
                        return unsafe martlet_modp_key(library, to, size, from, length)
                    case .ecp(let library, _, _):
                        let (size, length) = (target.count, source.count)
                        guard unsafe martlet_ecp_public(library, from, length, to, size) == 1 else { return nil }
                        return unsafe martlet_ecp_key(library, to, size, from, length)
                    case .x25519:
                        guard source.count == 32, target.count == 32 else { return nil }
                        return unsafe martlet_x25519_key(from, to)
                    case .x448:
                        guard source.count == 56, target.count == 56 else { return nil }
                        return unsafe martlet_x448_key(from, to)
                    }
                }
            }
        }
        return unsafe key.map { unsafe (Array(output.dropFirst(header)), $0) }
    }

    /// libcrypto's key for a peer's public value; nil when it refuses it: a point that is not on the curve. The caller
    /// frees it.
    func key(_ publicValue: [UInt8]) -> OpaquePointer? {
        let encoded = isCurve ? [4] + publicValue : publicValue
        return unsafe encoded.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return nil }
            // libcrypto copies the value during the call.
            switch specification {
            case .none, .mlkem: return nil
            case .modp(_, let library, _): return unsafe martlet_modp_key(library, base, buffer.count, nil, 0)
            case .ecp(let library, _, _): return unsafe martlet_ecp_key(library, base, buffer.count, nil, 0)
            case .x25519: return buffer.count == 32 ? unsafe martlet_x25519_peer(base) : nil
            case .x448: return buffer.count == 56 ? unsafe martlet_x448_peer(base) : nil
            }
        }
    }
}
