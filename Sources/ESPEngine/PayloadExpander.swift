private import CDeflate
import IPPackets
import NetworkTypes

/// Decompresses payloads after they were opened, for all SAs of one thread (RFC 3173 §2.2, RFC 2394).
///
/// It owns zlib's memory and some packets' worth of its own, had when the first SA wants it: a packet costs no allocation,
/// and none becomes longer than an IP packet can be, whatever a peer has packed into it. What it gave stays where it is
/// until ``reclaim()``.
@safe
struct PayloadExpander: ~Copyable {
    // Made together by `prepare()`, freed in `deinit`.
    private var stream: OpaquePointer?
    private var slab: UnsafeMutableRawBufferPointer
    private var used = 0

    /// The longest payload that is believed.
    static let largest = 65_535
    /// Room for the IP header that transport mode puts in front, its options included.
    static let headroom = 64
    /// Octets that one packet may take: a multiple of the alignment.
    private static let share = headroom + 65_536
    private static let capacity = 4 * share

    init() {
        unsafe stream = nil
        unsafe slab = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    deinit {
        if let stream = unsafe stream { unsafe martlet_inflater_free(stream) }
        unsafe slab.deallocate()
    }

    /// From now on payloads may have to be decompressed. Without memory for that they are dropped.
    mutating func prepare() {
        guard unsafe stream == nil, let made = unsafe martlet_inflater_make() else { return }
        unsafe stream = made
        unsafe slab = .allocate(byteCount: Self.capacity, alignment: 64)
        unsafe slab.initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// Whether there is no room for one more until ``reclaim()``.
    var isFull: Bool { used > Self.capacity - Self.share }

    /// Nobody needs what was given so far.
    mutating func reclaim() { used = 0 }

    /// Where what it gives lies.
    @unsafe var memory: UnsafeMutableRawBufferPointer { unsafe slab }

    /// Decompresses `payload`, which has no header any more, and returns where in ``memory`` that is: behind at least
    /// ``headroom`` octets which the caller may use.
    mutating func expand(_ payload: RawSpan) throws(DropReason) -> Range<Int> {
        guard let stream = unsafe stream, !isFull, payload.byteCount > 0 else { throw .badCompression }
        let start = used + Self.headroom
        // The room was just checked; the payload is used during the call only.
        let count = unsafe payload.withUnsafeBytes { source in
            guard let from = source.baseAddress, let to = unsafe slab.baseAddress else { return 0 }
            return unsafe martlet_inflate(stream, from, source.count, to + start, Self.largest)
        }
        guard count > 0 else { throw .badCompression }
        used = start + (count + 63) / 64 * 64
        return start..<(start + count)
    }
}
