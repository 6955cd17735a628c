import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// More than one identity proved by an end (RFC 4739).
@Suite struct RoundTests {
    /// Which end proves how many identities.
    struct Shape: CustomTestStringConvertible, Sendable {
        var left: Int
        var right: Int
        var testDescription: String { "\(left) of the initiator, \(right) of the responder" }
    }

    static let shapes = [
        Shape(left: 2, right: 1), Shape(left: 1, right: 2), Shape(left: 2, right: 2), Shape(left: 3, right: 1),
        Shape(left: 1, right: 3), Shape(left: 3, right: 2), Shape(left: 2, right: 3),
    ]

    private static func name(_ isLeft: Bool, _ round: Int) -> Identity {
        let end = isLeft ? "left" : "right"
        return .fqdn(round == 0 ? "\(end).example" : "\(end)-\(round).example")
    }

    private static func connection(isLeft: Bool, _ shape: Shape) -> Connection {
        var connection = Pair.connection(isLeft: isLeft)
        for round in 1..<max(isLeft ? shape.left : shape.right, 1) {
            connection.furtherLocal.append(
                Connection.Authentication(method: .sharedKey, identity: name(isLeft, round)))
        }
        for round in 1..<max(isLeft ? shape.right : shape.left, 1) {
            connection.furtherRemote.append(
                Connection.PeerAuthentication(method: .sharedKey, identity: .exactly(name(!isLeft, round))))
        }
        return connection
    }

    /// Every pair of identities has a key of its own.
    private static func pair(
        _ shape: Shape, limits: Limits = Limits(), left change: (inout Connection) -> Void = { _ in },
        right changeRight: (inout Connection) -> Void = { _ in }
    ) -> Pair {
        var left = connection(isLeft: true, shape)
        var right = connection(isLeft: false, shape)
        change(&left)
        changeRight(&right)
        let pair = Pair(left: left, right: right, limits: limits)
        pair.left.secrets = []
        pair.right.secrets = []
        for ours in 0..<3 {
            for theirs in 0..<3 {
                let key = Array("the key of \(ours) and \(theirs)".utf8)
                pair.left.secrets.append((name(true, ours), name(false, theirs), key))
                pair.right.secrets.append((name(false, theirs), name(true, ours), key))
            }
        }
        return pair
    }

    private static func isUp(_ pair: Pair) -> Bool {
        pair.left.summary?.state == .established && pair.right.summary?.state == .established
            && pair.left.summary?.children.count == 1 && pair.right.summary?.children.count == 1
    }

    private static func isRefused(_ pair: Pair) -> Bool {
        let established = (pair.left.kinds + pair.right.kinds).contains {
            if case .ikeEstablished = $0 { true } else { false }
        }
        return !established && pair.left.installed.isEmpty && pair.right.installed.isEmpty
    }

    private static func authentications(_ pair: Pair) -> Int {
        pair.trace.count { (try? IKEHeader(peeking: $0.datagram.bytes))?.exchange == .ikeAuth }
    }

    @Test(arguments: shapes) func everyIdentityIsProved(_ shape: Shape) throws {
        let pair = Self.pair(shape)
        pair.connect()
        #expect(Self.isUp(pair))
        #expect(pair.left.refusals.isEmpty && pair.right.refusals.isEmpty)
        #expect(Self.authentications(pair) == 2 * max(shape.left, shape.right))
        // Who is connected goes by the first identities.
        for (gateway, isLeft) in [(pair.left, true), (pair.right, false)] {
            let summary = try #require(gateway.summary)
            #expect(summary.localIdentity == Self.name(isLeft, 0) && summary.remoteIdentity == Self.name(!isLeft, 0))
            #expect(gateway.endpoint.counts.openTickets == 0 && gateway.endpoint.counts.spis == 1)
        }
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(pair.left.isEmpty && pair.right.isEmpty)
    }

    /// Each message lost once, and each delivered twice.
    @Test(arguments: 0..<10, [true, false]) func lossAndRepetitionChangeNothing(place: Int, isLost: Bool) {
        let pair = Self.pair(Shape(left: 3, right: 2))
        var sent = 0
        pair.wire = { datagram, _ in
            sent += 1
            guard sent == place + 1 else { return [datagram] }
            return isLost ? [] : [datagram, datagram]
        }
        pair.connect()
        pair.advance(.seconds(12))
        #expect(Self.isUp(pair))
        #expect(pair.left.refusals.isEmpty && pair.right.refusals.isEmpty)
    }

    /// A wrong key in any round is the end of it.
    @Test(arguments: [(0, 0), (1, 0), (1, 1), (2, 1)]) func everyProofCounts(ours: Int, theirs: Int) {
        let pair = Self.pair(Shape(left: 3, right: 2))
        for index in pair.left.secrets.indices
        where pair.left.secrets[index].local == Self.name(true, ours)
            && pair.left.secrets[index].remote == Self.name(false, theirs)
        {
            pair.left.secrets[index].key = Array("another key".utf8)
        }
        pair.connect()
        pair.advance(.seconds(400))
        #expect(!Self.isUp(pair))
        #expect(pair.left.isEmpty && pair.right.isEmpty)
        #expect(!pair.left.refusals.isEmpty || !pair.right.refusals.isEmpty)
    }

    @Test("An initiator that leaves out its second round is refused (RFC 4739 §2.1)")
    func aRoundLeftOut() {
        // It knows nothing of a second round.
        let silent = Self.pair(Shape(left: 2, right: 1), left: { $0.furtherLocal = [] })
        silent.connect()
        silent.advance(.seconds(400))
        #expect(Self.isRefused(silent))
        #expect(silent.right.refusals.contains { if case .notMet = $0 { true } else { false } })
        // The responder leaves out its own.
        let responder = Self.pair(Shape(left: 1, right: 2), right: { $0.furtherLocal = [] })
        responder.connect()
        responder.advance(.seconds(400))
        #expect(responder.left.installed.isEmpty && responder.left.isEmpty && responder.right.isEmpty)
        // One round more than anybody asked for.
        let more = Self.pair(Shape(left: 2, right: 1), right: { $0.furtherRemote = [] })
        more.connect()
        more.advance(.seconds(400))
        #expect(Self.isRefused(more) && more.left.isEmpty && more.right.isEmpty)
    }

    @Test("Between two rounds nothing else is answered, and an empty message is no second round")
    func nothingBetweenRounds() throws {
        let pair = Self.pair(Shape(left: 2, right: 1))
        let rogue = try #require(RoguePeer(pair))
        let key = Array("the key of 0 and 0".utf8)
        let first = rogue.authenticate(key: key) {
            $0.notifies = [NotifyPayload(.multipleAuthSupported), NotifyPayload(.anotherAuthFollows)]
        }
        #expect(first.count == 1)
        let answer = try IKEAuth.Response(try #require(first.first))
        guard case .authenticated(let proof) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(proof.child == nil)
        #expect(pair.right.summary?.state == .connecting)
        for exchange in [ExchangeType.createChildSA, .informational, .ikeSAInit] {
            #expect(rogue.ask(exchange, 2, [.delete(DeletePayload(.ikeSA))]) == [])
        }
        #expect(pair.right.installed.isEmpty)
        let empty = try #require(rogue.ask(.ikeAuth, 2, []).first)
        #expect(empty.payloads == [.notify(NotifyPayload(.invalidSyntax))])
        #expect(Self.isRefused(pair) && pair.right.isEmpty)
    }

    @Test func aProofOfTheFirstRoundDoesNotCountTwice() throws {
        let pair = Self.pair(Shape(left: 2, right: 1))
        let rogue = try #require(RoguePeer(pair))
        let key = Array("the key of 0 and 0".utf8)
        _ = rogue.authenticate(key: key) {
            $0.notifies = [NotifyPayload(.multipleAuthSupported), NotifyPayload(.anotherAuthFollows)]
        }
        let again = rogue.authenticate(key: key, id: 2) { $0.child = nil }
        #expect(again.first?.payloads == [.notify(NotifyPayload(.authenticationFailed))])
        #expect(Self.isRefused(pair) && pair.right.isEmpty)
    }

    @Test func whoDoesNotGoOnIsForgotten() {
        var limits = Limits()
        limits.halfOpenTimeout = .seconds(10)
        let pair = Self.pair(Shape(left: 2, right: 1), limits: limits)
        var count = 0
        pair.wire = { datagram, fromLeft in
            if fromLeft { count += 1 }
            return fromLeft && count > 2 ? [] : [datagram]
        }
        pair.connect()
        #expect(pair.right.summary?.state == .connecting)
        pair.advance(.seconds(11))
        #expect(pair.right.isEmpty)
    }

    @Test(arguments: 0..<6) func answersThatNeverCome(which: Int) {
        let pair = Self.pair(Shape(left: 2, right: 2))
        pair.initiate(answering: which)
        pair.advance(.seconds(500))
        #expect(pair.left.isEmpty && pair.right.isEmpty)
    }

    @Test(arguments: 0..<9) func whoeverLeavesInTheMiddleLeavesNothing(step: Int) {
        let pair = Self.pair(Shape(left: 2, right: 2))
        var sent = 0
        pair.wire = { datagram, fromLeft in
            sent += 1
            if sent == step { pair.left.handle(.command(.terminate(.connection("net")))) }
            return [datagram]
        }
        pair.connect()
        pair.advance(.seconds(60))
        if step > 0, sent >= step { #expect(pair.left.isEmpty && pair.right.isEmpty, "step \(step)") }
    }

    @Test func aPostQuantumKeyAndVirtualAddressesGoWithIt() {
        let pair = Self.pair(
            Shape(left: 2, right: 2),
            left: { $0.ppkIdentity = .keyID(Array("k".utf8)) }, right: { $0.knowsPPKs = true })
        pair.left.ppks = [("k", [1, 2, 3, 4])]
        pair.right.ppks = pair.left.ppks
        pair.connect()
        #expect(Self.isUp(pair))
    }
}
