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
    public mutating func uint16(_ value: UInt16) { structure(value) }
    /// Appends four octets in host order.
    public mutating func uint32(_ value: UInt32) { structure(value) }
    /// Appends eight octets in host order.
    public mutating func uint64(_ value: UInt64) { structure(value) }
    /// Appends octets as they are.
    public mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }
    /// Appends `count` octets of zero.
    public mutating func zeros(_ count: Int) { for _ in 0..<count { bytes.append(0) } }
    /// Appends an address: 4 or 16 octets in network order.
    public mutating func append(_ address: IPAddress) {
        if address.family == .v4 {
            structure(UInt32(truncatingIfNeeded: address.bits).bigEndian)
        } else {
            structure(address.bits.bigEndian)
        }
    }

    /// Appends a structure as it lies in memory, which is how the kernel wants it: numbers only, and none of them at a place
    /// that would need padding before it.
    @inline(__always)
    mutating func structure(_ value: some BitwiseCopyable) {
        // The octets of this frame's own value.
        unsafe withUnsafeBytes(of: value) { octets in unsafe bytes.append(contentsOf: octets) }
    }

    /// A number in host order that was written before.
    func number(at offset: Int) -> UInt16 {
        // Checked against the array's own memory; any octets are a number.
        unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: UInt16.self) }
    }

    /// struct nlattr.
    private struct AttributeHeader {
        var length: UInt16
        var type: UInt16
    }

    /// struct nlattr with a number behind it.
    private struct Number {
        var header: AttributeHeader
        var value: UInt32
    }

    /// Appends an attribute whose contents `body` writes.
    public mutating func attribute(_ type: UInt16, _ body: (inout NetlinkBody) -> Void) {
        let start = bytes.count
        structure(AttributeHeader(length: 0, type: type))
        body(&self)
        let length = bytes.count - start
        overflowed = overflowed || length > Int(UInt16.max)
        set(UInt16(truncatingIfNeeded: length), at: start)
        zeros(-bytes.count & 3)
    }

    /// Writes a number in host order over octets that are there.
    mutating func set(_ value: some FixedWidthInteger & BitwiseCopyable, at offset: Int) {
        // Checked against the array's own memory.
        unsafe bytes.withUnsafeMutableBytes { octets in
            unsafe octets.storeBytes(of: value, toByteOffset: offset, as: type(of: value))
        }
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
    public mutating func attribute(_ type: UInt16, _ value: UInt32) {
        structure(Number(header: AttributeHeader(length: 8, type: type), value: value))
    }
    /// Appends a number.
    public mutating func attribute(_ type: UInt16, _ value: UInt64) { attribute(type) { $0.uint64(value) } }
    /// Appends octets.
    public mutating func attribute(_ type: UInt16, _ value: [UInt8]) { attribute(type) { $0.append(value) } }
    /// Appends text and the zero that ends it.
    public mutating func attribute(_ type: UInt16, text: String) {
        var text = text
        text.withUTF8 { octets in
            attribute(type) {
                unsafe $0.bytes.append(contentsOf: octets)
                $0.uint8(0)
            }
        }
    }
    /// Appends an address in network order.
    public mutating func attribute(_ type: UInt16, _ address: IPAddress) {
        if address.family == .v4 {
            attribute(type, UInt32(truncatingIfNeeded: address.bits).bigEndian)
        } else {
            attribute(type) { $0.append(address) }
        }
    }
}
