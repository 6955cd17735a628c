import NetworkTypes

/// Holds TCP's segments to what a tunnel can carry, by the option in the packets that open a connection (RFC 9293 §3.7.1).
///
/// It owns two numbers. Only SYN segments are ever changed; for all others it costs one comparison and a look at the
/// flags. A SYN without the option is left alone: its sender is held to 536 or 1,220 octets anyhow.
public struct SegmentSizeClamp: Hashable, Sendable {
    /// The largest segment over IPv4; `UInt16.max` for any.
    public let v4: UInt16
    /// The largest segment over IPv6; `UInt16.max` for any.
    public let v6: UInt16

    /// Changes nothing.
    public static let none = SegmentSizeClamp()

    /// The headers that a segment stands behind, without options.
    private static let (v4Headers, v6Headers) = (40, 60)
    /// No segment is held to less: what every host must take has more room (RFC 9293 §3.7.1).
    private static let least = 88

    private init() { (v4, v6) = (.max, .max) }

    /// Holds segments to what fits into inner packets of `mtu` octets, and to `limit` octets when that is less.
    public init(innerMTU mtu: Int, limit: Int? = nil) {
        func size(_ headers: Int) -> UInt16 {
            UInt16(clamping: max(min(mtu - headers, limit ?? .max), Self.least))
        }
        v4 = size(Self.v4Headers)
        v6 = size(Self.v6Headers)
    }

    /// Whether it ever changes anything.
    @inline(__always)
    public var isOn: Bool { v4 != .max || v6 != .max }

    /// Where the TCP header of the packet is that fills `packet` and opens a connection; nil for every other packet.
    /// `fields` are the packet's own.
    @inline(__always)
    public static func opening(_ packet: RawSpan, _ fields: PacketSelectorFields) -> Int? {
        guard fields.ipProtocol == .tcp, fields.sourcePort != nil else { return nil }
        let start: Int
        if fields.family == .v4 {
            start = Int(packet.uint8(at: 0) & 15) * 4
        } else {
            guard packet.uint8(at: 6) == 6 else { return openingBehindExtensions(packet) }
            start = IPv6Header.length
        }
        guard fields.length - start >= 20, packet.uint8(at: start + 13) & 0x02 != 0 else { return nil }
        return start
    }

    private static func openingBehindExtensions(_ packet: RawSpan) -> Int? {
        guard let header = try? IPv6Header(parsing: packet), !header.isLaterFragment,
            header.totalLength - header.upperOffset >= 20, packet.uint8(at: header.upperOffset + 13) & 0x02 != 0
        else { return nil }
        return header.upperOffset
    }

    /// Lowers the option of a segment that opens a connection: the packet lies at `packet`, its TCP header `start`
    /// octets into it, and its checksum is complete and stays right. True when something was changed.
    @discardableResult
    public func apply(to buffer: inout MutableRawSpan, packet: Range<Int>, tcp start: Int) -> Bool {
        guard packet.lowerBound >= 0, packet.upperBound <= buffer.byteCount, start >= 0,
            packet.count - start >= 20
        else { return false }
        let isV4 = buffer.bytes.uint8(at: packet.lowerBound) >> 4 == 4
        let limit = isV4 ? v4 : v6
        let tcp = packet.lowerBound + start
        let end = min(tcp + Int(buffer.bytes.uint8(at: tcp + 12) >> 4) * 4, packet.upperBound)
        var option = tcp + 20
        while option < end {
            let kind = buffer.bytes.uint8(at: option)
            if kind == 0 { return false }
            if kind == 1 {
                option += 1
                continue
            }
            guard end - option >= 2 else { return false }
            let length = Int(buffer.bytes.uint8(at: option + 1))
            guard length >= 2, length <= end - option else { return false }
            if kind == 2, length == 4 {
                let old = buffer.bytes.uint16(at: option + 2)
                guard old > limit else { return false }
                buffer.put(limit, at: option + 2)
                // Options may begin anywhere; a value across two words counts with its octets exchanged.
                let isOdd = (option - tcp) & 1 == 1
                Self.correct(
                    &buffer, at: tcp + 16, from: isOdd ? old.byteSwapped : old, to: isOdd ? limit.byteSwapped : limit)
                return true
            }
            option += length
        }
        return false
    }

    /// A checksum after one word has changed (RFC 1624 §3).
    private static func correct(_ buffer: inout MutableRawSpan, at field: Int, from old: UInt16, to new: UInt16) {
        let sum = UInt64(~buffer.bytes.uint16(at: field)) + UInt64(~old) + UInt64(new)
        buffer.put(~OnesSum.fold(sum), at: field)
    }
}
