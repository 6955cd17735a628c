public import NetworkTypes

/// One value of a host's configuration, by its number in IANA's registry of configuration attributes (RFC 7296 §3.15.1).
public struct HostAttribute: Hashable, Sendable {
    /// Its number; 15 bits.
    public var type: UInt16
    /// Its value as it travels.
    public var value: [UInt8]

    /// An attribute.
    public init(type: UInt16, value: [UInt8]) {
        self.type = type
        self.value = value
    }
}

/// IPv6 prefixes of one length, in one block, that a gateway lends whole: one to each client, for its own network
/// (RFC 5739).
public struct PrefixStock: Hashable, Sendable {
    /// What all of them lie in.
    public let block: IPPrefix
    /// The length of each.
    public let length: Int
    /// The first addresses of the lowest and of the highest.
    public let ends: AddressRange

    /// The prefixes of `length` bits in `block`; nil for IPv4, and when there is none of that length.
    public init?(_ block: IPPrefix, length: Int) {
        guard block.family == .v6, length > 0, length >= block.length,
            let highest = IPPrefix(block.last, length: length),
            let ends = AddressRange(block.address, highest.address)
        else { return nil }
        self.block = block
        self.length = length
        self.ends = ends
    }
}

/// Addresses and prefixes that a gateway lends to its clients, and what it tells them besides: a section of `pools`.
public struct AddressPool: Hashable, Sendable {
    /// The name by which connections know it.
    public var name: String
    /// As the configuration writes its addresses.
    public var base: String
    /// The addresses that may be lent; nil for none.
    public var addresses: AddressRange?
    /// The prefixes that may be lent; nil for none.
    public var prefixes: PrefixStock?
    /// What every client is told besides, in order.
    public var attributes: [HostAttribute]

    /// The name that stands for the addresses that a RADIUS server gives, in place of a pool's.
    public static let byServer = "radius"

    /// A pool. `base` is what status shows; nothing but `addresses` and `prefixes` decides.
    public init(
        name: String, base: String, addresses: AddressRange?, prefixes: PrefixStock? = nil,
        attributes: [HostAttribute] = []
    ) {
        self.name = name
        self.base = base
        self.addresses = addresses
        self.prefixes = prefixes
        self.attributes = attributes
    }

    /// What two pools would both lend.
    public enum Overlap: Hashable, Sendable {
        /// An address.
        case addresses
        /// A prefix, or an address of one.
        case prefixes

        /// What comes of it: a clause.
        public var consequence: String {
            switch self {
            case .addresses: "two clients may get the same address"
            case .prefixes: "a client's prefix would be another's too"
            }
        }
    }

    /// What this pool and another would both lend; nil for nothing.
    public func overlap(with other: AddressPool) -> Overlap? {
        let (ours, theirs) = (prefixes?.block.range, other.prefixes?.block.range)
        if Self.meet(ours, theirs) || Self.meet(ours, other.addresses) || Self.meet(addresses, theirs) {
            return .prefixes
        }
        return Self.meet(addresses, other.addresses) ? .addresses : nil
    }

    /// Whether its own addresses are in its prefixes.
    public var overlapsItself: Bool { Self.meet(prefixes?.block.range, addresses) }

    private static func meet(_ one: AddressRange?, _ other: AddressRange?) -> Bool {
        guard let one, let other else { return false }
        return one.intersection(other) != nil
    }

    /// The most bits that tell the addresses of a block apart, as other gateways have it: no pool needs more.
    private static let roomiest = 31

    /// The addresses of a block that are lent: from the one that is written on, without the block's lowest and highest,
    /// which name the network and everybody in it. Blocks of one or two addresses are lent whole. Of a block of more than
    /// 2^31 addresses, those that far around the written one; nil when nothing is left.
    public static func usable(_ address: IPAddress, length: Int) -> AddressRange? {
        let width = address.family.bitWidth
        guard let block = IPPrefix(address, length: max(length, width - roomiest)), length <= width else { return nil }
        guard width - block.length >= 2 else { return AddressRange(address, block.last) }
        let lower = max(address, IPAddress(address.family, bits: block.address.bits + 1))
        return AddressRange(lower, IPAddress(address.family, bits: block.last.bits - 1))
    }
}

/// What a client asks for: who it is, where it may get addresses from, and which it would like.
public struct LeaseRequest: Hashable, Sendable {
    /// The connection's name.
    public var connection: String
    /// The pools that the connection names, the preferred first.
    public var pools: [String]
    /// Who asks; proved.
    public var identity: Identity
    /// One for each address: unspecified for any of that family, else the one that the client would like to have (again).
    public var wanted: [IPAddress]
    /// One for each IPv6 prefix: with an unspecified address for any, else the one that the client would like to have
    /// (again). The pool decides about the length.
    public var wantedPrefixes: [IPPrefix] = []
    /// Whether the client's older IKE SA is about to end, so that its addresses may go over to the new one.
    public var replacesOlder: Bool
    /// The addresses that somebody who knows the client has chosen for it, one of each family at most.
    public var chosen: [IPAddress]
    /// What the client is told besides, by the same.
    public var attributes: [HostAttribute]

    /// A request.
    public init(
        connection: String, pools: [String], identity: Identity, wanted: [IPAddress], replacesOlder: Bool = false
    ) {
        self.connection = connection
        self.pools = pools
        self.identity = identity
        self.wanted = wanted
        self.replacesOlder = replacesOlder
        chosen = []
        attributes = []
    }
}

/// Addresses that were lent to a client, and what it is told besides. It is given back whole.
public struct Lease: Hashable, Sendable {
    /// An address, and where it comes from.
    public struct Loan: Hashable, Sendable {
        /// The pool's name.
        public var pool: String
        /// The address.
        public var address: IPAddress

        /// An address of a pool.
        public init(pool: String, address: IPAddress) {
            self.pool = pool
            self.address = address
        }
    }

    /// A prefix, and where it comes from.
    public struct PrefixLoan: Hashable, Sendable {
        /// The pool's name.
        public var pool: String
        /// The prefix.
        public var prefix: IPPrefix

        /// A prefix of a pool.
        public init(pool: String, prefix: IPPrefix) {
            self.pool = pool
            self.prefix = prefix
        }
    }

    /// To whom.
    public var identity: Identity
    /// The addresses, in the order in which they were asked for.
    public var loans: [Loan]
    /// The prefixes, in the order in which they were asked for.
    public var prefixLoans: [PrefixLoan] = []
    /// Why there is no prefix although one was asked for; nil when there is no such thing to say.
    public var shortfall: String?
    /// What the client is told besides.
    public var attributes: [HostAttribute]

    /// A lease.
    public init(identity: Identity, loans: [Loan], attributes: [HostAttribute] = []) {
        self.identity = identity
        self.loans = loans
        self.attributes = attributes
    }

    /// The addresses without their pools.
    public var addresses: [IPAddress] { loans.map(\.address) }

    /// The prefixes without their pools.
    public var prefixes: [IPPrefix] { prefixLoans.map(\.prefix) }
}

/// What a gateway gave us: virtual addresses, name servers, and what else a host wants to know (RFC 7296 §3.15, RFC 8598,
/// RFC 5739). All of it comes from the peer; addresses and names are well-formed, and there are not too many.
public struct HostSettings: Hashable, Sendable {
    /// A domain whose names the given servers answer, with its trust anchors (RFC 8598 §4.2).
    public struct Domain: Hashable, Sendable {
        /// The name, without a dot at its end; empty for all names.
        public var name: String
        /// DS records: key tag, algorithm, digest type, digest.
        public var trustAnchors: [[UInt8]]

        /// A domain.
        public init(name: String, trustAnchors: [[UInt8]] = []) {
            self.name = name
            self.trustAnchors = trustAnchors
        }
    }

    /// Our addresses in the peer's networks.
    public var addresses: [IPAddress] = []
    /// The IPv4 network's mask.
    public var netmask: IPAddress?
    /// Name servers of both families, in order.
    public var nameServers: [IPAddress] = []
    /// NetBIOS name servers.
    public var netBIOSServers: [IPAddress] = []
    /// DHCP servers of both families.
    public var dhcpServers: [IPAddress] = []
    /// Networks behind the gateway; empty where it does not say.
    public var subnets: [IPPrefix] = []
    /// Domains that belong to the name servers; empty for all names.
    public var domains: [Domain] = []
    /// IPv6 prefixes whose addresses are ours to give to hosts (RFC 5739).
    public var prefixes: [IPPrefix] = []

    /// Nothing.
    public init() {}
}

/// A pool as status shows it: a copy, taken at one moment.
public struct PoolSummary: Hashable, Sendable {
    /// An address that somebody has, or had.
    public struct Entry: Hashable, Sendable {
        /// The address.
        public var address: IPAddress
        /// Whose it is.
        public var identity: Identity
        /// Whether it is in use now; else it is kept for its owner.
        public var isOnline: Bool

        /// An address of a pool.
        public init(address: IPAddress, identity: Identity, isOnline: Bool) {
            self.address = address
            self.identity = identity
            self.isOnline = isOnline
        }
    }

    /// The prefixes of a pool that lends some.
    public struct Prefixes: Hashable, Sendable {
        /// Which they are.
        public var stock: PrefixStock
        /// How many there are; Int.max when there are more than that.
        public var size: Int
        /// Those that somebody has, or had, by their first address.
        public var entries: [Entry]

        /// The prefixes of a pool.
        public init(stock: PrefixStock, size: Int, entries: [Entry]) {
            self.stock = stock
            self.size = size
            self.entries = entries
        }
    }

    /// Its name.
    public var name: String
    /// Its addresses, as the configuration writes them.
    public var base: String
    /// What a control client is told: the first address that the configuration writes, without the block's length or the
    /// range's end, as swanctl's readers expect it.
    public var baseAddress: String { String(base.prefix { $0 != "/" && $0 != "-" && $0 != " " }) }
    /// How many there are; Int.max when there are more than that.
    public var size: Int
    /// How many are in use.
    public var online: Int
    /// How many are kept for their owners.
    public var offline: Int
    /// All of those, by address.
    public var entries: [Entry]
    /// Its prefixes; nil when it lends none. The numbers above are of addresses alone.
    public var prefixes: Prefixes?

    /// A pool.
    public init(name: String, base: String, size: Int, online: Int, offline: Int, entries: [Entry]) {
        self.name = name
        self.base = base
        self.size = size
        self.online = online
        self.offline = offline
        self.entries = entries
    }
}
