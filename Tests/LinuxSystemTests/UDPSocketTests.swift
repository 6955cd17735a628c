import LinuxSystem
import NetworkTypes
import Testing

@Suite struct UDPSocketTests {
    static let v4 = IPAddress.loopback(.v4)
    static let v6 = IPAddress.loopback(.v6)

    @Test("An ephemeral port is the kernel's choice, and shows", arguments: [v4, v6])
    func ephemeralPort(address: IPAddress) throws {
        let socket = try UDPSocket.bind(Endpoint(address, 0))
        #expect(socket.localEndpoint.address == address)
        #expect(socket.localEndpoint.port != 0)
    }

    @Test("A datagram tells both ends, its bytes and its traffic class", arguments: [v4, v6])
    func oneDatagram(address: IPAddress) throws {
        let server = try UDPSocket.bind(Endpoint(.unspecified(address.family), 0))
        let client = try UDPSocket.bind(Endpoint(address, 0))
        let path = Path(local: client.localEndpoint, remote: Endpoint(address, server.localEndpoint.port))
        #expect(try client.send([1, 2, 3], along: path, trafficClass: 0xb9))
        try server.awaitDatagram()
        var buffer = [UInt8](repeating: 0, count: 64)
        let information = try #require(try server.receive(into: &buffer))
        #expect(Array(buffer[..<information.length]) == [1, 2, 3])
        #expect(information.path == path.reversed)
        #expect(information.trafficClass == 0xb9)
        #expect(!information.truncated)
        #expect(try server.receive(into: &buffer) == nil)
    }

    @Test("A reply leaves from the address that the request came to")
    func sourceAddress() throws {
        let server = try UDPSocket.bind(Endpoint(.unspecified(.v4), 0))
        let client = try UDPSocket.bind(Endpoint(.unspecified(.v4), 0))
        let remote = Endpoint(try Support.address("127.0.0.5"), server.localEndpoint.port)
        #expect(try client.send([7], along: Path(local: client.localEndpoint, remote: remote)))
        try server.awaitDatagram()
        var buffer = [UInt8](repeating: 0, count: 8)
        let request = try #require(try server.receive(into: &buffer))
        #expect(request.path.local == remote)
        #expect(try server.send([8], along: request.path))
        try client.awaitDatagram()
        let reply = try #require(try client.receive(into: &buffer))
        #expect(reply.path.remote == remote)
        #expect(buffer[0] == 8)
    }

    @Test("A dual-stack socket shows IPv4 as IPv4 and answers it")
    func dualStack() throws {
        var options = SocketOptions()
        options.onlyIPv6 = false
        let server = try UDPSocket.bind(Endpoint(.unspecified(.v6), 0), options: options)
        let client = try UDPSocket.bind(Endpoint(Self.v4, 0))
        let remote = Endpoint(Self.v4, server.localEndpoint.port)
        let path = Path(local: client.localEndpoint, remote: remote)
        #expect(try client.send([1], along: path, trafficClass: 0x28))
        try server.awaitDatagram()
        var buffer = [UInt8](repeating: 0, count: 8)
        let request = try #require(try server.receive(into: &buffer))
        #expect(request.path == path.reversed)
        #expect(request.trafficClass == 0x28)
        #expect(try server.send([2], along: request.path, trafficClass: 0x50))
        try client.awaitDatagram()
        let reply = try #require(try client.receive(into: &buffer))
        #expect(reply.path.remote == remote)
        #expect(reply.trafficClass == 0x50)
    }

    @Test("A datagram that is too long for the buffer says so")
    func truncation() throws {
        let socket = try UDPSocket.bind(Endpoint(Self.v4, 0))
        #expect(try socket.send([1, 2, 3, 4], along: Path(local: socket.localEndpoint, remote: socket.localEndpoint)))
        try socket.awaitDatagram()
        var buffer = [UInt8](repeating: 0, count: 2)
        let information = try #require(try socket.receive(into: &buffer))
        #expect(information.truncated)
        #expect(information.length == 2)
    }

    @Test("A port in use is an error that names the port and a likely cause")
    func portInUse() throws {
        let first = try UDPSocket.bind(Endpoint(Self.v4, 0))
        let error = try #require(throws: SystemError.self) { try UDPSocket.bind(first.localEndpoint) }
        #expect(error.errno == .addressInUse)
        #expect(error.description.contains("127.0.0.1[\(first.localEndpoint.port)]"))
        #expect(error.description.contains("another IKE daemon may be running"))
    }

    @Test("A closed port behind an earlier datagram is a report, not a failure")
    func refusedDatagram() throws {
        let closed = try UDPSocket.bind(Endpoint(Self.v4, 0)).localEndpoint
        let socket = try UDPSocket.bind(Endpoint(Self.v4, 0))
        try socket.keepErrors()
        #expect(try socket.send([1], along: Path(local: socket.localEndpoint, remote: closed)))
        #expect(try socket.descriptor.wait(milliseconds: 2000))
        var buffer = [UInt8](repeating: 0, count: 8)
        #expect(try socket.receive(into: &buffer) == nil)
        let report = try #require(try socket.nextError())
        #expect(report.error == .connectionRefused)
        #expect(report.origin == .icmp)
        #expect(report.type == 3 && report.code == 3)
        #expect(report.destination == closed)
        #expect(report.reporter == Self.v4)
        #expect(try socket.nextError() == nil)
        // Again, and now the next thing that happens is a send: it must go out all the same.
        let other = try UDPSocket.bind(Endpoint(Self.v4, 0))
        #expect(try socket.send([1], along: Path(local: socket.localEndpoint, remote: closed)))
        #expect(try socket.descriptor.wait(milliseconds: 2000))
        #expect(try socket.send([2], along: Path(local: socket.localEndpoint, remote: other.localEndpoint)))
        try other.awaitDatagram()
        #expect(try other.receive(into: &buffer)?.length == 1)
    }

    @Test("Buffers grow to what was asked for; DF turns a long datagram into a report of the MTU")
    func options() throws {
        let socket = try UDPSocket.bind(Endpoint(Self.v4, 0))
        let granted = try socket.setReceiveBuffer(1 << 20)
        // The kernel doubles what it grants; without CAP_NET_ADMIN it stops at the system's limit.
        #expect(granted >= (ProcessInformation.hasNetworkAdministration ? 2 << 20 : 4096))
        #expect(try socket.setSendBuffer(1 << 20) >= (ProcessInformation.hasNetworkAdministration ? 2 << 20 : 4096))
        try socket.setPathMTUPolicy(.dontFragment)
        let oversize = [UInt8](repeating: 0, count: 65508)
        let error = try #require(throws: SystemError.self) {
            try socket.send(oversize, along: Path(local: socket.localEndpoint, remote: socket.localEndpoint))
        }
        #expect(error.errno == .messageTooLong)
        for family in IPAddress.Family.allCases {
            let socket = try UDPSocket.bind(Endpoint(.loopback(family), 0))
            for policy in [PathMTUPolicy.fragment, .byRoute, .dontFragment, .probe] {
                try socket.setPathMTUPolicy(policy)
            }
            try socket.setTrafficClass(0x10)
        }
    }

    @Test("Two sockets share a port only when both say so")
    func sharedPort() throws {
        var options = SocketOptions()
        options.sharePort = true
        let first = try UDPSocket.bind(Endpoint(Self.v4, 0), options: options)
        let second = try UDPSocket.bind(first.localEndpoint, options: options)
        #expect(second.localEndpoint == first.localEndpoint)
        #expect(throws: SystemError.self) { try UDPSocket.bind(first.localEndpoint) }
    }

    @Test("A mark steers a socket's datagrams by the rules; a device binds it", .needsRoot)
    func markAndDevice() throws {
        try Support.withNamespace("mark") { namespace, route in
            let far = Endpoint(try Support.address("127.0.0.9"), 4500)
            try route.add(Route(to: IPPrefix(host: far.address), kind: .prohibit, table: 1220))
            // Before the rule for local addresses.
            let local = Rule(.v4, priority: 0, table: 255, protocolNumber: 2)
            try route.add(Rule(.v4, priority: 20, table: 255))
            #expect(try route.delete(local) == .removed)
            try route.add(Rule(.v4, priority: 10, table: 1220, mark: 0x99))
            let (plain, marked) = try namespace.run {
                var options = SocketOptions()
                options.device = "lo"
                let plain = try UDPSocket.bind(Endpoint(.unspecified(.v4), 0), options: options)
                // Linux sends by a bound device even where routes refuse.
                options.device = nil
                options.mark = 0x99
                return (plain, try UDPSocket.bind(Endpoint(.unspecified(.v4), 0), options: options))
            }
            #expect(try plain.send([1], along: Path(local: plain.localEndpoint, remote: far)))
            let path = Path(local: marked.localEndpoint, remote: far)
            let error = try #require(throws: SystemError.self) { try marked.send([1], along: path) }
            #expect(error.errno == .accessDenied)
            #expect(error.context == "\(path)")
            try marked.setMark(0)
            #expect(try marked.send([1], along: path))
        }
    }

    @Test(
        "A raw ESP socket gives IPv4 packets with, IPv6 packets without their header", .needsRoot, arguments: [v4, v6])
    func rawSocket(address: IPAddress) throws {
        try Support.withNamespace("raw\(address.family)") { namespace, _ in
            let socket = try namespace.run { try RawSocket(protocolNumber: 50, address: address) }
            let path = Path(local: Endpoint(address, 0), remote: Endpoint(address, 0))
            let batch = try DatagramBatch(capacity: 4, slotSize: 256)
            for index in 0..<4 { batch.load(index, [UInt8(index), 1, 2, 3, 4, 5, 6, 7], path: path) }
            #expect(socket.send(batch, 0..<4).sent == 4)
            try socket.awaitDatagram()
            #expect(try socket.receive(into: batch) == 4)
            for index in 0..<4 {
                let bytes = batch.bytes(index)
                #expect(batch[index].path == path)
                #expect(bytes.count == (address.family == .v4 ? 28 : 8))
                #expect(bytes.suffix(8) == [UInt8(index), 1, 2, 3, 4, 5, 6, 7])
            }
        }
    }

    @Test("A socket bound to a device that is not there says which")
    func missingDevice() throws {
        var options = SocketOptions()
        options.device = "nosuchdevice0"
        let error = try #require(throws: SystemError.self) {
            try UDPSocket.bind(Endpoint(Self.v4, 0), options: options)
        }
        #expect(error.call == "SO_BINDTODEVICE")
        #expect(error.context == "nosuchdevice0")
    }
}
