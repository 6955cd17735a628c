import ESPEngine
import GatewayModel
import LinuxSystem
import NetworkTypes
import Testing
import UserspacePlane

/// Packets that overtake the orders that the IKE message before them leads to.
@Suite(.serialized) struct EarlyTests {
    @Test(arguments: [(true, true), (true, false), (false, true)])
    func packetsRightBehindAMessageWaitForTheirSA(behindMessage: Bool, separately: Bool) throws {
        let both = try PlaneTests.Both(up: false, separatesIKE: separately)
        let (left, right) = (try Support.selectors(["10.1.0.0/16"]), try Support.selectors(["10.2.0.0/16"]))
        try Support.bringUp(both.planes.0, index: 1, isFirst: true, path: both.path, local: left, remote: right)
        if behindMessage { #expect(try both.planes.0.send([UInt8](1...40), along: both.path, marker: true)) }
        let packets = (0..<3).map { Support.packet(from: both.hosts.0, to: both.hosts.1, payload: [$0]) }
        for packet in packets { #expect(both.ports.0.send(packet)) }
        #expect(Support.eventually { both.planes.0.counters(.outbound, spi: both.forward)?.packets == 3 })
        if !behindMessage { #expect(Support.eventually { both.planes.1.drops(.unknownSPI) == 3 }) }

        let theirs = Support.associations(
            index: 1, isFirst: false, path: both.path.reversed, local: right, remote: left)
        // Whatever was sent has been read by then.
        #expect(both.planes.1.settle())
        try both.planes.1.obey(.install(theirs.inbound))
        #expect(both.planes.1.settle())
        if behindMessage {
            for packet in packets { #expect(try both.await(both.ports.1) == packet) }
            #expect(both.planes.1.drops(.unknownSPI) == 0)
            // In their order, and once.
            #expect(both.planes.1.counters(.inbound, spi: both.forward)?.packets == 3)
        } else {
            #expect(both.ports.1.receive() == nil)
        }
    }

    /// IKE on its own port is read by another thread, before or after the packets behind it.
    @Test(arguments: [true, false]) func packetsBehindAMessageOfItsOwnPortWaitToo(isRead: Bool) throws {
        let both = try PlaneTests.Both(up: false)
        let (left, right) = (try Support.selectors(["10.1.0.0/16"]), try Support.selectors(["10.2.0.0/16"]))
        try Support.bringUp(both.planes.0, index: 1, isFirst: true, path: both.path, local: left, remote: right)
        let plain = Path(local: both.planes.0.ikeEndpoints[0], remote: both.planes.1.ikeEndpoints[0])
        #expect(try both.planes.0.send([UInt8](1...40), along: plain, marker: false))
        if isRead { #expect(Support.eventually { both.planes.1.readMessages().count == 1 }) }
        let packet = Support.packet(from: both.hosts.0, to: both.hosts.1, payload: [7])
        #expect(both.ports.0.send(packet))
        #expect(Support.eventually { both.planes.0.counters(.outbound, spi: both.forward)?.packets == 1 })

        let theirs = Support.associations(
            index: 1, isFirst: false, path: both.path.reversed, local: right, remote: left)
        #expect(both.planes.1.settle())
        try both.planes.1.obey(.install(theirs.inbound))
        #expect(both.planes.1.settle())
        #expect(try both.await(both.ports.1) == packet)
        #expect(both.planes.1.drops(.unknownSPI) == 0)
        if !isRead { #expect(both.planes.1.readMessages().count == 1) }
    }

    @Test func notManyWait() throws {
        let both = try PlaneTests.Both(up: false)
        let (left, right) = (try Support.selectors(["10.1.0.0/16"]), try Support.selectors(["10.2.0.0/16"]))
        try Support.bringUp(both.planes.0, index: 1, isFirst: true, path: both.path, local: left, remote: right)
        #expect(try both.planes.0.send([UInt8](1...40), along: both.path, marker: true))
        for number in 0..<300 as Range<Int> {
            #expect(
                both.ports.0.send(
                    Support.packet(from: both.hosts.0, to: both.hosts.1, payload: [UInt8(number & 255)])))
        }
        // All but those that wait, 128 at most.
        #expect(Support.eventually { both.planes.1.drops(.unknownSPI) >= 300 - 128 })
    }
}
