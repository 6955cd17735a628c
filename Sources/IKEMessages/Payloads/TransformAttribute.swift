import WireFormat

/// A property of a transform beyond its number (RFC 7296 §3.3.5, figure 9).
public struct TransformAttribute: Hashable, Sendable {
    /// The number of Key Length, the only attribute that RFC 7296 defines.
    public static let keyLength: UInt16 = 14

    /// The value in one of its two formats.
    public enum Value: Hashable, Sendable {
        /// Two octets in the place of the length (AF = 1).
        case short(UInt16)
        /// Octets after a length (AF = 0).
        case long([UInt8])
    }

    /// What the attribute is: 15 bits.
    public var type: UInt16
    /// Its value.
    public var value: Value

    /// An attribute.
    public init(type: UInt16, value: Value) {
        self.type = type & 0x7fff
        self.value = value
    }

    init(parsing reader: inout WireReader) throws(WireError) {
        let head = try reader.uint16("attribute type")
        type = head & 0x7fff
        let field = try reader.uint16("attribute value")
        value = head & 0x8000 != 0 ? .short(field) : .long(try reader.bytes(Int(field), "attribute value"))
    }

    /// Appends a key length.
    static func writeKeyLength(_ bits: UInt16, into writer: inout WireWriter) {
        writer.uint16(keyLength | 0x8000)
        writer.uint16(bits)
    }

    func write(into writer: inout WireWriter) {
        switch value {
        case .short(let number):
            writer.uint16(type | 0x8000)
            writer.uint16(number)
        case .long(let octets):
            writer.uint16(type)
            writer.lengthPrefixed16 { $0.append(octets) }
        }
    }
}
