private import CDeflate
import IPPackets
import NetworkTypes

/// When the packets of one outbound SA are compressed, and by which CPI (RFC 3173 §2.2).
///
/// It owns the adaptive part: data that does not shrink is soon left alone, and tried again now and then.
struct CompressionHabit: Hashable, Sendable {
    /// The peer's CPI.
    let index: UInt16
    private var failures: UInt8 = 0
    private var pause: UInt8 = 0

    private static let patience: UInt8 = 8
    private static let rest: UInt8 = 64

    init(index: UInt16) { self.index = index }

    /// Whether the next packet is worth trying.
    mutating func tries() -> Bool {
        guard pause > 0 else { return true }
        pause -= 1
        return false
    }

    /// What came of it.
    mutating func tried(_ hasShrunk: Bool) {
        if hasShrunk {
            failures = 0
        } else {
            failures = min(failures + 1, Self.patience)
            if failures == Self.patience { pause = Self.rest }
        }
    }
}

/// Compresses payloads before they are sealed, for all SAs of one thread (RFC 3173 §2.2, RFC 2394).
///
/// It owns zlib's memory and a packet's worth of its own, had when the first SA wants it: a packet costs no allocation. A
/// payload that does not become shorter stays as it is.
@safe
struct PayloadCompressor: ~Copyable {
    // Made together by `prepare()`, freed in `deinit`.
    private var stream: OpaquePointer?
    private var scratch: UnsafeMutableRawBufferPointer

    /// Shorter ones are not worth it (RFC 2394 §3).
    static let threshold = 90
    /// The longest payload there can be.
    private static let capacity = 65_536

    init() {
        unsafe stream = nil
        unsafe scratch = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    deinit {
        if let stream = unsafe stream { unsafe martlet_deflater_free(stream) }
        unsafe scratch.deallocate()
    }

    /// From now on payloads may have to be compressed. Without memory for that they are not.
    mutating func prepare() {
        guard unsafe stream == nil, let made = unsafe martlet_deflater_make() else { return }
        unsafe stream = made
        unsafe scratch = .allocate(byteCount: Self.capacity, alignment: 64)
    }

    /// Puts an IPComp header and the compressed payload in place of the payload at `payload`, if that is shorter.
    @inline(never)
    mutating func compress(
        _ buffer: inout MutableRawSpan, _ payload: inout Range<Int>, _ nextHeader: inout IPProtocolNumber,
        _ habit: inout CompressionHabit
    ) {
        guard let stream = unsafe stream, payload.count >= Self.threshold, payload.count <= Self.capacity,
            payload.lowerBound >= 0, payload.upperBound <= buffer.byteCount, habit.tries()
        else { return }
        let room = payload.count - CompressionHeader.length - 1
        // Both ranges were just checked, and are used during the call only.
        let count = unsafe buffer.bytes.extracting(payload).withUnsafeBytes { source in
            guard let from = source.baseAddress, let to = unsafe scratch.baseAddress else { return 0 }
            return unsafe martlet_deflate(stream, from, source.count, to, room)
        }
        habit.tried(count > 0)
        guard count > 0 else { return }
        let header = CompressionHeader(nextHeader: nextHeader, index: habit.index)
        guard header.write(into: &buffer, at: payload.lowerBound) else { return }
        let start = payload.lowerBound + CompressionHeader.length
        // The compressor's own memory.
        buffer.copy(
            unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(scratch)).extracting(0..<count), at: start)
        payload = payload.lowerBound..<(start + count)
        nextHeader = .compression
    }
}
