import ESPEngine
import GatewayModel
import LinuxSystem
import NetworkTypes
import Testing

@testable import UserspacePlane

/// What comes by the sockets that are for IKE alone.
@Suite struct IKEListenerTests {
    /// Before the kernel is told what belongs where, it gives each sender's datagrams to either socket by chance.
    @Test func whatIsNotIKEGoesWhereItBelongs() throws {
        var configuration = PlaneConfiguration(port: try PacketQueue())
        configuration.workers = 2
        let sockets = try PlaneSockets(configuration)
        let workers = try OrderFan<ReceiveOrder>(workers: 2)
        let drops = DropCounters()
        let listener = try IKEListener(sockets, configuration, adopting: nil, workers: workers, drops: drops)
        let shared = try #require(sockets.entries.first { $0.use == .shared }).socket.localEndpoint
        let packet: [UInt8] = [0, 0, 0x10, 1] + [UInt8](repeating: 5, count: 40)
        let message = [UInt8](1...40)
        let senders = try (0..<32).map { _ in try UDPSocket.bind(Endpoint(.loopback(.v4), 0)) }
        for sender in senders {
            let path = Path(local: sender.localEndpoint, remote: shared)
            for datagram in [packet, [0, 0, 0, 0] + message, [0, 0, 0, 0, 1]] {
                #expect(try sender.send(datagram, along: path))
            }
        }

        // Over loopback all is there when it is sent, and each time some is taken.
        var messages: [IKEDatagram] = []
        for _ in 0..<8 { messages += listener.read() }
        #expect(!messages.isEmpty)
        #expect(drops[.malformedDatagram] == UInt64(messages.count))
        // All of a sender's come by one socket; that none of 32 came by this one happens once in 2³² runs.
        #expect(messages.allSatisfy { $0.bytes == message && $0.hadMarker })
        var strays: [[UInt8]] = []
        for (worker, queue) in workers.queues.enumerated() {
            for case .stray(let kept) in queue.take() {
                #expect(worker == 1)
                strays.append(Array(kept.bytes[kept.packet]))
            }
        }
        #expect(strays == [[UInt8]](repeating: packet, count: messages.count))
    }

    @Test func theKernelTellsIKEFromESP() throws {
        let configuration = PlaneConfiguration(port: try PacketQueue())
        let sockets = try PlaneSockets(configuration)
        let workers = try OrderFan<ReceiveOrder>(workers: 1)
        let drops = DropCounters()
        let listener = try IKEListener(sockets, configuration, adopting: nil, workers: workers, drops: drops)
        try sockets.spread(over: 1, ikeApart: true)
        let shared = try #require(sockets.entries.first { $0.use == .shared }).socket
        let message = [UInt8](1...40)
        for _ in 0..<32 {
            let sender = try UDPSocket.bind(Endpoint(.loopback(.v4), 0))
            let path = Path(local: sender.localEndpoint, remote: shared.localEndpoint)
            for datagram in [[0xff], [0, 0, 0x10, 1] + message, [0, 0, 0, 0] + message] {
                #expect(try sender.send(datagram, along: path))
            }
        }

        #expect(listener.read().count == 32)
        #expect(listener.read().isEmpty)
        var buffer = [UInt8](repeating: 0, count: 2048)
        var others = 0
        while try shared.receive(into: &buffer) != nil { others += 1 }
        #expect(others == 64)
        #expect(workers.queues[0].take().isEmpty)
    }
}
