public import Clockwork
public import GatewayModel
public import IPsecCrypto
public import NetworkTypes
public import WireFormat

/// The other end of one of our connections: what it has to be told, whatever its language.
///
/// It owns the mirror: what is local to us is remote to it. It never decides how a device spells it.
public struct PeerSide: Sendable {
    /// What a tunnel between two networks asks for.
    public struct Child: Sendable {
        /// Its name.
        public var name: String
        /// ESP proposals, the preferred first.
        public var proposals: [Proposal]
        /// The networks at the peer.
        public var itsSelectors: [SelectorTemplate]
        /// The networks at this gateway.
        public var ourSelectors: [SelectorTemplate]
        /// Whether it is in transport mode.
        public var isTransport: Bool
        /// When the peer replaces it.
        public var rekeyTime: Interval
        /// When it ends at the peer.
        public var lifeTime: Interval

        /// Whether it takes all packets of a device.
        var isRouteBased: Bool {
            (itsSelectors + ourSelectors).allSatisfy { $0.addresses == IPPrefix.everything(.v4).range }
        }

        /// Every pair of networks, for devices that know one pair for each SA.
        var pairs: [(its: IPPrefix, ours: IPPrefix)] {
            itsSelectors.flatMap { its in
                ourSelectors.compactMap { ours in
                    guard let first = Self.prefix(its), let second = Self.prefix(ours) else { return nil }
                    return (first, second)
                }
            }
        }

        private static func prefix(_ selector: SelectorTemplate) -> IPPrefix? {
            selector.addresses.flatMap { IPPrefix($0.description) }
        }
    }

    /// The tunnel's name, with letters, digits, hyphens and underscores only.
    public var name: String
    /// The peer's own address; nil when it is not known.
    public var itsAddress: IPAddress?
    /// Our address as the peer reaches it.
    public var ourAddress: IPAddress
    /// As whom the peer proves itself.
    public var itsIdentity: Identity
    /// As whom we do.
    public var ourIdentity: Identity
    /// IKE proposals, the preferred first.
    public var proposals: [Proposal]
    /// What is tunnelled.
    public var children: [Child]
    /// The key that both share.
    public var secret: SecretBytes
    /// Silence after which the peer asks; zero never.
    public var dpdDelay: Interval
    /// When the peer replaces the IKE SA; zero never.
    public var rekeyTime: Interval
    /// Whether ESP has to travel in UDP.
    public var forcesEncapsulation: Bool
    /// Whether the ends may move.
    public var mobike: Bool

    /// The other end of `connection`.
    /// - Parameters:
    ///   - secret: The key that both share.
    ///   - itsAddress: The peer's address, where the connection does not name one.
    ///   - ourAddress: Ours, where the connection does not name one.
    public init(
        of connection: Connection, secret: SecretBytes?, itsAddress: IPAddress? = nil, ourAddress: IPAddress? = nil
    ) throws(PeerEmissionProblem) {
        guard connection.local.method == .sharedKey, connection.remote.method == .sharedKey else {
            throw .needsSharedKey
        }
        guard let secret else { throw .noSecret }
        let its = itsAddress ?? connection.remoteAddresses.lazy.compactMap(\.single).first
        guard let ours = ourAddress ?? connection.localAddresses.lazy.compactMap(\.single).first else {
            throw .ourAddressUnknown
        }
        name = String(
            connection.name.map { character in
                character.isASCII && (character.isLetter || character.isNumber || "-_".contains(character))
                    ? character : "-"
            })
        self.itsAddress = its
        self.ourAddress = ours
        ourIdentity = connection.local.identity ?? Identity(ours)
        switch connection.remote.identity {
        case .exactly(let identity)?: itsIdentity = identity
        default:
            guard let its else { throw .itsIdentityUnknown }
            itsIdentity = Identity(its)
        }
        proposals = connection.proposals
        self.secret = secret
        dpdDelay = connection.dpdDelay
        rekeyTime = max(connection.rekeyTime, connection.reauthTime)
        forcesEncapsulation = connection.forcesEncapsulation
        mobike = connection.mobike
        children = connection.children.filter { $0.shunt == nil }.map { child in
            Child(
                name: child.name, proposals: child.proposals,
                itsSelectors: child.remoteSelectors.map { Self.fixed($0, its) },
                ourSelectors: child.localSelectors.map { Self.fixed($0, ours) }, isTransport: child.mode == .transport,
                rekeyTime: child.rekeyTime, lifeTime: child.lifeTime)
        }
        guard !children.isEmpty else { throw .nothingToTunnel }
    }

    /// With the end's own address in place of a dynamic one, where it is known.
    private static func fixed(_ selector: SelectorTemplate, _ end: IPAddress?) -> SelectorTemplate {
        var selector = selector
        if selector.addresses == nil, let end { selector.addresses = AddressRange(host: end) }
        return selector
    }

    /// The peer's address, for a dialect that can't do without.
    func knownAddress() throws(PeerEmissionProblem) -> IPAddress {
        guard let itsAddress else { throw .itsAddressUnknown }
        return itsAddress
    }

    /// The key as text, for a dialect that takes no other.
    func readableKey(_ dialect: PeerDialect) throws(PeerEmissionProblem) -> String {
        let octets = secret.exposedBytes()
        // A quote, a backslash, a blank or a question mark means something to one console or another.
        let isPlain = octets.allSatisfy { (0x21...0x7e).contains($0) && !Array("\"\\'?$`".utf8).contains($0) }
        guard isPlain else { throw .keyIsNotText(dialect) }
        return String(decoding: octets, as: UTF8.self)
    }

    /// The key in hexadecimal, with `0x`.
    var hexadecimalKey: String { "0x" + Hex.encode(secret.exposedBytes()) }

    /// The key as text where that is possible, else in hexadecimal with `0x`; text that would be read as a number in
    /// hexadecimal or base64 becomes one.
    var key: (text: String, isHexadecimal: Bool) {
        let octets = secret.exposedBytes()
        let isPlain = octets.allSatisfy { (0x21...0x7e).contains($0) && !Array("\"\\'".utf8).contains($0) }
        let prefix = String(decoding: octets.prefix(2), as: UTF8.self).lowercased()
        guard isPlain, !["0x", "0s", "0t"].contains(prefix) else { return (hexadecimalKey, true) }
        return (String(decoding: octets, as: UTF8.self), false)
    }
}

/// Why the other end can't be written.
public enum PeerEmissionProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// Certificates can't be handed over in a text.
    case needsSharedKey
    /// There is no key for this pair.
    case noSecret
    /// Where the peer is to connect to is not known.
    case ourAddressUnknown
    /// The dialect needs the peer's own address.
    case itsAddressUnknown
    /// Who the peer is, is not known.
    case itsIdentityUnknown
    /// There is no child.
    case nothingToTunnel
    /// The device takes readable keys only.
    case keyIsNotText(PeerDialect)
    /// None of the algorithms can be said.
    case noAlgorithms(PeerDialect, String)
    /// The device can't do something else that the connection asks for.
    case impossible(PeerDialect, String)

    /// One sentence.
    public var description: String {
        switch self {
        case .needsSharedKey:
            "Only connections with a shared key (auth = psk on both sides) can be written for the other end."
        case .noSecret: "The configuration has no secret for this connection."
        case .ourAddressUnknown: "At which address does the peer reach us? Say it with --our-address."
        case .itsAddressUnknown: "This device has to be told its own address: say it with --their-address."
        case .itsIdentityUnknown:
            "Who is the peer? Name it with remote { id = … }, or its address with --their-address."
        case .nothingToTunnel: "The connection has no child that is a tunnel."
        case .keyIsNotText(let dialect):
            "The key has octets that \(dialect.rawValue) can't be told as text; `martlet invite --dialect"
                + " \(dialect.rawValue)` makes one that can."
        case .noAlgorithms(let dialect, let text):
            "\(dialect.rawValue) has no words for any of the proposals \(text): add one that it can do, such as"
                + " aes256-sha256-modp2048."
        case .impossible(let dialect, let what): "\(dialect.rawValue) can't do this: \(what)."
        }
    }
}

/// A language in which the other end can be written.
public enum PeerDialect: String, Hashable, Sendable, CaseIterable {
    /// strongSwan's swanctl.conf, and Martlet's.
    case strongSwan = "strongswan"
    /// libreswan's ipsec.conf and ipsec.secrets.
    case libreswan
    /// OpenBSD's iked.
    case iked
    /// Cisco IOS and IOS-XE.
    case ciscoIOS = "cisco-ios"
    /// Cisco ASA.
    case asa
    /// Juniper SRX.
    case junos
    /// Juniper's older ScreenOS.
    case screenOS = "screenos"
    /// FortiGate.
    case fortiOS = "fortios"
    /// Palo Alto.
    case panOS = "panos"
    /// SonicWall.
    case sonicWall = "sonicwall"
    /// MikroTik RouterOS.
    case mikroTik = "mikrotik"
    /// An AWS site-to-site connection.
    case aws
    /// An Azure VPN gateway.
    case azure
    /// Google's Cloud VPN.
    case gcp
    /// Cloudflare's Magic WAN.
    case cloudflare
    /// Zscaler's Internet Access.
    case zscaler

    /// Whether what we write has been accepted by the program itself.
    public var isTried: Bool { [.strongSwan, .libreswan, .iked].contains(self) }
}

/// A file for the other end.
public struct EmittedFile: Sendable {
    /// Its usual path there.
    public var name: String
    /// Its text; the key may be in it.
    public var text: String
}

/// What was written for the other end.
public struct EmittedPeer: Sendable {
    /// The files.
    public var files: [EmittedFile]
    /// What somebody should know.
    public var notes: [String]
    /// What the connection on this gateway has to say, and does not, for the two ends to meet.
    public var demands: [String] = []

    /// Writes the other end in a dialect.
    public static func emit(_ side: PeerSide, as dialect: PeerDialect) throws(PeerEmissionProblem) -> EmittedPeer {
        var result: EmittedPeer
        switch dialect {
        case .strongSwan: result = StrongSwanPeer.emit(side)
        case .libreswan: result = try LibreswanPeer.emit(side)
        case .iked: result = try IkedPeer.emit(side)
        case .ciscoIOS: result = try CiscoPeer.router(side)
        case .asa: result = try CiscoPeer.firewall(side)
        case .junos: result = try JuniperPeer.junos(side)
        case .screenOS: result = try JuniperPeer.screenOS(side)
        case .fortiOS: result = try FirewallPeers.fortiOS(side)
        case .panOS: result = try FirewallPeers.panOS(side)
        case .sonicWall: result = try FirewallPeers.sonicWall(side)
        case .mikroTik: result = try FirewallPeers.mikroTik(side)
        case .aws: result = try CloudPeers.aws(side)
        case .azure: result = try CloudPeers.azure(side)
        case .gcp: result = try CloudPeers.gcp(side)
        case .cloudflare: result = try CloudPeers.cloudflare(side)
        case .zscaler: result = try CloudPeers.zscaler(side)
        }
        if !dialect.isTried {
            result.notes.insert(
                "This has not been tried against such a device or service: read it before you use it.", at: 0)
        }
        let sign = [.ciscoIOS, .asa].contains(dialect) ? "!" : "#"
        let head =
            ["The other end of '\(side.name)', for \(dialect.rawValue)."] + result.notes
            + result.demands.map { "On this gateway: \($0)" }
        if var first = result.files.first {
            first.text = head.map { "\(sign) \($0)\n" }.joined() + first.text
            result.files[0] = first
        }
        return result
    }
}
