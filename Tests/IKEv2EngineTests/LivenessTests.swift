import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// When a silent peer is asked whether it lives, and when it is given up (RFC 7296 §2.4).
@Suite struct LivenessTests {
    private static func pair(_ change: (inout Connection) -> Void = { _ in }) -> Pair {
        var left = Pair.connection()
        left.dpdDelay = .seconds(20)
        left.rekeyTime = .zero
        change(&left)
        var right = Pair.connection(isLeft: false)
        right.rekeyTime = .zero
        left.children[0].rekeyTime = .zero
        right.children[0].rekeyTime = .zero
        let pair = Pair(left: left, right: right)
        pair.connect()
        pair.trace = []
        return pair
    }

    /// Seconds after `since` at which the left sent.
    private static func sendTimes(_ pair: Pair, since: Instant, for time: Interval) -> [Int64] {
        var times: [Int64] = []
        pair.wire = { _, fromLeft in
            if fromLeft { times.append((pair.now - since).wholeSeconds) }
            return []
        }
        pair.advance(time)
        return times
    }

    /// What the right side asked last, as somebody on the way has recorded it: it rekeys.
    private static func lastRequestOfTheRight(_ pair: Pair) throws -> Datagram {
        var recorded: Datagram?
        pair.wire = { datagram, fromLeft in
            if !fromLeft { recorded = datagram }
            return [datagram]
        }
        pair.right.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        return try #require(recorded)
    }

    @Test func silenceIsAskedAbout() {
        let pair = Self.pair()
        pair.advance(.seconds(21))
        #expect(pair.trace.count == 2, "a request and its answer")
        #expect(pair.left.kinds.last == .peerAlive)
    }

    /// Packets of the peer's are signs of life as good as any.
    @Test func trafficMakesQuestionsNeedless() {
        let pair = Self.pair()
        let start = pair.now
        for second in stride(from: 10, through: 100, by: 10) {
            pair.left.lastUse = start + .seconds(Int64(second)) - .seconds(1)
            pair.advance(.seconds(10))
        }
        #expect(pair.trace.isEmpty)
        // The last packet came at 99 s.
        pair.advance(.seconds(18))
        #expect(pair.trace.isEmpty)
        pair.advance(.seconds(2))
        #expect(pair.trace.count == 2)
    }

    @Test func aPlaneThatDoesNotAnswerChangesNothing() {
        let pair = Self.pair()
        pair.left.answersAtOnce = false
        pair.advance(.seconds(21))
        #expect(pair.trace.isEmpty && pair.left.questions.count == 1)
        pair.advance(.seconds(31))
        #expect(pair.trace.count >= 2, "the question was given up, and the peer asked")
        #expect(pair.left.summary?.state == .established)
        pair.left.questions = []
    }

    /// Who has recorded a message sends it again: that is no sign of life (RFC 7296 §2.4), and is answered all the same.
    @Test func aRepeatedRequestIsNoSignOfLife() throws {
        let pair = Self.pair()
        let datagram = try Self.lastRequestOfTheRight(pair)
        #expect(try IKEHeader(peeking: datagram.bytes).isResponse == false)
        let start = pair.now
        var sent: [(time: Int64, isResponse: Bool)] = []
        pair.wire = { datagram, fromLeft in
            guard fromLeft, let header = try? IKEHeader(peeking: datagram.bytes) else { return [] }
            sent.append(((pair.now - start).wholeSeconds, header.isResponse))
            return []
        }
        for _ in 0..<3 {
            pair.advance(.seconds(8))
            pair.left.handle(
                .datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: datagram.socket)))
            pair.run()
        }
        #expect(sent.filter(\.isResponse).map(\.time) == [8, 16, 24])
        #expect(sent.first { !$0.isResponse }?.time == 20)
    }

    /// Nor does it earn a request of ours, which nobody answers, one more try: who listens could hold a dead IKE SA.
    @Test func aRepeatedRequestEarnsNoFurtherTry() throws {
        let pair = Self.pair()
        let datagram = try Self.lastRequestOfTheRight(pair)
        let tries = RetransmissionSchedule().tries
        var (sent, afterLast) = (0, 0)
        pair.wire = { datagram, fromLeft in
            guard fromLeft, let header = try? IKEHeader(peeking: datagram.bytes), !header.isResponse else { return [] }
            sent += 1
            return []
        }
        for _ in 0..<60 where pair.left.summary != nil {
            pair.advance(.seconds(5))
            guard sent == tries + 1 else { continue }
            afterLast += 1
            pair.left.handle(
                .datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: datagram.socket)))
            pair.run()
        }
        #expect(afterLast > 3 && sent == tries + 1, "\(sent) sent; repeated \(afterLast) times after the last")
        #expect(pair.left.summary == nil)
    }

    /// A clock of the plane's that runs ahead does not make the peer live for ever.
    @Test func aPacketOfTheFutureCountsAsOneOfNow() {
        let pair = Self.pair()
        pair.left.lastUse = pair.now + .hours(5)
        pair.advance(.seconds(21))
        pair.left.lastUse = nil
        pair.advance(.seconds(21))
        #expect(pair.trace.count == 2)
    }

    @Test func theDistanceIsFixedWhereConfigured() {
        let pair = Self.pair {
            $0.dpdInterval = .seconds(20)
            $0.dpdTries = 5
        }
        let times = Self.sendTimes(pair, since: pair.now, for: .seconds(119))
        #expect(times == [20, 40, 60, 80, 100])
        #expect(pair.left.closeReasons == [])
        pair.advance(.seconds(2))
        #expect(pair.left.closeReasons == [.peerDead])
    }

    @Test func otherRequestsKeepTheirSchedule() {
        let pair = Self.pair {
            $0.dpdInterval = .seconds(20)
            $0.dpdTries = 2
        }
        pair.left.handle(.command(.rekey(.child("net", connection: nil))))
        pair.left.outbox = []
        let times = Self.sendTimes(pair, since: pair.now, for: .seconds(60))
        #expect(times == [4, 11, 24, 47])
    }
}
