import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// Attacks by somebody on the way who changes what is said in clear, by their numbers in the project's list.
@Suite struct DowngradeAttackTests {
    /// What somebody on the way does to a message of IKE_SA_INIT.
    struct Change: CustomTestStringConvertible, Sendable {
        var testDescription: String
        /// Whether requests are changed, or answers.
        var ofRequests: Bool
        /// The payloads in place of those of the message.
        var payloads: @Sendable ([Payload]) -> [Payload]
    }

    private static func without(_ type: NotifyType, ofRequests: Bool) -> Change {
        Change(testDescription: "no \(type) in the \(ofRequests ? "request" : "answer")", ofRequests: ofRequests) {
            $0.filter { if case .notify(let notify) = $0 { notify.type != type } else { true } }
        }
    }

    /// The proposals of the SA payload.
    private static func proposals(
        _ what: String, _ change: @escaping @Sendable ([WireProposal]) -> [WireProposal]
    ) -> Change {
        Change(testDescription: what, ofRequests: true) { payloads in
            payloads.map { payload in
                guard case .securityAssociation(let offer) = payload else { return payload }
                return .securityAssociation(SecurityAssociationPayload(change(offer.proposals)))
            }
        }
    }

    private static func keeping(
        _ wire: WireProposal, _ isKept: @escaping (Transform) -> Bool
    ) -> WireProposal {
        guard let proposal = wire.proposal else { return wire }
        return WireProposal(
            number: wire.number, Proposal(proposal.securityProtocol, proposal.transforms.filter(isKept)), spi: [])
    }

    static let stripped: [NotifyType] = [
        .signatureHashAlgorithms, .usePPK, .intermediateExchangeSupported, .fragmentationSupported,
        .childlessIKEv2Supported, .redirectSupported, .natDetectionSourceIP, .multipleAuthSupported,
    ]

    static let changes: [Change] =
        stripped.flatMap { [without($0, ofRequests: true), without($0, ofRequests: false)] } + [
            proposals("the proposals in another order") { $0.reversed() },
            proposals("only the last proposal") { Array($0.suffix(1)) },
            proposals("no additional key exchange") { offer in
                offer.map { keeping($0) { $0.type.additionalKeyExchange == nil } }
            },
            proposals("only the shortest keys") { offer in
                offer.map { keeping($0) { $0.keyBits.map { $0 == 128 } ?? true } }
            },
        ]

    private static func pair(ppk: Bool) -> Pair {
        let ike = "aes256-aes128-sha256-x25519-ke1_ecp256-ke1_none,aes128gcm16-prfsha256-x25519"
        var left = Pair.connection(ike: ike)
        var right = Pair.connection(isLeft: false, ike: ike)
        left.childless = .prefer
        left.furtherLocal = [Connection.Authentication(method: .sharedKey, identity: .fqdn("user.example"))]
        right.furtherRemote = [
            Connection.PeerAuthentication(method: .sharedKey, identity: .exactly(.fqdn("user.example")))
        ]
        // Who might sign announces hashes.
        right.furtherLocal = []
        if ppk {
            left.ppkIdentity = .keyID(Array("k".utf8))
            right.knowsPPKs = true
        }
        let pair = Pair(left: left, right: right)
        pair.left.ppks = [("k", [1, 2, 3])]
        pair.right.ppks = pair.left.ppks
        return pair
    }

    @Test("Attack 12: whatever is taken out of IKE_SA_INIT on the way, there is no IKE SA", arguments: changes)
    func attack12(_ change: Change) {
        let pair = Self.pair(ppk: true)
        var changed = 0
        pair.wire = { datagram, fromLeft in
            guard fromLeft == change.ofRequests, let message = try? Message(parsing: datagram.bytes) else {
                return [datagram]
            }
            let payloads = change.payloads(message.payloads)
            if payloads != message.payloads { changed += 1 }
            var copy = datagram
            copy.bytes = (try? Message(message.header, payloads).encoded()) ?? []
            return [copy]
        }
        pair.connect()
        pair.advance(.seconds(300))
        let established = (pair.left.kinds + pair.right.kinds).contains {
            if case .ikeEstablished = $0 { true } else { false }
        }
        // What was not there can't be taken out; then nothing was changed, and all is well.
        #expect(established == (changed == 0))
        if changed > 0 { #expect(pair.left.installed.isEmpty && pair.right.installed.isEmpty) }
    }
}
