import Glibc
import LinuxSystem
import NetworkTypes
import Testing

@testable import UserspacePlane

/// Sockets that a service manager hands over: those that fit are used, the others are refused with the reason.
@Suite struct PassedPortsTests {
    private static let here = IPAddress.loopback(.v4)

    private func open(_ family: Int32, _ type: __socket_type, _ protocolNumber: Int32 = 0) -> Int32 {
        socket(family, Int32(type.rawValue), protocolNumber)
    }

    private func configuration(_ ike: Endpoint, _ shared: Endpoint) -> PlaneConfiguration {
        var configuration = PlaneConfiguration()
        configuration.ikeEndpoints = [ike]
        configuration.sharedEndpoints = [shared]
        configuration.carriesPlainESP = false
        configuration.mark = nil
        return configuration
    }

    /// A bound UDP socket's number, whose owner the caller is, and where it is bound.
    private func bound(_ address: IPAddress = here) throws -> (Int32, Endpoint) {
        let socket = try UDPSocket.bind(Endpoint(address, 0))
        return (dup(socket.number), socket.localEndpoint)
    }

    @Test func whatFitsIsUsed() throws {
        let (first, ike) = try bound()
        let (second, shared) = try bound()
        var configuration = configuration(ike, shared)
        configuration.ports = try PassedPorts(
            [.init(name: "", number: second), .init(name: "martlet.socket", number: first)], for: configuration)
        #expect(configuration.ports.endpoints == [shared, ike])
        // Nobody else can have these ports: what the plane has are the sockets that were passed.
        #expect(throws: SystemError.self) { try UDPSocket.bind(ike) }
        let sockets = try PlaneSockets(configuration)
        #expect(sockets.entries.map(\.socket.localEndpoint) == [ike, shared])
        #expect(!configuration.ports.numbers.contains(sockets.entries[0].socket.number))
        // They carry datagrams, with the address that each came to.
        let peer = try UDPSocket.bind(Endpoint(Self.here, 0))
        let sent = try peer.send(Array("hello".utf8), along: Path(local: peer.localEndpoint, remote: ike))
        #expect(sent)
        #expect(try sockets.entries[0].socket.descriptor.wait(milliseconds: 2_000))
        var buffer = [UInt8](repeating: 0, count: 100)
        let information = try #require(try sockets.entries[0].socket.receive(into: &buffer))
        #expect(information.path.local == ike && information.length == 5)
    }

    @Test func whatWasNotPassedIsOpened() throws {
        let (first, ike) = try bound()
        var configuration = configuration(ike, Endpoint(Self.here, 0))
        configuration.ports = try PassedPorts([.init(name: "", number: first)], for: configuration)
        let sockets = try PlaneSockets(configuration)
        #expect(sockets.entries.count == 2 && sockets.entries[1].socket.localEndpoint.port != 0)
    }

    @Test func othersAreRefusedWithTheReason() throws {
        let (_, ike) = try bound()
        let configuration = configuration(ike, Endpoint(.unspecified(.v6), 4500))
        var pipe: [Int32] = [0, 0]
        try #require(unsafe Glibc.pipe(&pipe) == 0)
        let dual = open(AF_INET6, SOCK_DGRAM)
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        let length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let result = unsafe withUnsafePointer(to: &name) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(dual, $0, length) }
        }
        try #require(result == 0)
        for (number, reason) in [
            (pipe[0], "is no socket"), (open(AF_INET, SOCK_STREAM), "is a TCP socket"),
            (open(AF_UNIX, SOCK_DGRAM), "is a socket of another family"),
            (open(AF_UNIX, SOCK_STREAM), "is a socket of another family"),
            (dual, "BindIPv6Only=ipv6-only"), (try bound().0, "and what Martlet needs is UDP \(ike), ::[4500]"),
            (1 << 20, "is no socket"),
        ] {
            let error = #expect(throws: PassedPorts.Refusal.self, "\(reason)") {
                try PassedPorts([.init(name: "x", number: number)], for: configuration)
            }
            #expect(error?.description.contains(reason) == true, "\(error?.description ?? "-")")
            #expect(error?.description.hasPrefix("'x', descriptor \(number), ") == true)
        }
        close(pipe[1])
    }

    @Test func onePortIsOneSocket() throws {
        let (first, ike) = try bound()
        let again = dup(first)
        let error = #expect(throws: PassedPorts.Refusal.self) {
            try PassedPorts(
                [.init(name: "", number: first), .init(name: "", number: again)],
                for: configuration(ike, Endpoint(Self.here, 0)))
        }
        #expect(error?.description.contains("one more socket at UDP \(ike) than the 1 ") == true)
    }

    /// Where ESP comes, each worker has one.
    @Test func aSharedPortIsASocketForEachWorker() throws {
        let (first, shared) = try bound()
        var configuration = configuration(Endpoint(Self.here, 0), shared)
        configuration.workers = 2
        let passed = (0..<5).map { _ in PassedDescriptors.Passed(name: "", number: dup(first)) }
        close(first)
        let error = #expect(throws: PassedPorts.Refusal.self) {
            try PassedPorts(Array(passed[..<3]), for: configuration)
        }
        #expect(error?.description.contains("one more socket at UDP \(shared) than the 2 ") == true)
        configuration.ports = try PassedPorts(Array(passed[3...]), for: configuration)
        #expect(configuration.ports.endpoints == [shared, shared])
    }
}
