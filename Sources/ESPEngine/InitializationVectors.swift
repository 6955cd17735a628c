public import Clockwork

/// Octets that nobody can predict, for the IVs of CBC (RFC 3602 §3), drawn in pools so that a packet costs no call.
///
/// It owns a pool and the generator behind it, and belongs to one thread.
public struct UnpredictableOctets: ~Copyable {
    private var pool: [UInt8]
    private var position: Int
    private var entropy: any Entropy & Sendable

    /// Draws from `entropy`.
    public init(_ entropy: any Entropy & Sendable) {
        pool = [UInt8](repeating: 0, count: 4096)
        position = pool.count
        self.entropy = entropy
    }

    /// Writes `count` fresh octets (16 at most) into `buffer` at `offset`, which the caller has checked.
    mutating func write(_ count: Int, into buffer: inout MutableRawSpan, at offset: Int) {
        if count > pool.count - position {
            var generator = entropy
            var span = pool.mutableSpan
            generator.fill(&span)
            entropy = generator
            position = 0
        }
        for index in 0..<count {
            buffer.storeBytes(of: pool[position + index], toByteOffset: offset + index, as: UInt8.self)
        }
        position += count
    }
}

/// How an outbound SA makes its IVs.
enum IVSource {
    /// A 64-bit counter (GCM, CCM, ChaCha20-Poly1305, counter mode): `start` plus the sequence number, which wraps
    /// around only after all 2⁶⁴ sequence numbers are used. Two packets of an SA never share one.
    case counter(start: UInt64)
    /// Octets that nobody can predict (CBC).
    case unpredictable
    /// There are none (NULL encryption).
    case none
}
