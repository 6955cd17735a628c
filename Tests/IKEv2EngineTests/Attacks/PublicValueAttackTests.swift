import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// Key exchanges with values that are none, in every exchange that has them and from either end (attack 9 of the project's
/// list, RFC 6989). What is about IKE_SA_INIT's responder is in ``GrammarAttackTests``.
@Suite struct PublicValueAttackTests {
    /// A value that no honest peer sends.
    struct Value: CustomTestStringConvertible, Sendable {
        /// The group's word in a proposal, and its number.
        let group: String
        let id: UInt16
        let what: String
        let octets: [UInt8]

        var testDescription: String { "\(group) \(what)" }

        init(_ group: String, _ id: UInt16, _ what: String, _ octets: [UInt8]) {
            (self.group, self.id, self.what, self.octets) = (group, id, what, octets)
        }
    }

    private static func octets(_ value: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: value, count: count) }

    private static func changed(_ octets: [UInt8], _ place: Int, by difference: UInt8) -> [UInt8] {
        var copy = octets
        copy[place] &+= difference
        return copy
    }

    /// Numbers that leave the group, or make its secret known; lengths that are another's.
    private static let numbers: [Value] = {
        let prime = GrammarAttackTests.prime
        let one = octets(0, 255) + [1]
        return [
            Value("modp2048", 14, "0", octets(0, 256)), Value("modp2048", 14, "1", one),
            Value("modp2048", 14, "p-1", changed(prime, 255, by: 255)), Value("modp2048", 14, "p", prime),
            Value("modp2048", 14, "2^2048-1", octets(0xff, 256)), Value("modp2048", 14, "short", octets(2, 255)),
            Value("modp2048", 14, "long", octets(2, 257)), Value("modp2048", 14, "empty", []),
        ]
    }()

    /// Points that are not on the curve, and the one at infinity in the ways in which it is written.
    private static let points: [Value] = [(UInt16(19), "ecp256", 64), (20, "ecp384", 96), (21, "ecp521", 132)]
        .flatMap { id, group, length in
            [
                Value(group, id, "infinity", octets(0, length)), Value(group, id, "infinity as SEC 1 has it", [0]),
                Value(group, id, "off the curve", octets(1, length)),
                Value(group, id, "larger than the field", octets(0xff, length)),
                Value(group, id, "with SEC 1's first octet", [4] + octets(1, length)),
                Value(group, id, "compressed", [2] + octets(1, length / 2)),
            ]
        }

    /// u-coordinates of small order, which make the secret zero (RFC 7748 §6.1).
    private static let lowOrder: [Value] = {
        let texts = [
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ]
        return texts.map { Value("x25519", 31, "of small order \($0.prefix(4))", Hex.decode($0) ?? []) } + [
            Value("x25519", 31, "0", octets(0, 32)), Value("x25519", 31, "1", [1] + octets(0, 31)),
            Value("x25519", 31, "short", octets(9, 31)), Value("x25519", 31, "long", octets(9, 33)),
            Value("x448", 32, "0", octets(0, 56)), Value("x448", 32, "short", octets(5, 55)),
        ]
    }()

    static let values = numbers + points + lowOrder

    /// Encapsulation keys of another length, or with coefficients that are not reduced (FIPS 203 §7.2).
    static let keys: [Value] = [(UInt16(36), "mlkem768", 1184), (37, "mlkem1024", 1568)].flatMap { id, name, length in
        [
            Value(name, id, "short", octets(1, length - 1)), Value(name, id, "long", octets(1, length + 1)),
            Value(name, id, "empty", []), Value(name, id, "not reduced", octets(0xff, length)),
        ]
    }

    private static let nonce = NoncePayload(octets(7, 32))

    /// A pair whose right end takes one group for its IKE SA and another one later.
    private static func pair(_ group: String, esp: String? = nil) -> Pair {
        let ike = "aes128gcm16-prfsha256-x25519" + (group == "x25519" ? "" : "-\(group)")
        return Pair(right: Pair.connection(isLeft: false, ike: ike, esp: esp ?? "aes128gcm16-\(group)"))
    }

    private static func child(_ value: Value, esp: String? = nil, rekeys: Bool) -> [Payload] {
        CreateChildSA.Request.child(
            CreateChildSA.Child(
                negotiation: RoguePeer.child(spi: 0xaaaa_0001, esp: esp ?? "aes128gcm16-\(value.group)"), nonce: nonce,
                keyExchange: KeyExchangePayload(method: value.id, data: value.octets),
                notifies: rekeys ? [NotifyPayload(.rekeySA, .esp, spi: 0xc0ff_ee00)] : [])
        ).payloads
    }

    private static func ikeSA(_ value: Value) -> CreateChildSA.Rekeying {
        let proposal = Pair.proposals("aes128gcm16-prfsha256-\(value.group)", .ike)[0]
        return CreateChildSA.Rekeying(
            securityAssociation: SecurityAssociationPayload([
                WireProposal(number: 1, proposal, spi: WireProposal.octets(UInt64(99)))
            ]), nonce: nonce, keyExchange: KeyExchangePayload(method: value.id, data: value.octets))
    }

    /// The peer is told, and the IKE SA is gone with all that it had (RFC 6989 §2.5).
    private func expectEnd(_ pair: Pair, _ answer: [OpenedMessage], at place: SourceLocation = #_sourceLocation) {
        #expect(answer.map(\.payloads) == [[.notify(NotifyPayload(.invalidSyntax))]], sourceLocation: place)
        expectBlame(pair.right, at: place)
    }

    /// A value that is empty is no payload.
    private func expectBlame(_ gateway: Gateway, at place: SourceLocation) {
        switch gateway.refusals.last {
        case .badKeyExchange?, .malformed?, .noAnswer?: break
        default: Issue.record("\(gateway.refusals)", sourceLocation: place)
        }
        #expect(gateway.isEmpty, "\(gateway.endpoint.counts)", sourceLocation: place)
    }

    @Test("Attack 9: a Child SA, new or in place of another, is not made with a value that is none", arguments: values)
    func attack9Child(_ value: Value) throws {
        for rekeys in [true, false] {
            let pair = Self.pair(value.group)
            let rogue = try #require(RoguePeer(pair))
            #expect(rogue.authenticate().count == 1)
            expectEnd(pair, rogue.ask(.createChildSA, 2, Self.child(value, rekeys: rekeys)))
            #expect(pair.right.installed.count == 2)
        }
    }

    @Test("Attack 9: an IKE SA in place of another is not made with a value that is none", arguments: values)
    func attack9IKE(_ value: Value) throws {
        let pair = Self.pair(value.group)
        pair.right.environment.exposesKeys = true
        let rogue = try #require(RoguePeer(pair))
        #expect(rogue.authenticate().count == 1)
        let keys = pair.right.exposed.count
        expectEnd(pair, rogue.ask(.createChildSA, 2, CreateChildSA.Request.ikeSA(Self.ikeSA(value)).payloads))
        #expect(pair.right.exposed.count == keys)
    }

    @Test("Attack 9: an answer with a value that is none makes no Child SA, and ends the IKE SA", arguments: values)
    func attack9ChildsAnswer(_ value: Value) throws {
        let pair = Self.pair(value.group)
        let rogue = try #require(RoguePeer(pair))
        #expect(rogue.authenticate().count == 1)
        pair.right.handle(.command(.rekey(.child("net", connection: nil))))
        try #require(pair.right.takeOutbox().count == 1)
        var negotiation = RoguePeer.child(spi: 0xaaaa_0002, esp: "aes128gcm16-\(value.group)")
        swap(&negotiation.initiatorSelectors, &negotiation.responderSelectors)
        let answer = CreateChildSA.Response.child(
            CreateChildSA.Child(
                negotiation: negotiation, nonce: Self.nonce,
                keyExchange: KeyExchangePayload(method: value.id, data: value.octets)))
        let farewell = rogue.ask(.createChildSA, 0, answer.payloads, flags: [.initiator, .response])
        #expect(farewell.first?.payloads == [.delete(DeletePayload(.ikeSA))])
        _ = rogue.ask(.informational, 1, [], flags: [.initiator, .response])
        expectBlame(pair.right, at: #_sourceLocation)
        #expect(pair.right.installed.count == 2)
    }

    @Test("Attack 9: an answer with a value that is none makes no IKE SA, and ends the one before", arguments: values)
    func attack9IKEsAnswer(_ value: Value) throws {
        let pair = Self.pair(value.group)
        let rogue = try #require(RoguePeer(pair))
        #expect(rogue.authenticate().count == 1)
        pair.right.endpoint.inOrder.first?.context.connection.proposals = Pair.proposals(
            "aes128gcm16-prfsha256-\(value.group)", .ike)
        pair.right.handle(.command(.rekey(.connection("net"))))
        try #require(pair.right.takeOutbox().count == 1)
        let answer = CreateChildSA.Response.ikeSA(Self.ikeSA(value))
        let farewell = rogue.ask(.createChildSA, 0, answer.payloads, flags: [.initiator, .response])
        #expect(farewell.first?.payloads == [.delete(DeletePayload(.ikeSA))])
        _ = rogue.ask(.informational, 1, [], flags: [.initiator, .response])
        expectBlame(pair.right, at: #_sourceLocation)
    }

    @Test("Attack 9: an answer to IKE_SA_INIT with a value that is none makes no keys", arguments: values)
    func attack9Initiation(_ value: Value) throws {
        let ike = "aes128gcm16-prfsha256-\(value.group)"
        let pair = Pair(left: Pair.connection(ike: ike), right: Pair.connection(isLeft: false, ike: ike))
        pair.left.environment.exposesKeys = true
        pair.wire = { datagram, fromLeft in
            guard !fromLeft, let message = try? Message(parsing: datagram.bytes) else { return [datagram] }
            let payloads = message.payloads.map { payload -> Payload in
                guard case .keyExchange = payload else { return payload }
                return .keyExchange(KeyExchangePayload(method: value.id, data: value.octets))
            }
            var forged = datagram
            forged.bytes = (try? Message(message.header, payloads).encoded()) ?? []
            return [forged]
        }
        pair.connect()
        #expect(pair.left.exposed.isEmpty && pair.left.installed.isEmpty)
        // What is no payload anybody may have sent: a better answer is waited for.
        if value.octets.isEmpty { pair.advance(.minutes(10)) }
        expectBlame(pair.left, at: #_sourceLocation)
    }

    @Test(
        "Attack 9: a group that is not the one agreed on is told of, and nothing ends", arguments: [0, 1, 2, 14, 1025])
    func attack9OtherGroups(_ number: UInt16) throws {
        for length in [32, 256] {
            let pair = Self.pair("x25519")
            let rogue = try #require(RoguePeer(pair))
            #expect(rogue.authenticate().count == 1)
            let spis = pair.right.endpoint.counts.spis
            var value = Value("x25519", number, "", Self.octets(9, length))
            let wanted: [Payload] = [.notify(NotifyPayload(.invalidKEPayload, [0, 31]))]
            #expect(rogue.ask(.createChildSA, 2, Self.child(value, rekeys: true)).first?.payloads == wanted)
            #expect(rogue.ask(.createChildSA, 3, Self.child(value, rekeys: false)).first?.payloads == wanted)
            let rekeying = CreateChildSA.Request.ikeSA(Self.ikeSA(value)).payloads
            #expect(rogue.ask(.createChildSA, 4, rekeying).first?.payloads == wanted)
            #expect(pair.right.endpoint.counts.spis == spis && pair.right.endpoint.counts.ikeSAs == 1)
            value = Value("x25519", 31, "", Self.octets(9, 32))
            let answer = rogue.ask(.createChildSA, 5, Self.child(value, rekeys: true)).first
            #expect(answer?.payloads.contains { $0.type == .keyExchange } == true)
        }
    }

    // MARK: Further key exchanges

    @Test("Attack 9: IKE_INTERMEDIATE with a value that is none ends the attempt", arguments: keys + values)
    func attack9Intermediate(_ value: Value) throws {
        guard value.id != 31 else { return }
        let ike = "aes128gcm16-prfsha256-x25519-ke1_\(value.group)"
        let pair = Pair(right: Pair.connection(isLeft: false, ike: ike))
        pair.right.environment.exposesKeys = true
        let rogue = try #require(
            RoguePeer(pair, ike: ike, notifies: [NotifyPayload(.intermediateExchangeSupported)]))
        let payload = Payload.keyExchange(KeyExchangePayload(method: value.id, data: value.octets))
        let answer = rogue.ask(.ikeIntermediate, 1, [payload])
        if value.octets.count < 32 {
            // Too short for an IKE_AUTH or a key exchange: not even the first one is done for it.
            #expect(answer == [] && pair.right.exposed.isEmpty && pair.right.endpoint.counts.halfOpen == 1)
            return
        }
        expectEnd(pair, answer)
        #expect(pair.right.exposed.count == 1, "those of IKE_SA_INIT, and no others")
        #expect(rogue.authenticate(id: 2) == [])
    }

    @Test("Attack 9: IKE_FOLLOWUP_KE with a value that is none makes nothing", arguments: keys)
    func attack9Followup(_ value: Value) throws {
        let esp = "aes128gcm16-x25519-ke1_\(value.group)"
        let pair = Self.pair("x25519", esp: esp)
        let rogue = try #require(RoguePeer(pair))
        #expect(rogue.authenticate().count == 1)
        let honest = Value("x25519", 31, "", Self.octets(9, 32))
        let answer = rogue.ask(.createChildSA, 2, Self.child(honest, esp: esp, rekeys: true)).first
        let link = answer?.payloads.lazy.compactMap { payload in
            if case .notify(let notify) = payload, notify.type == .additionalKeyExchange {
                notify.data
            } else {
                nil as [UInt8]?
            }
        }.first
        let step = IKEFollowupKE.Request(
            keyExchange: KeyExchangePayload(method: value.id, data: value.octets), link: try #require(link))
        expectEnd(pair, rogue.ask(.ikeFollowupKE, 3, step.payloads))
        #expect(pair.right.installed.count == 2)
    }

    /// Of the right length, a ciphertext opens to a secret that nobody else has: then the proofs do not fit.
    @Test("Attack 9: a ciphertext that is none makes no SA", arguments: [0, 1, 1087, 1088, 1089, 1184])
    func attack9Ciphertext(_ length: Int) throws {
        let ike = "aes128gcm16-prfsha256-x25519-ke1_mlkem768"
        let pair = Pair(left: Pair.connection(ike: ike), right: Pair.connection(isLeft: false, ike: ike))
        pair.right.answersAtOnce = false
        pair.connect()
        let (ticket, query) = try #require(pair.right.questions.first)
        guard case .encapsulated(_, let secret) = pair.right.answer(query) else {
            Issue.record("another question: \(query)")
            return
        }
        pair.right.questions = []
        pair.right.handle(.answer(ticket, .encapsulated(Self.octets(5, length), secret)))
        pair.right.answersAtOnce = true
        pair.run()
        #expect(pair.left.installed.isEmpty && pair.right.installed.isEmpty)
        if length != 1088 { expectBlame(pair.left, at: #_sourceLocation) }
        pair.advance(.minutes(5))
        #expect(pair.left.isEmpty && pair.right.isEmpty)
        let isUp = (pair.left.kinds + pair.right.kinds).contains {
            if case .ikeEstablished = $0 { true } else { false }
        }
        #expect(!isUp)
    }

    /// One of the right length opens to another secret, which only packets could show.
    @Test(
        "Attack 9: a ciphertext of another length in IKE_FOLLOWUP_KE ends the IKE SA", arguments: [1, 1087, 1089, 1184])
    func attack9FollowupCiphertext(_ length: Int) throws {
        for target in [Command.Target.child("net", connection: nil), .connection("net")] {
            let (ike, esp) = ("aes128gcm16-prfsha256-x25519", "aes128gcm16-x25519-ke1_mlkem768")
            let pair = Pair(
                left: Pair.connection(ike: ike, esp: esp), right: Pair.connection(isLeft: false, ike: ike, esp: esp))
            pair.connect()
            for gateway in [pair.left, pair.right] {
                gateway.endpoint.inOrder.first?.context.connection.proposals = Pair.proposals(
                    ike + "-ke1_mlkem768", .ike)
            }
            pair.left.handle(.command(.rekey(target)))
            pair.right.answersAtOnce = false
            pair.run()
            let (ticket, query) = try #require(pair.right.questions.first)
            guard case .encapsulated(_, let secret) = pair.right.answer(query) else {
                Issue.record("another question: \(query)")
                return
            }
            pair.right.questions = []
            pair.right.handle(.answer(ticket, .encapsulated(Self.octets(5, length), secret)))
            pair.right.answersAtOnce = true
            pair.run()
            expectBlame(pair.left, at: #_sourceLocation)
            #expect(pair.left.installed.count == 2)
            // Whoever sends such a thing may keep what it has made for itself.
            pair.advance(.minutes(2))
            #expect(pair.left.isEmpty)
        }
    }
}
