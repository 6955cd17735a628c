public import WireFormat

/// The body of one kind of payload, without its generic header.
public protocol PayloadBody: Hashable, Sendable {
    /// Reads the body. `reader` holds the body and nothing else; the caller refuses what is left unread.
    init(parsing reader: inout WireReader) throws(WireError)

    /// Appends the body.
    func write(into writer: inout WireWriter)
}

extension PayloadBody {
    /// Reads a body from octets of its own, all of them.
    public init(parsing bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes.span)
        self = try Self(parsing: &reader)
        try reader.finish("payload body")
    }

    /// The body's octets.
    public var body: [UInt8] {
        var writer = WireWriter()
        write(into: &writer)
        return writer.bytes
    }
}

/// What stands before every payload's body (RFC 7296 §3.2, figure 5).
struct GenericPayloadHeader: Hashable, Sendable {
    /// Octets of the header: 4.
    static let byteCount = 4

    /// The type of the payload after this one.
    var next: PayloadType
    /// Whether a receiver that doesn't know this payload must refuse the message.
    var isCritical: Bool
    /// Octets of the body.
    var bodyLength: Int

    /// Reads the header; the reserved bits are ignored.
    init(parsing reader: inout WireReader) throws(WireError) {
        next = PayloadType(rawValue: try reader.uint8("next payload"))
        isCritical = try reader.uint8("critical bit") & 0x80 != 0
        let length = Int(try reader.uint16("payload length"))
        // Smaller than the header is negative here, which the read of the body then refuses.
        bodyLength = length - Self.byteCount
    }
}
