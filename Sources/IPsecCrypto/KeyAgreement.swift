import CIPsecCrypto
public import Clockwork
internal import Crypto
public import WireFormat

/// Our half of one key exchange: an ephemeral private value, and what its public value is on the wire.
///
/// It owns the private value, as a secret or inside a library's key; all are wiped when this object goes. The private value is
/// made from the entropy it is given and nothing else, so that a seeded run repeats. It is used for one exchange only;
/// it never decides which group is used. Making one and using it takes 40 µs to several milliseconds: not for a thread
/// that has packets to send. The work is done by whichever library is the fastest at it: X25519 by swift-crypto's, P-384
/// and P-521 by nettle, all else by libcrypto.
@safe
public final class KeyAgreement: @unchecked Sendable {
    // `@unchecked`: nothing is changed once made; libcrypto's reference count is atomic.

    /// The group.
    public let group: Transform
    /// Our public value in IKE's wire form: a MODP number padded to the modulus (RFC 7296 §3.4), x and y of a point
    /// (RFC 5903 §7), the 32 octets of X25519 (RFC 8031 §3).
    public let publicValue: [UInt8]

    private let specification: KeyExchangeSpecification
    private let holder: PrivateHolder

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
        guard let pair = form.pair(privateValue) else { throw .publicValueRefused(group) }
        self.group = group
        self.specification = specification
        publicValue = pair.publicValue
        holder = pair.holder
    }

    /// The shared secret: g^ir as RFC 7296 §2.14 uses it. For MODP padded to the modulus; for a curve the x coordinate
    /// (RFC 5903 §9, errata to RFC 4753); for X25519 its 32 octets.
    public func sharedSecret(with peer: [UInt8]) throws(KeyAgreementError) -> SecretBytes {
        let expected = specification.publicValueLength
        guard peer.count == expected else {
            throw .publicValueLength(group, expected: expected, had: peer.count)
        }
        var derived = false
        let secret = SecretBytes(count: specification.sharedSecretLength) { output in
            derived = holder.derive(peer, specification, &output)
        }
        // Values that force a secret are refused: zero for X25519 (RFC 7748 §6.1), 0, 1 and p-1 for MODP.
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

/// A key of libcrypto's.
@safe
private final class LibraryKey: @unchecked Sendable {
    // `@unchecked`: see KeyAgreement.
    let pointer: OpaquePointer

    /// Takes the key over.
    @unsafe
    init(_ pointer: OpaquePointer) { unsafe self.pointer = pointer }

    // Ours alone; libcrypto wipes the private value in it.
    deinit { unsafe martlet_key_free(pointer) }
}

/// Where a private value is kept: as a number, or in a key of a library's.
private enum PrivateHolder: Sendable {
    case number(SecretBytes)
    case curve25519(Curve25519.KeyAgreement.PrivateKey)
    case library(LibraryKey)

    /// Writes the shared secret; false when the peer's value is refused.
    func derive(_ peer: [UInt8], _ specification: KeyExchangeSpecification, _ output: inout MutableSpan<UInt8>) -> Bool
    {
        switch self {
        case .number(let number): Self.derive(number, peer, specification, &output)
        case .curve25519(let key): Self.derive(key, peer, &output)
        case .library(let key): Self.derive(key, peer, specification, &output)
        }
    }

    private static func derive(
        _ number: SecretBytes, _ peer: [UInt8], _ specification: KeyExchangeSpecification,
        _ output: inout MutableSpan<UInt8>
    ) -> Bool {
        unsafe output.withUnsafeMutableBufferPointer { target in
            number.withSpan { secret in
                unsafe secret.withUnsafeBufferPointer { source in
                    unsafe peer.withUnsafeBufferPointer { theirs in
                        guard let to = target.baseAddress, let from = source.baseAddress,
                            let value = theirs.baseAddress
                        else { return false }
                        // Each reads and writes exactly the octets that it is told of, during the call only.
                        return switch specification {
                        case .modp(_, let library, _):
                            unsafe martlet_modp_derive(
                                library, from, source.count, value, theirs.count, to, target.count) == 1
                        case .ecp(let library, _, _):
                            unsafe martlet_curve_derive(
                                library, from, source.count, value, theirs.count, to, target.count) == 1
                        case .none, .x25519, .x448, .mlkem: false
                        }
                    }
                }
            }
        }
    }

    /// Refuses values that force the secret to be zero (RFC 7748 §6.1): the library lets them pass.
    private static func derive(
        _ key: Curve25519.KeyAgreement.PrivateKey, _ peer: [UInt8], _ output: inout MutableSpan<UInt8>
    ) -> Bool {
        guard let theirs = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: peer),
            let shared = try? key.sharedSecretFromKeyAgreement(with: theirs)
        else { return false }
        // Lent for the closure only.
        return unsafe shared.withUnsafeBytes { octets in
            guard octets.count == output.count else { return false }
            var bits: UInt8 = 0
            for index in 0..<octets.count {
                unsafe output[index] = octets[index]
                bits |= output[index]
            }
            return bits != 0
        }
    }

    private static func derive(
        _ key: LibraryKey, _ peer: [UInt8], _ specification: KeyExchangeSpecification,
        _ output: inout MutableSpan<UInt8>
    ) -> Bool {
        guard let theirs = LibraryForm(specification).key(peer) else { return false }
        return unsafe output.withUnsafeMutableBufferPointer { target in
            guard let base = target.baseAddress else { return false }
            // libcrypto writes exactly `count` octets; both keys live until after the call.
            return unsafe martlet_derive(key.pointer, theirs.pointer, base, target.count) == 1
        }
    }
}

/// A group as the libraries take it.
private struct LibraryForm {
    let specification: KeyExchangeSpecification

    init(_ specification: KeyExchangeSpecification) { self.specification = specification }

    private var isCurve: Bool { if case .ecp = specification { true } else { false } }

    /// The public value in wire form, and what keeps the private one; nil when that is out of range.
    func pair(_ privateValue: SecretBytes) -> (publicValue: [UInt8], holder: PrivateHolder)? {
        if case .x25519 = specification { return Self.pair25519(privateValue) }
        // libcrypto's uncompressed point begins with an octet of its own that IKE leaves away.
        let header = isCurve && !isFast ? 1 : 0
        var output = [UInt8](repeating: 0, count: specification.publicValueLength + header)
        let holder = privateValue.withSpan { secret -> PrivateHolder? in
            unsafe secret.withUnsafeBufferPointer { source in
                unsafe output.withUnsafeMutableBufferPointer { target in
                    guard let from = source.baseAddress, let to = target.baseAddress else { return nil }
                    let (size, length) = (target.count, source.count)
                    // Each call reads and writes exactly the octets it is told of; X448's are 56 and 56.
                    switch specification {
                    case .none, .mlkem, .x25519: return nil
                    case .modp(_, let library, _):
                        guard unsafe martlet_modp_public(library, from, length, to, size) == 1 else { return nil }
                        return PrivateHolder.number(privateValue)
                    case .ecp(let library, _, _) where isFast:
                        guard unsafe martlet_curve_public(library, from, length, to, size) == 1 else { return nil }
                        return PrivateHolder.number(privateValue)
                    case .ecp(let library, _, _):
                        guard unsafe martlet_ecp_public(library, from, length, to, size) == 1 else { return nil }
                        return unsafe martlet_ecp_key(library, to, size, from, length).map {
                            unsafe PrivateHolder.library(LibraryKey($0))
                        }
                    case .x448:
                        guard length == 56, size == 56 else { return nil }
                        return unsafe martlet_x448_key(from, to).map { unsafe .library(LibraryKey($0)) }
                    }
                }
            }
        }
        return holder.map { (header == 0 ? output : Array(output.dropFirst(header)), $0) }
    }

    /// Whether nettle does it.
    private var isFast: Bool {
        // Compares names; keeps nothing.
        if case .ecp(let library, _, _) = specification { unsafe martlet_curve_is_fast(library) == 1 } else { false }
    }

    private static func pair25519(_ privateValue: SecretBytes) -> (publicValue: [UInt8], holder: PrivateHolder)? {
        let key = privateValue.withSpan { secret in
            unsafe secret.withUnsafeBytes { octets in
                // The library copies the value into memory that it wipes.
                unsafe try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: octets)
            }
        }
        return key.map { (Array($0.publicKey.rawRepresentation), PrivateHolder.curve25519($0)) }
    }

    /// libcrypto's key for a peer's public value; nil when it refuses it: a point that is not on the curve.
    func key(_ publicValue: [UInt8]) -> LibraryKey? {
        let encoded = isCurve ? [4] + publicValue : publicValue
        return unsafe encoded.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return nil }
            // libcrypto copies the value during the call.
            return switch specification {
            case .none, .modp, .mlkem, .x25519: nil
            case .ecp(let library, _, _):
                unsafe martlet_ecp_key(library, base, buffer.count, nil, 0).map { unsafe LibraryKey($0) }
            case .x448: buffer.count == 56 ? unsafe martlet_x448_peer(base).map { unsafe LibraryKey($0) } : nil
            }
        }
    }
}
