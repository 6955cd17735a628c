import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// A peer that has the keys and breaks the rules.
@Suite struct RoguePeerTests {
    private let unknown = Payload.unknown(PayloadType(rawValue: 200), UnknownPayload([1, 2, 3]))

    private func notifies(_ answer: OpenedMessage?) -> [NotifyType]? {
        answer?.payloads.compactMap { if case .notify(let notify) = $0 { notify.type } else { nil } }
    }

    @Test func honestlyItWorks() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        let answer = try #require(rogue.authenticate().first)
        #expect(answer.payloads.map(\.type).contains(.authentication))
        #expect(pair.right.summary?.state == .established)
        #expect(pair.right.endpoint.counts.childSAs == 1)
    }

    @Test func criticalPayloadsBeforeAndAfterAuthentication() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        let first = try #require(
            rogue.ask(.ikeAuth, 1, [unknown, .nonce(NoncePayload([UInt8](repeating: 0, count: 40)))], critical: true)
                .first)
        #expect(first.payloads == [.notify(NotifyPayload(.unsupportedCriticalPayload, [200]))])
        #expect(pair.right.isEmpty)

        let second = try #require(RoguePeer(pair))
        _ = second.authenticate()
        let answer = second.ask(.informational, 2, [unknown], critical: true)
        #expect(answer.first?.payloads == [.notify(NotifyPayload(.unsupportedCriticalPayload, [200]))])
        // The IKE SA goes on, and the message ID is used up.
        #expect(pair.right.summary?.state == .established)
        #expect(second.ask(.informational, 3, []).first?.payloads == [])
        #expect(second.ask(.informational, 4, [unknown]).first?.payloads == [])
    }

    @Test func senselessRequestsEndTheIKESA() throws {
        let pair = Pair()
        let first = try #require(RoguePeer(pair))
        let answer = first.ask(.ikeAuth, 1, [.nonce(NoncePayload([UInt8](repeating: 0, count: 64)))])
        #expect(answer.first?.payloads == [.notify(NotifyPayload(.invalidSyntax))])
        #expect(pair.right.isEmpty)
        guard case .malformed(let exchange, _)? = pair.right.refusals.last else {
            Issue.record("\(pair.right.refusals)")
            return
        }
        #expect(exchange == "IKE_AUTH")

        let second = try #require(RoguePeer(pair))
        _ = second.authenticate()
        #expect(
            second.ask(.createChildSA, 2, [.nonce(NoncePayload([UInt8](repeating: 0, count: 16)))]).first?.payloads
                == [.notify(NotifyPayload(.invalidSyntax))])
        #expect(pair.right.isEmpty)
    }

    @Test func anIKEAuthWithoutProofIsRefusedLikeAFalseOne() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        let answer = rogue.authenticate { $0.authentication = nil }
        #expect(answer.first?.payloads == [.notify(NotifyPayload(.authenticationFailed))])
        #expect(
            pair.right.refusals == [
                .wrongMethod(expected: .sharedKey, received: 0, remote: .fqdn("left.example"))
            ])
        let second = try #require(RoguePeer(pair))
        let signed = second.authenticate { $0.authentication = AuthenticationPayload(.rsaSignature, [1, 2, 3]) }
        #expect(signed.first?.payloads == [.notify(NotifyPayload(.authenticationFailed))])
        #expect(
            pair.right.refusals.last == .wrongMethod(expected: .sharedKey, received: 1, remote: .fqdn("left.example")))
        #expect(pair.right.isEmpty)
    }

    @Test func anythingBeforeIKEAuthIsDropped() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        let filler = Payload.nonce(NoncePayload([UInt8](repeating: 0, count: 64)))
        #expect(rogue.ask(.informational, 1, [.delete(DeletePayload(.ikeSA)), filler]) == [])
        #expect(rogue.ask(.createChildSA, 1, [filler]) == [])
        #expect(rogue.ask(.ikeAuth, 2, [filler]) == [])
        #expect(rogue.ask(.ikeAuth, 0, [filler]) == [])
        #expect(rogue.ask(.ikeAuth, 1, [filler], flags: [.initiator, .response]) == [])
        #expect(pair.right.endpoint.counts.halfOpen == 1)
        #expect(rogue.authenticate().count == 1)
        #expect(pair.right.summary?.state == .established)
    }

    @Test func replacingWhatIsNotThereIsRefused() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.authenticate()
        let nonce = NoncePayload([UInt8](repeating: 7, count: 32))
        let rekeyChild = CreateChildSA.Request.child(
            CreateChildSA.Child(
                negotiation: RoguePeer.child(spi: 0xaaaa_0001), nonce: nonce,
                notifies: [NotifyPayload(.rekeySA, .esp, spi: 0xdead_beef)]))
        #expect(notifies(rogue.ask(.createChildSA, 2, rekeyChild.payloads).first) == [.childSANotFound])
        let ike = Pair.proposals("aes128gcm16-prfsha256-x25519", .ike)[0]
        let rekeyIKE = CreateChildSA.Request.ikeSA(
            CreateChildSA.Rekeying(
                securityAssociation: SecurityAssociationPayload([
                    WireProposal(number: 1, ike, spi: WireProposal.octets(UInt64(99)))
                ]), nonce: nonce, keyExchange: KeyExchangePayload(method: 19, data: [UInt8](repeating: 9, count: 32))))
        #expect(notifies(rogue.ask(.createChildSA, 3, rekeyIKE.payloads).first) == [.invalidKEPayload])
        #expect(pair.right.endpoint.counts.childSAs == 1)
        // A key exchange that nobody agreed on is answered, too.
        #expect(notifies(rogue.ask(.ikeFollowupKE, 4, []).first) == [.stateNotFound])
        #expect(rogue.ask(.informational, 5, []).first?.payloads == [])
    }

    @Test func childrenWithBadSPIsAndBadKeysAreRefused() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        let answer = rogue.authenticate { $0.child = RoguePeer.child(spi: 7) }
        #expect(notifies(answer.first) == [.noProposalChosen])
        #expect(pair.right.summary?.state == .established)
        #expect(pair.right.endpoint.counts.spis == 0)
        let bad = CreateChildSA.Request.child(
            CreateChildSA.Child(
                negotiation: RoguePeer.child(spi: 0xaaaa_0001, esp: "aes128gcm16-x25519"),
                nonce: NoncePayload([UInt8](repeating: 7, count: 32)),
                keyExchange: KeyExchangePayload(method: 31, data: [UInt8](repeating: 0, count: 32))))
        // The right side has no group of its own: nothing in common.
        #expect(notifies(rogue.ask(.createChildSA, 2, bad.payloads).first) == [.noProposalChosen])
        #expect(pair.right.endpoint.counts.spis == 0)
    }

    @Test func childrenAreBounded() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.authenticate()
        var refused: [NotifyType]?
        for index in 0..<300 {
            let request = CreateChildSA.Request.child(
                CreateChildSA.Child(
                    negotiation: RoguePeer.child(spi: 0x1000_0000 + UInt32(index)),
                    nonce: NoncePayload([UInt8](repeating: 7, count: 32))))
            refused = notifies(rogue.ask(.createChildSA, UInt32(index + 2), request.payloads).first)
        }
        #expect(refused == [.noAdditionalSAs])
        #expect(pair.right.endpoint.counts.childSAs == ChildTable.capacity)
    }

    @Test func deletionsOfWhatIsNotThere() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.authenticate()
        let stray = rogue.ask(.informational, 2, [.delete(DeletePayload(.children(.esp, spis: [1, 2, 3])))])
        #expect(stray.first?.payloads == [])
        let inbound = try #require(pair.right.summary?.children.first?.inboundSPI)
        let real = rogue.ask(.informational, 3, [.delete(DeletePayload(.children(.esp, spis: [0xc0ff_ee00])))])
        #expect(real.first?.payloads == [.delete(DeletePayload(.children(.esp, spis: [inbound])))])
        #expect(pair.right.endpoint.counts.childSAs == 0)
        #expect(rogue.ask(.informational, 9, []) == [])
        #expect(pair.right.drops.last == .outsideWindow(messageID: 9))
        #expect(rogue.ask(.informational, 4, [.delete(DeletePayload(.ikeSA))]).first?.payloads == [])
        #expect(pair.right.isEmpty)
    }

    @Test func unknownNotifiesAreAnsweredEmpty() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.authenticate()
        let notify = Payload.notify(NotifyPayload(NotifyType(rawValue: 40_999), [1]))
        #expect(rogue.ask(.informational, 2, [notify]).first?.payloads == [])
        let error = Payload.notify(NotifyPayload(NotifyType(rawValue: 8_000)))
        #expect(rogue.ask(.informational, 3, [error]).first?.payloads == [])
        #expect(pair.right.summary?.state == .established)
        #expect(
            rogue.ask(.informational, 4, [.notify(NotifyPayload(.authenticationFailed))]).first?.payloads == [])
        #expect(pair.right.isEmpty)
    }

    @Test func aBadPublicValueCostsTheAttemptOnly() throws {
        let pair = Pair()
        let offer = SecurityAssociationPayload([
            WireProposal(number: 1, Pair.proposals("aes128gcm16-prfsha256-x25519", .ike)[0], spi: [])
        ])
        func request(_ value: [UInt8]) throws -> [UInt8] {
            let header = IKEHeader(
                initiatorSPI: 5, responderSPI: 0, exchange: .ikeSAInit, flags: .initiator, messageID: 0)
            let request = IKESAInit.Request(
                offer: offer, keyExchange: KeyExchangePayload(method: 31, data: value),
                nonce: NoncePayload([UInt8](repeating: 1, count: 32)))
            return try Message(header, request.payloads).encoded()
        }
        let path = Path(local: Endpoint(Pair.rightAddress, 500), remote: Endpoint(Pair.leftAddress, 500))
        pair.right.handle(.datagram(Datagram(try request([1, 2, 3]), path: path, socket: .plain)))
        #expect(
            try Message(parsing: try #require(pair.right.takeOutbox().first).bytes).payloads
                == [.notify(NotifyPayload(.invalidSyntax))])
        #expect(pair.right.isEmpty)
        // A point of small order is found out when the keys are needed.
        let low = try request([UInt8](repeating: 0, count: 32))
        pair.right.handle(.datagram(Datagram(low, path: path, socket: .plain)))
        let answer = try Message(parsing: try #require(pair.right.takeOutbox().first).bytes)
        #expect(pair.right.endpoint.counts.halfOpen == 1)
        var writer = WireWriter()
        writer.uint64(5)
        writer.uint64(answer.header.responderSPI)
        for octet: UInt8 in [46, 0x20, 35, 8] { writer.uint8(octet) }
        writer.uint32(1)
        writer.uint32(28 + 4 + 100)
        writer.uint8(35)
        writer.uint8(0)
        writer.uint16(104)
        writer.zeros(100)
        pair.right.handle(.datagram(Datagram(writer.bytes, path: path, socket: .plain)))
        guard case .badKeyExchange? = pair.right.refusals.last else {
            Issue.record("\(pair.right.refusals)")
            return
        }
        #expect(pair.right.isEmpty)
    }
}
