/// Where random octets come from: the system's generator in the daemon, a seed in the simulator.
public protocol Entropy {
    /// Overwrites every octet of `span` with random ones.
    mutating func fill(_ span: inout MutableSpan<UInt8>)
}

extension Entropy {
    /// `count` random octets.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var span = bytes.mutableSpan
        fill(&span)
        return bytes
    }

    /// A random 64-bit number.
    public mutating func uint64() -> UInt64 {
        var octets: InlineArray<8, UInt8> = [0, 0, 0, 0, 0, 0, 0, 0]
        var span = octets.mutableSpan
        fill(&span)
        var number: UInt64 = 0
        for index in octets.indices { number = number << 8 | UInt64(octets[index]) }
        return number
    }

    /// A random 32-bit number.
    public mutating func uint32() -> UInt32 { UInt32(truncatingIfNeeded: uint64()) }

    /// A random number below `bound`, which is above zero; every value is equally likely to within 2⁻³².
    public mutating func below(_ bound: UInt64) -> UInt64 {
        bound == 0 ? 0 : uint64().multipliedFullWidth(by: bound).high
    }

    /// A random number from 0 up to, not including, 1.
    public mutating func fraction() -> Double { Double(uint64() >> 11) / 9_007_199_254_740_992 }
}

/// The same octets for the same seed, on every machine: for simulation and tests, never for keys that matter.
public struct SeededEntropy: Entropy, Sendable {
    private var state: UInt64

    /// Starts the sequence that belongs to `seed`.
    public init(seed: UInt64) { state = seed }

    /// The next number of the sequence (SplitMix64).
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// Overwrites every octet of `span` with the sequence's next ones.
    public mutating func fill(_ span: inout MutableSpan<UInt8>) {
        var index = 0
        while index < span.count {
            let word = next()
            for shift in 0..<UInt64(min(8, span.count - index)) {
                span[index] = UInt8(truncatingIfNeeded: word >> (8 * shift))
                index += 1
            }
        }
    }
}
