/// What a payload is (RFC 7296 §3.2; IANA's registry, open-ended).
public struct PayloadType: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt8
    /// The type with this number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// No next payload.
    public static let none = Self(rawValue: 0)
    /// Security Association.
    public static let securityAssociation = Self(rawValue: 33)
    /// Key Exchange.
    public static let keyExchange = Self(rawValue: 34)
    /// Identification of the initiator.
    public static let initiatorIdentification = Self(rawValue: 35)
    /// Identification of the responder.
    public static let responderIdentification = Self(rawValue: 36)
    /// Certificate.
    public static let certificate = Self(rawValue: 37)
    /// Certificate Request.
    public static let certificateRequest = Self(rawValue: 38)
    /// Authentication.
    public static let authentication = Self(rawValue: 39)
    /// Nonce.
    public static let nonce = Self(rawValue: 40)
    /// Notify.
    public static let notify = Self(rawValue: 41)
    /// Delete.
    public static let delete = Self(rawValue: 42)
    /// Vendor ID.
    public static let vendorID = Self(rawValue: 43)
    /// Traffic Selectors of the initiator.
    public static let initiatorSelectors = Self(rawValue: 44)
    /// Traffic Selectors of the responder.
    public static let responderSelectors = Self(rawValue: 45)
    /// Encrypted and Authenticated.
    public static let encrypted = Self(rawValue: 46)
    /// Configuration.
    public static let configuration = Self(rawValue: 47)
    /// Extensible Authentication.
    public static let eap = Self(rawValue: 48)
    /// Generic Secure Password Method (RFC 6467).
    public static let securePassword = Self(rawValue: 49)
    /// Encrypted and Authenticated Fragment (RFC 7383).
    public static let encryptedFragment = Self(rawValue: 53)
    /// Puzzle Solution (RFC 8019).
    public static let puzzleSolution = Self(rawValue: 54)
}

extension PayloadType: CustomStringConvertible {
    /// The notation of RFC 7296 §1.2 as logs write it: `SA`, `KE`, `IDi`, `No`; else the number.
    public var description: String {
        switch self {
        case .none: "none"
        case .securityAssociation: "SA"
        case .keyExchange: "KE"
        case .initiatorIdentification: "IDi"
        case .responderIdentification: "IDr"
        case .certificate: "CERT"
        case .certificateRequest: "CERTREQ"
        case .authentication: "AUTH"
        case .nonce: "No"
        case .notify: "N"
        case .delete: "D"
        case .vendorID: "V"
        case .initiatorSelectors: "TSi"
        case .responderSelectors: "TSr"
        case .encrypted: "SK"
        case .configuration: "CP"
        case .eap: "EAP"
        case .securePassword: "GSPM"
        case .encryptedFragment: "SKF"
        case .puzzleSolution: "PS"
        default: "payload \(rawValue)"
        }
    }
}
