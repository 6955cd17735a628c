private import CWipe

/// Octets that must not outlive their use: a key, a shared secret, a password.
///
/// It owns its memory and overwrites it with zeros when the last reference goes. It never prints its contents, is never
/// hashed, and compares in constant time. Copy a secret out only into something that zeroes itself as well.
@safe
public final class SecretBytes: @unchecked Sendable {
    // `@unchecked`: the memory is written in `init` and in `deinit` only.
    @usableFromInline let buffer: UnsafeMutableBufferPointer<UInt8>

    /// Makes `count` octets and lets `fill` write them.
    public init(count: Int, _ fill: (inout MutableSpan<UInt8>) -> Void) {
        // The one place where a secret's memory is made: raw, so that it can be overwritten before it is given back.
        unsafe buffer = .allocate(capacity: count)
        unsafe buffer.initialize(repeating: 0)
        var span = unsafe MutableSpan(_unsafeElements: buffer)
        fill(&span)
    }

    /// Copies `bytes`; the caller's copy remains the caller's to forget.
    public convenience init(copying bytes: Span<UInt8>) {
        self.init(count: bytes.count) { span in
            for index in bytes.indices { span[index] = bytes[index] }
        }
    }

    /// Copies `bytes`; the caller's copy remains the caller's to forget.
    public convenience init(_ bytes: [UInt8]) {
        self.init(copying: bytes.span)
    }

    deinit {
        // A plain loop of stores before a deallocation would be optimised away.
        unsafe martlet_wipe(buffer.baseAddress, buffer.count)
        unsafe buffer.deallocate()
    }

    /// Octets held.
    public var count: Int { unsafe buffer.count }

    /// Whether there is nothing in it.
    public var isEmpty: Bool { count == 0 }

    /// Lends the octets to `body`.
    @inlinable
    public func withSpan<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(unsafe Span(_unsafeElements: UnsafeBufferPointer(buffer)))
    }

    /// The secret's octets in an ordinary array, for a library call that takes nothing else.
    public func exposedBytes() -> [UInt8] { unsafe Array(buffer) }

    /// A part of this secret as a secret of its own; nil when it is out of range.
    public func slice(_ range: Range<Int>) -> SecretBytes? {
        guard range.lowerBound >= 0, range.upperBound <= count else { return nil }
        return withSpan { SecretBytes(copying: $0.extracting(range)) }
    }
}

extension SecretBytes: Equatable {
    /// Compares in time that depends on the lengths only.
    public static func == (left: SecretBytes, right: SecretBytes) -> Bool {
        left.withSpan { a in right.withSpan { b in ConstantTime.equal(a, b) } }
    }
}

extension SecretBytes: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The length, never the octets.
    public var description: String { "(secret, \(count) octets)" }
    /// The length, never the octets.
    public var debugDescription: String { description }
    /// Nothing to see.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
