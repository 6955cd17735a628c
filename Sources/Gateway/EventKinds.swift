import GatewayModel

/// Which events somebody wants to hear of: an event costs nothing for whoever does not.
public struct EventKinds: OptionSet, Hashable, Sendable {
    /// One bit for each group of kinds.
    public let rawValue: UInt8
    /// The groups with these bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// IKE SAs that are up.
    public static let ikeEstablished = Self(rawValue: 1)
    /// IKE SAs that are gone.
    public static let ikeClosed = Self(rawValue: 2)
    /// Child SAs that are up.
    public static let childInstalled = Self(rawValue: 4)
    /// Child SAs that are gone.
    public static let childClosed = Self(rawValue: 8)
    /// What peers give this host, and take back.
    public static let hostSettings = Self(rawValue: 16)
    /// Messages that come and go.
    public static let messages = Self(rawValue: 32)
    /// The steps by which an IKE SA comes up and goes down.
    public static let progress = Self(rawValue: 64)
    /// All others.
    public static let others = Self(rawValue: 128)
    /// Everything.
    public static let all = Self(rawValue: 255)
}

extension Event.Kind {
    /// The group that it belongs to.
    var group: EventKinds {
        switch self {
        case .ikeEstablished: .ikeEstablished
        case .ikeClosed: .ikeClosed
        case .childInstalled: .childInstalled
        case .childClosed: .childClosed
        case .hostConfigured, .hostUnconfigured: .hostSettings
        case .sent, .received, .exchanged: .messages
        case .ikeStateChanged, .ikeProposalChosen, .natDetected: .progress
        default: .others
        }
    }
}
