import LinuxSystem
import NetworkTypes
import Testing
import WireFormat

@Suite(.needsRoot) struct TunDeviceTests {
    /// Reads until a packet of `protocolNumber` over IPv4 comes.
    private func packet(_ protocolNumber: UInt8, from tun: TunDevice) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65600)
        while try tun.descriptor.wait(milliseconds: 2000) {
            guard let count = try tun.read(into: &buffer) else { continue }
            let packet = buffer[tun.headerSize..<count]
            if packet.count > 19, packet.first == 0x45, packet[packet.startIndex + 9] == protocolNumber {
                return Array(buffer[..<count])
            }
        }
        throw SystemError(call: "test", errno: .timedOut, context: "no packet of protocol \(protocolNumber)")
    }

    private func checksum(_ bytes: [UInt8]) -> [UInt8] {
        var sum = InternetChecksum()
        sum.add(bytes.span)
        return [UInt8(sum.value >> 8), UInt8(sum.value & 0xff)]
    }

    @Test("A ping goes out by the device, and the answer written to it comes in")
    func ping() throws {
        try Support.withNamespace("ping") { namespace, route in
            let tun = try namespace.run { try TunDevice(nameTemplate: "ping%d") }
            #expect(tun.name == "ping0")
            try tun.setMTU(1400, using: route)
            try tun.bringUp(using: route)
            let own = try Support.address("10.9.0.1")
            let far = try Support.address("10.9.0.2")
            try tun.addAddress(own, prefixLength: 24, using: route)
            try tun.addAddress(own, prefixLength: 24, using: route)
            try tun.addAddress(try Support.address("fd00:9::1"), prefixLength: 64, using: route)
            let link = try route.link(named: "ping0")
            #expect(link.mtu == 1400 && link.isUp && link.kind == "tun")

            let socket = try namespace.run { try RawSocket(protocolNumber: 1, address: .unspecified(.v4)) }
            var request: [UInt8] = [8, 0, 0, 0, 0x12, 0x34, 0, 1, 0xca, 0xfe]
            request.replaceSubrange(2..<4, with: checksum(request))
            let path = Path(local: Endpoint(own, 0), remote: Endpoint(far, 0))
            #expect(try socket.send(request, along: path))
            let sent = try packet(1, from: tun)
            #expect(sent.count == 30)
            #expect(Array(sent[12..<20]) == own.bytes + far.bytes)
            #expect(Array(sent[20...]) == request)

            // The answer: addresses exchanged, type 0.
            var reply: [UInt8] = [0, 0, 0, 0, 0x12, 0x34, 0, 1, 0xca, 0xfe]
            reply.replaceSubrange(2..<4, with: checksum(reply))
            var header: [UInt8] = [0x45, 0, 0, 30, 0, 1, 0, 0, 64, 1, 0, 0] + far.bytes + own.bytes
            header.replaceSubrange(10..<12, with: checksum(header))
            #expect(try tun.write(header + reply))
            try socket.awaitDatagram()
            var buffer = [UInt8](repeating: 0, count: 100)
            let received = try #require(try socket.receive(into: &buffer))
            #expect(received.path == path)
            #expect(Array(buffer[..<received.length]) == header + reply)

            // What is no packet is refused, and a packet in pieces is a packet.
            let refused = try #require(throws: SystemError.self) { try tun.write([1, 2, 3]) }
            #expect(refused.errno == .invalidArgument)
            let pieces = GatherList(capacity: 2)
            let written = try unsafe header.withUnsafeBytes { first in
                try unsafe reply.withUnsafeBytes { second in
                    let fits = unsafe pieces.append(first) && pieces.append(second)
                    let third = unsafe pieces.append(second)
                    #expect(fits && !third)
                    #expect(pieces.octets == 30)
                    return try tun.write(pieces)
                }
            }
            #expect(written)
            try socket.awaitDatagram()
            #expect(try socket.receive(into: &buffer)?.length == 30)
        }
    }

    @Test("What a full device has no room for is told apart from what cannot be sent")
    func fullDevice() throws {
        try Support.withNamespace("full") { namespace, route in
            let tun = try namespace.run { try TunDevice(nameTemplate: "full0") }
            try tun.bringUp(using: route)
            let slow = ["/usr/sbin/tc", "qdisc", "replace", "dev", "full0", "root", "tbf"]
            let rate = ["rate", "8kbit", "burst", "2000", "limit", "4000"]
            #expect(try namespace.run { try ChildProcess.run(slow + rate, milliseconds: 10_000) } == 0)
            let own = try Support.address("10.9.0.1")
            try tun.addAddress(own, prefixLength: 24, using: route)
            let socket = try namespace.run { try UDPSocket.bind(Endpoint(own, 0)) }
            try socket.keepErrors()
            // Room for all of them in the socket: it is the device that has none.
            try socket.setSendBuffer(1 << 20)
            let path = Path(local: socket.localEndpoint, remote: Endpoint(try Support.address("10.9.0.2"), 9))
            let batch = try DatagramBatch(capacity: 64, slotSize: 65536)
            for index in 0..<64 { batch.load(index, [UInt8](repeating: 7, count: 1000), path: path) }
            let full = socket.send(batch, 0..<64)
            #expect(full.next == 64 && full.dropped > 32 && full.crowdedOut == full.dropped)
            #expect(full.lastError == .noBufferSpace)
            batch.load(0, [UInt8](repeating: 0, count: 65520), path: path)
            let tooLong = socket.send(batch, 0..<1)
            #expect(tooLong.dropped == 1 && tooLong.crowdedOut == 0)
        }
    }

    @Test("With the virtio header a UDP train comes as one packet that says its segments' size")
    func virtioHeader() throws {
        try Support.withNamespace("vnet") { namespace, route in
            let tun = try namespace.run { try TunDevice(nameTemplate: "vnet0", virtioHeader: true) }
            #expect(tun.headerSize == 10)
            try tun.setOffload([.checksum, .tcp4, .tcp6, .tcpECN])
            let trains = (try? tun.setOffload([.checksum, .tcp4, .tcp6, .tcpECN, .udp4, .udp6])) != nil
            try tun.bringUp(using: route)
            try tun.addAddress(try Support.address("10.9.0.1"), prefixLength: 24, using: route)
            let socket = try namespace.run { try UDPSocket.bind(Endpoint(.unspecified(.v4), 0)) }
            let batch = try DatagramBatch(capacity: 1, slotSize: 8192)
            let remote = Endpoint(try Support.address("10.9.0.2"), 4500)
            batch.load(
                0, [UInt8](repeating: 5, count: 4100), path: Path(local: socket.localEndpoint, remote: remote))
            batch[0].segmentSize = 1000
            #expect(socket.send(batch, 0..<1).sent == 1)
            let first = try packet(17, from: tun)
            // struct virtio_net_hdr: flags, GSO type, header length, GSO size, checksum start and offset.
            if trains {
                #expect(first.count == 10 + 28 + 4100)
                #expect(first[0] == 1 && first[1] == 5, "needs a checksum; a UDP train")
                #expect(UInt16(first[4]) | UInt16(first[5]) << 8 == 1000)
            } else {
                #expect(first.count == 10 + 28 + 1000)
            }
        }
    }

    @Test("A second queue joins the first; a device without queues to share is busy; a closed device is gone")
    func queues() throws {
        try Support.withNamespace("queues") { namespace, route in
            do {
                let first = try namespace.run { try TunDevice(nameTemplate: "many0", multiQueue: true) }
                let second = try namespace.run { try first.openQueue() }
                #expect(second.name == "many0")
                #expect(try route.links().filter { $0.kind == "tun" }.count == 1)
                let single = try namespace.run { try TunDevice(nameTemplate: "single0") }
                let error = try #require(throws: SystemError.self) {
                    _ = try namespace.run { try TunDevice(nameTemplate: "single0") }
                }
                #expect(error.errno == .busy)
                #expect(error.description.contains("single0"))
                withExtendedLifetime((first, second, single)) {}
            }
            #expect(try route.links().map(\.name) == ["lo"])
            #expect(throws: SystemError.self) { try TunDevice(nameTemplate: "a-name-of-16-oct") }
        }
    }
}
