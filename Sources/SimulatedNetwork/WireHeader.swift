import WireFormat

/// What anybody on the wire can read of an IKE message (RFC 7296 §3.1).
///
/// The observers read headers with their own eyes, so that a mistake in the codec under test does not blind them.
public struct WireHeader: Hashable, Sendable, CustomStringConvertible {
    /// The two ends' SPIs.
    public struct SPIs: Hashable, Sendable {
        /// The initiator's SPI.
        public var initiator: UInt64
        /// The responder's SPI; zero in a first message.
        public var responder: UInt64

        /// The SPIs as the initiator's first message has them.
        var withoutResponder: SPIs { SPIs(initiator: initiator, responder: 0) }
    }

    /// The SPIs.
    public var spis: SPIs
    /// The exchange type.
    public var exchange: UInt8
    /// Whether it answers.
    public var isResponse: Bool
    /// Whether the original initiator sent it.
    public var isFromInitiator: Bool
    /// The message ID.
    public var messageID: UInt32
    /// Whether its payloads are encrypted, as those of every exchange but the first have to be.
    public var isProtected: Bool
    /// The fragment's number (RFC 7383), 0 for a whole message.
    public var fragment: UInt16

    static let saInit: UInt8 = 34
    static let auth: UInt8 = 35
    static let createChild: UInt8 = 36
    static let informational: UInt8 = 37
    static let intermediate: UInt8 = 43
    static let followupKE: UInt8 = 44
    private static let encryptedPayload: UInt8 = 46
    private static let fragmentPayload: UInt8 = 53

    /// The header of a datagram without marker; nil when it is too short for one or is not version 2.
    public init?(_ bytes: [UInt8]) {
        var reader = WireReader(bytes.span)
        do {
            spis = SPIs(
                initiator: try reader.uint64("initiator SPI"), responder: try reader.uint64("responder SPI"))
            let payload = try reader.uint8("next payload")
            guard try reader.uint8("version") == 0x20 else { return nil }
            exchange = try reader.uint8("exchange type")
            let flags = try reader.uint8("flags")
            isResponse = flags & 0x20 != 0
            isFromInitiator = flags & 0x08 != 0
            messageID = try reader.uint32("message ID")
            try reader.skip(4, "length")
            isProtected = payload == Self.encryptedPayload || payload == Self.fragmentPayload
            fragment = 0
            if payload == Self.fragmentPayload {
                try reader.skip(4, "payload header")
                fragment = try reader.uint16("fragment number")
            }
        } catch {
            return nil
        }
    }

    static func name(of exchange: UInt8) -> String {
        switch exchange {
        case saInit: "IKE_SA_INIT"
        case auth: "IKE_AUTH"
        case createChild: "CREATE_CHILD_SA"
        case informational: "INFORMATIONAL"
        case intermediate: "IKE_INTERMEDIATE"
        case followupKE: "IKE_FOLLOWUP_KE"
        default: "exchange \(exchange)"
        }
    }

    /// `IKE_AUTH request 1`, and the fragment's number when it is one.
    public var description: String {
        let part = fragment == 0 ? "" : " part \(fragment)"
        return "\(Self.name(of: exchange)) \(isResponse ? "response" : "request") \(messageID)\(part)"
    }
}
