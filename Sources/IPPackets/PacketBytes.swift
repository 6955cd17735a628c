// Network-order fields in raw bytes, for this module and for the ESP engine.
//
// Whoever calls these has checked the range first: an offset outside the bytes is our own mistake and stops the process
// rather than read elsewhere.

extension RawSpan {
    /// The octet at `offset`.
    @inlinable
    @inline(__always)
    package func uint8(at offset: Int) -> UInt8 { Span<UInt8>(_bytes: self)[offset] }

    /// Two octets from `offset` on, the first highest.
    @inlinable
    @inline(__always)
    package func uint16(at offset: Int) -> UInt16 {
        precondition(offset >= 0 && offset &+ 2 <= byteCount, "outside the packet")
        // Just checked.
        return UInt16(bigEndian: unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
    }

    /// Four octets from `offset` on, the first highest.
    @inlinable
    @inline(__always)
    package func uint32(at offset: Int) -> UInt32 {
        precondition(offset >= 0 && offset &+ 4 <= byteCount, "outside the packet")
        // Just checked.
        return UInt32(bigEndian: unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
    }

    /// Sixteen octets from `offset` on, the first highest.
    @inlinable
    package func uint128(at offset: Int) -> UInt128 {
        let high = UInt64(uint32(at: offset)) << 32 | UInt64(uint32(at: offset + 4))
        let low = UInt64(uint32(at: offset + 8)) << 32 | UInt64(uint32(at: offset + 12))
        return UInt128(high) << 64 | UInt128(low)
    }
}

extension MutableRawSpan {
    /// Overwrites octets from `offset` on with `value`, highest octet first.
    @inlinable
    package mutating func put<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: Value.self)
    }
}
