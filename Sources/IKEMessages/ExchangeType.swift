/// What a request and its response are about (RFC 7296 §3.1; IANA's registry, open-ended).
public struct ExchangeType: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt8
    /// The exchange with this number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The first exchange: algorithms, key exchange, nonces.
    public static let ikeSAInit = Self(rawValue: 34)
    /// The exchange that authenticates both peers and makes the first Child SA.
    public static let ikeAuth = Self(rawValue: 35)
    /// A new Child SA, or the rekeying of one or of the IKE SA.
    public static let createChildSA = Self(rawValue: 36)
    /// Notifications, deletions, liveness.
    public static let informational = Self(rawValue: 37)
    /// Resumption from a ticket (RFC 5723).
    public static let ikeSessionResume = Self(rawValue: 38)
    /// Between IKE_SA_INIT and IKE_AUTH (RFC 9242).
    public static let ikeIntermediate = Self(rawValue: 43)
    /// Further key exchanges after CREATE_CHILD_SA (RFC 9370).
    public static let ikeFollowupKE = Self(rawValue: 44)

    /// Whether its messages travel in clear; all others must be sealed.
    public var isCleartext: Bool { self == .ikeSAInit || self == .ikeSessionResume }
}

extension ExchangeType: CustomStringConvertible {
    /// The registry's name, else the number.
    public var description: String {
        switch self {
        case .ikeSAInit: "IKE_SA_INIT"
        case .ikeAuth: "IKE_AUTH"
        case .createChildSA: "CREATE_CHILD_SA"
        case .informational: "INFORMATIONAL"
        case .ikeSessionResume: "IKE_SESSION_RESUME"
        case .ikeIntermediate: "IKE_INTERMEDIATE"
        case .ikeFollowupKE: "IKE_FOLLOWUP_KE"
        default: "exchange \(rawValue)"
        }
    }
}
