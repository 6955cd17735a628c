public import IPsecCrypto
public import NetworkTypes
import WireFormat

/// Who an end says it is (RFC 7296 §3.5).
///
/// It owns a type and the octets that travel. It never decides whether an identity may be believed: that takes a
/// credential.
public struct Identity: Hashable, Sendable {
    /// The kind of an identity (IANA's registry, open-ended).
    public struct Kind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// The number on the wire.
        public let rawValue: UInt8
        /// The kind with this number.
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// ID_IPV4_ADDR: four octets.
        public static let ipv4Address = Self(rawValue: 1)
        /// ID_FQDN: a host name.
        public static let fqdn = Self(rawValue: 2)
        /// ID_RFC822_ADDR: an e-mail address.
        public static let rfc822Address = Self(rawValue: 3)
        /// ID_IPV6_ADDR: sixteen octets.
        public static let ipv6Address = Self(rawValue: 5)
        /// ID_DER_ASN1_DN: a distinguished name in DER.
        public static let asn1DN = Self(rawValue: 9)
        /// ID_DER_ASN1_GN: a general name in DER.
        public static let asn1GN = Self(rawValue: 10)
        /// ID_KEY_ID: octets that only the two ends understand.
        public static let keyID = Self(rawValue: 11)
        /// ID_NULL: nobody (RFC 7619).
        public static let null = Self(rawValue: 13)

        /// The RFC's name, else the number.
        public var description: String {
            switch self {
            case .ipv4Address: "ID_IPV4_ADDR"
            case .fqdn: "ID_FQDN"
            case .rfc822Address: "ID_RFC822_ADDR"
            case .ipv6Address: "ID_IPV6_ADDR"
            case .asn1DN: "ID_DER_ASN1_DN"
            case .asn1GN: "ID_DER_ASN1_GN"
            case .keyID: "ID_KEY_ID"
            case .null: "ID_NULL"
            default: "ID type \(rawValue)"
            }
        }
    }

    /// What kind it is.
    public let kind: Kind
    /// The octets that travel.
    public let data: [UInt8]

    /// An identity as it travels.
    public init(_ kind: Kind, _ data: [UInt8]) {
        self.kind = kind
        self.data = data
    }

    /// An address as an identity.
    public init(_ address: IPAddress) {
        self.init(address.family == .v4 ? .ipv4Address : .ipv6Address, address.bytes)
    }

    /// Kind and octets.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(octets: data)
    }

    /// A host name.
    public static func fqdn(_ name: String) -> Identity { Identity(.fqdn, Array(name.utf8)) }
    /// An e-mail address.
    public static func rfc822(_ address: String) -> Identity { Identity(.rfc822Address, Array(address.utf8)) }
    /// A distinguished name.
    public init(_ name: DistinguishedName) { self.init(.asn1DN, name.der) }
    /// Octets that only the two ends understand.
    public static func keyID(_ octets: [UInt8]) -> Identity { Identity(.keyID, octets) }
}

extension Identity: CustomStringConvertible {
    /// The identity as this field's users write it. Octets that are not printable are escaped, so that it may go into a
    /// log or onto a terminal; see ``Kind`` for what kind it is.
    ///
    /// A peer's identity may be as long as a message: of a long one its first 256 octets, enough to know it by.
    public var description: String { text(256) }

    /// All of it, as ``description`` writes it: for programs that compare names.
    public var whole: String { text(.max) }

    private func text(_ limit: Int) -> String {
        switch kind {
        case .ipv4Address, .ipv6Address: IPAddress(bytes: data)?.description ?? hexForm(limit)
        case .fqdn, .rfc822Address: Self.printable(data, limit)
        case .keyID:
            data.allSatisfy { (0x20...0x7e).contains($0) } && !data.isEmpty
                ? Self.printable(data, limit) : hexForm(limit)
        case .asn1DN: distinguishedName.map(\.description).flatMap { $0.isEmpty ? nil : $0 } ?? hexForm(limit)
        case .null: "(nobody)"
        default: hexForm(limit)
        }
    }

    /// The name that it holds; nil for identities of another kind, and for octets that are no distinguished name.
    public var distinguishedName: DistinguishedName? { kind == .asn1DN ? DistinguishedName(der: data) : nil }

    private func hexForm(_ limit: Int) -> String {
        "0x" + Hex.encode(data.prefix(limit)) + (data.count > limit ? "…" : "")
    }

    private static func printable(_ octets: [UInt8], _ limit: Int) -> String {
        var text = ""
        for octet in octets.prefix(limit) {
            if (0x20...0x7e).contains(octet), octet != UInt8(ascii: "\\") {
                text.unicodeScalars.append(Unicode.Scalar(octet))
            } else {
                text += "\\x" + Hex.encode(CollectionOfOne(octet))
            }
        }
        return octets.count > limit ? text + "…" : text
    }
}

/// Which identities a connection accepts from its peer.
public enum IdentityPattern: Hashable, Sendable, CustomStringConvertible {
    /// Anybody (`%any`).
    case any
    /// This one.
    case exactly(Identity)
    /// Host names or e-mail addresses below a domain: `*.example.net`, `*@example.net`; holds the text after the star.
    case suffix(Identity.Kind, String)
    /// Distinguished names like this one, in which a value that is `*` stands for any: `C=CH, O=lab, CN=*`.
    case distinguishedName(DistinguishedName)

    /// Whether `identity` is accepted. Names compare without regard to the case of ASCII letters, distinguished names
    /// as ``DistinguishedName/isSame(as:)`` says.
    public func matches(_ identity: Identity) -> Bool {
        switch self {
        case .any: return true
        case .exactly(let wanted):
            guard wanted.kind == identity.kind else { return false }
            switch wanted.kind {
            case .fqdn, .rfc822Address: return Self.lowercased(wanted.data) == Self.lowercased(identity.data)
            case .asn1DN:
                if wanted == identity { return true }
                guard let ours = wanted.distinguishedName, let theirs = identity.distinguishedName else { return false }
                return ours.isSame(as: theirs)
            default: return wanted == identity
            }
        case .distinguishedName(let pattern): return identity.distinguishedName.map(pattern.covers) ?? false
        case .suffix(let kind, let suffix):
            guard kind == identity.kind else { return false }
            let ending = Self.lowercased(Array(suffix.utf8))
            return identity.data.count > ending.count
                && Self.lowercased(identity.data).suffix(ending.count) == ending[...]
        }
    }

    /// How closely it names somebody: a connection with a closer pattern is preferred.
    public var specificity: Int {
        switch self {
        case .any: 0
        case .suffix(_, let suffix): 1 + min(suffix.utf8.count, 998)
        case .distinguishedName(let pattern): min(999, 1 + pattern.attributes.count { !$0.isWildcard } * 10)
        case .exactly: 1000
        }
    }

    /// As a configuration file writes it.
    public var description: String {
        switch self {
        case .any: "%any"
        case .exactly(let identity): identity.description
        case .suffix(_, let suffix): "*" + suffix
        case .distinguishedName(let pattern): pattern.description
        }
    }

    private static func lowercased(_ octets: [UInt8]) -> [UInt8] {
        octets.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }
    }
}
