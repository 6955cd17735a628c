import WireFormat

/// Cuts a stream of octets into packets.
///
/// It owns the beginning of the segment that has not arrived whole, and never more than that: at most one segment's
/// length. What it gives back is overwritten first: keys and passwords pass through it. After an error the stream has no
/// meaning any more, and every further call throws the same error.
public struct ViciFramer: Sendable {
    private static let prefixLength = 4
    private var pending: [UInt8] = []
    private var failure: ViciError?

    /// Waits for the first octet.
    public init() {}

    /// Octets that wait for the rest of their segment.
    public var pendingCount: Int { pending.count }

    /// Takes octets in and gives out the packets that they complete, in order.
    ///
    /// Packets before the first malformed one are given out; the error comes with the next call, or at once when there
    /// were none.
    public mutating func receive(_ octets: some Collection<UInt8>) throws(ViciError) -> [ViciPacket] {
        if let failure { throw failure }
        take(octets)
        var packets: [ViciPacket] = []
        var start = 0
        do {
            while let length = try segmentLength(at: start), pending.count - start - Self.prefixLength >= length {
                let body = (start + Self.prefixLength)..<(start + Self.prefixLength + length)
                packets.append(try ViciPacket(parsing: pending.span.extracting(body)))
                start = body.upperBound
            }
        } catch {
            failure = error
            pending.wipe()
            pending = []
            if packets.isEmpty { throw error }
            return packets
        }
        keep(from: start)
        return packets
    }

    /// Appends octets; a buffer that is too small is wiped before it goes.
    private mutating func take(_ octets: some Collection<UInt8>) {
        if pending.count + octets.count > pending.capacity {
            var larger: [UInt8] = []
            larger.reserveCapacity(max(2 * pending.capacity, pending.count + octets.count))
            larger += pending
            pending.wipe()
            pending = larger
        }
        pending.append(contentsOf: octets)
    }

    /// Forgets what stands before `start`.
    private mutating func keep(from start: Int) {
        guard start > 0 else { return }
        let rest = Array(pending[start...])
        pending.wipe()
        pending = rest
    }

    /// The length of the segment at `start`; nil when not even that has arrived.
    private func segmentLength(at start: Int) throws(ViciError) -> Int? {
        guard pending.count - start >= Self.prefixLength else { return nil }
        let length = pending[start..<(start + Self.prefixLength)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard length > 0, length <= UInt32(ViciPacket.maximumLength) else { throw .segmentLength(length) }
        return Int(length)
    }

    /// The error after which the stream has no meaning any more; nil while all is well.
    public var error: ViciError? { failure }
}
