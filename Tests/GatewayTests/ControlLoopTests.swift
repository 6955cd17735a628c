import Clockwork
import Gateway
import LinuxSystem
import Testing

@Suite struct ControlLoopTests {
    /// A descriptor that is always readable: each round begins as soon as it may.
    @Test func roundsOfGatheredEventsBeginApart() throws {
        let loop = try ControlLoop()
        let wakeup = try Wakeup()
        wakeup.signal()
        var rounds = 0
        try loop.add(wakeup.descriptor, .readable, isGathered: true) { _ in
            rounds += 1
            if rounds == 11 { loop.stop() }
        }
        let start = MonotonicClock.now()
        try loop.run()
        #expect(rounds == 11)
        #expect(MonotonicClock.now() - start >= .microseconds(10 * 300))
    }
}
