import Clockwork
import GatewayModel
import Testing

@testable import UserspacePlane

/// How much waits, how long, and how often somebody is asked.
struct HeldPacketsTests {
    private let start = Instant.zero + .seconds(100)

    private func hold(
        _ held: inout HeldPackets, _ trap: UInt32, size: Int = 100, until: Instant? = nil, at now: Instant
    ) -> (isKept: Bool, event: PlaneEvent?) {
        let packet = [UInt8](repeating: UInt8(truncatingIfNeeded: size), count: size)
        return unsafe held.hold(packet.span.bytes, for: trap, until: until, now: now)
    }

    @Test func aStormAsksOnceASecond() {
        var held = HeldPackets()
        held.set(1, connection: "a", child: "net")
        var events: [PlaneEvent] = []
        for step in 0..<1000 {
            if let event = hold(&held, 1, at: start + .milliseconds(Int64(step) * 5)).event { events.append(event) }
        }
        #expect(events == [PlaneEvent](repeating: .acquire(connection: "a", child: "net"), count: 5))
        #expect(held.count == HeldPackets.mostOfOne)
        // What comes out is what came in first, and the next packet asks at once.
        #expect(held.takeAll().count == HeldPackets.mostOfOne)
        #expect(held.isEmpty)
        #expect(hold(&held, 1, at: start + .milliseconds(4999)).event != nil)
    }

    @Test func octetsAreBoundedForOneAndForAll() {
        var held = HeldPackets()
        for trap in 0..<200 as Range<UInt32> { held.set(trap, connection: "a", child: "\(trap)") }
        #expect(hold(&held, 0, size: 65_000, at: start).isKept)
        #expect(hold(&held, 0, size: 65_000, at: start).isKept)
        #expect(!hold(&held, 0, size: 65_000, at: start).isKept)
        #expect(hold(&held, 0, size: 900, at: start).isKept)
        var kept = 2
        for trap in 1..<200 as Range<UInt32> where hold(&held, trap, size: 65_000, at: start).isKept { kept += 1 }
        #expect(kept * 65_000 + 900 <= HeldPackets.mostOctets)
        #expect(kept == HeldPackets.mostOctets / 65_000)
        _ = held.takeAll()
        var count = 0
        for trap in 0..<200 as Range<UInt32> {
            for _ in 0..<40 where hold(&held, trap, size: 60, at: start).isKept { count += 1 }
        }
        #expect(count == HeldPackets.most)
    }

    @Test func nothingWaitsForEver() throws {
        var held = HeldPackets()
        held.set(1, connection: "a", child: "net")
        held.set(2, connection: "a", child: "other")
        _ = hold(&held, 1, at: start)
        _ = hold(&held, 2, at: start + .seconds(1))
        #expect(held.nextExpiry == start + HeldPackets.patience)
        #expect(held.expire(start + .seconds(5)) == 0)
        #expect(held.expire(start + HeldPackets.patience) == 1)
        #expect(held.nextExpiry == start + HeldPackets.patience + .seconds(1))
        // What was taken out and put back waits no longer than it would have.
        let again = try #require(held.takeAll().first)
        _ = hold(&held, 2, until: again.expires, at: start + .seconds(8))
        #expect(held.nextExpiry == again.expires)
        #expect(held.remove(2) == 1)
        #expect(held.isEmpty)
        // A trap that is gone keeps nothing and asks nobody.
        let late = hold(&held, 2, at: start)
        #expect(!late.isKept && late.event == nil)
    }
}
