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

    /// A pair that has two groups in common, the first of which the responder wants.
    private static func groups() -> Pair {
        let ike = "aes128gcm16-prfsha256-x25519-ecp256"
        return Pair(left: Pair.connection(ike: ike), right: Pair.connection(isLeft: false, ike: ike))
    }

    /// What the responder's answer to a request would be if it wanted another group.
    private static func wanting(_ group: UInt16, _ request: Datagram) throws -> Datagram {
        let header = try Message(parsing: request.bytes).header
        let answer = IKEHeader(
            initiatorSPI: header.initiatorSPI, responderSPI: 0, exchange: .ikeSAInit, flags: .response, messageID: 0)
        let number = [UInt8(truncatingIfNeeded: group >> 8), UInt8(truncatingIfNeeded: group)]
        let bytes = try Message(answer, [.notify(NotifyPayload(.invalidKEPayload, number))]).encoded()
        return Datagram(bytes, path: request.path.reversed, socket: request.socket)
    }

    @Test(
        "Attack 12: who says in the responder's name that it wants a weaker group gets the stronger one",
        arguments: [1, 2])
    func attack12InvalidKE(_ times: Int) throws {
        let pair = Self.groups()
        var forged = 0
        pair.wire = { datagram, fromLeft in
            guard fromLeft, forged < times, let message = try? Message(parsing: datagram.bytes),
                message.header.exchange == .ikeSAInit, let answer = try? Self.wanting(19, datagram)
            else { return [datagram] }
            forged += 1
            // Before the responder can say anything.
            pair.left.handle(.datagram(Datagram(answer.bytes, path: datagram.path.reversed, socket: datagram.socket)))
            return []
        }
        pair.connect()
        pair.advance(.seconds(120))
        let chosen = pair.left.kinds.compactMap { kind -> Transform? in
            if case .ikeProposalChosen(let proposal) = kind { proposal.first(.keyExchange) } else { nil }
        }
        #expect(chosen.allSatisfy { $0 == .x25519 })
        #expect(forged > 0)
        // Once is borne; whoever goes on gets no tunnel at all.
        if times == 1 { #expect(pair.left.summary?.state == .established) }
    }

    @Test("Attack 12: a group that nobody offered is not used, whoever wants it", arguments: [2, 14, 1, 0, 1025])
    func attack12OtherGroups(_ group: UInt16) throws {
        let pair = Self.groups()
        var used: [UInt16] = []
        pair.wire = { datagram, fromLeft in
            guard fromLeft, let message = try? Message(parsing: datagram.bytes),
                let request = try? IKESAInit.Request(message), let answer = try? Self.wanting(group, datagram)
            else { return [datagram] }
            used.append(request.keyExchange.method)
            pair.left.handle(.datagram(Datagram(answer.bytes, path: datagram.path.reversed, socket: datagram.socket)))
            return []
        }
        pair.connect()
        pair.advance(.seconds(300))
        #expect(!used.isEmpty && used.allSatisfy { $0 == 31 })
        #expect(pair.left.installed.isEmpty)
    }
}
