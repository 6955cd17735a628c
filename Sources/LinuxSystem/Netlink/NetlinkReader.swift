public import NetworkTypes
public import WireFormat

/// Reads fields in the host's byte order from octets that came from the kernel. It never traps on what it reads.
public struct NetlinkReader: Sendable {
    private let bytes: ArraySlice<UInt8>
    private var offset: Int

    /// Reads from the start of `bytes`.
    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        offset = bytes.startIndex
    }

    /// Octets not read yet.
    public var remaining: Int { bytes.endIndex - offset }

    /// Reads one octet.
    public mutating func uint8(_ field: StaticString) throws(WireError) -> UInt8 { try integer(field) }
    /// Reads two octets.
    public mutating func uint16(_ field: StaticString) throws(WireError) -> UInt16 { try integer(field) }
    /// Reads four octets.
    public mutating func uint32(_ field: StaticString) throws(WireError) -> UInt32 { try integer(field) }
    /// Reads eight octets.
    public mutating func uint64(_ field: StaticString) throws(WireError) -> UInt64 { try integer(field) }

    /// Reads `count` octets, without copying them.
    public mutating func bytes(_ count: Int, _ field: StaticString) throws(WireError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining else {
            throw .short(field: String(describing: field), needed: count, had: remaining)
        }
        defer { offset += count }
        return bytes[offset..<(offset + count)]
    }

    /// Passes over `count` octets.
    public mutating func skip(_ count: Int, _ field: StaticString) throws(WireError) { _ = try bytes(count, field) }

    /// Passes over the padding behind a message or an attribute; the last one may lack it.
    public mutating func align() {
        offset = min(offset + (-(offset - bytes.startIndex) & 3), bytes.endIndex)
    }

    /// Reads attributes to the end. Of two with one type, the later counts, as in the kernel.
    public mutating func attributes() throws(WireError) -> NetlinkAttributes {
        var found: [UInt16: ArraySlice<UInt8>] = [:]
        while remaining > 0 {
            let length = Int(try uint16("attribute length"))
            let type = try uint16("attribute type")
            // The two highest bits say that it is nested, or in network order.
            found[type & 0x3fff] = try bytes(length - 4, "attribute")
            align()
        }
        return NetlinkAttributes(found: found)
    }

    private mutating func integer<Value: FixedWidthInteger & UnsignedInteger>(
        _ field: StaticString
    ) throws(WireError) -> Value {
        let octets = try bytes(Value.bitWidth / 8, field)
        var value: Value = 0
        for (index, octet) in octets.enumerated() { value |= Value(truncatingIfNeeded: octet) << Value(8 * index) }
        return Value(littleEndian: value)
    }
}

/// The attributes of a message, by type. Looking one up gives nil when it is not there or not of that kind.
public struct NetlinkAttributes: Hashable, Sendable {
    private let found: [UInt16: ArraySlice<UInt8>]

    init(found: [UInt16: ArraySlice<UInt8>]) { self.found = found }

    /// The octets.
    public func bytes(_ type: UInt16) -> ArraySlice<UInt8>? { found[type] }

    /// A number of one octet.
    public func uint8(_ type: UInt16) -> UInt8? { found[type]?.first }

    /// A number of four octets in host order.
    public func uint32(_ type: UInt16) -> UInt32? {
        guard let octets = found[type] else { return nil }
        var reader = NetlinkReader(octets)
        return try? reader.uint32("number")
    }

    /// Text, up to the zero that ends it.
    public func text(_ type: UInt16) -> String? {
        found[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// An address of either family.
    public func address(_ type: UInt16) -> IPAddress? { found[type].flatMap { IPAddress(bytes: $0) } }

    /// The attributes inside an attribute.
    public func nested(_ type: UInt16) -> NetlinkAttributes? {
        guard let octets = found[type] else { return nil }
        var reader = NetlinkReader(octets)
        return try? reader.attributes()
    }
}
