/// How an IPv4 packet that may be cut becomes fragments (RFC 791 §3.2), which may be fragments of a fragment.
///
/// It owns numbers only, as ``SegmentationPlan`` does: the packet stays the caller's. IPv6 packets are cut by nobody but
/// their sender (RFC 8200 §5).
public struct FragmentPlan: Sendable {
    /// How many fragments it becomes.
    public let count: Int
    /// Octets of the header of the first, and of the others, which repeat some options only.
    private let (firstHeader, otherHeader): (Int, Int)
    /// Octets of payload in the first, and in the others but the last.
    private let (firstBody, otherBody): (Int, Int)
    /// Octets of payload in all.
    private let payload: Int
    /// Where the packet's own payload belongs, in units of eight octets, and whether more follows it.
    private let offset: Int
    private let isFollowed: Bool

    /// Plans fragments of `mtu` octets at most for the packet that fills `packet`; nil when it may not be cut, or when no
    /// fragment would have room for eight octets.
    public init?(_ packet: RawSpan, mtu: Int) {
        guard let header = try? IPv4Header(parsing: packet), header.totalLength == packet.byteCount,
            !header.doesNotFragment
        else { return nil }
        firstHeader = header.headerLength
        otherHeader = 20 + Self.repeatedOptions(packet, header.headerLength)
        payload = header.totalLength - header.headerLength
        offset = header.fragmentOffset / 8
        isFollowed = header.hasMoreFragments
        firstBody = (mtu - firstHeader) & ~7
        otherBody = (mtu - otherHeader) & ~7
        guard firstBody >= 8, otherBody >= 8, payload > 0, offset * 8 + payload <= 65_535 else { return nil }
        let rest = max(payload - firstBody, 0)
        count = 1 + (rest + otherBody - 1) / otherBody
    }

    /// Octets of fragment `index`.
    public func length(of index: Int) -> Int { header(index) + body(index).count }

    private func header(_ index: Int) -> Int { index == 0 ? firstHeader : otherHeader }

    /// Which octets of the payload.
    private func body(_ index: Int) -> Range<Int> {
        let start = index == 0 ? 0 : min(firstBody + (index - 1) * otherBody, payload)
        return start..<min(start + (index == 0 ? firstBody : otherBody), payload)
    }

    /// Writes fragment `index` of `packet`, for which the plan was made, at `place`. False, and nothing written, when
    /// there is no such fragment or no room for it.
    public func write(_ index: Int, of packet: RawSpan, into buffer: inout MutableRawSpan, at place: Int) -> Bool {
        guard index >= 0, index < count, packet.byteCount == firstHeader + payload, place >= 0,
            place <= buffer.byteCount, length(of: index) <= buffer.byteCount - place
        else { return false }
        let (header, body) = (header(index), body(index))
        if index == 0 {
            buffer.copy(packet.extracting(0..<header), at: place)
        } else {
            buffer.copy(packet.extracting(0..<20), at: place)
            copyRepeatedOptions(packet, &buffer, place + 20)
        }
        buffer.copy(
            packet.extracting((firstHeader + body.lowerBound)..<(firstHeader + body.upperBound)), at: place + header)
        buffer.put(UInt8(0x40 | header / 4), at: place)
        buffer.put(UInt16(truncatingIfNeeded: header + body.count), at: place + 2)
        let isLast = body.upperBound == payload && !isFollowed
        buffer.put(
            UInt16(truncatingIfNeeded: offset + body.lowerBound / 8) | (isLast ? 0 : 0x2000), at: place + 6)
        buffer.put(UInt16(0), at: place + 10)
        buffer.put(~OnesSum.of(buffer.bytes.extracting(place..<(place + header))), at: place + 10)
        return true
    }

    /// Octets of the options that every fragment has, filled up to a word.
    private static func repeatedOptions(_ packet: RawSpan, _ header: Int) -> Int {
        var octets = 0
        forEachOption(packet, header) { range in octets += range.count }
        return (octets + 3) & ~3
    }

    private func copyRepeatedOptions(_ packet: RawSpan, _ buffer: inout MutableRawSpan, _ place: Int) {
        for offset in 0..<(otherHeader - 20) { buffer.put(UInt8(0), at: place + offset) }
        var next = place
        var option = 20
        while let range = Self.nextOption(packet, firstHeader, &option) {
            buffer.copy(packet.extracting(range), at: next)
            next += range.count
        }
    }

    private static func forEachOption(_ packet: RawSpan, _ header: Int, _ body: (Range<Int>) -> Void) {
        var option = 20
        while let range = nextOption(packet, header, &option) { body(range) }
    }

    /// The next option that is to be repeated, from `option` on; what is malformed ends the list.
    private static func nextOption(_ packet: RawSpan, _ header: Int, _ option: inout Int) -> Range<Int>? {
        while option < header {
            let kind = packet.uint8(at: option)
            if kind == 0 { return nil }
            if kind == 1 {
                option += 1
                continue
            }
            guard header - option >= 2 else { return nil }
            let length = Int(packet.uint8(at: option + 1))
            guard length >= 2, length <= header - option else { return nil }
            let range = option..<(option + length)
            option += length
            if kind & 0x80 != 0 { return range }
        }
        return nil
    }
}
