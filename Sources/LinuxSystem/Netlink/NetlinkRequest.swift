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
        var header = NetlinkHeader(type: type, flags: flags.union(.request))
        header.length = UInt32(truncatingIfNeeded: body.bytes.count + 16)
        header.sequence = sequence
        var message = NetlinkBody()
        message.structure(header)
        message.append(body.bytes)
        message.zeros(-body.bytes.count & 3)
        return message.bytes
    }
}
