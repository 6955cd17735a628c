import Clockwork
import Glibc
import LinuxSystem
import Synchronization
import Testing

@Suite struct PollerTests {
    @Test("Another thread's signal wakes the poller, with its token, once")
    func wakeup() throws {
        let poller = try Poller()
        let wakeup = try Wakeup()
        try poller.add(wakeup.descriptor, token: 0xfeed_0000_0000_0001, .readable)
        var events: [PollEvent] = []
        try poller.wait(timeout: .zero, into: &events)
        #expect(events.isEmpty)
        let thread = try WorkerThread(name: "waker") {
            for _ in 0..<3 { wakeup.signal() }
        }
        try poller.wait(timeout: .seconds(5), into: &events)
        #expect(events.map(\.token) == [0xfeed_0000_0000_0001])
        #expect(events.first?.readiness == .readable)
        thread.join()
        #expect(wakeup.drain())
        #expect(!wakeup.drain())
        try poller.wait(timeout: .zero, into: &events)
        #expect(events.isEmpty)
    }

    @Test("A wait without events ends with its time, not before", arguments: [300, 3_000_000, 30_000_000])
    func timeout(nanoseconds: Int64) throws {
        let poller = try Poller()
        var events: [PollEvent] = []
        let interval = Interval(nanoseconds: nanoseconds)
        let before = MonotonicClock.now()
        try poller.wait(timeout: interval, into: &events)
        let passed = MonotonicClock.now() - before
        #expect(passed >= interval)
        #expect(passed < .seconds(5))
        #expect(events.isEmpty)
    }

    @Test("Interests can change, and end")
    func interests() throws {
        let (left, right) = try UnixStream.pair()
        let poller = try Poller(capacity: 1)
        var events: [PollEvent] = []
        try poller.add(left.descriptor, token: 1, [.readable])
        #expect(throws: SystemError.self) { try poller.add(left.descriptor, token: 1, [.readable]) }
        try poller.modify(left.descriptor, token: 2, [.readable, .writable])
        try poller.wait(timeout: .zero, into: &events)
        #expect(events.map(\.token) == [2])
        #expect(events.first?.readiness == .writable)
        #expect(try right.write([1]) == 1)
        try poller.wait(timeout: .seconds(1), into: &events)
        #expect(events.first?.readiness == [.readable, .writable])
        try poller.remove(left.descriptor)
        try poller.wait(timeout: .zero, into: &events)
        #expect(events.isEmpty)
        #expect(throws: SystemError.self) { try poller.remove(left.descriptor) }
    }

    @Test("An end of the connection shows, even when only writing was asked for")
    func hangUp() throws {
        let poller = try Poller()
        var events: [PollEvent] = []
        let left: UnixStream
        do {
            let (kept, dropped) = try UnixStream.pair()
            left = kept
            _ = consume dropped
        }
        try poller.add(left.descriptor, token: 3, [.writable])
        try poller.wait(timeout: .seconds(1), into: &events)
        #expect(events.first?.readiness.contains(.hungUp) == true)
    }

    @Test("A signal is read from the descriptor, and kills nobody")
    func signals() throws {
        let seen = try WorkerThread.run(name: "signals") { () -> [ProcessSignal?] in
            let watcher = try SignalWatcher([.hangUp, .terminate])
            var seen: [ProcessSignal?] = [try watcher.next()]
            // To this thread alone, where it is blocked.
            raise(SIGTERM)
            guard try watcher.descriptor.wait(milliseconds: 2000) else { return seen }
            seen.append(try watcher.next())
            seen.append(try watcher.next())
            return seen
        }
        #expect(seen == [nil, .terminate, nil])
    }

    @Test("Clocks: monotonic goes on, the wall clock is of this century")
    func clocks() {
        let first = MonotonicClock.now()
        let second = MonotonicClock.now()
        #expect(second >= first)
        #expect(BootClock.now() >= first)
        #expect(WallClock.now() > 1_700_000_000)
        #expect(abs(WallClock.nanoseconds() / 1_000_000_000 - WallClock.now()) <= 1)
    }
}

@Suite struct WorkerThreadTests {
    @Test("A thread runs its closure once, on the processor it was given, under its name")
    func thread() throws {
        let count = Atomic<Int>(0)
        let facts = try WorkerThread.run(name: "a-name-that-is-too-long") { () -> String in
            count.add(1, ordering: .relaxed)
            return try RawFile.readText("/proc/thread-self/comm")
        }
        #expect(facts == "a-name-that-is-\n")
        #expect(count.load(ordering: .relaxed) == 1)
        let status = Mutex("")
        let thread = try WorkerThread(name: "pinned", processor: 0) {
            let text = try? RawFile.readText("/proc/thread-self/status")
            status.withLock { $0 = text ?? "" }
        }
        thread.join()
        thread.join()
        #expect(status.withLock { $0 }.contains("Cpus_allowed_list:\t0\n"))
    }

    @Test("A processor that is not there is an error, and an error inside comes out")
    func errors() throws {
        let error = try #require(throws: SystemError.self) { try WorkerThread(name: "nowhere", processor: 100_000) {} }
        #expect(error.errno == .invalidArgument)
        #expect(throws: SystemError.self) {
            try WorkerThread.run(name: "throws") {
                throw SystemError(call: "test", errno: .busy)
            }
        }
    }

    @Test("Signals are blocked in it")
    func signalMask() throws {
        let status = try WorkerThread.run(name: "mask") { try RawFile.readText("/proc/thread-self/status") }
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("SigBlk:") })
        let mask = try #require(UInt64(line.dropFirst(7).filter { !$0.isWhitespace }, radix: 16))
        #expect(mask & (1 << 14) != 0, "SIGTERM")
        #expect(mask & (1 << 0) != 0, "SIGHUP")
    }
}
