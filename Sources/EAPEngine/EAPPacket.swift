public import WireFormat

/// One EAP packet (RFC 3748 §4).
///
/// ```
///  0                   1                   2                   3
///  |     Code      |  Identifier   |            Length             |
///  |     Type      |  Type-Data ...
/// ```
///
/// It owns the form and the numbers. It never decides what a method's data mean.
public struct EAPPacket: Hashable, Sendable {
    /// What a packet is.
    public enum Code: UInt8, Hashable, Sendable {
        case request = 1
        case response = 2
        case success = 3
        case failure = 4
    }

    /// The type of a request or response (IANA's registry, open-ended).
    public struct Kind: RawRepresentable, Hashable, Sendable {
        /// The number on the wire.
        public let rawValue: UInt8
        /// The type with this number.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Who are you? (RFC 3748 §5.1)
        public static let identity = Self(rawValue: 1)
        /// Words for a person (§5.2).
        public static let notification = Self(rawValue: 2)
        /// Not that method; rather one of these (§5.3.1).
        public static let nak = Self(rawValue: 3)
    }

    /// What it is.
    public var code: Code
    /// Which request it belongs to.
    public var identifier: UInt8
    /// The type; nil for success and failure.
    public var kind: Kind?
    /// What follows the type.
    public var data: [UInt8]

    /// The longest packet that is taken: larger ones are cut by their methods.
    public static let longest = 16_384

    /// A request or response.
    public init(_ code: Code, _ identifier: UInt8, _ kind: Kind, _ data: [UInt8] = []) {
        self.code = code
        self.identifier = identifier
        self.kind = kind
        self.data = data
    }

    /// The end: success or failure.
    public init(_ code: Code, _ identifier: UInt8) {
        self.code = code
        self.identifier = identifier
        kind = nil
        data = []
    }

    /// Reads a packet. Octets behind its length are padding of the layer below, and are passed over (§4.1).
    public init(parsing reader: inout WireReader) throws(WireError) {
        let code = try reader.uint8("EAP code")
        guard let known = Code(rawValue: code) else { throw .forbidden(field: "EAP code", value: UInt64(code)) }
        self.code = known
        identifier = try reader.uint8("EAP identifier")
        let length = Int(try reader.uint16("EAP length"))
        guard length >= 4, length <= Self.longest else { throw .forbidden(field: "EAP length", value: UInt64(length)) }
        var body = try reader.child(length - 4, "EAP data")
        switch known {
        case .request, .response:
            kind = Kind(rawValue: try body.uint8("EAP type"))
            data = try body.rest("EAP type data")
        case .success, .failure:
            kind = nil
            data = []
            try body.finish("EAP success or failure")
        }
    }

    /// Reads a packet that fills `octets`.
    public init(_ octets: [UInt8]) throws(WireError) {
        var reader = WireReader(octets.span)
        try self.init(parsing: &reader)
    }

    /// The packet as it travels; nil when it is longer than a packet can be.
    public var encoded: [UInt8] {
        var writer = WireWriter(capacity: 5 + data.count)
        writer.uint8(code.rawValue)
        writer.uint8(identifier)
        writer.lengthPrefixed16(overhead: 4) { body in
            guard let kind else { return }
            body.uint8(kind.rawValue)
            body.append(data)
        }
        return writer.bytes
    }
}
