import WireFormat

/// What one segment of a VICI connection carries.
///
/// It owns the packet's form. Which command or event a name means is the two ends' business.
public enum ViciPacket: Hashable, Sendable {
    /// The client asks for something.
    case request(String, ViciTree)
    /// The server answers.
    case response(ViciTree)
    /// The server does not know the command.
    case unknownCommand
    /// The client wants to be told of events of this name.
    case register(String)
    /// The client no longer wants to be told.
    case unregister(String)
    /// The server did what (un)registration asked for.
    case confirmed
    /// The server has no events of this name.
    case unknownEvent
    /// Something happened.
    case event(String, ViciTree)

    /// The most octets in a segment.
    public static let maximumLength = 512 * 1024

    /// Commands whose value `data` is a key or a password.
    private static let secretive: Set<String> = ["load-key", "load-shared"]

    private enum Tag {
        static let request: UInt8 = 0
        static let response: UInt8 = 1
        static let unknownCommand: UInt8 = 2
        static let register: UInt8 = 3
        static let unregister: UInt8 = 4
        static let confirmed: UInt8 = 5
        static let unknownEvent: UInt8 = 6
        static let event: UInt8 = 7
    }

    /// Reads a segment's octets (without the length before it), all of them.
    public init(parsing segment: Span<UInt8>) throws(ViciError) {
        guard segment.count <= Self.maximumLength else { throw .messageTooLong(segment.count) }
        var reader = WireReader(segment)
        let tag = try reader.viciOctet("packet type")
        switch tag {
        case Tag.request:
            let name = try reader.viciName()
            let arguments = try ViciTree(
                parsing: segment.extracting(reader.offset...), isSecret: Self.secretive.contains(name))
            self = .request(name, arguments)
        case Tag.event:
            let name = try reader.viciName()
            self = .event(name, try ViciTree(parsing: segment.extracting(reader.offset...)))
        case Tag.response: self = .response(try ViciTree(parsing: segment.extracting(reader.offset...)))
        case Tag.register: self = .register(try reader.viciName())
        case Tag.unregister: self = .unregister(try reader.viciName())
        case Tag.unknownCommand: self = .unknownCommand
        case Tag.confirmed: self = .confirmed
        case Tag.unknownEvent: self = .unknownEvent
        default: throw .packetType(tag)
        }
        switch self {
        case .register, .unregister, .unknownCommand, .confirmed, .unknownEvent:
            if !reader.isAtEnd { throw .trailing(count: reader.remaining) }
        case .request, .response, .event: break
        }
    }

    /// The segment with the length before it, ready to be sent.
    public func framed() throws(ViciError) -> [UInt8] {
        var writer = WireWriter()
        writer.uint32(0)
        switch self {
        case .request(let name, let tree): try Self.write(Tag.request, name, tree, into: &writer)
        case .event(let name, let tree): try Self.write(Tag.event, name, tree, into: &writer)
        case .register(let name): try Self.write(Tag.register, name, nil, into: &writer)
        case .unregister(let name): try Self.write(Tag.unregister, name, nil, into: &writer)
        case .response(let tree):
            writer.uint8(Tag.response)
            try tree.write(into: &writer)
        case .unknownCommand: writer.uint8(Tag.unknownCommand)
        case .confirmed: writer.uint8(Tag.confirmed)
        case .unknownEvent: writer.uint8(Tag.unknownEvent)
        }
        let length = writer.count - 4
        guard length <= Self.maximumLength else { throw .messageTooLong(length) }
        writer.patch32(at: 0, length)
        return writer.bytes
    }

    private static func write(
        _ tag: UInt8, _ name: String, _ tree: ViciTree?, into writer: inout WireWriter
    ) throws(ViciError) {
        writer.uint8(tag)
        try writer.viciName(name)
        try tree?.write(into: &writer)
    }
}

extension ViciPacket: CustomStringConvertible {
    /// One line: the kind, the name, the message.
    public var description: String {
        switch self {
        case .request(let name, let tree): "request \(name) \(tree)"
        case .response(let tree): "response \(tree)"
        case .event(let name, let tree): "event \(name) \(tree)"
        case .register(let name): "register \(name)"
        case .unregister(let name): "unregister \(name)"
        case .unknownCommand: "unknown command"
        case .unknownEvent: "unknown event"
        case .confirmed: "confirmed"
        }
    }
}
