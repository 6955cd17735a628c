/// What routers may change in the headers before AH, set to what the integrity check takes it for (RFC 4302 §3.3.3.1,
/// appendix A).
///
/// It owns the list of what changes. Who calls it keeps a copy of the headers, and puts them back.
public enum MutableFields {
    /// Prepares the headers at `headers`, which a ``HeaderChain`` was read from. What is changed in a way that can be
    /// foreseen, source routes, takes the form in which it arrives.
    public static func clear(_ buffer: inout MutableRawSpan, _ headers: Range<Int>) throws(PacketFault) {
        guard headers.lowerBound >= 0, headers.upperBound <= buffer.byteCount, headers.count >= 20 else {
            throw .short
        }
        if buffer.bytes.uint8(at: headers.lowerBound) >> 4 == 4 {
            try clearV4(&buffer, headers)
        } else {
            guard headers.count >= IPv6Header.length else { throw .short }
            try clearV6(&buffer, headers)
        }
    }

    // MARK: IPv4

    /// DSCP, ECN, flags, offset, TTL and checksum, and options (appendix A1).
    private static func clearV4(_ buffer: inout MutableRawSpan, _ headers: Range<Int>) throws(PacketFault) {
        let start = headers.lowerBound
        buffer.put(UInt8(0), at: start + 1)
        buffer.put(UInt16(0), at: start + 6)
        buffer.put(UInt8(0), at: start + 8)
        buffer.put(UInt16(0), at: start + 10)
        var offset = start + IPv4Header.minimumLength
        while offset < headers.upperBound {
            let type = buffer.bytes.uint8(at: offset)
            // The end of the list; no operation.
            if type == 0 { return }
            if type == 1 {
                offset += 1
                continue
            }
            guard offset + 1 < headers.upperBound else { throw .badLength }
            let length = Int(buffer.bytes.uint8(at: offset + 1))
            guard length >= 2, length <= headers.upperBound - offset else { throw .badLength }
            switch type {
            // Security, extended security, commercial security, router alert, multi-destination delivery stay.
            case 130, 133, 134, 148, 149: break
            // Source routes end at the last address that they name.
            case 131, 137:
                guard length >= 7 else { throw .badLength }
                buffer.put(buffer.bytes.uint32(at: offset + length - 4), at: start + 16)
                zero(&buffer, offset..<(offset + length))
            default: zero(&buffer, offset..<(offset + length))
            }
            offset += length
        }
    }

    // MARK: IPv6

    /// Traffic class, flow label, hop limit, and extension headers (appendix A2).
    private static func clearV6(_ buffer: inout MutableRawSpan, _ headers: Range<Int>) throws(PacketFault) {
        let start = headers.lowerBound
        buffer.put(UInt32(6) << 28, at: start)
        buffer.put(UInt8(0), at: start + 7)
        var type = buffer.bytes.uint8(at: start + 6)
        var offset = start + IPv6Header.length
        while offset < headers.upperBound {
            guard headers.upperBound - offset >= 8 else { throw .badLength }
            let size = (Int(buffer.bytes.uint8(at: offset + 1)) + 1) * 8
            guard size <= headers.upperBound - offset else { throw .badLength }
            switch type {
            case 0, 60: try clearOptions(&buffer, (offset + 2)..<(offset + size))
            case 43: try completeRoute(&buffer, offset..<(offset + size), destination: start + 24)
            default: throw .badLength
            }
            type = buffer.bytes.uint8(at: offset)
            offset += size
        }
    }

    /// Options whose type says that they may change lose their data (RFC 8200 §4.2).
    private static func clearOptions(_ buffer: inout MutableRawSpan, _ options: Range<Int>) throws(PacketFault) {
        var offset = options.lowerBound
        while offset < options.upperBound {
            let type = buffer.bytes.uint8(at: offset)
            if type == 0 {
                offset += 1
                continue
            }
            guard offset + 1 < options.upperBound else { throw .badLength }
            let length = Int(buffer.bytes.uint8(at: offset + 1))
            guard length <= options.upperBound - offset - 2 else { throw .badLength }
            if type & 0x20 != 0 { zero(&buffer, (offset + 2)..<(offset + 2 + length)) }
            offset += 2 + length
        }
    }

    /// A route that is still to be taken, as it arrives at its end: each address was once the destination (types 0 and 2,
    /// RFC 2460 §4.4, RFC 6275 §6.4). Other types change in ways of their own: only those that are done can be checked.
    private static func completeRoute(
        _ buffer: inout MutableRawSpan, _ route: Range<Int>, destination: Int
    ) throws(PacketFault) {
        let left = Int(buffer.bytes.uint8(at: route.lowerBound + 3))
        guard left > 0 else { return }
        let count = (route.count - 8) / 16
        let type = buffer.bytes.uint8(at: route.lowerBound + 2)
        // Nobody but the sender has it like that.
        guard type == 0 || type == 2, left == count, route.count == 8 + count * 16 else { throw .badLength }
        let first = route.lowerBound + 8
        let last = buffer.bytes.uint128(at: first + (count - 1) * 16)
        for index in stride(from: count - 1, to: 0, by: -1) {
            buffer.put(buffer.bytes.uint128(at: first + (index - 1) * 16), at: first + index * 16)
        }
        buffer.put(buffer.bytes.uint128(at: destination), at: first)
        buffer.put(last, at: destination)
        buffer.put(UInt8(0), at: route.lowerBound + 3)
    }

    private static func zero(_ buffer: inout MutableRawSpan, _ range: Range<Int>) {
        for offset in range { buffer.put(UInt8(0), at: offset) }
    }
}
