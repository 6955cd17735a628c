private import CPackets

/// The one's complement sum of RFC 1071 over many octets: for the packet path.
///
/// It owns the folding only; the machine's own way to add is in C. `InternetChecksum` does the same a word at a time, for
/// headers and in tests.
package enum OnesSum {
    /// The folded sum of `bytes`, as 16-bit words with the first octet highest, plus `start`. An odd last octet counts
    /// as if a zero followed it.
    package static func of(_ bytes: RawSpan, plus start: UInt64 = 0) -> UInt16 {
        // All octets of the span, read during the call only.
        let sum = unsafe bytes.withUnsafeBytes { raw in
            unsafe raw.baseAddress.map { unsafe martlet_sum($0, raw.count) } ?? 0
        }
        return inNetworkOrder(sum, plus: start)
    }

    /// The sum does not mind the order of the octets in a word: they are added as the machine loads them and swapped once
    /// (RFC 1071 §2B).
    static func inNetworkOrder(_ sum: UInt64, plus start: UInt64) -> UInt16 {
        fold(UInt64(UInt16(bigEndian: fold(sum))) &+ start)
    }

    /// Adds the carries until none is left.
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

    /// Copies all of `source` to `offset` as ``copy(_:at:)`` does, and returns the folded sum of what was copied, plus
    /// `start`: octets that are in the processor's hand anyway.
    package mutating func copySumming(_ source: RawSpan, at offset: Int, plus start: UInt64) -> UInt16 {
        let room = byteCount
        precondition(offset >= 0 && offset <= room && source.byteCount <= room - offset, "outside the buffer")
        // As above.
        let sum = unsafe source.withUnsafeBytes { from in
            unsafe withUnsafeMutableBytes { to -> UInt64 in
                guard let from = from.baseAddress, let to = to.baseAddress else { return 0 }
                return unsafe martlet_copy_sum(to + offset, from, source.byteCount)
            }
        }
        return OnesSum.inNetworkOrder(sum, plus: start)
    }
}
