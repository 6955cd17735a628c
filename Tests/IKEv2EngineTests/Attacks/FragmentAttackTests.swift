import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// Attacks with fragments (RFC 7383), and what an unknown peer learns, by their numbers in the project's list.
@Suite struct FragmentAttackTests {
    /// Fragments that nobody writes: number, total, content.
    struct Piece: Sendable {
        var number: UInt16
        var total: UInt16
        var content: [UInt8]
    }

    static let trains: [[Piece]] = [
        [Piece(number: 0, total: 2, content: [1])], [Piece(number: 3, total: 2, content: [1])],
        [Piece(number: 1, total: 0, content: [1])], [Piece(number: 0, total: 0, content: [])],
        [Piece(number: 1, total: 65535, content: [1, 2, 3])],
        [Piece(number: 1, total: 9, content: [1]), Piece(number: 2, total: 3, content: [1])],
        [Piece(number: 1, total: 2, content: [1, 2]), Piece(number: 1, total: 2, content: [9, 9])],
        [Piece(number: 1, total: 2, content: []), Piece(number: 2, total: 2, content: [])],
        [
            Piece(number: 2, total: 2, content: [0xff, 0xff, 0xff, 0xff]),
            Piece(number: 1, total: 2, content: [44, 0]),
        ],
    ]

    /// An honest IKE_AUTH still gets in, unless the train was a whole message, which is judged as one.
    @Test("Attack 22: fragments that lie are dropped, and what is held is bounded", arguments: trains)
    func attack22(_ train: [Piece]) throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        for piece in train { _ = rogue.send(.ikeAuth, 1, piece.number, of: piece.total, piece.content) }
        #expect(pair.right.installed.isEmpty)
        #expect(pair.right.summary?.state != .established)
        if pair.right.summary != nil {
            #expect(rogue.authenticate().count == 1)
            #expect(pair.right.summary?.state == .established)
        } else {
            #expect(pair.right.isEmpty)
        }
    }

    @Test("Attack 22: a train without an end takes a bounded room, and ends with its IKE SA")
    func attack22Endless() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        let content = [UInt8](repeating: 7, count: 1200)
        for number in UInt16(1)...400 { _ = rogue.send(.ikeAuth, 1, number, of: 65535, content) }
        let session = try #require(pair.right.endpoint.inOrder.first)
        #expect(session.context.reassembly.count <= Reassembly.maximumBeforeAuthentication)
        pair.advance(.seconds(40))
        #expect(pair.right.isEmpty)
    }

    @Test("Attack 22: a cut-off fragment, and one whose length lies, are dropped")
    func attack22Lengths() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        let whole = try #require(rogue.fragment(.ikeAuth, 1, 1, of: 2, [1, 2, 3, 4]))
        for length in 0..<whole.count {
            var cut = Array(whole.prefix(length))
            #expect(rogue.deliver(cut) == [])
            guard cut.count >= 28 else { continue }
            // The header says what is there.
            cut[24...27] = [0, 0, UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length)]
            #expect(rogue.deliver(cut) == [])
            guard cut.count >= 32 else { continue }
            let payload = length - 28
            cut[30...31] = [UInt8(truncatingIfNeeded: payload >> 8), UInt8(truncatingIfNeeded: payload)]
            #expect(rogue.deliver(cut) == [])
        }
        #expect(rogue.authenticate().count == 1 && pair.right.summary?.state == .established)
    }

    @Test("Attack 22: a whole message and pieces of another with the same number do not mix")
    func attack22Mixed() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.send(.ikeAuth, 1, 1, of: 2, [1, 2, 3])
        #expect(rogue.authenticate().count == 1)
        #expect(rogue.send(.ikeAuth, 1, 2, of: 2, [4, 5, 6]) == [])
        #expect(pair.right.summary?.state == .established && pair.right.endpoint.summaries().count == 1)
        #expect(pair.right.installed.count == 2)
    }

    @Test("Attack 34: who is unknown gets the same answer as who has a wrong secret")
    func attack34() throws {
        var answers: [[Payload]] = []
        var lengths: Set<Int> = []
        for identity in [Identity.fqdn("left.example"), .fqdn("lefx.example"), .keyID(Array("left.example".utf8))] {
            let pair = Pair()
            let rogue = try #require(RoguePeer(pair))
            let answer = rogue.authenticate(key: Array("guessed".utf8)) {
                $0.identity = IdentificationPayload(identity)
            }
            answers += answer.map(\.payloads)
            lengths.formUnion(answer.map { $0.intermediateOctets.count })
            // The secret is looked at in any case, so that the time tells nothing either.
            #expect(pair.right.effects.contains { if case .ask(_, .verify) = $0 { true } else { false } })
            #expect(pair.right.isEmpty)
        }
        #expect(answers.count == 3 && Set(answers).count == 1)
        #expect(answers.first == [.notify(NotifyPayload(.authenticationFailed))])
        #expect(lengths.count == 1)
    }
}
