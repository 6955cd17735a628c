import Clockwork
import ESPEngine
import Foundation
import GatewayModel
import LinuxSystem
import NetworkTypes
import Testing

@testable import UserspacePlane

/// Packets that are sent to be dropped (RFC 4303 §2.6).
@Suite(.serialized) struct DummyTests {
    /// Two planes, each the other's peer, the first of which sends dummies.
    private func linked(_ interval: Interval, mode: ChildTemplate.Mode = .tunnel) throws -> PlaneTests.Both {
        let both = try PlaneTests.Both(up: false)
        let (left, right) = (try Support.selectors(["10.1.0.0/16"]), try Support.selectors(["10.2.0.0/16"]))
        var tunnel = TunnelBehaviour()
        try Support.bringUp(
            both.planes.1, index: 1, isFirst: false, path: both.path.reversed, local: right, remote: left, mode: mode)
        tunnel.dummyInterval = interval
        try Support.bringUp(
            both.planes.0, index: 1, isFirst: true, path: both.path, local: left, remote: right, mode: mode,
            tunnel: tunnel)
        return both
    }

    @Test(arguments: [ChildTemplate.Mode.tunnel, .transport]) func anIdleSASendsThem(mode: ChildTemplate.Mode) throws {
        let both = try linked(.milliseconds(20), mode: mode)
        #expect(Support.eventually { both.planes.1.drops(.dummy) >= 5 })
        // Nobody gets them, and nobody counts them as traffic.
        #expect(both.ports.1.receive() == nil)
        let counters = [
            both.planes.0.counters(.outbound, spi: both.forward), both.planes.1.counters(.inbound, spi: both.forward),
        ]
        for counter in counters {
            let counter = try #require(counter)
            #expect(counter.packets == 0 && counter.bytes == 0 && counter.lastUse == nil)
        }
        for reason in DropReason.allCases where reason != .dummy { #expect(both.planes.1.drops(reason) == 0) }
        if mode == .tunnel { try both.exchange(1) }
        // They end with the SA.
        try both.planes.0.obey(.remove(.outbound, spi: both.forward, of: ChildSAID(rawValue: 1)))
        #expect(both.planes.0.settle() && both.planes.1.settle())
        let count = both.planes.1.drops(.dummy)
        Thread.sleep(forTimeInterval: 0.1)
        #expect(both.planes.1.drops(.dummy) <= count + 1)
        #expect(both.planes.0.drops(.noSA) == 0)
    }

    @Test func oneThatIsInUseSendsNone() {
        var schedule = DummySchedule()
        let (handle, other) = (OutboundHandle(slot: 1, serial: 1), OutboundHandle(slot: 2, serial: 2))
        #expect(schedule.next == nil)
        schedule.start(handle, every: .seconds(1), now: .zero)
        schedule.start(other, every: .seconds(3), now: .zero)
        #expect(schedule.next == .zero + .seconds(1))
        #expect(schedule.takeDue(.zero + .milliseconds(999)) == nil)
        #expect(schedule.takeDue(.zero + .seconds(1))?.handle == handle)
        // A packet left meanwhile.
        schedule.wait(handle, since: .zero + .milliseconds(800))
        #expect(schedule.next == .zero + .milliseconds(1800))
        #expect(schedule.takeDue(.zero + .seconds(1)) == nil)
        schedule.remove(handle)
        #expect(schedule.next == .zero + .seconds(3))
        schedule.wait(handle, since: .zero)
        #expect(schedule.takeDue(.zero + .seconds(9))?.handle == other)
        #expect(schedule.takeDue(.zero + .seconds(9)) == nil)
    }

    @Test func packetsPutThemOff() throws {
        let interval = Interval.seconds(2)
        let both = try linked(interval)
        let start = MonotonicClock.now()
        var (last, longest) = (start, Interval.zero)
        while MonotonicClock.now() - start < .seconds(3) {
            try both.exchange(1)
            _ = try both.ports.0.hostWakeup.descriptor.wait(milliseconds: 20)
            longest = max(longest, MonotonicClock.now() - last)
            last = MonotonicClock.now()
        }
        // A machine that stood still for so long proves nothing.
        if longest < interval { #expect(both.planes.1.drops(.dummy) == 0) }
        #expect(Support.eventually { both.planes.1.drops(.dummy) > 0 })
        #expect(MonotonicClock.now() - last > .milliseconds(1900))
    }

    @Test(arguments: [TunnelBehaviour.Padding.none, .octets(700), .path])
    func theyAreAsLongAsOthers(padding: TunnelBehaviour.Padding) throws {
        let both = try linked(.seconds(3600))
        let stranger = try UDPSocket.bind(Endpoint(.loopback(.v4), 0))
        let (left, right) = (try Support.selectors(["10.1.0.0/16"]), try Support.selectors(["10.3.0.0/16"]))
        var tunnel = TunnelBehaviour()
        (tunnel.padding, tunnel.mtu, tunnel.dummyInterval) = (padding, 1400, .milliseconds(5))
        try Support.bringUp(
            both.planes.0, index: 2, isFirst: true,
            path: Path(local: both.path.local, remote: stranger.localEndpoint), local: left, remote: right, child: 2,
            tunnel: tunnel)
        var lengths: Set<Int> = []
        for _ in 0..<20 {
            try #require(try stranger.descriptor.wait(milliseconds: 10_000))
            var buffer = [UInt8](repeating: 0, count: 2000)
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            lengths.insert(try #require(try stranger.receive(into: &raw)).length)
        }
        // SPI, number, IV; what is inside with the trailer, to a multiple of four; the ICV.
        func sealed(_ inner: Int) -> Int { 16 + (inner + 2 + 3) / 4 * 4 + 16 }
        switch padding {
        case .none: #expect(lengths.count > 3 && lengths.allSatisfy { (sealed(40)...sealed(1400)).contains($0) })
        case .octets(let count): #expect(lengths == [sealed(count)])
        case .path: #expect(lengths == [sealed(1400)])
        }
    }
}
