import Foundation
import Glibc
import Testing

@testable import LinuxSystem

/// Entries as systemd's native journal protocol has them, read at the other end of a socket.
@Suite struct JournalSocketTests {
    typealias Field = JournalSocket.Field

    @Test func anEntryIsOneDatagram() throws {
        let reader = try DatagramReader()
        let journal = try JournalSocket(reader.path)
        #expect(try journal.send([Field("MESSAGE", "[IKE] é"), Field("MARTLET_CODE", "E-X")]))
        #expect(try journal.send([Field("PRIORITY", "3")]))
        #expect(reader.next() == Array("MESSAGE=[IKE] é\nMARTLET_CODE=E-X\n".utf8))
        #expect(reader.next() == Array("PRIORITY=3\n".utf8))
        #expect(reader.next() == nil)
    }

    /// A value with the end of a line can't make a field of its own.
    @Test func linesWithinAValueAreCounted() throws {
        let text = "one\nMARTLET_CODE=E-FALSE"
        let bytes = try JournalSocket.encode([Field("MESSAGE", text), Field("A", "")])
        #expect(
            bytes == Array("MESSAGE\n".utf8) + [UInt8(text.utf8.count), 0, 0, 0, 0, 0, 0, 0] + Array(text.utf8)
                + Array("\nA=\n".utf8))
    }

    @Test(arguments: ["", "_PID", "1A", "message", "A B", "A=B", "A\n", String(repeating: "A", count: 65)])
    func namesThatTheJournalDoesNotTakeAreRefused(_ name: String) {
        let error = #expect(throws: SystemError.self) { try JournalSocket.encode([Field(name, "x")]) }
        #expect(error?.errno == .invalidArgument)
    }

    @Test func aJournalThatDoesNotReadHoldsNobodyUp() throws {
        let reader = try DatagramReader()
        let journal = try JournalSocket(reader.path)
        let entry = [Field("MESSAGE", String(repeating: "x", count: 1000))]
        var count = 0
        while try journal.send(entry), count < 100_000 { count += 1 }
        #expect(count < 100_000)
        _ = reader.next()
        #expect(try journal.send(entry))
    }

    @Test func whoIsNotThereIsAnError() throws {
        let journal = try JournalSocket("@martlet-test-\(UUID().uuidString)")
        #expect(throws: SystemError.self) { try journal.send([Field("MESSAGE", "x")]) }
    }

    @Test func theJournalIsKnownByItsDeviceAndInode() throws {
        let (ours, theirs) = try UnixStream.pair()
        var status = stat()
        try #require(unsafe fstat(ours.descriptor.number, &status) == 0)
        let number = ours.descriptor.number
        #expect(JournalSocket.takes(number, stream: "\(status.st_dev):\(status.st_ino)"))
        #expect(!JournalSocket.takes(theirs.descriptor.number, stream: "\(status.st_dev):\(status.st_ino)"))
        #expect(!JournalSocket.takes(-1, stream: "\(status.st_dev):\(status.st_ino)"))
        for stream in [
            nil, "", ":", "x", "\(status.st_dev)", "\(status.st_dev):", ":\(status.st_ino)",
            "\(status.st_dev):\(status.st_ino):1", "\(status.st_dev):99999999999999999999999", "-1:\(status.st_ino)",
        ] {
            #expect(!JournalSocket.takes(number, stream: stream), "\(stream ?? "-")")
        }
    }
}

/// Reads datagrams in the journal's place.
private final class DatagramReader {
    let path = "@martlet-test-\(UUID().uuidString)"
    private let descriptor: Descriptor

    init() throws {
        descriptor = Descriptor(owning: socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0))
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        let octets = [0] + Array(path.dropFirst().utf8)
        unsafe withUnsafeMutableBytes(of: &name.sun_path) { place in unsafe place.copyBytes(from: octets) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + octets.count)
        let number = descriptor.number
        let result = unsafe withUnsafePointer(to: &name) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(number, $0, length) }
        }
        try #require(result == 0)
    }

    /// The next one, if any is there.
    func next() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe recv(descriptor.number, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return count < 0 ? nil : Array(buffer[..<count])
    }
}
