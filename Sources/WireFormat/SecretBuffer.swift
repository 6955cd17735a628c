private import CWipe

/// Octets that are put together one after the other and must not outlive their use: a file of keys on its way out.
///
/// It owns memory that grows, and overwrites what it leaves behind with zeros, also when it grows. It belongs to one
/// thread. It never prints its contents.
@safe
public final class SecretBuffer {
    // Made here, grown in `reserve`, overwritten and freed in `deinit`; nobody else sees it but through a span.
    private var memory: UnsafeMutableBufferPointer<UInt8>
    /// Octets in it.
    public private(set) var count = 0

    /// Starts empty, with room for `capacity` octets.
    public init(capacity: Int = 4096) {
        unsafe memory = .allocate(capacity: max(capacity, 64))
        unsafe memory.initialize(repeating: 0)
    }

    deinit {
        // A plain loop of stores before a deallocation would be optimised away.
        unsafe martlet_wipe(memory.baseAddress, memory.count)
        unsafe memory.deallocate()
    }

    /// Appends one octet.
    public func append(_ octet: UInt8) {
        reserve(1)
        unsafe memory[count] = octet
        count += 1
    }

    /// Appends octets as they are.
    public func append(_ octets: Span<UInt8>) {
        reserve(octets.count)
        for index in octets.indices { unsafe memory[count + index] = octets[index] }
        count += octets.count
    }

    /// Overwrites one octet that was written before; does nothing where there is none.
    public func patch(_ octet: UInt8, at position: Int) {
        guard position >= 0, position < count else { return }
        unsafe memory[position] = octet
    }

    /// Overwrites everything and starts again, with the same room.
    public func removeAll() {
        unsafe martlet_wipe(memory.baseAddress, count)
        count = 0
    }

    /// Lends the octets to `body`.
    public func withSpan<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(unsafe Span(_unsafeElements: UnsafeBufferPointer(rebasing: memory[..<count])))
    }

    private func reserve(_ more: Int) {
        let needed = count + more
        guard unsafe needed > memory.count else { return }
        let former = unsafe memory
        let size = max(needed, former.count * 2)
        unsafe memory = .allocate(capacity: size)
        unsafe memory.initialize(repeating: 0)
        for index in 0..<count { unsafe memory[index] = former[index] }
        unsafe martlet_wipe(former.baseAddress, former.count)
        unsafe former.deallocate()
    }
}
