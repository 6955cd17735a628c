import IPsecCrypto
import WireFormat

/// The keys of an IKE SA (RFC 7296 §2.14) and the keying material of its Child SAs (§2.17).
///
/// It owns the order in which keys are cut. It never keeps the shared secret of the key exchange.
final class KeySchedule {
    /// The algorithms that an IKE SA uses, and nothing that it does not.
    struct Suite {
        let prf: PRF
        let encryption: Transform
        let integrity: Transform?
        let lengths: KeyMaterialLength

        /// The suite of a chosen proposal; nil when it does not make one.
        init?(_ proposal: Proposal) {
            guard let transform = proposal.first(.prf), let prf = PRF(transform),
                let encryption = proposal.first(.encryption)
            else { return nil }
            let integrity = AlgorithmRegistry.isAEAD(encryption) ? nil : proposal.first(.integrity)
            guard let lengths = PacketCipher.keyMaterialLength(encryption: encryption, integrity: integrity) else {
                return nil
            }
            self.prf = prf
            self.encryption = encryption
            self.integrity = integrity
            self.lengths = lengths
        }
    }

    /// SK_d, from which Child SAs get their keys.
    let derivation: SecretBytes
    /// SK_ai and SK_ei.
    let initiatorKeys: PacketKeys
    /// SK_ar and SK_er.
    let responderKeys: PacketKeys
    /// SK_pi.
    let initiatorProof: SecretBytes
    /// SK_pr.
    let responderProof: SecretBytes

    /// Derives SKEYSEED and from it the seven keys; nil when the function can't put out so many octets.
    convenience init?(
        _ suite: Suite, sharedSecret: SecretBytes, initiatorNonce: [UInt8], responderNonce: [UInt8],
        initiatorSPI: UInt64, responderSPI: UInt64
    ) {
        let nonces = initiatorNonce + responderNonce
        // Functions with short keys take only the beginning of each nonce (RFC 7296 §2.14).
        let key = suite.prf.seedNonceLength.map { Array(initiatorNonce.prefix($0) + responderNonce.prefix($0)) }
        let seed = suite.prf.compute(key: SecretBytes(key ?? nonces), secret: sharedSecret)
        self.init(suite, seed: seed, nonces: nonces, initiatorSPI: initiatorSPI, responderSPI: responderSPI)
    }

    /// The same for an IKE SA in place of another, whose SK_d and function make SKEYSEED (RFC 7296 §2.18); `further` are
    /// the secrets of additional key exchanges (RFC 9370 §2.2.4). With the same suite, nonces and SPIs it is the step from
    /// one key exchange of IKE_INTERMEDIATE to the next (RFC 9370 §2.2.2).
    convenience init?(
        _ suite: Suite, rekeying old: SessionKeys, sharedSecret: SecretBytes, further: [SecretBytes] = [],
        initiatorNonce: [UInt8], responderNonce: [UInt8], initiatorSPI: UInt64, responderSPI: UInt64
    ) {
        let seed = old.suite.prf.compute(
            key: old.derivation, secret: sharedSecret, parts: [initiatorNonce, responderNonce], further: further)
        self.init(
            suite, seed: seed, nonces: initiatorNonce + responderNonce, initiatorSPI: initiatorSPI,
            responderSPI: responderSPI)
    }

    private init?(_ suite: Suite, seed: SecretBytes, nonces: [UInt8], initiatorSPI: UInt64, responderSPI: UInt64) {
        let prf = suite.prf
        let length = prf.keyLength
        var data = WireWriter(capacity: nonces.count + 16)
        data.append(nonces.span)
        data.uint64(initiatorSPI)
        data.uint64(responderSPI)
        let material = prf.plus(key: seed, seed: data.bytes, count: 3 * length + 2 * suite.lengths.total)
        var cutter = KeyCutter(material)
        guard let derivation = cutter.take(length),
            let initiatorIntegrity = cutter.take(suite.lengths.integrity),
            let responderIntegrity = cutter.take(suite.lengths.integrity),
            let initiatorEncryption = cutter.take(suite.lengths.encryption),
            let responderEncryption = cutter.take(suite.lengths.encryption),
            let initiatorProof = cutter.take(length), let responderProof = cutter.take(length)
        else { return nil }
        self.derivation = derivation
        initiatorKeys = PacketKeys(encryption: initiatorEncryption, integrity: initiatorIntegrity)
        responderKeys = PacketKeys(encryption: responderEncryption, integrity: responderIntegrity)
        self.initiatorProof = initiatorProof
        self.responderProof = responderProof
    }

    /// The keys of a Child SA, the initiator's direction first (RFC 7296 §2.17); nil when its algorithms do not make a
    /// protection. `sharedSecret` is that of a key exchange of its own, if there was one. "Initiator" is who started the
    /// exchange that made the child. `further` are the secrets of additional key exchanges (RFC 9370 §2.2.4).
    static func childKeys(
        _ proposal: Proposal, prf: PRF, derivation: SecretBytes, sharedSecret: SecretBytes? = nil,
        further: [SecretBytes] = [], initiatorNonce: [UInt8], responderNonce: [UInt8]
    ) -> (initiator: PacketKeys, responder: PacketKeys)? {
        guard let lengths = keyMaterialLength(of: proposal) else { return nil }
        let material = prf.plus(
            key: derivation, secret: sharedSecret ?? .empty, seed: initiatorNonce + responderNonce,
            further: further, count: 2 * lengths.total)
        var cutter = KeyCutter(material)
        guard let firstEncryption = cutter.take(lengths.encryption),
            let firstIntegrity = cutter.take(lengths.integrity),
            let secondEncryption = cutter.take(lengths.encryption),
            let secondIntegrity = cutter.take(lengths.integrity)
        else { return nil }
        return (
            PacketKeys(encryption: firstEncryption, integrity: firstIntegrity),
            PacketKeys(encryption: secondEncryption, integrity: secondIntegrity)
        )
    }

    /// Octets of keying material that one direction takes; nil when the proposal does not make a protection.
    private static func keyMaterialLength(of proposal: Proposal) -> KeyMaterialLength? {
        guard proposal.securityProtocol == .ah else {
            guard let encryption = proposal.first(.encryption) else { return nil }
            let integrity = AlgorithmRegistry.isAEAD(encryption) ? nil : proposal.first(.integrity)
            return PacketCipher.keyMaterialLength(encryption: encryption, integrity: integrity)
        }
        guard let integrity = proposal.first(.integrity), let length = PacketAuthenticator.keyLength(of: integrity)
        else { return nil }
        return KeyMaterialLength(encryption: 0, integrity: length)
    }

    /// What an end proves: its first message, the other's nonce, its identity under SK_pi or SK_pr (RFC 7296 §2.15), and
    /// what IKE_INTERMEDIATE exchanges add (RFC 9242 §3.3).
    static func proofOctets(
        firstMessage: [UInt8], otherNonce: [UInt8], identityBody: [UInt8], intermediate: [UInt8], prf: PRF,
        key: SecretBytes
    ) -> [UInt8] {
        var data = WireWriter(
            capacity: firstMessage.count + otherNonce.count + prf.outputLength + intermediate.count)
        data.append(firstMessage.span)
        data.append(otherNonce.span)
        prf.compute(key: key, identityBody).withSpan { data.append($0) }
        data.append(intermediate.span)
        return data.bytes
    }
}

/// Cuts keying material from its start.
private struct KeyCutter {
    private let material: SecretBytes
    private var offset = 0

    init(_ material: SecretBytes) { self.material = material }

    mutating func take(_ count: Int) -> SecretBytes? {
        defer { offset += count }
        return material.slice(offset..<(offset + count))
    }
}
