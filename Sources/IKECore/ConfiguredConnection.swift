public import GatewayModel
public import IPsecCrypto
public import NetworkTypes

/// A connection that many refer to, and what follows from it for every IKE SA that may become one of its own.
///
/// A connection is large, and IKE SAs are many: whoever finds one gets a reference to it, and no copy. It never changes.
public final class ConfiguredConnection: Sendable {
    /// The connection.
    public let connection: Connection
    /// The IKE proposals; where none are configured, this gateway's defaults.
    public let ikeOffer: [Proposal]
    /// The same without algorithms whose numbers are only strongSwan's, for peers that do not know them.
    public let publicIKEOffer: [Proposal]
    /// Its children that are tunnels.
    public let tunnels: [ChildTemplate]
    /// Whether it names policies only, and no peer can mean it.
    public let isPolicyOnly: Bool
    /// Whether AH is offered for any child.
    public let offersAH: Bool
    /// Whether any end signs.
    public let usesSignatures: Bool
    /// Whether the peer signs.
    public let demandsSignatures: Bool

    private static let defaultOffer = Proposal.defaults(for: .ike)

    /// A connection as it is configured.
    public init(_ connection: Connection) {
        self.connection = connection
        // What is the same as elsewhere is not kept twice: there may be ten thousand connections.
        ikeOffer = connection.proposals.isEmpty ? Self.defaultOffer : connection.proposals
        publicIKEOffer =
            ikeOffer.contains { $0.withoutPrivateNumbers != $0 }
            ? ikeOffer.compactMap { $0.withoutPrivateNumbers } : ikeOffer
        tunnels =
            connection.children.contains { $0.shunt != nil }
            ? connection.children.filter { $0.shunt == nil } : connection.children
        isPolicyOnly = connection.isPolicyOnly
        offersAH = connection.children.contains { child in
            child.proposals.contains { $0.securityProtocol == .ah }
        }
        demandsSignatures = ([connection.remote] + connection.furtherRemote).contains { $0.method == .publicKey }
        usesSignatures =
            demandsSignatures || ([connection.local] + connection.furtherLocal).contains { $0.method == .publicKey }
    }

    /// Who we are on it; see ``Connection/ownIdentity(at:)``.
    public func ownIdentity(at address: IPAddress) -> Identity { connection.local.identity ?? Identity(address) }

    /// Whom we accept on it; see ``Connection/expectedIdentity(of:)``.
    func expectedIdentity(of address: IPAddress) -> IdentityPattern {
        connection.remote.identity ?? .exactly(Identity(address))
    }

    /// Those connections as they are configured.
    public static func list(_ connections: [Connection]) -> [ConfiguredConnection] {
        connections.map { ConfiguredConnection($0) }
    }
}

extension ConfiguredConnection: Hashable {
    /// Whether both say the same.
    public static func == (left: ConfiguredConnection, right: ConfiguredConnection) -> Bool {
        left === right || left.connection == right.connection
    }

    /// By its name, which says it nearly always.
    public func hash(into hasher: inout Hasher) { hasher.combine(connection.name) }
}

extension Proposal {
    /// Whether it names algorithms whose numbers are only strongSwan's.
    public var hasPrivateNumbers: Bool { transforms.contains(where: AlgorithmRegistry.needsPeerVendor) }

    /// Without algorithms whose numbers are only strongSwan's; nil when nothing is left of some type.
    public var withoutPrivateNumbers: Proposal? {
        guard hasPrivateNumbers else { return self }
        let known = transforms.filter { !AlgorithmRegistry.needsPeerVendor($0) }
        let lost = Set(transforms.map(\.type)).subtracting(known.map(\.type))
        return lost.isEmpty ? Proposal(securityProtocol, known) : nil
    }
}
