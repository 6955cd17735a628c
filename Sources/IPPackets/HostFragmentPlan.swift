import NetworkTypes

/// How a packet that its own host sends becomes fragments: an IPv4 packet as any router would cut it, an IPv6 packet as its
/// sender alone may (RFC 8200 §4.5).
///
/// It owns numbers only: the packet stays the caller's.
public struct HostFragmentPlan: Sendable {
    /// How many fragments it becomes.
    public let count: Int
    private let v4: FragmentPlan?
    /// Octets that every IPv6 fragment repeats, and where and what in them names what follows.
    private let (head, field, next): (Int, Int, UInt8)
    /// Octets of payload in all, and in each fragment but the last.
    private let (payload, body): (Int, Int)

    /// The fragment header: its octets, and its number.
    private static let (header, fragment) = (8, UInt8(44))

    /// Plans fragments of `mtu` octets at most for the packet that fills `packet`; nil when it may not be cut, is a
    /// fragment of an IPv6 packet, or when no fragment would have room for eight octets.
    public init?(_ packet: RawSpan, mtu: Int) {
        guard packet.byteCount > 0, packet.uint8(at: 0) >> 4 == 6 else {
            guard let plan = FragmentPlan(packet, mtu: mtu) else { return nil }
            v4 = plan
            count = plan.count
            (head, field, next) = (0, 0, 0)
            (payload, body) = (0, 0)
            return
        }
        guard let chain = try? HeaderChain(parsing: packet, upToAH: false), !chain.isFragment,
            chain.totalLength == packet.byteCount
        else { return nil }
        v4 = nil
        (head, field, next) = (chain.length, chain.nextHeaderField, chain.nextHeader.rawValue)
        payload = chain.totalLength - chain.length
        body = (mtu - head - Self.header) & ~7
        guard body >= 8, payload > 0 else { return nil }
        count = (payload + body - 1) / body
    }

    /// Octets of fragment `index`.
    public func length(of index: Int) -> Int {
        v4?.length(of: index) ?? head + Self.header + octets(index).count
    }

    /// Which octets of the payload.
    private func octets(_ index: Int) -> Range<Int> {
        let start = min(index * body, payload)
        return start..<min(start + body, payload)
    }

    /// Writes fragment `index` of `packet`, for which the plan was made, at `place`. All of an IPv6 packet's fragments have
    /// the same `identification`; an IPv4 packet has one of its own. False, and nothing written, when there is no such
    /// fragment or no room for it.
    public func write(
        _ index: Int, of packet: RawSpan, identification: UInt32, into buffer: inout MutableRawSpan, at place: Int
    ) -> Bool {
        if let v4 { return v4.write(index, of: packet, into: &buffer, at: place) }
        guard index >= 0, index < count, packet.byteCount == head + payload, place >= 0, place <= buffer.byteCount,
            length(of: index) <= buffer.byteCount - place
        else { return false }
        let octets = octets(index)
        buffer.copy(packet.extracting(0..<head), at: place)
        buffer.put(UInt16(truncatingIfNeeded: head - IPv6Header.length + Self.header + octets.count), at: place + 4)
        buffer.put(Self.fragment, at: place + field)
        let isLast = octets.upperBound == payload
        buffer.put(UInt16(next) << 8, at: place + head)
        buffer.put(UInt16(truncatingIfNeeded: octets.lowerBound) | (isLast ? 0 : 1), at: place + head + 2)
        buffer.put(identification, at: place + head + 4)
        buffer.copy(
            packet.extracting((head + octets.lowerBound)..<(head + octets.upperBound)), at: place + head + Self.header)
        return true
    }
}
