import GatewayModel
import LinuxSystem
import NetworkTypes
import Testing

@testable import UserspacePlane

/// What the packet threads tell the control thread.
struct ControlInboxTests {
    private static let path = Path(
        local: Endpoint(IPAddress(v4: 0xc000_0201), 4500), remote: Endpoint(IPAddress(v4: 0xc000_0202), 4500))

    /// However telling and looking fall together, the control thread that sleeps until it is signalled hears everything.
    @Test func noWakeUpIsLost() throws {
        let inbox = try ControlInbox()
        let count = 100_000
        let sender = try WorkerThread(name: "wakeups") {
            var sent = 0
            while sent < count {
                // A full inbox is tried again: here nothing may be lost.
                if inbox.put(IKEDatagram(bytes: [1], path: Self.path, hadMarker: false)) { sent += 1 }
            }
        }
        var received = 0
        while received < count {
            guard try inbox.wakeup.descriptor.wait(milliseconds: 10_000) else { break }
            inbox.acknowledge()
            received += inbox.takeMessages().count
        }
        #expect(received == count)
        sender.join()
    }

    @Test func manyMessagesShareOneSignal() throws {
        let inbox = try ControlInbox()
        for _ in 0..<10 { #expect(inbox.put(IKEDatagram(bytes: [1], path: Self.path, hadMarker: false))) }
        inbox.put(.unknownSPI(1, Self.path))
        #expect(try inbox.wakeup.descriptor.wait(milliseconds: 0))
        inbox.acknowledge()
        #expect(try !inbox.wakeup.descriptor.wait(milliseconds: 0))
        #expect(inbox.takeMessages().count == 10)
        #expect(inbox.takeEvents() == [.unknownSPI(1, Self.path)])
    }
}
