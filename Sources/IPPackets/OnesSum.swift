/// The one's complement sum of RFC 1071 over many octets, eight at a time: for the packet path.
///
/// It owns the arithmetic only. `InternetChecksum` does the same a word at a time, for headers and in tests.
package enum OnesSum {
    /// The folded sum of `bytes`, as 16-bit words with the first octet highest, plus `start`. An odd last octet counts
    /// as if a zero followed it.
    @inlinable
    package static func of(_ bytes: RawSpan, plus start: UInt64 = 0) -> UInt16 {
        let count = bytes.byteCount
        var low: UInt64 = 0
        var high: UInt64 = 0
        var offset = 0
        // The sum does not mind the order of the words, and 2³² of them fit: octets may be added as the machine loads
        // them and swapped once at the end (RFC 1071 §2B).
        if count >= 64 {
            var (lowPairs, highPairs) = (SIMD2<UInt64>(), SIMD2<UInt64>())
            let mask = SIMD2<UInt64>(repeating: 0xffff_ffff)
            while offset &+ 32 <= count {
                // Thirty-two octets from `offset` on lie within the span.
                let one = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: SIMD2<UInt64>.self)
                let two = unsafe bytes.unsafeLoadUnaligned(
                    fromUncheckedByteOffset: offset &+ 16, as: SIMD2<UInt64>.self)
                lowPairs &+= (one & mask) &+ (two & mask)
                highPairs &+= (one &>> 32) &+ (two &>> 32)
                offset &+= 32
            }
            low = lowPairs[0] &+ lowPairs[1]
            high = highPairs[0] &+ highPairs[1]
        }
        while offset &+ 8 <= count {
            // Eight octets from `offset` on lie within the span.
            let word = unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
            low &+= word & 0xffff_ffff
            high &+= word >> 32
            offset &+= 8
        }
        while offset &+ 2 <= count {
            // Two octets from `offset` on lie within the span.
            low &+= UInt64(unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
            offset &+= 2
        }
        if offset < count { low &+= UInt64((UInt16(bytes.uint8(at: offset)) << 8).bigEndian) }
        return fold(UInt64(UInt16(bigEndian: fold(low &+ high))) &+ start)
    }

    /// Adds the carries until none is left.
    @inlinable
    package static func fold(_ sum: UInt64) -> UInt16 {
        var folded = (sum & 0xffff_ffff) &+ (sum >> 32)
        folded = (folded & 0xffff) &+ (folded >> 16)
        folded = (folded & 0xffff) &+ (folded >> 16)
        folded = (folded & 0xffff) &+ (folded >> 16)
        return UInt16(truncatingIfNeeded: folded)
    }
}

extension MutableRawSpan {
    /// Copies all of `source` to `offset`, which the caller has checked: an offset outside is our own mistake.
    @inlinable
    package mutating func copy(_ source: RawSpan, at offset: Int) {
        let room = byteCount
        precondition(offset >= 0 && offset <= room && source.byteCount <= room - offset, "outside the buffer")
        // Both ends were checked; the two spans cannot overlap, since one of them may be written.
        unsafe source.withUnsafeBytes { from in
            unsafe withUnsafeMutableBytes { to in
                unsafe UnsafeMutableRawBufferPointer(rebasing: to[offset...]).copyMemory(from: from)
            }
        }
    }
}
