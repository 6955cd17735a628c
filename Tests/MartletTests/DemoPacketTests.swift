import NetworkTypes
import Testing
import WireFormat

@testable import martlet

@Suite struct DemoPacketTests {
    private static let (source, destination) = (IPAddress(v4: 0x0a01_000a), IPAddress(v4: 0x0a02_000a))

    private static let contents: [DemoPacket.Content] = [
        .echo(isReply: false, 1), .echo(isReply: true, 65_535), .piece(0, []), .piece(.max, [1, 2, 3]),
        .piece(7, [UInt8](repeating: 9, count: 1280)), .acknowledgement(0), .acknowledgement(.max),
    ]

    private static func packet(_ content: DemoPacket.Content) -> DemoPacket {
        DemoPacket(source: source, destination: destination, content: content)
    }

    @Test func packetsComeBack() throws {
        for content in Self.contents {
            let bytes = Self.packet(content).bytes
            let read = try #require(DemoPacket(bytes))
            #expect(read.content == content)
            #expect(read.source == Self.source && read.destination == Self.destination)
            #expect(Int(bytes[2]) << 8 | Int(bytes[3]) == bytes.count)
            // The sum over a header with its checksum is nothing.
            var checksum = InternetChecksum()
            checksum.add(Array(bytes[..<20]).span)
            #expect(checksum.value == 0)
        }
    }

    @Test func garbageIsRefused() {
        for content in Self.contents {
            let bytes = Self.packet(content).bytes
            for length in 0..<min(bytes.count, 28) { #expect(DemoPacket(Array(bytes[..<length])) == nil) }
            for (place, value) in [(0, UInt8(0x60)), (0, 0x46), (9, 6), (20, 77)] {
                var other = bytes
                other[place] = value
                #expect(DemoPacket(other) == nil, "octet \(place) of \(content)")
            }
        }
        var kind = Self.packet(.acknowledgement(1)).bytes
        kind[28] = 3
        #expect(DemoPacket(kind) == nil)
        #expect(DemoPacket([UInt8](repeating: 0xff, count: 2000)) == nil)
    }
}
