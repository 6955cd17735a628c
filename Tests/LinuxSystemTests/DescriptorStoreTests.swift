import Clockwork
import Foundation
import Glibc
import Testing

@testable import LinuxSystem

/// What is left with a service manager, and what comes back from one.
@Suite struct DescriptorStoreTests {
    /// Where messages of the daemon's arrive that nobody answers.
    private static func deaf() throws -> (store: DescriptorStore, socket: UnixStream) {
        // A stream is no datagram socket, so that nothing can be sent to it: only names are looked at here.
        let path = "@martlet-test-\(UUID().uuidString)"
        return (DescriptorStore(try ServiceNotification(socketPath: path)), try UnixStream.pair().0)
    }

    @Test func namesAreThoseThatAManagerTakes() throws {
        let (store, stream) = try Self.deaf()
        for name in ["", "a:b", "a b", "a\nFDSTORE=1", String(repeating: "x", count: 256), "é"] {
            let error = #expect(throws: SystemError.self) { try store.keep(stream.descriptor.number, as: name) }
            #expect(error?.errno == .invalidArgument, "\(name)")
            #expect(throws: SystemError.self) { try store.forget(name) }
        }
        // A good name fails only since nobody is there.
        let error = #expect(throws: SystemError.self) { try store.keep(stream.descriptor.number, as: "state-7") }
        #expect(error?.errno != .invalidArgument)
    }

    @Test func whatIsPassedIsForOneProcessOnly() {
        func passed(_ pid: String?, _ count: String?, _ names: String?) -> [PassedDescriptors.Passed] {
            PassedDescriptors.passed(to: pid, count: count, names: names, process: 77)
        }
        #expect(
            passed("77", "2", "a:b") == [
                PassedDescriptors.Passed(name: "a", number: 3), PassedDescriptors.Passed(name: "b", number: 4),
            ])
        // Names that are not as many as the descriptors name none of them.
        #expect(passed("77", "2", "a").map(\.name) == ["", ""])
        #expect(passed("77", "1", nil) == [PassedDescriptors.Passed(name: "", number: 3)])
        for (pid, count) in [
            (nil, "1"), ("78", "1"), ("77", nil), ("77", "0"), ("77", "-1"), ("77", "x"), ("77", "99999999"),
            ("77", "99999999999999999999"), ("", ""),
        ] as [(String?, String?)] {
            #expect(passed(pid, count, "a").isEmpty, "\(pid ?? "-") \(count ?? "-")")
        }
    }

    @Test func signsOfLifeAreGivenWhereSomebodyWaits() {
        func interval(_ microseconds: String?, _ pid: String?) -> Interval? {
            ServiceNotification.watchdogInterval(microseconds, of: pid, process: 77)
        }
        #expect(interval("3000000", "77") == .seconds(3))
        #expect(interval("3000000", nil) == .seconds(3))
        for (microseconds, pid) in [(nil, nil), ("3000000", "78"), ("0", nil), ("-1", nil), ("x", nil), ("1", "x")] {
            #expect(interval(microseconds, pid) == nil)
        }
    }

    @Test func aMarkIsTakenOnce() throws {
        let mark = try HandoverMark()
        func other() throws -> HandoverMark {
            // Another descriptor of the same memory, as another process would have it.
            HandoverMark(adopting: Descriptor(owning: dup(mark.descriptor.number)))
        }
        #expect(try !other().take())
        try mark.validate()
        #expect(try other().take())
        #expect(try !other().take())
        #expect(try !mark.take())
    }

    @Test func aMarkThatIsNoneIsNotTaken() throws {
        let memory = try SealedMemory(name: "martlet-test")
        try memory.append([1, 2, 3].span)
        #expect(try !HandoverMark(adopting: Descriptor(owning: dup(memory.descriptor.number))).take())
        let empty = try SealedMemory(name: "martlet-test")
        #expect(try !HandoverMark(adopting: Descriptor(owning: dup(empty.descriptor.number))).take())
        // Who can't be told that it was taken does not give it: sealed for good.
        let sealed = try SealedMemory(name: "martlet-test")
        try sealed.append([0x47].span)
        try sealed.seal()
        #expect(throws: SystemError.self) {
            try HandoverMark(adopting: Descriptor(owning: dup(sealed.descriptor.number))).take()
        }
    }
}

/// A service manager that reads what it is sent and keeps nothing: the kernel closes what nobody takes.
private final class Manager: @unchecked Sendable {
    let path: String
    private let socket: Int32
    private var thread: WorkerThread?

    init() throws {
        path = "@martlet-test-\(UUID().uuidString)"
        socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        let octets = [0] + Array(path.dropFirst().utf8)
        unsafe withUnsafeMutableBytes(of: &name.sun_path) { place in unsafe place.copyBytes(from: octets) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + octets.count)
        let socket = socket
        let result = unsafe withUnsafePointer(to: &name) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(socket, $0, length) }
        }
        try #require(result == 0)
    }

    func run() throws {
        thread = try WorkerThread(name: "manager") { [socket] in
            var text = [UInt8](repeating: 0, count: 4096)
            while unsafe recv(socket, &text, text.count, 0) > 0 {}
        }
    }

    func stop() {
        shutdown(socket, Int32(SHUT_RDWR))
        thread?.join()
        close(socket)
    }
}

extension DescriptorStoreTests {
    @Test func whatIsNotKeptIsNotConfirmed() throws {
        let manager = try Manager()
        try manager.run()
        defer { manager.stop() }
        let store = DescriptorStore(try ServiceNotification(socketPath: manager.path))
        let pair = try UnixStream.pair()
        try store.keep(pair.0.descriptor.number, as: "test")
        #expect(try store.settle(milliseconds: 5_000))
        #expect(try !store.confirms("probe", milliseconds: 5_000))
    }

    @Test func aManagerThatDoesNotReadConfirmsNothing() throws {
        let manager = try Manager()
        defer { manager.stop() }
        let store = DescriptorStore(try ServiceNotification(socketPath: manager.path))
        #expect(try !store.confirms("probe", milliseconds: 50))
        #expect(try !store.settle(milliseconds: 50))
    }
}
