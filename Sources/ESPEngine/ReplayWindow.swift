import IPsecCrypto
public import StateRecords

/// Which sequence numbers have been seen (RFC 4303 §3.4.3), as a ring of words that is never shifted (RFC 6479).
///
/// It owns the ring and the highest number that was accepted. It is asked before the integrity check and told only
/// after it: nothing that a forger sends can move it.
public struct ReplayWindow: Sendable {
    /// How many numbers back from the highest may still arrive; 0 accepts everything.
    public let size: Int
    /// The highest number that was accepted; 0 before the first.
    public private(set) var highest: UInt64
    private var ring: [UInt64]
    /// Where in the ring the word of ``highest`` lies.
    private var newest = 0

    /// The largest window.
    public static let maximumSize = 32_768

    /// A window of `size` numbers; nil unless that is 0 to ``maximumSize``. Numbers up to `highest` count as seen.
    public init?(size: Int, highest: UInt64 = 0) {
        guard (0...Self.maximumSize).contains(size) else { return nil }
        self.size = size
        self.highest = highest
        // One word more than the window covers, so that the newest word can be cleared while the oldest still counts.
        let words = size > 0 ? (size + 63) / 64 + 1 : 0
        ring = Array(repeating: highest == 0 ? 0 : .max, count: words)
        // Numbers after `highest` in its own word are still to come.
        if highest > 0, size > 0 { ring[0] = .max >> (63 - highest & 63) }
    }

    /// Whether `sequence` has neither been seen nor lies before the window.
    public func isFresh(_ sequence: UInt64) -> Bool {
        guard size > 0 else { return true }
        guard sequence > 0 else { return false }
        if sequence > highest { return true }
        guard highest - sequence < UInt64(size) else { return false }
        return ring[place(of: sequence)] & (1 << (sequence & 63)) == 0
    }

    /// Asks the processor for the newest part of the ring.
    @inline(__always)
    func anticipate() {
        guard size > 0 else { return }
        unsafe ring.withUnsafeBufferPointer { ring in
            // An address within the array, which is not read.
            guard let base = ring.baseAddress else { return }
            unsafe PacketCipher.anticipate(UnsafeRawPointer(base + newest))
        }
    }

    /// Marks `sequence`, whose packet is authentic, as seen; true when it is higher than all before.
    @discardableResult
    public mutating func accept(_ sequence: UInt64) -> Bool {
        let advances = sequence > highest
        guard size > 0 else {
            highest = max(highest, sequence)
            return advances
        }
        if advances {
            for _ in 0..<min((sequence >> 6) - (highest >> 6), UInt64(ring.count)) {
                newest = newest + 1 == ring.count ? 0 : newest + 1
                ring[newest] = 0
            }
            highest = sequence
        } else if highest - sequence >= UInt64(size) {
            return false
        }
        ring[place(of: sequence)] |= 1 << (sequence & 63)
        return advances
    }

    /// Where the word of a number lies that is in the window.
    private func place(of sequence: UInt64) -> Int {
        let place = newest - Int((highest >> 6) - (sequence >> 6))
        return place < 0 ? place + ring.count : place
    }
}

extension ReplayWindow: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.uint32(UInt32(clamping: size))
        writer.uint64(highest)
        // From the oldest word to that of the highest number, wherever in the ring they lie.
        writer.list(ring.indices.map { ring[($0 + newest + 1) % ring.count] }) { writer.uint64($0) }
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let size = Int(try reader.uint32("replay window"))
        guard let empty = ReplayWindow(size: size) else { throw .badValue("replay window") }
        self = empty
        highest = try reader.uint64("highest number")
        let words = try reader.list("replay window") { reader throws(RecordError) in try reader.uint64("numbers") }
        guard words.count == ring.count else { throw .badValue("replay window") }
        ring = words
        newest = max(words.count - 1, 0)
    }
}
