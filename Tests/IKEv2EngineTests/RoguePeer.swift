import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import WireFormat

@testable import IKEv2Engine

/// An initiator that holds real keys and says whatever a test wants.
final class RoguePeer {
    let gateway: Gateway
    let path: Path
    private let agreement: KeyAgreement
    private let nonce: [UInt8]
    private let initiatorSPI: UInt64
    private(set) var responderSPI: UInt64 = 0
    private var keys: SessionKeys?
    /// What was answered last, as it travelled.
    private(set) var lastAnswers: [[UInt8]] = []
    private var sealer: DirectionCipher?
    private var transcript: Transcript?
    private var entropy = SeededEntropy(seed: 4)
    private var count: UInt64 = 0

    /// Exchanges IKE_SA_INIT with the right gateway of a pair; nil when that fails. The first proposal of `ike` must be
    /// with X25519.
    init?(
        _ pair: Pair, ike: String = "aes128gcm16-prfsha256-x25519", notifies: [NotifyPayload] = [],
        spi: UInt64 = 0x0102_0304_0506_0708
    ) {
        initiatorSPI = spi
        gateway = pair.right
        path = Path(local: Endpoint(Pair.leftAddress, 500), remote: Endpoint(Pair.rightAddress, 500))
        nonce = entropy.bytes(32)
        guard let agreement = try? KeyAgreement(group: .x25519, entropy: &entropy) else { return nil }
        self.agreement = agreement
        let proposal = Pair.proposals(ike, .ike)[0]
        let request = IKESAInit.Request(
            offer: SecurityAssociationPayload([WireProposal(number: 1, proposal, spi: [])]),
            keyExchange: KeyExchangePayload(method: 31, data: agreement.publicValue), nonce: NoncePayload(nonce),
            notifies: notifies)
        let header = IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: 0, exchange: .ikeSAInit, flags: .initiator, messageID: 0)
        guard let bytes = try? Message(header, request.payloads).encoded(), let answer = deliver(bytes).first,
            let message = try? Message(parsing: answer), let response = try? IKESAInit.Response(message),
            case .complete(let parts) = response, let suite = KeySchedule.Suite(proposal),
            let secret = try? agreement.sharedSecret(with: parts.keyExchange.data)
        else { return nil }
        responderSPI = message.header.responderSPI
        let schedule = KeySchedule(
            suite, sharedSecret: secret, initiatorNonce: nonce, responderNonce: parts.nonce.nonce,
            initiatorSPI: initiatorSPI, responderSPI: responderSPI)
        guard let schedule else { return nil }
        keys = SessionKeys(suite, schedule, isInitiator: true)
        sealer = DirectionCipher(suite, schedule.initiatorKeys, .seal)
        transcript = Transcript(
            request: bytes, response: answer, initiatorNonce: nonce, responderNonce: parts.nonce.nonce)
    }

    func deliver(_ bytes: [UInt8]) -> [[UInt8]] {
        gateway.handle(.datagram(Datagram(bytes, path: path.reversed, socket: .plain)))
        lastAnswers = gateway.takeOutbox().map(\.bytes)
        return lastAnswers
    }

    /// Sends a sealed request and opens what is answered. With `critical`, the first payload has its critical bit set.
    func ask(
        _ exchange: ExchangeType, _ id: UInt32, _ payloads: [Payload], critical: Bool = false,
        flags: IKEHeader.Flags = .initiator
    ) -> [OpenedMessage] {
        guard let sealer else { return [] }
        count += 1
        let header = IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, exchange: exchange, flags: flags, messageID: id)
        let message = Message(header, payloads)
        let iv = WireProposal.octets(count)
        let cipher = RogueCipher(inner: sealer, critical: critical)
        guard let bytes = try? message.sealed(with: cipher, iv: iv) else { return [] }
        return opened(deliver(bytes))
    }

    /// What these say; those that are not sealed for us are left out.
    func opened(_ datagrams: [[UInt8]]) -> [OpenedMessage] {
        datagrams.compactMap { bytes in
            guard let sealed = try? SealedMessage(parsing: bytes) else { return nil }
            return try? keys?.open(sealed)
        }
    }

    /// One honest IKE_INTERMEDIATE, after which there are other keys (RFC 9370 §2.2.2).
    func exchangeMore(_ method: Transform, id: UInt32) -> Bool {
        guard let keys, let transcript, let key = try? EphemeralKey(method, entropy: &entropy) else { return false }
        let payload = KeyExchangePayload(method: method.id, data: key.publicValue)
        let answer = ask(.ikeIntermediate, id, [.keyExchange(payload)]).first?.payloads.lazy.compactMap { payload in
            if case .keyExchange(let value) = payload { value.data } else { nil as [UInt8]? }
        }.first
        guard let answer, let secret = try? key.sharedSecret(with: answer),
            let schedule = KeySchedule(
                keys.suite, rekeying: keys, sharedSecret: secret, initiatorNonce: transcript.initiatorNonce,
                responderNonce: transcript.responderNonce, initiatorSPI: initiatorSPI, responderSPI: responderSPI)
        else { return false }
        self.keys = SessionKeys(keys.suite, schedule, isInitiator: true)
        sealer = DirectionCipher(keys.suite, schedule.initiatorKeys, .seal)
        return true
    }

    /// A sealed fragment, whatever it says about itself, with payloads in clear before it: `outer` is their types in order,
    /// each of four octets.
    func fragment(
        _ exchange: ExchangeType, _ id: UInt32, _ number: UInt16, of total: UInt16, _ content: [UInt8],
        first: UInt8 = 35, outer: [UInt8] = []
    ) -> [UInt8]? {
        guard let sealer else { return nil }
        count += 1
        let iv = WireProposal.octets(count)
        let body = iv.count + content.count + 1 + sealer.icvLength
        let length = 28 + 4 * outer.count + 8 + body
        func octets(_ value: Int, _ count: Int) -> [UInt8] {
            (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        let head =
            WireProposal.octets(initiatorSPI) + WireProposal.octets(responderSPI)
            + [outer.first ?? 53, 0x20, exchange.rawValue, 8] + octets(Int(id), 4) + octets(length, 4)
            + (outer.dropFirst() + [53]).prefix(outer.count).flatMap { [$0, 0, 0, 4] }
            + [number == 1 ? first : 0, 0] + octets(8 + body, 2) + octets(Int(number), 2) + octets(Int(total), 2)
        let plaintext = content + [0]
        let sealed = sealer.seal(associatedData: head.span, iv: iv.span, plaintext: plaintext.span)
        return sealed.map { head + iv + $0 }
    }

    /// Sends one.
    func send(
        _ exchange: ExchangeType, _ id: UInt32, _ number: UInt16, of total: UInt16, _ content: [UInt8]
    ) -> [[UInt8]] {
        fragment(exchange, id, number, of: total, content).map { deliver($0) } ?? []
    }

    /// An honest IKE_AUTH, or one that a test has changed, before or after it was written down.
    func authenticate(
        key secret: [UInt8] = Array("the same key".utf8), id: UInt32 = 1,
        _ change: (inout IKEAuth.Request.Identified) -> Void = { _ in },
        changing payloads: ([Payload]) -> [Payload] = { $0 }
    ) -> [OpenedMessage] {
        guard let keys, let transcript else { return [] }
        let identity = IdentificationPayload(Identity.fqdn("left.example"))
        let pad = keys.suite.prf.compute(
            key: SecretBytes(secret), Array("Key Pad for IKEv2".utf8))
        let proof = keys.suite.prf.compute(key: pad, transcript.initiatorProof(identity.body, keys)).exposedBytes()
        var request = IKEAuth.Request.Identified(
            identity: identity, authentication: AuthenticationPayload(.sharedKey, proof), child: Self.child())
        change(&request)
        return ask(.ikeAuth, id, payloads(IKEAuth.Request.identified(request).payloads))
    }

    /// An offer that the right gateway accepts.
    static func child(spi: UInt32 = 0xc0ff_ee00, esp: String = "aes128gcm16") -> ChildNegotiation {
        ChildNegotiation(
            securityAssociation: SecurityAssociationPayload(
                Pair.proposals(esp, .esp).enumerated().map {
                    WireProposal(number: UInt8($0 + 1), $1, spi: WireProposal.octets(spi))
                }),
            initiatorSelectors: TrafficSelectorPayload([TrafficSelector(Pair.prefix("10.1.0.0/16"))]),
            responderSelectors: TrafficSelectorPayload([TrafficSelector(Pair.prefix("10.2.0.0/16"))]))
    }
}

/// Seals what the writer would never write.
private struct RogueCipher: SKCipher {
    let inner: DirectionCipher
    let critical: Bool

    var ivLength: Int { inner.ivLength }
    var icvLength: Int { inner.icvLength }
    var blockLength: Int { inner.blockLength }

    func seal(associatedData: Span<UInt8>, iv: Span<UInt8>, plaintext: Span<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        for index in plaintext.indices { bytes.append(plaintext[index]) }
        if critical, bytes.count > 1 { bytes[1] = 0x80 }
        return inner.seal(associatedData: associatedData, iv: iv, plaintext: bytes.span)
    }

    func open(associatedData: Span<UInt8>, iv: Span<UInt8>, sealed: Span<UInt8>) -> [UInt8]? { nil }
}
