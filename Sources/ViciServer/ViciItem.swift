public import ViciMessages

/// Something that a control client gives the gateway to know: a connection, a secret, a pool…
///
/// It owns the form in which the protocol carries it. What the fields mean is for whoever reads the configuration.
public struct ViciItem: Hashable, Sendable {
    /// What sort of thing it is.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case connection
        case sharedSecret
        case pool
        case authority
        case privateKey
        case certificate
        case token
    }

    /// What sort of thing it is.
    public var kind: Kind
    /// The name by which it can be unloaded; nil when it has none.
    public var name: String?
    /// Its fields as they came; values may be any octets.
    public var fields: ViciTree

    /// Something to know.
    public init(_ kind: Kind, name: String?, fields: ViciTree) {
        self.kind = kind
        self.name = name
        self.fields = fields
    }
}

/// A policy that is in force without a Child SA of its own: `swanctl --list-pols`.
public struct ViciPolicy: Hashable, Sendable {
    /// What becomes of a packet that it matches.
    public enum Action: String, Hashable, Sendable {
        /// It brings up the child.
        case trap
        /// It is dropped.
        case drop
        /// It passes in clear.
        case pass
    }

    /// The connection's name.
    public var connection: String
    /// The child's name.
    public var child: String
    /// What becomes of a packet.
    public var action: Action
    /// `TUNNEL`, `TRANSPORT`, `PASS`, `DROP`.
    public var mode: String
    /// Packets on our side, as a configuration writes them.
    public var localSelectors: [String]
    /// Packets on the peer's side.
    public var remoteSelectors: [String]

    /// A policy.
    public init(
        connection: String, child: String, action: Action, mode: String, localSelectors: [String],
        remoteSelectors: [String]
    ) {
        self.connection = connection
        self.child = child
        self.action = action
        self.mode = mode
        self.localSelectors = localSelectors
        self.remoteSelectors = remoteSelectors
    }
}

/// A certificate, a list of revoked ones or a key that the gateway holds: `swanctl --list-certs`.
public struct ViciCertificate: Hashable, Sendable {
    /// `X509`, `X509_AC`, `X509_CRL`, `OCSP_RESPONSE` or `PUBKEY`.
    public var type: String
    /// `NONE`, `CA`, `AA` or `OCSP`; nil for what is no X.509 certificate.
    public var flag: String?
    /// Whether we hold its private key.
    public var hasPrivateKey: Bool
    /// Its DER form.
    public var data: [UInt8]
    /// Whose it is, as text.
    public var subject: String?

    /// A certificate.
    public init(type: String, flag: String?, hasPrivateKey: Bool, data: [UInt8], subject: String?) {
        self.type = type
        self.flag = flag
        self.hasPrivateKey = hasPrivateKey
        self.data = data
        self.subject = subject
    }
}

/// A certification authority with where its statements are found: `swanctl --list-authorities`.
public struct ViciAuthority: Hashable, Sendable {
    /// The section's name.
    public var name: String
    /// The subject of its certificate.
    public var subject: String
    /// Where its revocation lists are.
    public var revocationLists: [String]
    /// Where its OCSP responders are.
    public var responders: [String]
    /// Where hash-and-URL certificates are; nil for nowhere.
    public var certificateBase: String?

    /// A certification authority.
    public init(
        name: String, subject: String, revocationLists: [String], responders: [String], certificateBase: String?
    ) {
        self.name = name
        self.subject = subject
        self.revocationLists = revocationLists
        self.responders = responders
        self.certificateBase = certificateBase
    }
}

/// A pool of virtual addresses: `swanctl --list-pools`.
public struct ViciPool: Hashable, Sendable {
    /// An address that somebody has, or had.
    public struct Lease: Hashable, Sendable {
        /// The address.
        public var address: String
        /// Who has it.
        public var identity: String
        /// Whether it is in use now.
        public var isOnline: Bool

        /// A lease.
        public init(address: String, identity: String, isOnline: Bool) {
            self.address = address
            self.identity = identity
            self.isOnline = isOnline
        }
    }

    /// The IPv6 prefixes of a pool that lends some (RFC 5739).
    public struct Prefixes: Hashable, Sendable {
        /// The block that they lie in.
        public var block: String
        /// The length of each.
        public var length: Int
        /// How many there are.
        public var size: UInt64
        /// All leases, in use or kept.
        public var leases: [Lease]

        /// The prefixes of a pool.
        public init(block: String, length: Int, size: UInt64, leases: [Lease]) {
            self.block = block
            self.length = length
            self.size = size
            self.leases = leases
        }
    }

    /// The section's name.
    public var name: String
    /// The first address; empty for a pool of prefixes alone.
    public var base: String
    /// How many addresses there are.
    public var size: UInt64
    /// All leases, in use or kept.
    public var leases: [Lease]
    /// The prefixes; nil when it lends none.
    public var prefixes: Prefixes?

    /// A pool.
    public init(name: String, base: String, size: UInt64, leases: [Lease] = []) {
        self.name = name
        self.base = base
        self.size = size
        self.leases = leases
    }
}

/// Whom to send elsewhere (RFC 5685), and where to.
public struct ViciRedirection: Hashable, Sendable {
    /// IKE SAs of this connection; nil for any.
    public var connection: String?
    /// This IKE SA; nil for any.
    public var ikeSA: UInt32?
    /// IKE SAs with a peer at this address or in this block; nil for any.
    public var peerAddress: String?
    /// IKE SAs with this peer; nil for any.
    public var peerIdentity: String?
    /// The gateway to go to: an address or a name.
    public var gateway: String
}

/// Which counters are meant.
public enum ViciCounterScope: Hashable, Sendable {
    /// Those of all connections together.
    case global
    /// Those of each connection.
    case each
    /// Those of one connection.
    case connection(String)
}

/// Counters under one name, empty for those of all connections together.
public struct ViciCounters: Hashable, Sendable {
    /// The connection.
    public var name: String
    /// What was counted, in the field's words and order.
    public var values: [(name: String, count: UInt64)]

    /// Counters.
    public init(name: String, values: [(name: String, count: UInt64)]) {
        self.name = name
        self.values = values
    }

    /// By name and values.
    public static func == (left: Self, right: Self) -> Bool {
        left.name == right.name && left.values.elementsEqual(right.values) { $0 == $1 }
    }

    /// By name.
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
