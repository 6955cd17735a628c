/// Reads network-order fields from bytes that somebody else owns.
///
/// It owns a position, nothing else: it never copies unless asked, never allocates to skip, and never traps on what it
/// reads. All arithmetic on lengths that came from the wire happens here and cannot overflow. Every read names its
/// field, so that an error says which field was short, what it needed and what was there.
public struct WireReader: ~Escapable, ~Copyable {
    @usableFromInline let span: Span<UInt8>

    @usableFromInline var position: Int

    /// Octets already read, counted from the start of this reader.
    @inlinable
    public var offset: Int { position }

    /// Reads from the start of `span`.
    @_lifetime(copy span)
    @inlinable
    public init(_ span: Span<UInt8>) {
        self.span = span
        position = 0
    }

    /// Octets not read yet.
    @inlinable
    public var remaining: Int { span.count - offset }

    /// Whether everything has been read.
    @inlinable
    public var isAtEnd: Bool { remaining == 0 }

    /// Reads one octet.
    @inlinable
    public mutating func uint8(_ field: StaticString) throws(WireError) -> UInt8 {
        try require(1, field)
        defer { position += 1 }
        return span[offset]
    }

    /// Reads two octets, most significant first.
    @inlinable
    public mutating func uint16(_ field: StaticString) throws(WireError) -> UInt16 {
        try require(2, field)
        defer { position += 2 }
        return UInt16(span[offset]) << 8 | UInt16(span[offset + 1])
    }

    /// Reads four octets, most significant first.
    public mutating func uint32(_ field: StaticString) throws(WireError) -> UInt32 {
        try integer(field)
    }

    /// Reads eight octets, most significant first.
    public mutating func uint64(_ field: StaticString) throws(WireError) -> UInt64 {
        try integer(field)
    }

    private mutating func integer<Value: FixedWidthInteger>(_ field: StaticString) throws(WireError) -> Value {
        try require(Value.bitWidth / 8, field)
        var value: Value = 0
        for _ in 0..<(Value.bitWidth / 8) {
            value = value << 8 | Value(truncatingIfNeeded: span[offset])
            position += 1
        }
        return value
    }

    /// Reads `count` octets into an array of their own.
    public mutating func bytes(_ count: Int, _ field: StaticString) throws(WireError) -> [UInt8] {
        try require(count, field)
        defer { position += count }
        return [UInt8](copying: span.extracting(offset..<(offset + count)))
    }

    /// Reads everything that is left.
    public mutating func rest(_ field: StaticString = "rest") throws(WireError) -> [UInt8] {
        try bytes(remaining, field)
    }

    /// Passes over `count` octets.
    @inlinable
    public mutating func skip(_ count: Int, _ field: StaticString) throws(WireError) {
        try require(count, field)
        position += count
    }

    /// The next `count` octets, still where they are.
    @_lifetime(copy self)
    public mutating func span(_ count: Int, _ field: StaticString) throws(WireError) -> Span<UInt8> {
        try require(count, field)
        defer { position += count }
        return span.extracting(offset..<(offset + count))
    }

    /// A reader of its own for a nested structure of `count` octets; end it with ``finish(_:)``.
    @_lifetime(copy self)
    @inlinable
    public mutating func child(_ count: Int, _ field: StaticString) throws(WireError) -> WireReader {
        try require(count, field)
        defer { position += count }
        return WireReader(span.extracting(offset..<(offset + count)))
    }

    /// Looks at the next octet without reading it.
    public func peek() -> UInt8? {
        remaining > 0 ? span[offset] : nil
    }

    /// Ends the reading: octets that nobody read are an error.
    @inlinable
    public consuming func finish(_ structure: StaticString) throws(WireError) {
        if remaining > 0 { throw Self.trailing(structure, remaining) }
    }

    @inlinable
    func require(_ count: Int, _ field: StaticString) throws(WireError) {
        guard count >= 0, count <= remaining else { throw Self.short(field, count, remaining) }
    }

    // Apart, so that what reads a field is a few instructions wherever it is inlined.

    @usableFromInline
    @inline(never)
    static func short(_ field: StaticString, _ needed: Int, _ had: Int) -> WireError {
        .short(field: String(describing: field), needed: needed, had: had)
    }

    @usableFromInline
    @inline(never)
    static func trailing(_ structure: StaticString, _ count: Int) -> WireError {
        .trailing(structure: String(describing: structure), count: count)
    }
}
