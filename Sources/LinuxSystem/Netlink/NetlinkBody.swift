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

    /// Nothing yet.
    public init() {}

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
        var contents = NetlinkBody()
        body(&contents)
        overflowed = overflowed || contents.overflowed || contents.bytes.count + 4 > Int(UInt16.max)
        uint16(UInt16(truncatingIfNeeded: contents.bytes.count + 4))
        uint16(type)
        append(contents.bytes)
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
        for index in 0..<(value.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: value.littleEndian >> (8 * index)))
        }
    }
}

/// What a request asks the kernel to do with what is there (NLM_F_…).
public struct NetlinkFlags: OptionSet, Hashable, Sendable {
    /// The kernel's bits.
    public let rawValue: UInt16

    /// The kernel's bits.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// It is a request: set on all.
    public static let request = NetlinkFlags(rawValue: 0x001)
    /// One of several parts of an answer.
    public static let multipart = NetlinkFlags(rawValue: 0x002)
    /// An answer is wanted even when all is well.
    public static let acknowledge = NetlinkFlags(rawValue: 0x004)
    /// The table changed while it was being listed.
    public static let interrupted = NetlinkFlags(rawValue: 0x010)
    /// List everything.
    public static let dump = NetlinkFlags(rawValue: 0x300)
    /// Replace what is there.
    public static let replace = NetlinkFlags(rawValue: 0x100)
    /// Fail when it is there.
    public static let exclusive = NetlinkFlags(rawValue: 0x200)
    /// Make it when it is not there.
    public static let create = NetlinkFlags(rawValue: 0x400)
    /// Put it behind what is there.
    public static let append = NetlinkFlags(rawValue: 0x800)
}

/// A request to the kernel.
public struct NetlinkRequest: Hashable, Sendable {
    /// What is asked: RTM_…, XFRM_MSG_….
    public var type: UInt16
    /// How.
    public var flags: NetlinkFlags
    /// The fixed structure and the attributes.
    public var body: NetlinkBody

    /// A request whose body `build` writes.
    public init(_ type: UInt16, _ flags: NetlinkFlags = [], _ build: (inout NetlinkBody) -> Void) {
        self.type = type
        self.flags = flags
        body = NetlinkBody()
        build(&body)
    }

    /// The message as it goes to the kernel: 16 octets of header (length, type, flags, sequence number, port 0), then the
    /// body.
    public func encoded(sequence: UInt32) -> [UInt8] {
        var message = NetlinkBody()
        message.uint32(UInt32(truncatingIfNeeded: body.bytes.count + 16))
        message.uint16(type)
        message.uint16(flags.union(.request).rawValue)
        message.uint32(sequence)
        message.uint32(0)
        message.append(body.bytes)
        return message.bytes
    }
}
