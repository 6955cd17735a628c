import Foundation
import WireFormat

/// A packet capture of the test's resources: pcap in either byte order, or pcapng in little-endian order.
///
/// It owns the frames. It never judges what is in them; a packet that was cut by the capture is given as far as it goes.
struct Capture {
    /// One UDP datagram over IPv4.
    struct Datagram {
        var source: UInt16
        var destination: UInt16
        var payload: [UInt8]
    }

    /// The link type and the octets of each frame.
    private(set) var frames: [(link: UInt32, bytes: [UInt8])] = []

    init(named name: String) throws {
        guard let url = Bundle.module.resourceURL?.appendingPathComponent("Captures").appendingPathComponent(name)
        else { throw CocoaError(.fileNoSuchFile) }
        let bytes = [UInt8](try Data(contentsOf: url))
        switch Array(bytes.prefix(4)) {
        case [0xd4, 0xc3, 0xb2, 0xa1]: readClassic(bytes, littleEndian: true)
        case [0xa1, 0xb2, 0xc3, 0xd4]: readClassic(bytes, littleEndian: false)
        case [0x0a, 0x0d, 0x0d, 0x0a]: readNext(bytes)
        default: throw CocoaError(.fileReadCorruptFile)
        }
    }

    private mutating func readClassic(_ bytes: [UInt8], littleEndian: Bool) {
        // The high bits hold the length of a frame check sequence.
        let link = Self.word(bytes, 20, littleEndian) & 0x0fff_ffff
        var offset = 24
        while offset + 16 <= bytes.count {
            let length = Int(Self.word(bytes, offset + 8, littleEndian))
            let end = min(bytes.count, offset + 16 + length)
            frames.append((link, Array(bytes[(offset + 16)..<end])))
            offset = end
        }
    }

    private mutating func readNext(_ bytes: [UInt8]) {
        var link: UInt32 = 0
        var offset = 0
        while offset + 12 <= bytes.count {
            let type = Self.word(bytes, offset, true)
            let length = Int(Self.word(bytes, offset + 4, true))
            guard length >= 12, offset + length <= bytes.count else { return }
            switch type {
            case 1: link = Self.word(bytes, offset + 8, true) & 0xffff
            case 6 where length >= 32:
                let captured = min(Int(Self.word(bytes, offset + 20, true)), length - 32)
                frames.append((link, Array(bytes[(offset + 28)..<(offset + 28 + captured)])))
            default: break
            }
            offset += length
        }
    }

    private static func word(_ bytes: [UInt8], _ offset: Int, _ littleEndian: Bool) -> UInt32 {
        guard offset + 4 <= bytes.count else { return 0 }
        let octets = bytes[offset..<(offset + 4)]
        return (littleEndian ? Array(octets.reversed()) : Array(octets)).reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// The UDP datagrams, as far as they were captured.
    var datagrams: [Datagram] {
        frames.compactMap { frame in
            // 0 is BSD loopback, 1 is Ethernet, 101 is raw IP.
            let head = frame.link == 0 ? 4 : frame.link == 1 ? 14 : 0
            guard frame.bytes.count > head else { return nil }
            return Self.datagram(Array(frame.bytes[head...]))
        }
    }

    private static func datagram(_ packet: [UInt8]) -> Datagram? {
        guard packet.count >= 20, packet[0] >> 4 == 4, packet[9] == 17 else { return nil }
        let start = Int(packet[0] & 15) * 4
        guard start >= 20, packet.count >= start + 8 else { return nil }
        func half(_ offset: Int) -> UInt16 { UInt16(packet[offset]) << 8 | UInt16(packet[offset + 1]) }
        let stated = Int(half(start + 4))
        let end = min(packet.count, max(start + 8, start + stated))
        return Datagram(
            source: half(start), destination: half(start + 2), payload: Array(packet[(start + 8)..<end]))
    }
}
