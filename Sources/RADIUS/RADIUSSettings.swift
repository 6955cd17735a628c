public import Clockwork
public import NetworkTypes
public import WireFormat

/// What a configuration says about RADIUS: the servers, and how a gateway speaks to them.
///
/// It is a value that a configuration reader makes. Its secrets are compared in constant time and never hashed.
public struct RADIUSSettings: Hashable, Sendable {
    /// One server.
    public struct Server: Sendable {
        /// The name by which people know it.
        public var name: String
        /// Where it is asked whom to let in.
        public var authentication: Endpoint
        /// Where it is told who came and went.
        public var accounting: Endpoint
        /// What we and it share.
        public var secret: SecretBytes
        /// What we call ourselves.
        public var nasIdentifier = "martlet"
        /// Ports of ours for each of its two, which carry 256 requests each at a time.
        public var sockets = 1
        /// The highest is asked first.
        public var preference = 0
        /// How requests are repeated.
        public var retransmission = RADIUSSettings.retransmission
        /// Our address towards it; nil for what the route says.
        public var source: IPAddress?

        /// A server.
        public init(name: String, authentication: Endpoint, accounting: Endpoint, secret: SecretBytes) {
            self.name = name
            self.authentication = authentication
            self.accounting = accounting
            self.secret = secret
        }
    }

    /// Who may end sessions from outside (RFC 5176).
    public struct DynamicAuthorization: Sendable {
        /// Where requests come in.
        public var listen = Endpoint(.unspecified(.v4), 3799)
        /// What we and those who ask share.
        public var secret: SecretBytes

        /// Requests with this secret.
        public init(secret: SecretBytes) { self.secret = secret }
    }

    /// The servers, in the order of the files.
    public var servers: [Server] = []
    /// Whether servers are told who came and went.
    public var accounts = false
    /// How often they are told in between, where Access-Accept does not say; zero never.
    public var interimInterval = Interval.zero
    /// Whether only sessions with a virtual address are told of.
    public var accountsAddressedOnly = false
    /// Whether they get back the Class attributes of Access-Accept.
    public var returnsClass = false
    /// Whether a session ends when nobody takes a report on it.
    public var closesUnaccounted = true
    /// Whether all sessions end then.
    public var closesAll = false
    /// Whether Class attributes name groups.
    public var classNamesGroups = false
    /// Whether Filter-Id names groups, where Tunnel-Type is ESP.
    public var filterNamesGroups = false
    /// Whether the server is to ask for the identity (EAP-Start, RFC 3579 §2.1).
    public var beginsWithStart = false
    /// What is put before every identity.
    public var identityPrefix = ""
    /// Whether Called- and Calling-Station-Id hold the UDP port.
    public var stationsHavePorts = true
    /// Who may end sessions from outside; nil for nobody.
    public var dynamicAuthorization: DynamicAuthorization?

    /// This field's schedule: after 2 s, then 1.4 times as long each time, 4 times.
    public static let retransmission = RetransmissionSchedule(tries: 4, timeout: .seconds(2), base: 1.4)

    /// No servers.
    public init() {}
}

extension RADIUSSettings.Server: Hashable {
    /// Secrets compare in constant time.
    public static func == (left: Self, right: Self) -> Bool {
        left.secret == right.secret && left.name == right.name && left.authentication == right.authentication
            && left.accounting == right.accounting && left.nasIdentifier == right.nasIdentifier
            && left.sockets == right.sockets && left.preference == right.preference
            && left.retransmission == right.retransmission && left.source == right.source
    }

    /// The secret is left out.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(authentication)
    }
}

extension RADIUSSettings.DynamicAuthorization: Hashable {
    /// Secrets compare in constant time.
    public static func == (left: Self, right: Self) -> Bool {
        left.secret == right.secret && left.listen == right.listen
    }

    /// The secret is left out.
    public func hash(into hasher: inout Hasher) { hasher.combine(listen) }
}
