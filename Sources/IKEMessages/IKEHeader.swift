import WireFormat

/// A version of IKE: two numbers of four bits each.
public struct IKEVersion: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The octet on the wire: major version in the high half.
    public let rawValue: UInt8
    /// The version with this octet.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// IKEv1, which has a grammar of its own.
    public static let v1 = Self(rawValue: 0x10)
    /// IKEv2.
    public static let v2 = Self(rawValue: 0x20)

    /// The major version; messages of another major version than 2 are not parsed.
    public var major: UInt8 { rawValue >> 4 }
    /// The minor version, which a receiver ignores.
    public var minor: UInt8 { rawValue & 15 }

    /// `2.0`.
    public var description: String { "\(major).\(minor)" }
}

/// The fixed header of every IKE message (RFC 7296 §3.1, figure 4).
///
/// It owns what identifies a message. The fields that describe its framing (next payload, length) belong to the codec,
/// which checks them on the way in and computes them on the way out. It never checks the version: a receiver must be
/// able to read the header of a version that it doesn't speak.
public struct IKEHeader: Hashable, Sendable {
    /// The flags octet; unassigned bits are dropped.
    public struct Flags: OptionSet, Hashable, Sendable {
        /// The octet on the wire.
        public let rawValue: UInt8
        /// The flags in this octet.
        public init(rawValue: UInt8) { self.rawValue = rawValue & 0x38 }

        /// The sender is the original initiator of this IKE SA.
        public static let initiator = Self(rawValue: 0x08)
        /// The sender can speak a higher major version.
        public static let version = Self(rawValue: 0x10)
        /// The message answers the request with the same message ID.
        public static let response = Self(rawValue: 0x20)
    }

    /// Octets of the header: 28.
    public static let byteCount = 28

    /// The SPI that the IKE SA's original initiator chose.
    public var initiatorSPI: UInt64
    /// The SPI that the responder chose; zero while there is none.
    public var responderSPI: UInt64
    /// The version of the message.
    public var version: IKEVersion
    /// The exchange.
    public var exchange: ExchangeType
    /// The flags.
    public var flags: Flags
    /// The message ID, which pairs responses with requests.
    public var messageID: UInt32

    /// A header by its fields.
    public init(
        initiatorSPI: UInt64, responderSPI: UInt64, version: IKEVersion = .v2, exchange: ExchangeType, flags: Flags,
        messageID: UInt32
    ) {
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        self.version = version
        self.exchange = exchange
        self.flags = flags
        self.messageID = messageID
    }

    /// Whether the message answers a request.
    public var isResponse: Bool { flags.contains(.response) }
    /// Whether the sender is the original initiator of the IKE SA.
    public var isFromInitiator: Bool { flags.contains(.initiator) }

    /// Reads only the header of a datagram, whatever its version: enough to find the IKE SA or to answer
    /// INVALID_MAJOR_VERSION. Fails when the header is short or its length is not the datagram's.
    public init(peeking datagram: Span<UInt8>) throws(GrammarError) {
        var reader = WireReader(datagram)
        let prefix = try Prefix(parsing: &reader)
        try prefix.requireLength(datagram.count)
        self = prefix.header
    }

    /// The same for an array.
    public init(peeking datagram: [UInt8]) throws(GrammarError) { try self.init(peeking: datagram.span) }

    /// What the 28 octets say: the header and the framing around it.
    struct Prefix {
        /// The header.
        let header: IKEHeader
        /// The type of the first payload.
        let first: PayloadType
        /// The length that the header states.
        let length: UInt32

        init(parsing reader: inout WireReader) throws(GrammarError) {
            do throws(WireError) {
                let initiatorSPI = try reader.uint64("initiator SPI")
                let responderSPI = try reader.uint64("responder SPI")
                first = PayloadType(rawValue: try reader.uint8("next payload"))
                let version = IKEVersion(rawValue: try reader.uint8("version"))
                let exchange = ExchangeType(rawValue: try reader.uint8("exchange type"))
                let flags = Flags(rawValue: try reader.uint8("flags"))
                let messageID = try reader.uint32("message ID")
                length = try reader.uint32("length")
                header = IKEHeader(
                    initiatorSPI: initiatorSPI, responderSPI: responderSPI, version: version, exchange: exchange,
                    flags: flags, messageID: messageID)
            } catch {
                throw .header(error)
            }
        }

        /// Refuses a length that is not the datagram's.
        func requireLength(_ count: Int) throws(GrammarError) {
            guard Int(length) == count else { throw .lengthMismatch(stated: length, datagram: count) }
        }
    }

    /// Appends the header with a length of zero, which the caller patches at ``lengthOffset``.
    func write(first: PayloadType, into writer: inout WireWriter) {
        writer.uint64(initiatorSPI)
        writer.uint64(responderSPI)
        writer.uint8(first.rawValue)
        writer.uint8(version.rawValue)
        writer.uint8(exchange.rawValue)
        writer.uint8(flags.rawValue)
        writer.uint32(messageID)
        writer.uint32(0)
    }

    /// Where the type of the first payload is.
    static let nextPayloadOffset = 16
    /// Where the length of the message is.
    static let lengthOffset = 24
}
