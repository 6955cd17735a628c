import LinuxSystem
import Testing

@testable import UserspacePlane

/// Orders to a packet thread, and the signals that go with them.
struct OrderQueueTests {
    @Test func ordersComeOutInOrderAndOnce() throws {
        let queue = try OrderQueue<Int>()
        #expect(!queue.hasOrders)
        for number in 0..<100 { queue.append(number) }
        #expect(queue.hasOrders)
        #expect(queue.take() == Array(0..<100))
        #expect(!queue.hasOrders)
        #expect(queue.take() == [])
        #expect(try !queue.wakeup.descriptor.wait(milliseconds: 0))
    }

    /// However many orders there are, the owner is woken once, and again only after it took the signal back.
    @Test func manyOrdersShareOneSignal() throws {
        let queue = try OrderQueue<Int>()
        queue.wake()
        #expect(try !queue.wakeup.descriptor.wait(milliseconds: 0))
        for number in 0..<10 {
            queue.append(number)
            queue.wake()
        }
        #expect(try queue.wakeup.descriptor.wait(milliseconds: 0))
        queue.acknowledge()
        #expect(queue.take().count == 10)
        #expect(try !queue.wakeup.descriptor.wait(milliseconds: 0))
        queue.append(10)
        queue.wake()
        #expect(try queue.wakeup.descriptor.wait(milliseconds: 0))
    }

    /// Who never calls ``OrderQueue/wake()`` still gets along: a queue that fills up wakes by itself.
    @Test func aQueueThatFillsUpWakesItsOwner() throws {
        let queue = try OrderQueue<Int>(capacity: 16)
        for number in 0..<3 { queue.append(number) }
        #expect(try !queue.wakeup.descriptor.wait(milliseconds: 0))
        for number in 3..<16 { queue.append(number) }
        #expect(try queue.wakeup.descriptor.wait(milliseconds: 0))
        #expect(queue.take() == Array(0..<16))
    }

    /// The owner found the order before its signal came: then that signal must not wake it for ever.
    @Test func aSignalThatComesLateIsTakenBack() throws {
        let queue = try OrderQueue<Int>()
        queue.append(1)
        #expect(queue.take() == [1])
        #expect(try !queue.wakeup.descriptor.wait(milliseconds: 0))
        queue.wakeup.signal()
        #expect(try queue.wakeup.descriptor.wait(milliseconds: 0))
        queue.acknowledge()
        #expect(!queue.hasOrders)
        #expect(try !queue.wakeup.descriptor.wait(milliseconds: 0))
        // What was asked for before the signal was taken back is still found.
        queue.append(2)
        queue.acknowledge()
        #expect(queue.hasOrders)
        #expect(queue.take() == [2])
    }

    /// However orders and looking at them fall together, the owner that sleeps until it is signalled gets every one.
    @Test func noWakeUpIsLost() throws {
        let queue = try OrderQueue<Int>()
        let (count, done) = (100_000, try Wakeup())
        let worker = try WorkerThread(name: "wakeups") {
            var received = 0
            while received < count {
                // Far longer than any order is on its way.
                guard (try? queue.wakeup.descriptor.wait(milliseconds: 10_000)) == true else { return }
                queue.acknowledge()
                if queue.hasOrders { received += queue.take().count }
            }
            done.signal()
        }
        for number in 0..<count {
            queue.append(number)
            queue.wake()
        }
        #expect(try done.descriptor.wait(milliseconds: 60_000))
        worker.join()
    }
}
