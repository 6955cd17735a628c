private import CLinux

/// What a read gave.
public enum ReadOutcome: Hashable, Sendable {
    /// So many octets, more than zero.
    case octets(Int)
    /// Nothing there yet.
    case wouldBlock
    /// The other side will send no more.
    case end
}

/// An open file descriptor, closed when the last reference goes.
///
/// It owns the number and nothing else: no buffer, no position of its own. The kernel allows any thread to use a
/// descriptor, so it may be shared; who reads first is the users' affair. It never waits.
public final class Descriptor: Sendable, CustomStringConvertible {
    /// The number, for calls that only the owner's module knows. It is valid while this object lives.
    public let number: Int32

    /// Takes over `number`, which nobody else may close from now on.
    public init(owning number: Int32) { self.number = number }

    /// Another number for the same open file or socket.
    public func duplicate() throws(SystemError) -> Descriptor {
        Descriptor(owning: try checked(martlet_duplicate(number), "F_DUPFD_CLOEXEC", description))
    }

    deinit { _ = martlet_close(number) }

    /// Reads what is there, as much as fits.
    public func read(into buffer: inout MutableRawSpan) throws(SystemError) -> ReadOutcome {
        if buffer.isEmpty { return .octets(0) }
        // The span is writable memory of exactly the length that goes with it.
        let result = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe martlet_read(number, bytes.baseAddress, bytes.count)
        }
        guard let count = try checkedUnlessBlocked(result, "read") else { return .wouldBlock }
        return count == 0 ? .end : .octets(Int(count))
    }

    /// Reads what is there, as much as fits, over the start of `buffer`.
    public func read(into buffer: inout [UInt8]) throws(SystemError) -> ReadOutcome {
        var span = buffer.mutableSpan
        // Octets have no padding: a span of them is a raw span.
        var bytes = unsafe span.mutableBytes
        return try read(into: &bytes)
    }

    /// Writes as much as goes without waiting; nil when nothing does.
    public func write(_ bytes: RawSpan) throws(SystemError) -> Int? {
        // The span is readable memory of exactly the length that goes with it.
        let result = unsafe bytes.withUnsafeBytes { bytes in
            unsafe martlet_write(number, bytes.baseAddress, bytes.count)
        }
        return try checkedUnlessBlocked(result, "write").map { Int($0) }
    }

    /// Writes as much as goes without waiting; nil when nothing does.
    public func write(_ bytes: [UInt8]) throws(SystemError) -> Int? {
        // Octets have no padding: a span of them is a raw span.
        try write(unsafe bytes.span.bytes)
    }

    /// Waits until there is something to read (or, with `writing`, room to write); false when the time is over first.
    /// The one call here that waits: for tools and tests. A daemon's thread waits in its ``Poller``.
    public func wait(writing: Bool = false, milliseconds: Int32) throws(SystemError) -> Bool {
        try checked(martlet_wait(number, writing, milliseconds), "poll") > 0
    }

    /// `descriptor 7`
    public var description: String { "descriptor \(number)" }
}
