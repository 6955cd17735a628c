import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// Ends that move to other addresses (RFC 4555).
@Suite struct MobilityTests {
    private static let elsewhere = IPAddress(v4: 0xc000_0263)  // 192.0.2.99
    private static let further = IPAddress(v4: 0xc000_0264)  // 192.0.2.100
    private static let second = IPAddress(v4: 0xc633_6402)  // 198.51.100.2

    /// Up, without NAT and without pretending one, so that nothing but MOBIKE moves anything.
    private static func pair(
        mobike: Bool = true, leftAddresses: [IPAddress] = [], rightAddresses: [IPAddress] = []
    ) -> Pair {
        var left = Pair.connection()
        left.mobike = mobike
        let pair = Pair(left: left, prefersUDPEncapsulation: false)
        if !leftAddresses.isEmpty { pair.left.handle(.localAddresses(leftAddresses)) }
        pair.right.handle(.localAddresses(rightAddresses))
        pair.connect()
        pair.left.effects = []
        pair.right.effects = []
        pair.trace = []
        return pair
    }

    private static func move(_ pair: Pair, to address: IPAddress) {
        pair.left.path?.local.address = address
        pair.left.handle(.localAddresses([address]))
        pair.run()
    }

    private static func moves(_ gateway: Gateway) -> [Path] {
        gateway.plane.compactMap { if case .move(_, let path, _) = $0 { path } else { nil } }
    }

    @Test func bothFollow() throws {
        let pair = Self.pair()
        Self.move(pair, to: Self.elsewhere)
        #expect(pair.left.summary?.path.local.address == Self.elsewhere)
        #expect(pair.right.summary?.path.remote.address == Self.elsewhere)
        #expect(Self.moves(pair.left).map(\.local.address) == [Self.elsewhere])
        #expect(Self.moves(pair.right).map(\.remote.address) == [Self.elsewhere])
        // The update and its answer, the route check and its answer.
        #expect(pair.trace.count == 4)
        #expect(pair.trace.allSatisfy { $0.datagram.path.local.address != Pair.leftAddress })
        pair.advance(.minutes(10))
        #expect(pair.left.endpoint.counts.childSAs == 1 && pair.right.endpoint.counts.childSAs == 1)
    }

    /// Whoever says that it is somewhere has to receive there before packets go there.
    @Test func packetsWaitForTheRouteCheck() {
        let pair = Self.pair()
        var checks = 0
        pair.wire = { datagram, fromLeft in
            // All that the right asks is lost.
            if !fromLeft, datagram.bytes.count > 19, datagram.bytes[19] & 0x20 == 0 {
                checks += 1
                return []
            }
            return [datagram]
        }
        Self.move(pair, to: Self.elsewhere)
        #expect(checks == 1)
        #expect(Self.moves(pair.left).count == 1)
        #expect(Self.moves(pair.right) == [], "nobody has shown that it receives there")
        pair.wire = { datagram, _ in [datagram] }
        pair.advance(.seconds(5))
        #expect(Self.moves(pair.right).count == 1)
    }

    @Test func whoDoesNotSpeakItStays() {
        let pair = Self.pair(mobike: false)
        Self.move(pair, to: Self.elsewhere)
        #expect(pair.trace.isEmpty && pair.left.summary?.path.local.address == Pair.leftAddress)
    }

    @Test func anAddressThatStaysChangesNothing() {
        let pair = Self.pair()
        pair.left.handle(.localAddresses([Pair.leftAddress, Self.elsewhere]))
        pair.run()
        #expect(pair.trace.isEmpty && Self.moves(pair.left) == [])
    }

    @Test func withoutAWayItWaits() {
        let pair = Self.pair()
        let way = pair.left.path
        pair.left.path = nil
        pair.left.handle(.localAddresses([]))
        pair.run()
        #expect(pair.trace.isEmpty && pair.left.summary?.state == .established)
        pair.left.path = way
        Self.move(pair, to: Self.elsewhere)
        #expect(pair.right.summary?.path.remote.address == Self.elsewhere)
    }

    /// The second change comes before the first is agreed on.
    @Test func twoChangesInARow() {
        let pair = Self.pair()
        let wire = pair.wire
        pair.wire = { _, _ in [] }
        Self.move(pair, to: Self.elsewhere)
        pair.wire = wire
        Self.move(pair, to: Self.further)
        pair.advance(.seconds(30))
        #expect(pair.left.summary?.path.local.address == Self.further)
        #expect(pair.right.summary?.path.remote.address == Self.further)
        #expect(Self.moves(pair.left).last?.local.address == Self.further)
        #expect(Self.moves(pair.right).last?.remote.address == Self.further)
    }

    @Test func aNewKeyKnowsItToo() {
        let pair = Self.pair()
        pair.left.handle(.command(.rekey(.connection("net"))))
        pair.run()
        Self.move(pair, to: Self.elsewhere)
        #expect(pair.right.summary?.path.remote.address == Self.elsewhere)
        // And after the responder's rekeying: who started first still decides.
        pair.right.handle(.command(.rekey(.connection("net"))))
        pair.run()
        Self.move(pair, to: Self.further)
        #expect(pair.right.summary?.path.remote.address == Self.further)
        #expect(pair.left.endpoint.counts.ikeSAs == 1)
    }

    /// From a network without a NAT to one with, and back: the mapping is kept alive as long as there is one.
    @Test func intoANetworkBehindANAT() {
        let pair = Self.pair()
        let outside = IPAddress(v4: 0xcb00_7107)  // 203.0.113.7
        pair.wire = { datagram, fromLeft in
            var carried = datagram
            if fromLeft, carried.path.local.address == Self.elsewhere { carried.path.local.address = outside }
            if !fromLeft, carried.path.remote.address == outside { carried.path.remote.address = Self.elsewhere }
            return [carried]
        }
        func kept() -> [Interval] {
            pair.left.plane.compactMap { if case .keepAlive(_, let pause) = $0 { pause } else { nil } }
        }
        Self.move(pair, to: Self.elsewhere)
        #expect(pair.left.summary?.isBehindNAT == true && pair.right.summary?.isPeerBehindNAT == true)
        #expect(kept() == [.seconds(20)])
        Self.move(pair, to: Self.further)
        #expect(pair.left.summary?.isBehindNAT == false && pair.right.summary?.isPeerBehindNAT == false)
        #expect(kept().last == .zero)
    }

    /// The responder's address is dead; it had told of another one.
    @Test func theOtherAddressOfThePeerIsTried() {
        let pair = Self.pair(rightAddresses: [Pair.rightAddress, Self.second])
        pair.wire = { datagram, fromLeft in
            fromLeft && datagram.path.remote.address == Pair.rightAddress ? [] : [datagram]
        }
        pair.left.handle(.command(.rekey(.child("net", connection: nil))))
        pair.advance(.minutes(2))
        #expect(pair.left.summary?.path.remote.address == Self.second)
        #expect(pair.right.summary?.path.local.address == Self.second)
        #expect(pair.left.closeReasons == [])
        #expect(Self.moves(pair.left).last?.remote.address == Self.second)
    }

    @Test func aListIsTakenOverAndEnds() throws {
        let pair = Self.pair(rightAddresses: [Pair.rightAddress])
        pair.right.handle(.localAddresses([Pair.rightAddress, Self.second]))
        pair.run()
        #expect(pair.trace.count == 2)
        let session = try #require(pair.left.endpoint.inOrder.first)
        #expect(session.context.mobility.peerAddresses == [Self.second])
        pair.right.handle(.localAddresses([Pair.rightAddress]))
        pair.run()
        #expect(session.context.mobility.peerAddresses == [])
    }

    /// The responder's address in use is gone: it goes on from another one, and the initiator follows (RFC 4555 §3.5).
    @Test(arguments: [[IPAddress(v4: 0xc633_6402)], [IPAddress(v4: 0xc633_6402), IPAddress(v4: 0xc633_6403)]])
    func aResponderThatLosesItsAddressGoesOn(_ left: [IPAddress]) {
        let pair = Self.pair(rightAddresses: [Pair.rightAddress, Self.second])
        pair.wire = { datagram, fromLeft in
            // Nothing leaves from, or reaches, the address that is gone.
            let own = fromLeft ? datagram.path.remote.address : datagram.path.local.address
            return own == Pair.rightAddress ? [] : [datagram]
        }
        pair.right.path?.local.address = Self.second
        pair.right.handle(.localAddresses(left))
        #expect(Self.moves(pair.right).last?.local.address == Self.second, "packets leave from there at once")
        pair.run()
        #expect(pair.trace.first?.datagram.path.local.address == Self.second)
        #expect(pair.left.summary?.path.remote.address == Self.second)
        #expect(pair.right.summary?.path.local.address == Self.second)
        #expect(Self.moves(pair.left).last?.remote.address == Self.second)
        #expect(Self.moves(pair.right).last?.remote.address == Pair.leftAddress)
        pair.advance(.minutes(2))
        #expect(pair.left.closeReasons == [] && pair.right.closeReasons == [])
    }

    /// From its other address there is a way to another of the initiator's addresses only.
    @Test func aResponderThatLosesItsAddressMayGoToAnotherOfThePeers() {
        let pair = Self.pair(
            leftAddresses: [Pair.leftAddress, Self.elsewhere], rightAddresses: [Pair.rightAddress, Self.second])
        pair.wire = { datagram, fromLeft in
            let ends = [datagram.path.local.address, datagram.path.remote.address]
            return (fromLeft ? ends.reversed() : ends) == [Self.second, Self.elsewhere] ? [datagram] : []
        }
        pair.right.path = Path(local: Endpoint(Self.second, 0), remote: Endpoint(Self.elsewhere, 0))
        pair.right.handle(.localAddresses([Self.second]))
        #expect(pair.right.summary?.path.remote.address == Self.elsewhere)
        pair.run()
        #expect(pair.left.summary?.path.remote.address == Self.second)
        #expect(pair.left.summary?.path.local.address == Self.elsewhere)
        #expect(Self.moves(pair.right).last?.remote.address == Self.elsewhere)
        #expect(Self.moves(pair.left).last?.remote.address == Self.second)
        pair.advance(.minutes(2))
        #expect(pair.left.closeReasons == [] && pair.right.closeReasons == [])
    }

    @Test func aResponderWithoutAWayWaits() {
        let pair = Self.pair(rightAddresses: [Pair.rightAddress])
        pair.right.path = nil
        pair.right.handle(.localAddresses([Self.second]))
        pair.run()
        #expect(pair.right.summary?.path.local.address == Pair.rightAddress)
    }

    // MARK: NAT prohibited

    private static func written(_ source: IPAddress, _ destination: IPAddress) -> NotifyPayload {
        NotifyPayload(.noNATsAllowed, source.bytes + destination.bytes + [1, 244, 1, 244])
    }

    /// Who forbids NAT wrote down where the message was to come from (RFC 4555 §3.9).
    @Test(arguments: [true, false]) func aForbiddenNATIsTold(_ isChanged: Bool) throws {
        let pair = Pair(prefersUDPEncapsulation: false)
        let rogue = try #require(RoguePeer(pair))
        let first = rogue.authenticate { request in
            request.notifies += [
                NotifyPayload(.mobikeSupported), Self.written(Pair.leftAddress, Pair.rightAddress),
            ]
        }
        #expect(pair.right.summary?.state == .established && first.count == 1)
        let source = isChanged ? Self.elsewhere : Pair.leftAddress
        let list = NotifyPayload(.additionalIP4Address, Self.further.bytes)
        let answer = try #require(
            rogue.ask(
                .informational, 2,
                [.notify(list), .notify(Self.written(source, Pair.rightAddress))]
            ).first)
        #expect(answer.payloads.contains(.notify(NotifyPayload(.unexpectedNATDetected))) == isChanged)
        let session = try #require(pair.right.endpoint.inOrder.first)
        #expect(session.context.mobility.peerAddresses == (isChanged ? [] : [Self.further]))
    }

    @Test func aForbiddenNATEndsTheAuthentication() throws {
        let pair = Pair(prefersUDPEncapsulation: false)
        let rogue = try #require(RoguePeer(pair))
        let answer = rogue.authenticate { request in
            request.notifies += [NotifyPayload(.mobikeSupported), Self.written(Self.elsewhere, Pair.rightAddress)]
        }
        #expect(answer.first?.payloads == [.notify(NotifyPayload(.unexpectedNATDetected))])
        #expect(pair.right.endpoint.counts.ikeSAs == 0)
    }
}
