public import Clockwork

/// Random octets from libcrypto's generator, drawn in advance: a call of the generator costs some microseconds however
/// little it is asked for, and an IKE exchange asks for nonces, SPIs and timers one by one.
///
/// It owns what was drawn and not given out, and wipes what it gives. It belongs to one thread, and to one process: who
/// forks must not go on with it in both.
@safe
public final class EntropyReserve: Entropy {
    private var source = SystemEntropy()
    // Made in `init`, freed in `deinit`, never handed out.
    private let reserve: UnsafeMutableBufferPointer<UInt8>
    private var next: Int
    private static let size = 1024
    /// More than this is fetched by itself.
    private static let largestShare = 64

    /// A reserve that is empty until it is asked.
    public init() {
        unsafe reserve = .allocate(capacity: Self.size)
        unsafe reserve.initialize(repeating: 0)
        next = Self.size
    }

    deinit {
        for index in 0..<Self.size { unsafe reserve[index] = 0 }
        unsafe reserve.deallocate()
    }

    /// Overwrites every octet of `span` with random ones.
    public func fill(_ span: inout MutableSpan<UInt8>) {
        guard span.count <= Self.largestShare else {
            source.fill(&span)
            return
        }
        if span.count > Self.size - next {
            // The reserve lives as long as this object.
            var all = unsafe MutableSpan(_unsafeElements: reserve)
            source.fill(&all)
            next = 0
        }
        let share = unsafe UnsafeMutableBufferPointer(rebasing: reserve[next..<(next + span.count)])
        next += span.count
        unsafe span.withUnsafeMutableBytes { target in
            // As many octets here as there, neither a part of the other.
            unsafe target.copyMemory(from: UnsafeRawBufferPointer(share))
        }
        unsafe share.update(repeating: 0)
    }
}
