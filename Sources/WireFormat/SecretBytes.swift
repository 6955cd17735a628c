private import CWipe

/// Octets that must not outlive their use: a key, a shared secret, a password.
///
/// It owns its memory and overwrites it with zeros when the last reference goes. It never prints its contents, is never
/// hashed, and compares in constant time. Copy a secret out only into something that zeroes itself as well.
@safe
public struct SecretBytes: @unchecked Sendable {
    // `@unchecked`: the memory is written in `init` and when the last reference goes, and at no other time.
    @usableFromInline let storage: ManagedBuffer<Int, UInt8>

    /// The octets, behind their number.
    private final class Storage: ManagedBuffer<Int, UInt8> {
        deinit {
            // A plain loop of stores before a deallocation would be optimised away.
            unsafe withUnsafeMutablePointers { count, octets in unsafe martlet_wipe(octets, count.pointee) }
        }
    }

    /// No octets.
    public static let empty = SecretBytes(count: 0) { _ in }

    /// Makes `count` octets and lets `fill` write them.
    public init(count: Int, _ fill: (inout MutableSpan<UInt8>) -> Void) {
        storage = Storage.create(minimumCapacity: count) { _ in count }
        // The one place where a secret's memory is made: raw, so that it can be overwritten before it is given back.
        unsafe storage.withUnsafeMutablePointerToElements { octets in
            unsafe octets.initialize(repeating: 0, count: count)
            var span = unsafe MutableSpan(_unsafeStart: octets, count: count)
            fill(&span)
        }
    }

    /// Copies `bytes`; the caller's copy remains the caller's to forget.
    public init(copying bytes: Span<UInt8>) {
        self.init(count: bytes.count) { span in
            unsafe span.withUnsafeMutableBytes { target in
                // As many octets as there are, read during the call only.
                unsafe bytes.withUnsafeBytes { source in unsafe target.copyMemory(from: source) }
            }
        }
    }

    /// Copies `bytes`; the caller's copy remains the caller's to forget.
    public init(_ bytes: [UInt8]) {
        self.init(copying: bytes.span)
    }

    /// Octets held.
    @inlinable public var count: Int { unsafe storage.withUnsafeMutablePointerToHeader { unsafe $0.pointee } }

    /// Whether there is nothing in it.
    public var isEmpty: Bool { count == 0 }

    /// Lends the octets to `body`.
    @inlinable
    public func withSpan<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe storage.withUnsafeMutablePointers { count, octets throws(Failure) in
            try body(unsafe Span(_unsafeStart: UnsafePointer(octets), count: count.pointee))
        }
    }

    /// The secret's octets in an ordinary array, for a library call that takes nothing else.
    public func exposedBytes() -> [UInt8] {
        withSpan { octets in unsafe octets.withUnsafeBufferPointer { unsafe Array($0) } }
    }

    /// A part of this secret as a secret of its own; nil when it is out of range.
    public func slice(_ range: Range<Int>) -> SecretBytes? {
        guard range.lowerBound >= 0, range.upperBound <= count else { return nil }
        if range.isEmpty { return .empty }
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
