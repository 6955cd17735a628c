/// The octet of DSCP and ECN in a header that is there already.
public enum TrafficClassField {
    /// Sets it in the IP header at `offset`, which lies within `buffer`, and keeps the header's checksum right.
    public static func set(_ value: UInt8, in buffer: inout MutableRawSpan, at offset: Int) {
        guard offset >= 0, buffer.byteCount - offset >= 20 else { return }
        guard buffer.bytes.uint8(at: offset) >> 4 == 4 else {
            let word = buffer.bytes.uint32(at: offset) & 0xf00f_ffff
            buffer.put(word | UInt32(value) << 20, at: offset)
            return
        }
        let old = buffer.bytes.uint16(at: offset)
        let new = old & 0xff00 | UInt16(value)
        buffer.put(new, at: offset)
        // RFC 1624 §3.
        let sum = UInt64(~buffer.bytes.uint16(at: offset + 10)) + UInt64(~old) + UInt64(new)
        buffer.put(~OnesSum.fold(sum), at: offset + 10)
    }
}
