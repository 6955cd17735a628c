// Network-order fields in raw bytes, for this module and for the ESP engine.
//
// Whoever calls these has checked the range first: an offset outside the bytes is our own mistake and stops the process
// rather than read elsewhere. The compiler turns the four single loads into one.

extension RawSpan {
    /// The octet at `offset`.
    @inlinable
    package func uint8(at offset: Int) -> UInt8 { Span<UInt8>(_bytes: self)[offset] }

    /// Two octets from `offset` on, the first highest.
    @inlinable
    package func uint16(at offset: Int) -> UInt16 {
        let bytes = Span<UInt8>(_bytes: self)
        return UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }

    /// Four octets from `offset` on, the first highest.
    @inlinable
    package func uint32(at offset: Int) -> UInt32 {
        let bytes = Span<UInt8>(_bytes: self)
        return UInt32(bytes[offset]) << 24 | UInt32(bytes[offset + 1]) << 16 | UInt32(bytes[offset + 2]) << 8
            | UInt32(bytes[offset + 3])
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
