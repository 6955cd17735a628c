public import WireFormat

/// One RADIUS packet (RFC 2865 §3).
///
/// ```
///  0                   1                   2                   3
///  |     Code      |  Identifier   |            Length             |
///  |                         Authenticator (16)                    |
///  |  Attributes ...
/// ```
///
/// It owns the form. What is read is written again octet by octet as it was. It never tells whether a packet may be
/// believed: ``PacketProof`` does.
public struct RADIUSPacket: Hashable, Sendable {
    /// What a packet is (IANA's registry, open-ended).
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// The number on the wire.
        public let rawValue: UInt8
        /// The code with this number.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Access-Request: may somebody come in?
        public static let accessRequest = Self(rawValue: 1)
        /// Access-Accept: yes.
        public static let accessAccept = Self(rawValue: 2)
        /// Access-Reject: no.
        public static let accessReject = Self(rawValue: 3)
        /// Accounting-Request: somebody came, went, or is still there.
        public static let accountingRequest = Self(rawValue: 4)
        /// Accounting-Response: noted.
        public static let accountingResponse = Self(rawValue: 5)
        /// Access-Challenge: not yet: another message is needed.
        public static let accessChallenge = Self(rawValue: 11)
        /// Disconnect-Request: end a session (RFC 5176).
        public static let disconnectRequest = Self(rawValue: 40)
        /// Disconnect-ACK: it ends.
        public static let disconnectACK = Self(rawValue: 41)
        /// Disconnect-NAK: it does not.
        public static let disconnectNAK = Self(rawValue: 42)
        /// CoA-Request: change a session (RFC 5176).
        public static let coaRequest = Self(rawValue: 43)
        /// CoA-ACK: it is changed.
        public static let coaACK = Self(rawValue: 44)
        /// CoA-NAK: it is not.
        public static let coaNAK = Self(rawValue: 45)

        /// The RFC's name, else the number.
        public var description: String {
            switch self {
            case .accessRequest: "Access-Request"
            case .accessAccept: "Access-Accept"
            case .accessReject: "Access-Reject"
            case .accountingRequest: "Accounting-Request"
            case .accountingResponse: "Accounting-Response"
            case .accessChallenge: "Access-Challenge"
            case .disconnectRequest: "Disconnect-Request"
            case .disconnectACK: "Disconnect-ACK"
            case .disconnectNAK: "Disconnect-NAK"
            case .coaRequest: "CoA-Request"
            case .coaACK: "CoA-ACK"
            case .coaNAK: "CoA-NAK"
            default: "RADIUS code \(rawValue)"
            }
        }
    }

    /// Octets of the longest packet.
    public static let longest = 4096
    /// Octets before the attributes.
    public static let headerLength = 20
    /// Octets of an authenticator.
    public static let authenticatorLength = 16

    /// What it is.
    public var code: Code
    /// Which request it belongs to.
    public var identifier: UInt8
    /// The request's random or keyed octets, or the proof of an answer; 16 of them.
    public var authenticator: [UInt8]
    /// Its attributes, in their order.
    public var attributes: [RADIUSAttribute]

    /// A packet; an `authenticator` of another length is filled up with zeros, or cut.
    public init(_ code: Code, _ identifier: UInt8, authenticator: [UInt8] = [], _ attributes: [RADIUSAttribute]) {
        self.code = code
        self.identifier = identifier
        let missing = max(0, Self.authenticatorLength - authenticator.count)
        self.authenticator =
            Array(authenticator.prefix(Self.authenticatorLength)) + [UInt8](repeating: 0, count: missing)
        self.attributes = attributes
    }

    /// Reads a packet. Octets behind its length are padding and are passed over; what is shorter than its length is none
    /// (§3).
    public init(_ octets: [UInt8]) throws(WireError) {
        var reader = WireReader(octets.span)
        code = Code(rawValue: try reader.uint8("RADIUS code"))
        identifier = try reader.uint8("RADIUS identifier")
        let length = Int(try reader.uint16("RADIUS length"))
        guard length >= Self.headerLength, length <= Self.longest else {
            throw .forbidden(field: "RADIUS length", value: UInt64(length))
        }
        authenticator = try reader.bytes(Self.authenticatorLength, "RADIUS authenticator")
        var body = try reader.child(length - Self.headerLength, "RADIUS attributes")
        attributes = []
        while !body.isAtEnd {
            let kind = RADIUSAttribute.Kind(rawValue: try body.uint8("attribute type"))
            let length = Int(try body.uint8("attribute length"))
            guard length >= 2 else { throw .forbidden(field: "attribute length", value: UInt64(length)) }
            attributes.append(RADIUSAttribute(kind, try body.bytes(length - 2, "attribute value")))
        }
    }

    /// The packet as it travels; nil when it is longer than a packet can be.
    public var encoded: [UInt8]? {
        var writer = WireWriter(capacity: 512)
        writer.uint8(code.rawValue)
        writer.uint8(identifier)
        writer.lengthPrefixed16(overhead: 4) { body in
            body.append(authenticator)
            for attribute in attributes {
                body.uint8(attribute.kind.rawValue)
                body.uint8(UInt8(truncatingIfNeeded: attribute.value.count + 2))
                body.append(attribute.value)
            }
        }
        return writer.overflowed || writer.count > Self.longest ? nil : writer.bytes
    }

    /// The first attribute of a kind.
    public func first(_ kind: RADIUSAttribute.Kind) -> RADIUSAttribute? { attributes.first { $0.kind == kind } }

    /// All attributes of a kind, in their order.
    public func all(_ kind: RADIUSAttribute.Kind) -> [RADIUSAttribute] { attributes.filter { $0.kind == kind } }

    /// The EAP packet in its pieces (RFC 3579 §3.1); empty when there is none.
    public var eapMessage: [UInt8] { all(.eapMessage).flatMap(\.value) }

    /// An EAP packet in as many attributes as it needs, which follow each other (RFC 3579 §3.1).
    public static func pieces(ofEAP message: [UInt8]) -> [RADIUSAttribute] {
        stride(from: 0, to: message.count, by: RADIUSAttribute.longestValue).map {
            RADIUSAttribute(
                .eapMessage, message[$0..<min($0 + RADIUSAttribute.longestValue, message.count)])
        }
    }
}
