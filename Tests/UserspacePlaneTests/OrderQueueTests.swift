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
        #expect(try queue.wakeup.descriptor.wait(milliseconds: 0))
        #expect(queue.take() == Array(0..<100))
        #expect(!queue.hasOrders)
        #expect(queue.take() == [])
        #expect(try !queue.wakeup.descriptor.wait(milliseconds: 0))
    }

    /// The owner found the order before its signal came: then that signal must not wake it for ever.
    @Test func aSignalThatComesLateIsTakenBack() throws {
        let queue = try OrderQueue<Int>()
        queue.append(1)
        #expect(queue.take() == [1])
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
}
