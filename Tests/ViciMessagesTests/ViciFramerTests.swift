import Testing
import ViciMessages

/// A stream of octets cut into packets.
@Suite struct ViciFramerTests {
    @Test func anyCutGivesTheSamePackets() throws {
        var generator = Generator(seed: 4)
        for _ in 0..<100 {
            let packets = (0..<5).map { _ in generator.packet() }
            let stream = try packets.flatMap { try $0.framed() }
            var framer = ViciFramer()
            var received: [ViciPacket] = []
            var rest = stream[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...200, using: &generator))
                received += try framer.receive(piece)
                rest = rest.dropFirst(piece.count)
            }
            #expect(received == packets)
            #expect(framer.pendingCount == 0)
        }
    }

    @Test(arguments: [[0, 0, 0, 0], [0, 8, 0, 1], [0xff, 0xff, 0xff, 0xff]] as [[UInt8]])
    func impossibleLengthsAreRefusedBeforeAnythingIsKept(_ prefix: [UInt8]) {
        var framer = ViciFramer()
        let length = prefix.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        #expect(throws: ViciError.segmentLength(length)) { try framer.receive(prefix + [1]) }
        #expect(framer.pendingCount == 0)
        #expect(throws: ViciError.segmentLength(length)) { try framer.receive([0, 0, 0, 1, 5]) }
    }

    @Test func theLongestSegmentPasses() throws {
        let tree = ViciTree { tree in
            for index in 0..<8 { tree["x\(index)"] = String(repeating: "y", count: 65_400) }
        }
        let framed = try ViciPacket.response(tree).framed()
        #expect(framed.count > 520_000)
        var framer = ViciFramer()
        #expect(try framer.receive(framed.dropLast()) == [])
        #expect(framer.pendingCount == framed.count - 1)
        #expect(try framer.receive(framed.suffix(1)) == [.response(tree)])
    }

    @Test func packetsBeforeTheBrokenOneStillCount() throws {
        var framer = ViciFramer()
        let stream = try ViciPacket.confirmed.framed() + [0, 0, 0, 1, 99]
        #expect(try framer.receive(stream) == [.confirmed])
        #expect(framer.error == .packetType(99))
        #expect(throws: ViciError.packetType(99)) { try framer.receive([0]) }
    }
}
