import Glibc
import NetworkTypes
import Testing

@testable import LinuxSystem

/// A netlink socket whose other end is the test's: what the kernel does seldom can be had at once.
@Suite struct NetlinkSocketTests {
    private let socket: NetlinkSocket
    private let kernel: Descriptor

    init() throws {
        var ends: [Int32] = [-1, -1]
        // Sequenced packets keep the bounds of messages, as netlink does, and pass over the kernel's address.
        let type = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        try #require(unsafe socketpair(AF_UNIX, type, 0, &ends) == 0)
        socket = NetlinkSocket(descriptor: Descriptor(owning: ends[0]))
        kernel = Descriptor(owning: ends[1])
    }

    /// One message: header, then `payload`.
    private func message(
        _ type: UInt16, _ sequence: UInt32, flags: NetlinkFlags = [.multipart], _ payload: [UInt8]
    ) -> [UInt8] {
        var body = NetlinkBody()
        body.uint32(UInt32(16 + payload.count))
        body.uint16(type)
        body.uint16(flags.rawValue)
        body.uint32(sequence)
        body.uint32(0)
        body.append(payload)
        body.zeros(-payload.count & 3)
        return body.bytes
    }

    private func done(_ sequence: UInt32, error: Int32 = 0, flags: NetlinkFlags = [.multipart]) -> [UInt8] {
        var body = NetlinkBody()
        body.uint32(UInt32(bitPattern: error))
        return message(3, sequence, flags: flags, body.bytes)
    }

    private func acknowledgement(_ sequence: UInt32, error: Int32, sentence: String? = nil) -> [UInt8] {
        var body = NetlinkBody()
        body.uint32(UInt32(bitPattern: error))
        body.zeros(16)
        if let sentence { body.attribute(1, text: sentence) }
        return message(2, sequence, flags: NetlinkFlags(rawValue: sentence == nil ? 0x100 : 0x300), body.bytes)
    }

    private func queue(_ bytes: [UInt8]) throws { #expect(try kernel.write(bytes) == bytes.count) }

    private func list() throws -> [[UInt8]] {
        try socket.list(NetlinkRequest(26) { _ in }, call: "RTM_GETROUTE").map { Array($0.payload) }
    }

    @Test("A list in several parts is one list")
    func parts() throws {
        try queue(message(24, 1, [1]) + message(24, 1, [2]))
        try queue(message(24, 1, [3]))
        try queue(done(1))
        #expect(try list() == [[1], [2], [3]])
        var request = [UInt8](repeating: 0, count: 64)
        #expect(try kernel.read(into: &request) == .octets(16))
        // 16 octets, GETROUTE, request and dump, number 1.
        #expect(Array(request[..<16]) == [16, 0, 0, 0, 26, 0, 1, 3, 1, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test("A list that was interrupted anywhere is asked for again", arguments: [0, 1, 2])
    func interrupted(part: Int) throws {
        let flags: (Int) -> NetlinkFlags = { $0 == part ? [.multipart, .interrupted] : [.multipart] }
        try queue(message(24, 1, flags: flags(0), [1]))
        try queue(message(24, 1, flags: flags(1), [2]))
        try queue(done(1, flags: flags(2)))
        try queue(message(24, 2, [7]))
        try queue(done(2))
        #expect(try list() == [[7]])
    }

    @Test("A list that is interrupted again and again is an error, not half a list")
    func alwaysInterrupted() throws {
        for sequence: UInt32 in 1...16 { try queue(done(sequence, flags: [.multipart, .interrupted])) }
        let error = try #require(throws: SystemError.self) { try list() }
        #expect(error.errno == .busy)
    }

    @Test("An error at the end of a list is an error")
    func errorAtTheEnd() throws {
        try queue(message(24, 1, [1]))
        try queue(done(1, error: -12))
        #expect(try #require(throws: SystemError.self) { try list() }.errno == .noMemory)
    }

    @Test("What belongs to an earlier request is passed over")
    func stale() throws {
        try queue(acknowledgement(1, error: -1))
        let request = NetlinkRequest(24) { _ in }
        #expect(throws: SystemError.self) { try socket.perform(request, call: "first", context: "") }
        try queue(message(24, 1, [9]) + done(1))
        try queue(message(24, 2, [5]) + acknowledgement(2, error: 0))
        #expect(try socket.perform(request, call: "second", context: "").map { Array($0.payload) } == [[5]])
    }

    @Test("The kernel's sentence becomes part of the error")
    func sentence() throws {
        try queue(acknowledgement(1, error: -22, sentence: "Nexthop has invalid gateway"))
        let error = try #require(throws: SystemError.self) {
            try socket.perform(NetlinkRequest(24) { _ in }, call: "RTM_NEWROUTE", context: "a route")
        }
        #expect(error.errno == .invalidArgument)
        #expect(error.context == "a route (the kernel says: Nexthop has invalid gateway)")
    }

    @Test("A message larger than the buffer is read whole")
    func large() throws {
        let payload = [UInt8](repeating: 3, count: 100_000)
        try queue(message(24, 1, payload) + done(1))
        #expect(try list() == [payload])
    }

    @Test("A malformed answer is an error, never a trap", arguments: [[1], [5, 0, 0, 0], [255, 255, 255, 255, 0, 0]])
    func malformed(bytes: [UInt8]) throws {
        try queue(bytes)
        let error = try #require(throws: SystemError.self) { try list() }
        #expect(error.errno == .badMessage)
    }

    @Test("Requests that go together are those that would go alone, numbered on, and the last one is answered")
    func together() throws {
        var batch = NetlinkBatch()
        var alone: [UInt8] = []
        for octet: UInt8 in 1...3 {
            let build: (inout NetlinkBody) -> Void = {
                $0.uint8(octet)
                $0.attribute(5, IPAddress(v4: 0x0a01_0203))
            }
            batch.append(24, [.create, .replace], build)
            let flags: NetlinkFlags = octet == 3 ? [.create, .replace, .acknowledge] : [.create, .replace]
            alone += NetlinkRequest(24, flags, build).encoded(sequence: UInt32(octet))
        }
        // The second is refused, the last one is done.
        try queue(acknowledgement(2, error: -3))
        try queue(acknowledgement(3, error: 0))
        let refused = try socket.performEach(batch, call: "RTM_NEWROUTE") { "place \($0)" }
        #expect(refused.map(\.place) == [1])
        #expect(refused.map(\.error.errno) == [.noSuchProcess])
        #expect(refused.map(\.error.context) == ["place 1"])
        var sent = [UInt8](repeating: 0, count: 256)
        #expect(try kernel.read(into: &sent) == .octets(alone.count))
        #expect(Array(sent[..<alone.count]) == alone)
    }

    @Test("More requests than go at once go in pieces, each with an answer of its own")
    func pieces() throws {
        var batch = NetlinkBatch()
        for _ in 0..<130 { batch.append(24) { _ in } }
        try queue(acknowledgement(128, error: 0))
        try queue(acknowledgement(129, error: -17) + acknowledgement(130, error: 0))
        #expect(try socket.performEach(batch, call: "RTM_NEWROUTE") { "\($0)" }.map(\.place) == [128])
        var sent = [UInt8](repeating: 0, count: 4096)
        #expect(try kernel.read(into: &sent) == .octets(128 * 16))
        #expect(try kernel.read(into: &sent) == .octets(2 * 16))
    }

    @Test("A batch is all or nothing: the first refusal is its error")
    func batch() throws {
        var batch = NetlinkBatch()
        for type: UInt16 in [0x10, 10 << 8 | 12, 10 << 8 | 12, 0x11] { batch.append(type) { $0.zeros(4) } }
        try queue(acknowledgement(2, error: -2) + acknowledgement(3, error: -22))
        let error = try #require(throws: SystemError.self) {
            try socket.performAll(batch, call: "nftables", context: "martlet")
        }
        #expect(error.errno == .noSuchEntry)
        try queue(acknowledgement(7, error: 0))
        try socket.performAll(batch, call: "nftables", context: "martlet")
    }

    @Test("A request that is too long keeps all of its batch from being sent")
    func tooLong() throws {
        var batch = NetlinkBatch()
        batch.append(24) { _ in }
        batch.append(24) { $0.attribute(1, [UInt8](repeating: 0, count: 65_536)) }
        let error = try #require(throws: SystemError.self) {
            try socket.performEach(batch, call: "RTM_NEWROUTE") { "place \($0)" }
        }
        #expect(error.errno == .messageTooLong && error.context == "place 1")
    }
}
