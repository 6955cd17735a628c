import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// Messages at the wrong moment, of another version or from the wrong end, by their numbers in the project's list: while
/// proofs are looked at, between key exchanges, on IKE SAs that are up, among replacements that are half made.
@Suite struct OrderAttackTests {
    private static let nonce = NoncePayload([UInt8](repeating: 7, count: 32))

    private static func child(_ old: UInt32?, to new: UInt32, esp: String = "aes128gcm16") -> [Payload] {
        CreateChildSA.Request.child(
            CreateChildSA.Child(
                negotiation: RoguePeer.child(spi: new, esp: esp), nonce: nonce,
                keyExchange: esp.contains("x25519")
                    ? KeyExchangePayload(method: 31, data: [UInt8](repeating: 9, count: 32)) : nil,
                notifies: old.map { [NotifyPayload(.rekeySA, .esp, spi: $0)] } ?? [])
        ).payloads
    }

    private static var ikeSA: [Payload] {
        let proposal = Pair.proposals("aes128gcm16-prfsha256-x25519", .ike)[0]
        return CreateChildSA.Request.ikeSA(
            CreateChildSA.Rekeying(
                securityAssociation: SecurityAssociationPayload([
                    WireProposal(number: 1, proposal, spi: WireProposal.octets(UInt64(99)))
                ]), nonce: nonce, keyExchange: KeyExchangePayload(method: 31, data: [UInt8](repeating: 9, count: 32)))
        ).payloads
    }

    /// What only an established IKE SA may be asked.
    private static var early: [(ExchangeType, [Payload])] {
        [
            (.createChildSA, child(nil, to: 0xaaaa_0001)), (.createChildSA, child(0xc0ff_ee00, to: 0xaaaa_0002)),
            (.createChildSA, ikeSA), (.informational, [.delete(DeletePayload(.ikeSA))]),
            (.informational, [.delete(DeletePayload(.children(.esp, spis: [0xc0ff_ee00])))]), (.informational, []),
            (.informational, [.notify(NotifyPayload(.updateSAAddresses))]),
            (.informational, [.notify(NotifyPayload(.redirect, [1, 4, 10, 0, 0, 1]))]),
            (.ikeFollowupKE, [.nonce(nonce)]), (.ikeIntermediate, [.nonce(nonce)]),
            (ExchangeType(rawValue: 200), [.nonce(nonce)]),
        ]
    }

    private func isEstablished(_ gateway: Gateway) -> Bool {
        gateway.kinds.contains { if case .ikeEstablished = $0 { true } else { false } }
    }

    private func notifies(_ answer: OpenedMessage?) -> [NotifyType]? {
        answer?.payloads.compactMap { if case .notify(let notify) = $0 { notify.type } else { nil } }
    }

    // MARK: Before the proof has been believed

    @Test(
        "Attack 2: while the proof is looked at nothing else is done, and a false one ends it",
        arguments: [true, false])
    func attack2WhileChecking(_ isTrue: Bool) throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        pair.right.answersAtOnce = false
        #expect(rogue.authenticate(key: Array((isTrue ? "the same key" : "guessed").utf8)) == [])
        #expect(pair.right.questions.count == 1)
        for id: UInt32 in 0...2 {
            for (exchange, payloads) in Self.early {
                #expect(rogue.ask(exchange, id, payloads) == [])
                #expect(rogue.ask(exchange, id, payloads, flags: [.initiator, .response]) == [])
            }
        }
        #expect(pair.right.questions.count == 1 && !isEstablished(pair.right) && pair.right.installed.isEmpty)
        pair.right.answerAll()
        pair.right.answersAtOnce = true
        while !pair.right.questions.isEmpty { pair.right.answerAll() }
        #expect(isEstablished(pair.right) == isTrue)
        #expect(pair.right.endpoint.counts.childSAs == (isTrue ? 1 : 0))
        if !isTrue { #expect(pair.right.isEmpty) }
    }

    @Test("Attack 2: between key exchanges before the proof nothing else is done")
    func attack2BetweenKeyExchanges() throws {
        let ike = "aes128gcm16-prfsha256-x25519-ke1_ecp256-ke2_ecp384"
        let pair = Pair(right: Pair.connection(isLeft: false, ike: ike))
        let rogue = try #require(RoguePeer(pair, ike: ike, notifies: [NotifyPayload(.intermediateExchangeSupported)]))
        // A proof in place of a key exchange, at each place but the last, is dropped like all else.
        for (index, method) in ["ke1_ecp256", "ke2_ecp384"].enumerated() {
            let id = UInt32(index + 1)
            for (exchange, payloads) in Self.early where exchange != .ikeIntermediate {
                #expect(rogue.ask(exchange, id, payloads) == [])
            }
            #expect(rogue.authenticate(id: id) == [])
            let proposal = Pair.proposals("aes128gcm16-prfsha256-x25519-\(method)", .ike)[0]
            #expect(rogue.exchangeMore(try #require(proposal.additionalKeyExchanges.first), id: id))
        }
        for (exchange, payloads) in Self.early { #expect(rogue.ask(exchange, 3, payloads) == []) }
        #expect(!isEstablished(pair.right) && pair.right.installed.isEmpty && pair.right.endpoint.counts.halfOpen == 1)
    }

    @Test("Attack 3: a responder that does not prove itself gets no IKE SA and no secret", arguments: 0..<6)
    func attack3Responder(_ row: Int) throws {
        let proofs: [Answer] = [
            .proof([]), .proof([UInt8](repeating: 0, count: 32)), .proof([UInt8](repeating: 0xff, count: 4096)),
            .signed(AuthenticationPayload(AuthenticationMethod(rawValue: 13), []), certificates: []),
            .signed(AuthenticationPayload(.digitalSignature, [1, 2, 3]), certificates: []),
            .signed(AuthenticationPayload(AuthenticationMethod(rawValue: 0), []), certificates: []),
        ]
        var right = Pair.connection(isLeft: false)
        right.local.method = row < 3 ? .sharedKey : .publicKey
        let rogue = Pair(right: right)
        rogue.right.answersAtOnce = false
        rogue.initiate()
        for _ in 0..<10 {
            rogue.run()
            guard !rogue.right.questions.isEmpty else { break }
            let (ticket, query) = rogue.right.questions.removeFirst()
            if case .prove = query {
                rogue.right.handle(.answer(ticket, proofs[row]))
            } else {
                rogue.right.handle(.answer(ticket, rogue.right.answer(query)))
            }
        }
        rogue.advance(.minutes(1))
        #expect(!isEstablished(rogue.left) && rogue.left.installed.isEmpty && rogue.left.isEmpty)
        #expect(rogue.left.refusals.count == 1)
        // The responder believed that it was up, and is told.
        #expect(rogue.right.isEmpty)
    }

    // MARK: Versions, flags, mirrors

    /// What somebody on the way does with a header: version 1, version 3, the other end's flag, an answer for a request.
    private static func mutants(_ datagram: Datagram) -> [Datagram] {
        [
            (17, UInt8(0x10)), (17, 0x11), (17, 0x30), (17, 0), (19, datagram.bytes[19] ^ 8),
            (19, datagram.bytes[19] ^ 32),
        ]
        .map { index, value in
            var copy = datagram
            copy.bytes[index] = value
            return copy
        }
    }

    @Test("Attack 6: in no exchange does another version, a turned flag or a mirrored message do anything")
    func attack6EveryExchange() throws {
        let pair = Pair()
        var exchanges: Set<UInt8> = []
        var words: [String] = []
        func isMoved(_ gateway: Gateway, by datagram: Datagram, _ what: String) {
            let (events, plane) = (gateway.kinds.count { $0.isOfTheSA }, gateway.plane.count)
            let counts = gateway.endpoint.counts
            gateway.handle(.datagram(datagram))
            let answers = gateway.takeOutbox()
            let isTold = answers.allSatisfy { (try? Message(parsing: $0.bytes))?.payloads == [Self.newerVersion] }
            if !isTold || gateway.kinds.count(where: \.isOfTheSA) != events || gateway.plane.count != plane
                || gateway.endpoint.counts != counts
            {
                words.append(what)
            }
        }
        pair.wire = { datagram, fromLeft in
            exchanges.insert(datagram.bytes[18])
            let (sender, receiver) = fromLeft ? (pair.left, pair.right) : (pair.right, pair.left)
            for (index, mutant) in Self.mutants(datagram).enumerated() {
                isMoved(receiver, by: mutant.asSeenByTheOther, "\(datagram.bytes[18]) mutant \(index)")
            }
            // Sent back as it is, and with the ends' SPIs turned round.
            isMoved(sender, by: datagram, "\(datagram.bytes[18]) mirrored")
            var turned = datagram
            turned.bytes.replaceSubrange(0..<16, with: datagram.bytes[8..<16] + datagram.bytes[0..<8])
            isMoved(sender, by: turned, "\(datagram.bytes[18]) turned round")
            turned.bytes[19] ^= 8
            isMoved(sender, by: turned, "\(datagram.bytes[18]) turned round, with the other's flag")
            return [datagram]
        }
        pair.connect()
        for target in [Command.Target.child("net", connection: nil), .connection("net")] {
            for gateway in [pair.left, pair.right] {
                gateway.handle(.command(.rekey(target)))
                pair.run()
            }
        }
        #expect(words == [])
        #expect(exchanges == [34, 35, 36, 37])
        #expect(pair.left.summary?.state == .established && pair.right.summary?.state == .established)
        #expect(pair.left.endpoint.counts.ikeSAs == 1 && pair.right.endpoint.counts.ikeSAs == 1)
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(words == [] && pair.left.isEmpty && pair.right.isEmpty)
    }

    private static let newerVersion = Payload.notify(NotifyPayload(.invalidMajorVersion))

    /// The older version's types of payloads, 1 to 13 and 20; each with what would be a deletion of everything there.
    @Test("Attack 6: payloads of the older version in a message of this one are not heeded", arguments: Array(1...20))
    func attack6OlderPayloads(_ type: Int) throws {
        let old: [UInt8] = [0, 0, 0, 1, 3, 4, 0, 1, 0xc0, 0xff, 0xee, 0]
        let payload = Payload.unknown(PayloadType(rawValue: UInt8(type)), UnknownPayload(old))
        // Alone they say nothing; in IKE_SA_INIT that is no request.
        let pair = Pair()
        let header = IKEHeader(initiatorSPI: 5, responderSPI: 0, exchange: .ikeSAInit, flags: .initiator, messageID: 0)
        let path = Path(local: Endpoint(Pair.rightAddress, 500), remote: Endpoint(Pair.leftAddress, 500))
        let alone = try Message(header, [payload]).encoded()
        pair.right.handle(.datagram(Datagram(alone, path: path, socket: .plain)))
        for answer in pair.right.takeOutbox() {
            #expect(try Message(parsing: answer.bytes).payloads == [.notify(NotifyPayload(.invalidSyntax))])
        }
        #expect(pair.right.isEmpty)
        // Nor do they change what an IKE_AUTH, or what comes after it, says.
        let rogue = try #require(RoguePeer(pair))
        let filler = Payload.nonce(NoncePayload([UInt8](repeating: 0, count: 64)))
        #expect(notifies(rogue.ask(.ikeAuth, 1, [payload, filler]).first) == [.invalidSyntax])
        #expect(pair.right.isEmpty && !isEstablished(pair.right))
        let honest = try #require(RoguePeer(pair))
        #expect(honest.authenticate().count == 1)
        let live = pair.right.liveSPIs
        #expect(honest.ask(.informational, 2, [payload]).first?.payloads == [])
        #expect(honest.ask(.informational, 3, [payload, payload, payload]).first?.payloads == [])
        #expect(pair.right.liveSPIs == live && pair.right.summary?.state == .established)
        // Said to be critical, they are refused by name (RFC 7296 §2.5).
        let told = Payload.notify(NotifyPayload(.unsupportedCriticalPayload, [UInt8(type)]))
        #expect(honest.ask(.informational, 4, [payload], critical: true).first?.payloads == [told])
        #expect(pair.right.liveSPIs == live && pair.right.summary?.state == .established)
    }

    // MARK: Half-made replacements

    @Test(
        "Attack 7: what is half made can be deleted, replaced and forgotten, and nothing of it stays", arguments: 0..<6)
    func attack7HalfMade(_ row: Int) throws {
        let esp = "aes128gcm16-x25519-ke1_ecp256"
        let pair = Pair(right: Pair.connection(isLeft: false, esp: esp))
        let rogue = try #require(RoguePeer(pair))
        #expect(rogue.authenticate().count == 1)
        let half = rogue.ask(.createChildSA, 2, Self.child(0xc0ff_ee00, to: 0xaaaa_0001, esp: esp)).first
        #expect(notifies(half)?.contains(.additionalKeyExchange) == true)
        #expect(pair.right.endpoint.counts.spis == 2 && pair.right.endpoint.counts.childSAs == 1)
        func delete(_ id: UInt32, _ spi: UInt32) -> [Payload]? {
            rogue.ask(.informational, id, [.delete(DeletePayload(.children(.esp, spis: [spi])))]).first?.payloads
        }
        var children = 1
        switch row {
        case 0:
            // The half-made one, which is nobody's yet.
            #expect(delete(3, 0xaaaa_0001) == [])
        case 1:
            // The one that it was to replace: it goes, and the other never comes.
            #expect(delete(3, 0xc0ff_ee00)?.count == 1)
            children = 0
        case 2:
            // A replacement of the half-made one is of something unknown.
            let next = rogue.ask(.createChildSA, 3, Self.child(0xaaaa_0001, to: 0xaaaa_0002, esp: esp)).first
            #expect(notifies(next) == [.childSANotFound])
        case 3:
            // Another one of the same.
            let next = rogue.ask(.createChildSA, 3, Self.child(0xc0ff_ee00, to: 0xaaaa_0002, esp: esp)).first
            #expect(notifies(next)?.contains(.additionalKeyExchange) == true)
            #expect(pair.right.endpoint.counts.spis == 2)
        case 4:
            _ = rogue.ask(.informational, 3, [.delete(DeletePayload(.ikeSA))])
            children = -1
        default:
            // A follow-up with a link that was never given out.
            let step = IKEFollowupKE.Request(
                keyExchange: KeyExchangePayload(method: 19, data: [UInt8](repeating: 1, count: 64)), link: [1, 2, 3])
            #expect(notifies(rogue.ask(.ikeFollowupKE, 3, step.payloads).first) == [.stateNotFound])
        }
        if children < 0 {
            #expect(pair.right.isEmpty)
            return
        }
        // A late follow-up after it makes nothing either, without the right link.
        let late = IKEFollowupKE.Request(
            keyExchange: KeyExchangePayload(method: 19, data: [UInt8](repeating: 1, count: 64)), link: [9])
        #expect(notifies(rogue.ask(.ikeFollowupKE, 4, late.payloads).first) == [.stateNotFound])
        pair.advance(.seconds(61))
        #expect(pair.right.endpoint.counts.childSAs == children && pair.right.endpoint.counts.spis == children)
        #expect(pair.right.installed.count == 2 && pair.right.endpoint.counts.openTickets == 0)
    }

    @Test("Attack 7: who replaces while a redundant Child SA waits for its end gets one, whichever it names")
    func attack7Redundant() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        #expect(rogue.authenticate().count == 1)
        // We replace it as well, and say so; the peer replaces it, and answers us.
        pair.right.handle(.command(.rekey(.child("net", connection: nil))))
        let request = try #require(rogue.opened(pair.right.takeOutbox().map(\.bytes)).first)
        #expect(request.header.exchange == .createChildSA && request.header.messageID == 0)
        let theirs = rogue.ask(.createChildSA, 2, Self.child(0xc0ff_ee00, to: 0xaaaa_0001)).first
        #expect(theirs?.payloads.contains { $0.type == .securityAssociation } == true)
        #expect(pair.right.endpoint.counts.childSAs == 2)
        // Before that is settled, it replaces the old one again, and its own, and one that is not there.
        let again = rogue.ask(.createChildSA, 3, Self.child(0xc0ff_ee00, to: 0xaaaa_0003)).first
        #expect(notifies(again) == [.temporaryFailure])
        let unknown = rogue.ask(.createChildSA, 4, Self.child(0xdead_beef, to: 0xaaaa_0004)).first
        #expect(notifies(unknown) == [.temporaryFailure], "it may be the one that our request has made")
        var negotiation = RoguePeer.child(spi: 0xaaaa_0002)
        swap(&negotiation.initiatorSelectors, &negotiation.responderSelectors)
        // The nonce of its answer is lower than any: ours has lost.
        let answer = CreateChildSA.Response.child(
            CreateChildSA.Child(negotiation: negotiation, nonce: NoncePayload([UInt8](repeating: 0, count: 32))))
        _ = rogue.ask(.createChildSA, 0, answer.payloads, flags: [.initiator, .response])
        #expect(pair.right.endpoint.counts.childSAs == 3)
        // Ours waits for its end, as the old one does: neither is replaced any more.
        for (id, spi) in [(UInt32(5), UInt32(0xaaaa_0002)), (6, 0xc0ff_ee00)] {
            let more = rogue.ask(.createChildSA, id, Self.child(spi, to: 0xaaaa_0010 + id)).first
            #expect(notifies(more) == [.temporaryFailure])
        }
        // The survivor is.
        let next = rogue.ask(.createChildSA, 7, Self.child(0xaaaa_0001, to: 0xaaaa_0020)).first
        #expect(next?.payloads.contains { $0.type == .securityAssociation } == true)
        _ = rogue.ask(.informational, 1, [], flags: [.initiator, .response])
        let rest = DeletePayload(.children(.esp, spis: [0xc0ff_ee00, 0xaaaa_0001, 0xaaaa_0002]))
        #expect(rogue.ask(.informational, 8, [.delete(rest)]).first?.payloads.count == 1)
        #expect(pair.right.summary?.children.map(\.outboundSPI) == [0xaaaa_0020])
        #expect(pair.right.endpoint.counts.spis == 1 && pair.right.liveSPIs.count == 2)
    }

    @Test("Attack 7: an IKE SA that has been replaced is not replaced again, nor does it get children")
    func attack7ReplacedIKESA() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        #expect(rogue.authenticate().count == 1)
        let first = rogue.ask(.createChildSA, 2, Self.ikeSA).first
        #expect(first?.payloads.contains { $0.type == .securityAssociation } == true)
        #expect(pair.right.endpoint.counts.ikeSAs == 2)
        for (id, payloads) in [
            Self.ikeSA, Self.child(nil, to: 0xaaaa_0001), Self.child(0xc0ff_ee00, to: 0xaaaa_0002),
        ].enumerated() {
            #expect(notifies(rogue.ask(.createChildSA, UInt32(3 + id), payloads).first) == [.temporaryFailure])
        }
        // Its Child SA is the new one's; nothing that is said on the old one closes it.
        let deletion = Payload.delete(DeletePayload(.children(.esp, spis: [0xc0ff_ee00])))
        #expect(rogue.ask(.informational, 6, [deletion]).first?.payloads == [])
        #expect(pair.right.endpoint.counts.ikeSAs == 2 && pair.right.endpoint.counts.childSAs == 1)
        #expect(pair.right.endpoint.counts.spis == 1 && pair.right.installed.count == 2)
        #expect(rogue.ask(.informational, 7, [.delete(DeletePayload(.ikeSA))]).first?.payloads == [])
        #expect(pair.right.endpoint.counts.ikeSAs == 1 && pair.right.endpoint.counts.childSAs == 1)
    }
}

extension Event.Kind {
    /// Whether it says that something became of an SA.
    fileprivate var isOfTheSA: Bool {
        switch self {
        case .ikeStateChanged, .ikeEstablished, .ikeClosed, .childInstalled, .childClosed, .pathChanged, .peerAlive:
            true
        default: false
        }
    }
}
