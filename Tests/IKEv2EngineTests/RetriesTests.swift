import Clockwork
import GatewayModel
import IKECore
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// What is tried again after it came to nothing, and when.
@Suite struct RetriesTests {
    private static func pair(
        start: ChildTemplate.StartAction = .start, _ change: (inout Connection) -> Void = { _ in }
    ) -> Pair {
        var left = Pair.connection()
        left.children[0].startAction = start
        change(&left)
        return Pair(left: left)
    }

    @Test func pausesGrowAndChanceShortensThem() {
        let base = Interval.seconds(10)
        let whole = (1...8).map { Retries.pause(after: $0, base: base, 0).wholeSeconds }
        #expect(whole == [10, 20, 40, 80, 160, 300, 300, 300])
        #expect(Retries.pause(after: 1, base: base, 1) == .milliseconds(7500))
        #expect(Retries.pause(after: 9_999_999, base: base, 0) == .minutes(5))
    }

    /// At boot there may be no route yet.
    @Test func whatIsToStartByItselfIsTriedUntilItIsUp() {
        let pair = Self.pair()
        let way = pair.left.path
        pair.left.path = nil
        pair.connect()
        #expect(pair.left.endpoint.counts.ikeSAs == 0)
        #expect(pair.left.refusals.count == 1)
        pair.advance(.minutes(30))
        let refusals = pair.left.refusals.count
        // 10, 20, 40, 80, 160 s, then every five minutes, each less up to a quarter.
        #expect((8...16).contains(refusals), "\(refusals) tries in half an hour")
        pair.left.path = way
        pair.advance(.minutes(5))
        #expect(pair.left.summary?.state == .established)
        #expect(pair.left.endpoint.counts.childSAs == 1)
        #expect(pair.left.endpoint.lastRefusal(ofConnection: "net") == nil)
        // It was steady: when it ends, the first try is made at once.
        #expect(pair.left.endpoint.tables.retries.count == 0)
    }

    @Test func aRefusalIsTriedAgainToo() {
        let pair = Self.pair()
        pair.right.secrets = [(nil, nil, Array("another key".utf8))]
        pair.connect()
        guard case .byPeer(24, _, _, _)? = pair.left.refusals.first else {
            Issue.record("\(pair.left.refusals)")
            return
        }
        #expect(pair.left.endpoint.counts.ikeSAs == 0 && pair.left.endpoint.nextDeadline != nil)
        pair.right.secrets = pair.left.secrets
        pair.advance(.seconds(11))
        #expect(pair.left.endpoint.counts.childSAs == 1)
    }

    /// What people ask for by hand is not tried behind their backs.
    @Test func whatIsStartedByHandIsNot() {
        let pair = Self.pair(start: .none)
        pair.right.secrets = [(nil, nil, Array("another key".utf8))]
        pair.connect()
        pair.advance(.minutes(10))
        #expect(pair.left.refusals.count == 1 && pair.left.isEmpty)
    }

    /// A name that can't be looked up now may be there later.
    @Test func noWayIsTriedAsOftenAsTheConnectionSays() {
        let pair = Self.pair(start: .none) { $0.keyingTries = 3 }
        pair.left.path = nil
        pair.connect()
        pair.advance(.minutes(10))
        #expect(pair.left.refusals.count == 3 && pair.left.isEmpty)
    }

    @Test func whoIsToldToStopStops() {
        for command: Command in [
            .terminate(.connection("net")), .terminate(.child("net", connection: nil)),
            .terminate(.child("net", connection: "net")), .shutdown,
        ] {
            let pair = Self.pair()
            pair.left.path = nil
            pair.connect()
            #expect(pair.left.endpoint.nextDeadline != nil)
            pair.left.handle(.command(command))
            #expect(pair.left.endpoint.nextDeadline == nil, "\(command)")
            pair.advance(.minutes(10))
            #expect(pair.left.refusals.count == 1 && pair.left.isEmpty)
        }
    }

    @Test func aConnectionThatGoesAwayIsForgotten() {
        let pair = Self.pair()
        pair.left.path = nil
        pair.connect()
        pair.left.handle(.configuration(Configuration()))
        #expect(pair.left.endpoint.nextDeadline == nil && pair.left.isEmpty)
    }

    @Test func whatIsAskedForInThePauseIsTriedAtOnce() {
        let pair = Self.pair()
        let way = pair.left.path
        pair.left.path = nil
        pair.connect()
        pair.left.path = way
        pair.connect()
        #expect(pair.left.endpoint.counts.childSAs == 1)
        #expect(pair.left.endpoint.tables.retries.count == 0)
    }

    /// Some peers close the Child SA and right after it the IKE SA.
    @Test func aChildThatWaitsToComeBackOutlivesItsIKESA() {
        let pair = Self.pair(start: .none) { $0.children[0].closeAction = .start }
        pair.connect()
        pair.right.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        #expect(pair.left.endpoint.counts.childSAs == 0)
        pair.right.handle(.command(.terminate(.connection("net"))))
        pair.run()
        pair.advance(.seconds(1))
        #expect(pair.left.endpoint.counts.childSAs == 1)
        #expect(pair.right.endpoint.counts.childSAs == 1)
    }

    /// A peer that closes a tunnel as soon as it is up does not make us run in circles.
    @Test func aPeerThatAlwaysClosesIsTriedEverMoreSeldom() {
        let pair = Self.pair(start: .none) { $0.children[0].closeAction = .start }
        pair.connect()
        var closed = 0
        for _ in 0..<600 {
            if pair.right.endpoint.counts.childSAs > 0 {
                pair.right.handle(.command(.terminate(.connection("net"))))
                closed += 1
                pair.run()
            }
            pair.advance(.seconds(1))
        }
        #expect((4...9).contains(closed), "\(closed) times in ten minutes")
        // One that was steady comes back at once.
        pair.advance(.minutes(6))
        #expect(pair.right.endpoint.counts.childSAs == 1)
        pair.advance(.seconds(61))
        pair.right.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(pair.right.endpoint.counts.childSAs == 1)
    }

    @Test func aDeadPeerIsLookedForUntilItIsBack() {
        let pair = Self.pair(start: .none) {
            $0.children[0].dpdAction = .start
            $0.dpdDelay = .seconds(10)
            $0.retransmission = .init(tries: 1, timeout: .seconds(2), base: 1)
        }
        pair.connect()
        pair.advance(.seconds(90))
        pair.wire = { _, _ in [] }
        pair.advance(.seconds(60))
        #expect(pair.left.closeReasons.contains(.peerDead))
        pair.wire = { datagram, _ in [datagram] }
        pair.advance(.minutes(2))
        #expect(pair.left.endpoint.counts.childSAs == 1)
    }
}
