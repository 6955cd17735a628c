public import Clockwork
public import WireFormat

/// Writes what one process hands to the next, in network order, into memory that zeroes itself.
///
/// It owns the octets of one record. It knows no meaning: types say themselves how they are written (``Recorded``).
public final class RecordWriter {
    /// What has been written.
    public let buffer: SecretBuffer

    /// Starts empty.
    public init(capacity: Int = 4096) { buffer = SecretBuffer(capacity: capacity) }

    /// Appends one octet.
    public func uint8(_ value: UInt8) { buffer.append(value) }

    /// Appends two octets.
    public func uint16(_ value: UInt16) { number(UInt64(value), octets: 2) }

    /// Appends four octets.
    public func uint32(_ value: UInt32) { number(UInt64(value), octets: 4) }

    /// Appends eight octets.
    public func uint64(_ value: UInt64) { number(value, octets: 8) }

    /// Appends a truth.
    public func bool(_ value: Bool) { uint8(value ? 1 : 0) }

    /// Appends octets, their number before them.
    public func octets(_ value: [UInt8]) {
        uint32(UInt32(clamping: value.count))
        buffer.append(value.span)
    }

    /// Appends a text.
    public func text(_ value: String) { octets(Array(value.utf8)) }

    /// Appends a secret.
    public func secret(_ value: SecretBytes) {
        uint32(UInt32(clamping: value.count))
        value.withSpan { buffer.append($0) }
    }

    /// Appends a point in time: the machine's clock goes on while processes come and go.
    public func instant(_ value: Instant) { uint64(UInt64(bitPattern: value.nanoseconds)) }

    /// Appends a length of time.
    public func interval(_ value: Interval) { uint64(UInt64(bitPattern: value.nanoseconds)) }

    /// Appends something that knows how it is written.
    public func put(_ value: some Recorded) { value.write(to: self) }

    /// Appends something that may not be there.
    public func optional<Value>(_ value: Value?, _ body: (Value) -> Void) {
        bool(value != nil)
        if let value { body(value) }
    }

    /// Appends something that may not be there.
    public func optional(_ value: (some Recorded)?) { optional(value) { put($0) } }

    /// Appends a list, its length before it.
    public func list<Value>(_ values: [Value], _ body: (Value) -> Void) {
        uint32(UInt32(clamping: values.count))
        for value in values { body(value) }
    }

    /// Appends a list, its length before it.
    public func list(_ values: [some Recorded]) { list(values) { put($0) } }

    /// Appends what `body` writes with the number of its octets before it, so that a reader may pass over it, and later
    /// versions may add to its end.
    public func nested(_ body: () -> Void) {
        let position = buffer.count
        uint32(0)
        body()
        let length = UInt32(clamping: buffer.count - position - 4)
        for index in 0..<4 {
            buffer.patch(UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32(index))), at: position + index)
        }
    }

    private func number(_ value: UInt64, octets: Int) {
        for index in (0..<octets).reversed() { buffer.append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))) }
    }
}

/// Something that one process hands to the next.
public protocol Recorded {
    /// Appends it.
    func write(to writer: RecordWriter)
    /// Reads it back.
    init(from reader: inout RecordReader) throws(RecordError)
}
