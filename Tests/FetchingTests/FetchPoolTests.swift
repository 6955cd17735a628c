import Clockwork
import LinuxSystem
import Synchronization
import Testing

@testable import Fetching

/// Many fetches at once: bounded, once each, and none holds up another server's.
@Suite struct FetchPoolTests {
    /// Exchanges that end when the test says so.
    final class Stage: Sendable {
        struct State {
            var started: [FetchRequest] = []
            var ended: [(FetchRequest, FetchOutcome)] = []
            var outcomes: [String: FetchOutcome] = [:]
            var most = 0
            var running = 0
        }

        let state = Mutex(State())

        /// Waits until the test has said what comes of it.
        func carryOut(_ request: FetchRequest) -> FetchOutcome {
            state.withLock {
                $0.started.append(request)
                $0.running += 1
                $0.most = max($0.most, $0.running)
            }
            defer { state.withLock { $0.running -= 1 } }
            while true {
                if let outcome = state.withLock({ $0.outcomes[request.host] }) { return outcome }
                pause()
            }
        }

        func pause() { _ = try? Wakeup().descriptor.waitBriefly() }

        func say(_ host: String, _ outcome: FetchOutcome) { state.withLock { $0.outcomes[host] = outcome } }

        func ended(_ request: FetchRequest, _ outcome: FetchOutcome) {
            state.withLock { $0.ended.append((request, outcome)) }
        }

        /// Waits for a condition, ten seconds at most.
        func eventually(_ condition: (State) -> Bool) -> Bool {
            for _ in 0..<10_000 {
                if state.withLock({ condition($0) }) { return true }
                pause()
            }
            return false
        }
    }

    private func pool(_ stage: Stage, _ change: (inout FetchPool.Limits) -> Void = { _ in }) -> FetchPool {
        var limits = FetchPool.Limits()
        change(&limits)
        return FetchPool(limits, clock: { Instant.zero + .seconds(1) }) { stage.carryOut($0) }
    }

    private func request(_ url: String) -> FetchRequest { FetchRequest(url, limit: 100, mayBePrivate: false) }

    @Test("What many ask for is fetched once, and all are told")
    func once() {
        let stage = Stage()
        let pool = pool(stage)
        let wanted = request("http://a.example/list")
        for _ in 0..<500 { pool.fetch(wanted) { stage.ended(wanted, $0) } }
        #expect(stage.eventually { $0.started.count == 1 })
        stage.say("a.example", .success([1]))
        #expect(stage.eventually { $0.ended.count == 500 })
        #expect(stage.state.withLock { $0.started.count } == 1)
        #expect(stage.state.withLock { $0.ended.allSatisfy { $0.1 == .success([1]) } })
    }

    @Test("A slow server takes its own places only: another is asked at once")
    func slow() {
        let stage = Stage()
        let pool = pool(stage) { $0.perServer = 2 }
        for number in 0..<50 {
            let slow = request("http://slow.example:81/\(number)")
            pool.fetch(slow) { stage.ended(slow, $0) }
        }
        stage.say("quick.example", .success([2]))
        let quick = request("http://quick.example/x")
        pool.fetch(quick) { stage.ended(quick, $0) }
        #expect(stage.eventually { state in state.ended.contains { $0.0 == quick } })
        #expect(stage.state.withLock { $0.started.count { $0.host == "slow.example:81" } } <= 2)
        // It does not answer: who waits for it is told so at once, and so is who comes next.
        stage.say("slow.example:81", .failure(.timedOut(milliseconds: 10_000)))
        #expect(stage.eventually { $0.ended.count == 51 })
        #expect(stage.state.withLock { $0.started.count { $0.host == "slow.example:81" } } <= 4)
        let late = request("http://slow.example:81/late")
        pool.fetch(late) { stage.ended(late, $0) }
        let told = stage.state.withLock { state in state.ended.last { $0.0 == late }?.1 }
        #expect(told == .failure(.isDown("there was no answer in 10 s")))
    }

    @Test("What waits is bounded, and so are threads; closing tells everybody")
    func bounds() {
        let stage = Stage()
        let pool = pool(stage) {
            $0.threads = 3
            $0.waiting = 10
        }
        for number in 0..<40 {
            let each = request("http://h\(number).example/")
            pool.fetch(each) { stage.ended(each, $0) }
        }
        #expect(stage.eventually { $0.started.count == 3 })
        let busy = stage.state.withLock { $0.ended.count { $0.1 == .failure(.busy) } }
        #expect(busy >= 27)
        pool.close()
        #expect(stage.state.withLock { $0.ended.contains { $0.1 == .failure(.stopped) } })
        for number in 0..<40 { stage.say("h\(number).example", .success([])) }
        #expect(stage.eventually { $0.ended.count == 40 })
        #expect(stage.state.withLock { $0.most } <= 3)
    }
}

extension Descriptor {
    /// A millisecond or so.
    fileprivate func waitBriefly() throws { _ = try wait(milliseconds: 1) }
}
