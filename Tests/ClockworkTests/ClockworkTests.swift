import Testing

@testable import Clockwork

@Suite struct InstantTests {
    @Test func stopsAtTheEndsOfTime() {
        #expect(Instant.distantFuture + .seconds(1) == .distantFuture)
        #expect(Instant(nanoseconds: .min) - .hours(1) == Instant(nanoseconds: .min))
        #expect(Interval.hours(.max).nanoseconds == .max)
        #expect(Interval.seconds(3).scaled(by: 1e300).nanoseconds == .max)
        #expect(Instant.distantFuture - Instant(nanoseconds: -5) == Interval(nanoseconds: .max))
    }

    @Test func printsSeconds() {
        #expect(Interval.milliseconds(1500).description == "1.500s")
        #expect(Interval.milliseconds(-7).description == "-0.007s")
    }
}

@Suite struct RetransmissionScheduleTests {
    /// What this field's users know: 0, 4, 11, 24, 47, 89 and giving up at 165 s.
    @Test func hasTheFieldsDefaultTimes() {
        var entropy = SeededEntropy(seed: 1)
        let schedule = RetransmissionSchedule()
        var time = Interval.zero
        var times: [Int64] = []
        for attempt in 0...5 {
            time = time + (schedule.pause(after: attempt, &entropy) ?? .zero)
            times.append(time.wholeSeconds)
        }
        #expect(times == [4, 11, 24, 47, 89, 165])
        #expect(schedule.pause(after: 6, &entropy) == nil)
        #expect(schedule.pause(after: -1, &entropy) == nil)
        #expect(schedule.total.wholeSeconds == 165)
    }

    @Test func jitterOnlyShortens() {
        var entropy = SeededEntropy(seed: 2)
        let schedule = RetransmissionSchedule(jitter: 0.5)
        var seen: Set<Int64> = []
        for _ in 0..<100 {
            let pause = schedule.pause(after: 0, &entropy) ?? .zero
            #expect(pause > .seconds(2) - .milliseconds(1) && pause <= .seconds(4))
            seen.insert(pause.nanoseconds)
        }
        #expect(seen.count > 50)
    }

    @Test func limitCapsThePause() {
        var entropy = SeededEntropy(seed: 3)
        let schedule = RetransmissionSchedule(tries: 10_000, timeout: .seconds(1), base: 3, limit: .seconds(20))
        #expect(schedule.pause(after: 9_999, &entropy) == .seconds(20))
    }
}

@Suite struct TokenBucketTests {
    @Test func letsThroughItsRate() {
        var bucket = TokenBucket(rate: 10, burst: 5, now: .zero)
        let atOnce = (0..<20).filter { _ in bucket.take(now: .zero) }.count
        #expect(atOnce == 5)
        let later = (0..<100).filter { bucket.take(now: .zero + .milliseconds(Int64($0) * 100)) }.count
        #expect((98...100).contains(later))
    }

    @Test func doesNotMindAClockThatWentBack() {
        var bucket = TokenBucket(rate: 1, burst: 1, now: .zero + .seconds(100))
        let taken = [bucket.take(now: .zero), bucket.take(now: .zero)]
        #expect(taken == [true, false])
    }
}

@Suite struct DeadlineQueueTests {
    /// Against a sorted list.
    @Test func wakesInOrder() {
        var entropy = SeededEntropy(seed: 4)
        var queue = DeadlineQueue<Int>()
        var list: [Int: Instant] = [:]
        var now = Instant.zero
        for _ in 0..<5000 {
            let key = Int(entropy.below(50))
            switch entropy.below(4) {
            case 0:
                queue.remove(key)
                list[key] = nil
            case 1:
                now = now + .milliseconds(Int64(entropy.below(50)))
                var previous = Instant(nanoseconds: .min)
                while let due = queue.popDue(now) {
                    let deadline = list.removeValue(forKey: due) ?? .distantFuture
                    #expect(deadline <= now && deadline >= previous)
                    previous = deadline
                }
                #expect(list.values.allSatisfy { $0 > now })
            default:
                let deadline = now + .milliseconds(Int64(entropy.below(200)))
                queue.set(key, to: deadline)
                list[key] = deadline
            }
            #expect(queue.count == list.count)
            #expect(queue.earliest == list.values.min())
        }
    }

    @Test func equalDeadlinesComeInTheOrderTheyWereSet() {
        var queue = DeadlineQueue<String>()
        for key in ["c", "a", "b"] { queue.set(key, to: .zero) }
        var order: [String] = []
        while let key = queue.popDue(.zero) { order.append(key) }
        #expect(order == ["c", "a", "b"])
    }

    /// What has been replaced is let go before it is most of the memory.
    @Test func forgetsReplacedDeadlines() {
        var entropy = SeededEntropy(seed: 6)
        var queue = DeadlineQueue<Int>()
        for _ in 0..<2000 {
            queue.set(Int(entropy.below(10)), to: .zero + .milliseconds(Int64(1 + entropy.below(1000))))
            queue.set(-1, to: .zero)
            let heap = queue.heap
            #expect(heap.count <= 2 * queue.count + 65)
            #expect(heap.indices.dropFirst().allSatisfy { !heap[$0].isBefore(heap[($0 - 1) / 2]) })
        }
        let deadlines = (-1..<10).map { queue.deadline(of: $0) ?? .distantFuture }.sorted()
        var woken: [Instant] = []
        while let first = queue.earliest, queue.popDue(.distantFuture) != nil { woken.append(first) }
        #expect(woken == deadlines)
    }
}

@Suite struct DeadlineListTests {
    /// Against a queue: the same keys come out, in the same order.
    @Test func wakesAsAQueueDoes() {
        var entropy = SeededEntropy(seed: 5)
        var queue = DeadlineQueue<Int>()
        var list = DeadlineList<Int>()
        var now = Instant.zero
        for _ in 0..<20_000 {
            let key = Int(entropy.below(12))
            switch entropy.below(5) {
            case 0:
                queue.remove(key)
                list.remove(key)
            case 1:
                now = now + .milliseconds(Int64(entropy.below(5)))
                var (first, second): (Int?, Int?)
                repeat {
                    (first, second) = (queue.popDue(now), list.popDue(now))
                    #expect(first == second)
                } while first != nil || second != nil
            case 2:
                queue.set(key, to: nil)
                list.set(key, to: nil)
            default:
                // So close together that many are equal.
                let deadline = now + .milliseconds(Int64(entropy.below(6)))
                queue.set(key, to: deadline)
                list.set(key, to: deadline)
            }
            #expect(queue.count == list.count)
            #expect(queue.earliest == list.earliest)
            #expect(queue.deadline(of: key) == list.deadline(of: key))
        }
    }
}

@Suite struct EntropyTests {
    @Test func aSeedIsASequence() {
        var first = SeededEntropy(seed: 9)
        var second = SeededEntropy(seed: 9)
        var third = SeededEntropy(seed: 10)
        let octets = first.bytes(100)
        #expect(octets == second.bytes(100))
        #expect(octets != third.bytes(100))
        #expect((0..<1000).allSatisfy { _ in first.below(7) < 7 })
        #expect(first.below(0) == 0)
    }
}

@Suite struct CivilTimeTests {
    /// Against `date -u -d @N --iso-8601=seconds`.
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_795_264_496, "2026-11-21T12:34:56Z"), (-1, "1969-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] as [(Int64, String)])
    func isADate(_ seconds: Int64, _ text: String) {
        #expect(CivilTime(unixSeconds: seconds).description == text)
    }
}
