public import NetworkTypes

/// Builds what follows a netlink message's header: a fixed structure, then attributes.
///
/// Netlink counts in the host's byte order and pads to four octets; both happen here and nowhere else. Addresses alone
/// are in network order.
public struct NetlinkBody: Hashable, Sendable {
    /// What has been written.
    public private(set) var bytes: [UInt8] = []
    /// Whether an attribute grew past the 65,535 octets that its length can say; the message must then not be sent.
    public private(set) var overflowed = false

    /// What the message about a route or an element of a set takes.
    private static let usualSize = 128

    /// Nothing yet.
    public init() { bytes.reserveCapacity(Self.usualSize) }

    /// Appends one octet.
    public mutating func uint8(_ value: UInt8) { bytes.append(value) }
    /// Appends two octets in host order.
    public mutating func uint16(_ value: UInt16) { appendInteger(value) }
    /// Appends four octets in host order.
    public mutating func uint32(_ value: UInt32) { appendInteger(value) }
    /// Appends eight octets in host order.
    public mutating func uint64(_ value: UInt64) { appendInteger(value) }
    /// Appends octets as they are.
    public mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }
    /// Appends `count` octets of zero.
    public mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

    /// Appends an attribute whose contents `body` writes.
    public mutating func attribute(_ type: UInt16, _ body: (inout NetlinkBody) -> Void) {
        let start = bytes.count
        uint16(0)
        uint16(type)
        body(&self)
        let length = bytes.count - start
        overflowed = overflowed || length > Int(UInt16.max)
        let said = UInt16(truncatingIfNeeded: length).littleEndian
        for index in 0..<2 { bytes[start + index] = UInt8(truncatingIfNeeded: said >> (8 * index)) }
        zeros(-bytes.count & 3)
    }

    /// Appends an attribute that holds other attributes (NLA_F_NESTED).
    public mutating func nested(_ type: UInt16, _ body: (inout NetlinkBody) -> Void) {
        attribute(type | 0x8000, body)
    }

    /// Appends an attribute without contents.
    public mutating func attribute(_ type: UInt16) { attribute(type) { _ in } }
    /// Appends a number.
    public mutating func attribute(_ type: UInt16, _ value: UInt8) { attribute(type) { $0.uint8(value) } }
    /// Appends a number.
    public mutating func attribute(_ type: UInt16, _ value: UInt16) { attribute(type) { $0.uint16(value) } }
    /// Appends a number.
    public mutating func attribute(_ type: UInt16, _ value: UInt32) { attribute(type) { $0.uint32(value) } }
    /// Appends a number.
    public mutating func attribute(_ type: UInt16, _ value: UInt64) { attribute(type) { $0.uint64(value) } }
    /// Appends octets.
    public mutating func attribute(_ type: UInt16, _ value: [UInt8]) { attribute(type) { $0.append(value) } }
    /// Appends text and the zero that ends it.
    public mutating func attribute(_ type: UInt16, text: String) {
        attribute(type) {
            $0.append(text.utf8)
            $0.uint8(0)
        }
    }
    /// Appends an address in network order.
    public mutating func attribute(_ type: UInt16, _ address: IPAddress) { attribute(type, address.bytes) }

    private mutating func appendInteger(_ value: some FixedWidthInteger) {
        // The octets of this frame's own number, as they lie there: that is the host's order.
        unsafe withUnsafeBytes(of: value) { octets in unsafe bytes.append(contentsOf: octets) }
    }
}
