public import Clockwork
public import IPsecCrypto
public import NetworkTypes

/// One configured peer or group of peers: how to reach it, how both ends prove who they are, what may be tunnelled.
///
/// It is a value that a configuration reader makes and an engine only reads. It never holds a secret.
public struct Connection: Hashable, Sendable {
    /// The name by which people know it.
    public var name: String
    /// Our addresses that it may use; empty for any.
    public var localAddresses: [AddressPattern]
    /// The peer's addresses; empty for any, and then only the peer can start.
    public var remoteAddresses: [AddressPattern]
    /// The UDP port from which we start; 500 unless configured. On any port but 500 messages carry the non-ESP marker.
    public var localPort: UInt16
    /// The peer's UDP port to which we start; 500 unless configured.
    public var remotePort: UInt16
    /// The peer's UDP port for messages with the non-ESP marker; 4500 unless the peer is told otherwise.
    public var remoteNATTraversalPort: UInt16
    /// IKE proposals, the preferred first.
    public var proposals: [Proposal]
    /// What we prove; see ``furtherLocal``.
    public var local: Authentication
    /// What the peer has to prove; see ``furtherRemote``.
    public var remote: PeerAuthentication
    /// What we prove after that, one round after the other (RFC 4739).
    public var furtherLocal: [Authentication]
    /// What the peer has to prove after that.
    public var furtherRemote: [PeerAuthentication]
    /// Whether we send our certificate.
    public var sendsCertificate: CertificateSending
    /// Whether we say whose certificates we would like to see.
    public var requestsCertificate: Bool
    /// Whether OCSP answers travel with certificates.
    public var statusExchange: StatusExchange
    /// What may be tunnelled.
    public var children: [ChildTemplate]
    /// Silence after which the peer is asked whether it lives; zero never asks.
    public var dpdDelay: Interval
    /// Whether ESP travels in UDP even where no NAT is seen.
    public var forcesEncapsulation: Bool
    /// Whether ESP travels without UDP where no NAT is seen, also where this gateway would rather have UDP.
    public var avoidsEncapsulation: Bool
    /// Whether we show the vendor ID by which private algorithm numbers are understood.
    public var sendsVendorID: Bool
    /// What a second IKE SA with the same identities does.
    public var uniqueness: Uniqueness
    /// How often a connection that did not come up is tried, 0 for ever.
    public var keyingTries: Int
    /// When the IKE SA is to be rekeyed, counted from its establishment; zero never.
    public var rekeyTime: Interval
    /// How long after a due rekeying the IKE SA is closed.
    public var overTime: Interval
    /// Up to how much earlier than ``rekeyTime`` it is rekeyed, by chance, so that both ends seldom start at once.
    public var randTime: Interval
    /// Octets of IKE messages, both ways, after which the IKE SA is rekeyed, earlier by chance by up to a tenth; zero
    /// never.
    public var rekeyBytes: UInt64
    /// Whether messages are cut into fragments (RFC 7383).
    public var fragmentation: Fragmentation
    /// Whose post-quantum preshared key we name as the initiator (RFC 8784); nil for none.
    public var ppkIdentity: Identity?
    /// Whether nothing comes up without such a key.
    public var ppkRequired: Bool
    /// Whether there are such keys that a peer may name.
    public var knowsPPKs: Bool
    /// Whether IKE SAs begin without a child (RFC 6023).
    public var childless: Childless
    /// Octets of the longest IP packet that carries a sealed message; 0 for 576 over IPv4 and 1280 over IPv6.
    public var fragmentSize: Int
    /// How requests are repeated.
    public var retransmission: RetransmissionSchedule
    /// Whether the ends may move to other addresses (RFC 4555).
    public var mobike: Bool
    /// What kind of peer it is, when the configuration says so.
    public var profile: String?
    /// Whether the peer has to stay on the port on which it starts: who is behind a NAT starts on 4500 then.
    public var refusesPortChange: Bool
    /// Whether the kind of peer decides which algorithms may be configured.
    public var hasFixedAlgorithms: Bool
    /// The most Child SAs that the peer may have at once; nil for this gateway's own limit.
    public var largestChildCount: Int?
    /// When the IKE SA is to be replaced by one with a new authentication; zero never.
    public var reauthTime: Interval
    /// Whether the new one is up before the old one ends; else packets wait in between.
    public var makesBeforeBreaking: Bool
    /// With which distance liveness requests go out; zero for that of any other request.
    public var dpdInterval: Interval
    /// How many liveness requests go out, with ``dpdInterval``, before the peer counts as dead.
    public var dpdTries: Int
    /// Virtual addresses that we ask the peer for; unspecified for any of that family.
    public var virtualAddresses: [IPAddress]
    /// IPv6 prefixes that we ask the peer for, for hosts behind us (RFC 5739); with an unspecified address for any. None
    /// that is shorter is taken.
    public var virtualPrefixes: [IPPrefix] = []
    /// Pools of which the peer gets virtual addresses, by name, the preferred first.
    public var pools: [String]
    /// Whether we follow a gateway that sends us to another one (RFC 5685).
    public var followsRedirects: Bool
    /// Where clients are sent; nil to serve them here.
    public var redirection: Redirection?
    /// How long a client that was sent away may stay; zero for as long as it likes.
    public var redirectionGrace: Interval

    /// A connection with this field's defaults.
    public init(name: String) {
        self.name = name
        localAddresses = []
        remoteAddresses = []
        localPort = 500
        remotePort = 500
        remoteNATTraversalPort = 4500
        proposals = []
        local = Authentication(method: .sharedKey, identity: nil)
        remote = PeerAuthentication(method: .sharedKey, identity: .any)
        furtherLocal = []
        furtherRemote = []
        sendsCertificate = .ifAsked
        requestsCertificate = true
        statusExchange = .reply
        children = []
        dpdDelay = .zero
        forcesEncapsulation = false
        avoidsEncapsulation = false
        sendsVendorID = false
        uniqueness = .no
        keyingTries = 1
        rekeyTime = .hours(4)
        overTime = .minutes(24)
        randTime = .minutes(24)
        rekeyBytes = 0
        retransmission = RetransmissionSchedule()
        mobike = true
        profile = nil
        refusesPortChange = false
        hasFixedAlgorithms = false
        largestChildCount = nil
        reauthTime = .zero
        makesBeforeBreaking = true
        dpdInterval = .zero
        dpdTries = 5
        virtualAddresses = []
        pools = []
        fragmentation = .yes
        fragmentSize = 1280
        ppkIdentity = nil
        ppkRequired = false
        knowsPPKs = false
        childless = .allow
        followsRedirects = true
        redirection = nil
        redirectionGrace = Redirection.grace
    }

    /// The child of this name.
    public func child(named name: String) -> ChildTemplate? { children.first { $0.name == name } }

    /// Whether it has children and none of them is a tunnel: then it names policies, and no peer can mean it.
    public var isPolicyOnly: Bool { !children.isEmpty && children.allSatisfy { $0.shunt != nil } }

    /// Whether an IKE SA begins without a child.
    public enum Childless: String, Hashable, Sendable {
        /// The peer may begin so; we do not.
        case allow
        /// We begin so where the peer allows it.
        case prefer
        /// It must, whoever begins.
        case force
        /// It must not.
        case never
    }

    /// Whether messages are cut into fragments. Fragments that come are always taken.
    public enum Fragmentation: String, Hashable, Sendable {
        /// Announced, and long messages are cut when the peer announces it too.
        case yes
        /// Announced, but nothing is cut.
        case accept
        /// Like ``yes``: IKEv2 cuts nothing before both ends have spoken.
        case force
        /// Not announced.
        case no

        /// Whether we cut.
        public var isSent: Bool { self == .yes || self == .force }
    }

    /// How an end proves who it is.
    public enum AuthenticationMethod: String, Hashable, Sendable {
        /// A key that both ends know.
        case sharedKey = "psk"
        /// A signature, with a certificate or a raw public key.
        case publicKey = "pubkey"
        /// EAP (RFC 7296 §2.16): the initiator proves itself by a method of its own.
        case eap
    }

    /// When we send our certificate.
    public enum CertificateSending: String, Hashable, Sendable {
        /// When the peer asks for one.
        case ifAsked = "ifasked"
        /// Always.
        case always
        /// Never: the peer has it already.
        case never
    }

    /// What we prove: how, and as whom (nil: as our address).
    public struct Authentication: Hashable, Sendable {
        /// How.
        public var method: AuthenticationMethod
        /// As whom.
        public var identity: Identity?
        /// Our certificates in DER, the preferred first; for signatures.
        public var certificates: [[UInt8]]
        /// Our raw public keys (SubjectPublicKeyInfo, RFC 7670), the preferred first; for signatures without certificates.
        public var rawKeys: [[UInt8]]
        /// How we may sign.
        public var rules: SignatureRules
        /// Whether it names no certificate or key, and takes what is loaded.
        public var takesLoaded: Bool
        /// As whom the configuration says, where ``identity`` may follow from what is loaded.
        public var configuredIdentity: Identity?
        /// The EAP methods that we may use.
        public var eap: EAPRules
        /// Who we are in EAP; nil for ``identity``.
        public var eapIdentity: Identity?
        /// Whose certificate the EAP server has to show; nil for the peer's identity in IKE.
        public var eapServer: IdentityPattern?
        /// Made by a configuration reader.
        public init(method: AuthenticationMethod, identity: Identity?) {
            self.method = method
            self.identity = identity
            certificates = []
            rawKeys = []
            rules = SignatureRules()
            takesLoaded = false
            eap = EAPRules()
            eapIdentity = nil
            eapServer = nil
        }
    }

    /// What the peer has to prove: how, and as whom.
    public struct PeerAuthentication: Hashable, Sendable {
        /// How.
        public var method: AuthenticationMethod
        /// As whom; nil in ``identity`` stands for the address from which it comes.
        public var identity: IdentityPattern?
        /// The authorities that are trusted, for signatures.
        public var authorities: [CertificateAuthority]
        /// Those who may sign OCSP answers for any authority, by the SHA-1 hash of their keys, 20 octets each.
        public var responders: [[UInt8]]
        /// Whom one authority of the chain must be; nil for any.
        public var authority: IdentityPattern?
        /// The peer's certificates in DER; when there are any, no other is accepted.
        public var certificates: [[UInt8]]
        /// The peer's raw public keys (SubjectPublicKeyInfo, RFC 7670).
        public var rawKeys: [[UInt8]]
        /// Certificate policies (dotted identifiers), one of which the chain must have; empty for any.
        public var policies: [String]
        /// How strong keys and signatures must be.
        public var rules: SignatureRules
        /// What happens when nobody can tell whether a certificate is revoked.
        public var revocation: RevocationPolicy
        /// Whether it names no authority, certificate or key, and trusts the authorities that are loaded.
        public var trustsLoaded: Bool
        /// The EAP methods that the peer may use.
        public var eap: EAPRules
        /// Who the peer may be in EAP, where it is asked; nil when it is not asked, and is who it is in IKE.
        public var eapIdentity: IdentityPattern?
        /// The groups of which the peer has to be in one; empty for no matter which.
        public var groups: [String]
        /// Made by a configuration reader.
        public init(method: AuthenticationMethod, identity: IdentityPattern?) {
            self.method = method
            self.identity = identity
            authorities = []
            responders = []
            certificates = []
            rawKeys = []
            policies = []
            rules = SignatureRules()
            revocation = .relaxed
            trustsLoaded = false
            eap = EAPRules()
            eapIdentity = nil
            groups = []
        }
    }

    /// What to do about a second IKE SA between the same identities.
    public enum Uniqueness: String, Hashable, Sendable {
        /// Keep both, and do not look at INITIAL_CONTACT.
        case never
        /// Keep both unless the peer says INITIAL_CONTACT.
        case no
        /// The new one wins.
        case replace
        /// The old one wins.
        case keep
    }
}

/// Addresses as a configuration names them.
public enum AddressPattern: Hashable, Sendable, CustomStringConvertible {
    /// Any address.
    case any
    /// This block, or this one address.
    case prefix(IPPrefix)
    /// From one to another.
    case range(AddressRange)
    /// A host name, to be looked up when the connection starts.
    case name(String)

    /// Whether `address` is one of them; a name matches any, but no closer than `%any` does.
    public func contains(_ address: IPAddress) -> Bool {
        switch self {
        case .any: true
        case .prefix(let prefix): prefix.contains(address)
        case .range(let range): range.contains(address)
        // Who the peer is, its identity says; where it is, its name says only when it is looked up.
        case .name: true
        }
    }

    /// The one address that it stands for; nil when there are several.
    public var single: IPAddress? {
        switch self {
        case .prefix(let prefix) where prefix.isHost: prefix.address
        case .range(let range) where range.lower == range.upper: range.lower
        default: nil
        }
    }

    /// How closely it names an address.
    public var specificity: Int {
        switch self {
        case .any, .name: 0
        case .range: 1
        case .prefix(let prefix): 1 + prefix.length
        }
    }

    /// As a configuration file writes it.
    public var description: String {
        switch self {
        case .any: "%any"
        case .prefix(let prefix): prefix.isHost ? prefix.address.description : prefix.description
        case .range(let range): range.description
        case .name(let name): name
        }
    }
}
