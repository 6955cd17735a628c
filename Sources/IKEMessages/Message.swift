import WireFormat

/// A message in clear: a header and payloads.
///
/// It is what travels in IKE_SA_INIT, and what is to be sealed in every other exchange. It never proves anything about
/// its sender: ``OpenedMessage`` does.
public struct Message: Hashable, Sendable {
    /// The longest message that is read or written: what UDP and the TCP framing of RFC 9329 can carry.
    public static let maximumLength = 65535
    /// Octets that most messages fit into; longer ones grow.
    static let usualLength = 512
    /// The most payloads that are read or written in one message.
    public static let maximumPayloads = 255

    /// The header.
    public var header: IKEHeader
    /// The payloads in their order.
    public var payloads: [Payload]

    /// A message by its parts.
    public init(_ header: IKEHeader, _ payloads: [Payload]) {
        self.header = header
        self.payloads = payloads
    }

    /// Reads a datagram (without a non-ESP marker) that holds a message in clear.
    public init(parsing datagram: Span<UInt8>) throws(GrammarError) {
        guard case .clear(let message) = try ReceivedMessage(parsing: datagram) else {
            throw .unexpectedProtection(try IKEHeader(peeking: datagram).exchange)
        }
        self = message
    }

    /// The same for an array.
    public init(parsing datagram: [UInt8]) throws(GrammarError) { try self.init(parsing: datagram.span) }

    /// The same with the header that was peeked at; see ``IKEHeader/init(peeking:)``.
    public init(_ header: IKEHeader, parsing datagram: [UInt8]) throws(GrammarError) {
        guard case .clear(let message) = try ReceivedMessage(header, parsing: datagram) else {
            throw .unexpectedProtection(header.exchange)
        }
        self = message
    }

    /// The message as it travels in clear.
    public func encoded() throws(WritingError) -> [UInt8] {
        guard payloads.count <= Self.maximumPayloads else { throw .tooManyPayloads(payloads.count) }
        var writer = WireWriter(capacity: Self.usualLength)
        header.write(first: payloads.first?.type ?? .none, into: &writer)
        PayloadChain.write(payloads, into: &writer)
        return try Self.finish(writer)
    }

    /// Patches the length of the message, and checks that all lengths fit.
    static func finish(_ writer: consuming WireWriter) throws(WritingError) -> [UInt8] {
        writer.patch32(at: IKEHeader.lengthOffset, writer.count)
        if writer.overflowed { throw .payloadTooLong }
        guard writer.count <= Self.maximumLength else { throw .messageTooLong(writer.count) }
        return writer.bytes
    }
}

/// A datagram whose outer grammar is right: a message in clear, or one that waits to be opened.
public enum ReceivedMessage: Hashable, Sendable {
    /// A message in clear.
    case clear(Message)
    /// A message with an SK or SKF payload.
    case sealed(SealedMessage)

    /// The header.
    public var header: IKEHeader {
        switch self {
        case .clear(let message): message.header
        case .sealed(let message): message.header
        }
    }

    /// Reads a datagram (without a non-ESP marker).
    public init(parsing datagram: Span<UInt8>) throws(GrammarError) {
        try self.init(datagram, bytes: [UInt8](copying: datagram))
    }

    /// The same with the header that was peeked at; see ``IKEHeader/init(peeking:)``.
    public init(_ header: IKEHeader, parsing datagram: [UInt8]) throws(GrammarError) {
        guard datagram.count <= Message.maximumLength else { throw .messageTooLong(datagram.count) }
        guard header.version.major == IKEVersion.v2.major else { throw .unsupportedVersion(header.version) }
        var reader = WireReader(datagram.span)
        let first: PayloadType
        do throws(WireError) {
            try reader.skip(IKEHeader.nextPayloadOffset, "SPIs")
            first = PayloadType(rawValue: try reader.uint8("next payload"))
            try reader.skip(IKEHeader.byteCount - reader.offset, "header")
        } catch {
            throw .header(error)
        }
        try self.init(header, first, &reader, bytes: datagram)
    }

    private init(_ datagram: Span<UInt8>, bytes: @autoclosure () -> [UInt8]) throws(GrammarError) {
        guard datagram.count <= Message.maximumLength else { throw .messageTooLong(datagram.count) }
        var reader = WireReader(datagram)
        let prefix = try IKEHeader.Prefix(parsing: &reader)
        let header = prefix.header
        // The version first: what another version means by its length is not ours to judge.
        guard header.version.major == IKEVersion.v2.major else { throw .unsupportedVersion(header.version) }
        try prefix.requireLength(datagram.count)
        try self.init(header, prefix.first, &reader, bytes: bytes())
    }

    /// Reads what comes after the header.
    private init(
        _ header: IKEHeader, _ first: PayloadType, _ reader: inout WireReader, bytes: @autoclosure () -> [UInt8]
    ) throws(GrammarError) {
        let walk = try PayloadChain.walk(from: first, &reader)
        if walk.stop == .none {
            self = .clear(Message(header, walk.payloads))
            return
        }
        for case .unknown(let type, _) in walk.payloads { throw .unknownBeforeProtection(type) }
        let headOffset = reader.offset
        let payload = try EncryptedPayload(walk.stop, parsing: &reader)
        self = .sealed(
            SealedMessage(
                header: header, unprotected: walk.payloads, payload: payload, bytes: bytes(), headOffset: headOffset))
    }

    /// The same for an array, which a sealed message keeps.
    public init(parsing datagram: [UInt8]) throws(GrammarError) { try self.init(datagram.span, bytes: datagram) }
}
