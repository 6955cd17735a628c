public import Clockwork
public import WireFormat

/// Reads what another process has handed over. Whatever it finds there, it reads it or throws.
///
/// It owns a place in memory that zeroes itself with its last reader.
public struct RecordReader {
    private let memory: SecretBytes
    private var offset: Int
    private let end: Int
    /// The version of the process that wrote it: fields that came later are not there.
    public let version: UInt16

    /// Reads all of `memory`.
    public init(_ memory: SecretBytes, version: UInt16) {
        self.memory = memory
        self.version = version
        offset = 0
        end = memory.count
    }

    private init(_ memory: SecretBytes, _ range: Range<Int>, _ version: UInt16) {
        self.memory = memory
        self.version = version
        offset = range.lowerBound
        end = range.upperBound
    }

    /// Octets not read yet.
    public var remaining: Int { end - offset }

    /// Whether everything has been read.
    public var isAtEnd: Bool { remaining == 0 }

    /// Reads one octet.
    public mutating func uint8(_ field: StaticString) throws(RecordError) -> UInt8 {
        UInt8(truncatingIfNeeded: try number(1, field))
    }

    /// Reads two octets.
    public mutating func uint16(_ field: StaticString) throws(RecordError) -> UInt16 {
        UInt16(truncatingIfNeeded: try number(2, field))
    }

    /// Reads four octets.
    public mutating func uint32(_ field: StaticString) throws(RecordError) -> UInt32 {
        UInt32(truncatingIfNeeded: try number(4, field))
    }

    /// Reads eight octets.
    public mutating func uint64(_ field: StaticString) throws(RecordError) -> UInt64 { try number(8, field) }

    /// Reads a truth.
    public mutating func bool(_ field: StaticString) throws(RecordError) -> Bool {
        switch try uint8(field) {
        case 0: return false
        case 1: return true
        default: throw .badValue(String(describing: field))
        }
    }

    /// Reads octets.
    public mutating func octets(_ field: StaticString) throws(RecordError) -> [UInt8] {
        let count = try length(field)
        return try take(count, field) { reader throws(WireError) in try reader.bytes(count, field) }
    }

    /// Reads a text.
    public mutating func text(_ field: StaticString) throws(RecordError) -> String {
        guard let text = String(validating: try octets(field), as: UTF8.self) else {
            throw .badValue(String(describing: field))
        }
        return text
    }

    /// Reads a secret.
    public mutating func secret(_ field: StaticString) throws(RecordError) -> SecretBytes {
        let count = try length(field)
        return try take(count, field) { reader throws(WireError) in
            SecretBytes(copying: try reader.span(count, field))
        }
    }

    /// Reads a point in time.
    public mutating func instant(_ field: StaticString) throws(RecordError) -> Instant {
        Instant(nanoseconds: Int64(bitPattern: try uint64(field)))
    }

    /// Reads a length of time.
    public mutating func interval(_ field: StaticString) throws(RecordError) -> Interval {
        Interval(nanoseconds: Int64(bitPattern: try uint64(field)))
    }

    /// Reads something that knows how.
    public mutating func value<Value: Recorded>(
        _ type: Value.Type = Value.self
    ) throws(RecordError) -> Value {
        try Value(from: &self)
    }

    /// Reads something that may not be there.
    public mutating func optional<Value>(
        _ field: StaticString, _ body: (inout RecordReader) throws(RecordError) -> Value
    ) throws(RecordError) -> Value? {
        try bool(field) ? try body(&self) : nil
    }

    /// Reads something that may not be there.
    public mutating func optional<Value: Recorded>(
        _ field: StaticString, _ type: Value.Type = Value.self
    ) throws(RecordError) -> Value? {
        try bool(field) ? try Value(from: &self) : nil
    }

    /// Reads a list. Its elements have at least one octet each.
    public mutating func list<Value>(
        _ field: StaticString, _ body: (inout RecordReader) throws(RecordError) -> Value
    ) throws(RecordError) -> [Value] {
        let count = try length(field)
        var values: [Value] = []
        values.reserveCapacity(min(count, 1024))
        for _ in 0..<count { values.append(try body(&self)) }
        return values
    }

    /// Reads a list.
    public mutating func list<Value: Recorded>(
        _ field: StaticString, of type: Value.Type = Value.self
    ) throws(RecordError) -> [Value] {
        try list(field) { reader throws(RecordError) in try Value(from: &reader) }
    }

    /// A reader of its own for what was written nested; what it leaves unread, a later version has added.
    public mutating func nested(_ field: StaticString) throws(RecordError) -> RecordReader {
        let count = try length(field)
        defer { offset += count }
        return RecordReader(memory, offset..<(offset + count), version)
    }

    /// A number of octets or elements that are there: no element has none.
    private mutating func length(_ field: StaticString) throws(RecordError) -> Int {
        let count = Int(try uint32(field))
        guard count <= remaining else {
            throw .wire(.short(field: String(describing: field), needed: count, had: remaining))
        }
        return count
    }

    private mutating func number(_ octets: Int, _ field: StaticString) throws(RecordError) -> UInt64 {
        try take(octets, field) { reader throws(WireError) in
            var value: UInt64 = 0
            for _ in 0..<octets { value = value << 8 | UInt64(try reader.uint8(field)) }
            return value
        }
    }

    private mutating func take<Value>(
        _ count: Int, _ field: StaticString, _ body: (inout WireReader) throws(WireError) -> Value
    ) throws(RecordError) -> Value {
        guard count <= remaining else {
            throw .wire(.short(field: String(describing: field), needed: count, had: remaining))
        }
        let range = offset..<(offset + count)
        offset += count
        do throws(WireError) {
            return try memory.withSpan { span throws(WireError) in
                var reader = WireReader(span.extracting(range))
                return try body(&reader)
            }
        } catch {
            throw .wire(error)
        }
    }
}
