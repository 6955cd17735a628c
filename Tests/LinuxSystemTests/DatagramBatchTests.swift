import LinuxSystem
import NetworkTypes
import Testing

@Suite struct DatagramBatchTests {
    private struct Ends {
        let from: UDPSocket
        let to: UDPSocket
        var path: Path { Path(local: from.localEndpoint, remote: to.localEndpoint) }

        init(_ family: IPAddress.Family) throws {
            from = try UDPSocket.bind(Endpoint(.loopback(family), 0))
            to = try UDPSocket.bind(Endpoint(.loopback(family), 0))
            try to.setReceiveBuffer(4 << 20)
        }

        /// Receives until `count` datagrams have come, each as its own array, trains taken apart.
        func receive(_ count: Int, with batch: DatagramBatch) throws -> (datagrams: [[UInt8]], trains: Int) {
            var datagrams: [[UInt8]] = []
            var trains = 0
            while datagrams.count < count {
                guard try to.descriptor.wait(milliseconds: 2000) else { break }
                for index in 0..<(try to.receive(into: batch)) {
                    let information = batch[index]
                    #expect(information.path == path.reversed)
                    #expect(!information.truncated)
                    let bytes = batch.bytes(index)
                    let size = information.segmentSize > 0 ? information.segmentSize : max(bytes.count, 1)
                    trains += information.segmentSize > 0 ? 1 : 0
                    for start in stride(from: 0, to: max(bytes.count, 1), by: size) {
                        datagrams.append(Array(bytes[start..<min(start + size, bytes.count)]))
                    }
                }
            }
            return (datagrams, trains)
        }
    }

    /// `count` octets that tell where they stand.
    private func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

    private func pieces(_ bytes: [UInt8], _ size: Int) -> [[UInt8]] {
        stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
    }

    @Test("One call sends many, one call receives many, in order", arguments: IPAddress.Family.allCases)
    func manyAtOnce(family: IPAddress.Family) throws {
        let ends = try Ends(family)
        let batch = try DatagramBatch(capacity: 32, slotSize: 2048)
        for index in 0..<32 { batch.load(index, [UInt8(index)] + pattern(index * 40), path: ends.path) }
        let report = ends.from.send(batch, 0..<32)
        #expect(report.next == 32 && report.sent == 32 && report.dropped == 0 && report.cutHere == 0)
        #expect(try ends.to.descriptor.wait(milliseconds: 2000))
        let inbox = try DatagramBatch(capacity: 64, slotSize: 2048)
        #expect(try ends.to.receive(into: inbox) == 32)
        for index in 0..<32 { #expect(inbox.bytes(index) == [UInt8(index)] + pattern(index * 40)) }
        #expect(try ends.to.receive(into: inbox) == 0)
    }

    @Test("Headroom and range say where datagrams go")
    func headroom() throws {
        let ends = try Ends(.v4)
        let batch = try DatagramBatch(capacity: 8, slotSize: 256)
        for index in 0..<3 { batch.load(index, [UInt8(index), 9], path: ends.path) }
        #expect(ends.from.send(batch, 0..<3).sent == 3)
        #expect(try ends.to.descriptor.wait(milliseconds: 2000))
        #expect(try ends.to.receive(into: batch, range: 5..<7, headroom: 100) == 2)
        #expect(batch[5].start == 100 && batch[6].start == 100)
        #expect(batch.bytes(6) == [1, 9])
        // From where it lies, headroom before it, straight back.
        var forward = batch[6]
        forward.path = forward.path.reversed
        forward.interface = 0
        forward.start -= 2
        forward.length += 2
        forward.path = ends.path
        batch[6] = forward
        #expect(try ends.to.receive(into: batch, range: 0..<1) == 1)
        #expect(ends.from.send(batch, 6..<7).sent == 1)
        #expect(try ends.to.descriptor.wait(milliseconds: 2000))
        #expect(try ends.to.receive(into: batch, range: 0..<1) == 1)
        #expect(batch.bytes(0) == [0, 0, 1, 9])
    }

    @Test("A train is cut into its datagrams by the kernel", arguments: IPAddress.Family.allCases)
    func train(family: IPAddress.Family) throws {
        let ends = try Ends(family)
        let batch = try DatagramBatch(capacity: 1, slotSize: 65535)
        let bytes = pattern(40 * 1000 + 500)
        batch.load(0, bytes, path: ends.path)
        batch[0].segmentSize = 1000
        #expect(batch[0].datagrams == 41)
        let report = ends.from.send(batch, 0..<1)
        #expect(report.sent == 1 && report.dropped == 0)
        let received = try ends.receive(41, with: DatagramBatch(capacity: 64, slotSize: 2048))
        #expect(received.datagrams == pieces(bytes, 1000))
        #expect(received.trains == 0)
    }

    @Test(
        "A train arrives as a train where the kernel can, and whole in any case", arguments: IPAddress.Family.allCases)
    func receivedTrain(family: IPAddress.Family) throws {
        let ends = try Ends(family)
        let joins = ends.to.enableReceiveTrains()
        let batch = try DatagramBatch(capacity: 2, slotSize: 65535)
        let bytes = pattern(40 * 1400 + 77)
        batch.load(0, bytes, path: ends.path)
        batch[0].segmentSize = 1400
        batch.load(1, [1, 2, 3], path: ends.path)
        let report = ends.from.send(batch, 0..<2)
        #expect(report.sent == 2)
        let received = try ends.receive(42, with: DatagramBatch(capacity: 64, slotSize: 65535))
        #expect(received.datagrams == pieces(bytes, 1400) + [[1, 2, 3]])
        // The kernel joins what it cut itself: on loopback a train stays one.
        #expect(received.trains == (joins && report.cutHere == 0 ? 1 : 0))
        ends.to.disableReceiveTrains()
        batch.load(0, bytes, path: ends.path)
        batch[0].segmentSize = 1400
        #expect(ends.from.send(batch, 0..<1).sent == 1)
        let single = try ends.receive(41, with: DatagramBatch(capacity: 64, slotSize: 65535))
        #expect(single.datagrams == pieces(bytes, 1400))
        #expect(single.trains == 0)
    }

    @Test("A train of more segments than the kernel cuts is cut here")
    func fallback() throws {
        let ends = try Ends(.v4)
        let batch = try DatagramBatch(capacity: 2, slotSize: 4096)
        let bytes = pattern(3005)
        batch.load(0, bytes, path: ends.path)
        batch[0].segmentSize = 10
        batch.load(1, [5], path: ends.path)
        let report = ends.from.send(batch, 0..<2)
        #expect(report.sent == 2)
        #expect(report.cutHere == 1)
        #expect(report.dropped == 0)
        let received = try ends.receive(302, with: DatagramBatch(capacity: 64, slotSize: 2048))
        #expect(received.datagrams == pieces(bytes, 10) + [[5]])
    }

    @Test("A slot that cannot go is dropped with its reason, and the others go")
    func oneBadSlot() throws {
        let ends = try Ends(.v4)
        let batch = try DatagramBatch(capacity: 4, slotSize: 65535)
        batch.load(0, [0], path: ends.path)
        // An IPv6 address on an IPv4 socket, and more than UDP can carry.
        batch.load(1, [1], path: Path(local: ends.path.local, remote: Endpoint(.loopback(.v6), 9)))
        batch.load(2, [UInt8](repeating: 2, count: 65520), path: ends.path)
        batch.load(3, [3], path: ends.path)
        let report = ends.from.send(batch, 0..<4)
        #expect(report.next == 4 && report.sent == 2 && report.dropped == 2)
        #expect(report.lastError == .messageTooLong)
        let received = try ends.receive(2, with: DatagramBatch(capacity: 4, slotSize: 64))
        #expect(received.datagrams == [[0], [3]])
    }

    @Test("A refused datagram does not take the next ones with it")
    func refusedInBatch() throws {
        let ends = try Ends(.v4)
        try ends.from.keepErrors()
        let closed = try UDPSocket.bind(Endpoint(.loopback(.v4), 0)).localEndpoint
        let batch = try DatagramBatch(capacity: 3, slotSize: 64)
        batch.load(0, [0], path: Path(local: ends.path.local, remote: closed))
        for index in 1..<3 { batch.load(index, [UInt8(index)], path: ends.path) }
        let report = ends.from.send(batch, 0..<3)
        #expect(report.sent == 3 && report.dropped == 0)
        let received = try ends.receive(2, with: DatagramBatch(capacity: 4, slotSize: 64))
        #expect(received.datagrams == [[1], [2]])
        #expect(try ends.from.receive(into: batch) == 0)
        // And now the report is there before the batch is sent.
        #expect(try ends.from.send([0], along: Path(local: ends.path.local, remote: closed)))
        #expect(try ends.from.descriptor.wait(milliseconds: 2000))
        let second = ends.from.send(batch, 1..<3)
        #expect(second.sent == 2 && second.dropped == 0)
        #expect(try ends.receive(2, with: DatagramBatch(capacity: 4, slotSize: 64)).datagrams == [[1], [2]])
    }

    @Test("An absurd size is an error, not a crash")
    func absurdSizes() {
        #expect(throws: SystemError.self) { try DatagramBatch(capacity: 0, slotSize: 10) }
        #expect(throws: SystemError.self) { try DatagramBatch(capacity: 10, slotSize: -1) }
        #expect(throws: SystemError.self) { try DatagramBatch(capacity: 1 << 40, slotSize: 10) }
    }

    @Test("A full socket says where to go on", .needsRoot)
    func fullSocket() throws {
        try Support.withNamespace("full-a") { near, route in
            try Support.withNamespace("full-b") { far, farRoute in
                try route.addPair("left0", "right0", secondIn: far)
                let left = try route.link(named: "left0").index
                let right = try farRoute.link(named: "right0").index
                try route.change(left, LinkChange(up: true))
                try farRoute.change(right, LinkChange(up: true))
                try route.add(
                    InterfaceAddress(interface: left, address: try Support.address("10.9.0.1"), prefixLength: 24))
                let from = try near.run { try UDPSocket.bind(Endpoint(.unspecified(.v4), 0)) }
                let to = try far.run { try UDPSocket.bind(Endpoint(.unspecified(.v4), 4500)) }
                try from.setSendBuffer(8192)
                let batch = try DatagramBatch(capacity: 64, slotSize: 1200)
                let remote = Endpoint(try Support.address("10.9.0.2"), 4500)
                let path = Path(local: from.localEndpoint, remote: remote)
                for index in 0..<64 { batch.load(index, [UInt8](repeating: UInt8(index), count: 1000), path: path) }
                // Nobody has the address yet: packets wait for ARP, at the socket's expense.
                let first = from.send(batch, 0..<64)
                #expect(first.next > 0 && first.next < 64)
                #expect(first.sent == first.next && first.dropped == 0)
                #expect(from.send(batch, first.next..<64).sent == 0)
                try farRoute.add(
                    InterfaceAddress(interface: right, address: remote.address, prefixLength: 24))
                var next = first.next
                while next < 64 {
                    try #require(try from.descriptor.wait(writing: true, milliseconds: 5000))
                    let report = from.send(batch, next..<64)
                    #expect(report.dropped == 0)
                    #expect(report.next == next + report.sent)
                    next = report.next
                }
                var seen: [UInt8] = []
                let inbox = try DatagramBatch(capacity: 64, slotSize: 1200)
                while seen.count < 64, try to.descriptor.wait(milliseconds: 2000) {
                    for index in 0..<(try to.receive(into: inbox)) { seen.append(inbox.bytes(index)[999]) }
                }
                #expect(seen == Array(0..<64))
            }
        }
    }
}
