/// An EAP method that this gateway knows, by its type (IANA's registry, RFC 3748 §5).
public enum EAPMethod: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// MD5-Challenge (RFC 3748 §5.4): no key, and the server proves nothing.
    case md5 = 4
    /// Generic Token Card (RFC 3748 §5.6): a password as it is. No key, and the server proves nothing.
    case gtc = 6
    /// EAP-TLS (RFC 5216, 9190): certificates on both sides.
    case tls = 13
    /// EAP-TTLS (RFC 5281): the server's certificate, and another method inside.
    case ttls = 21
    /// PEAP: the server's certificate, and another EAP method inside.
    case peap = 25
    /// EAP-MSCHAPv2: a password that neither side sends.
    case mschapv2 = 26

    /// As configurations and the field write it: `mschapv2`.
    public var name: String {
        switch self {
        case .md5: "md5"
        case .gtc: "gtc"
        case .tls: "tls"
        case .ttls: "ttls"
        case .peap: "peap"
        case .mschapv2: "mschapv2"
        }
    }

    /// `EAP_MSCHAPV2`, as status shows it.
    public var description: String { "EAP_" + name.uppercased() }

    /// Whether it leaves both ends with a key (MSK) that AUTH is made with (RFC 7296 §2.16).
    public var makesKey: Bool { self != .md5 && self != .gtc }

    /// Whether it proves the server's identity by a certificate, so that it may stand alone (RFC 5998 §4).
    public var provesServer: Bool { self == .tls || isTunnel }

    /// Whether another method runs inside it.
    public var isTunnel: Bool { self == .ttls || self == .peap }
}

/// What one end may do in EAP: which methods, the preferred first.
public struct EAPRules: Hashable, Sendable {
    /// The methods; none but these is ever used, whatever the other end asks for.
    public var methods: [EAPMethod]
    /// The methods inside a tunnel.
    public var inner: [EAPMethod]
    /// Whether somebody else, a RADIUS server, speaks EAP in our place; ``methods`` does not matter then.
    public var isRelayed: Bool

    /// Rules that allow nothing.
    public init(methods: [EAPMethod] = [], inner: [EAPMethod] = [], isRelayed: Bool = false) {
        self.methods = methods
        self.inner = inner
        self.isRelayed = isRelayed
    }
}
