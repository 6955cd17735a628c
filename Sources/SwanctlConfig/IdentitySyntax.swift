import GatewayModel
import IPsecCrypto
import NetworkTypes
import WireFormat

/// Identities as swanctl.conf writes them.
///
/// It owns the rules by which a text's form decides its type. It never asks whether an identity makes sense.
enum IdentitySyntax {
    /// An identity that we claim, or that owns a secret; nil for `%any`.
    static func identity(_ text: String) throws(ValueProblem) -> Identity? {
        if isAny(text) { return nil }
        if let typed = try explicit(text) { return typed }
        if text.utf8.contains(UInt8(ascii: "=")) {
            return DistinguishedName(text: text).map { Identity($0) } ?? .keyID(Array(text.utf8))
        }
        if let hex = suffix(of: text, behind: "@#") { return .keyID(try octets(hex, text)) }
        if let address = suffix(of: text, behind: "@@") { return .rfc822(address) }
        if let name = suffix(of: text, behind: "@") { return .fqdn(name) }
        if text == "@" {
            throw ValueProblem("'@' alone is nobody", remedy: "quote what begins with @#, since # begins a comment")
        }
        if text.utf8.contains(UInt8(ascii: "@")) { return .rfc822(text) }
        if text.utf8.contains(UInt8(ascii: ":")) {
            return IPAddress(text).map { Identity($0) } ?? .keyID(Array(text.utf8))
        }
        return IPAddress(text).map { Identity($0) } ?? .fqdn(text)
    }

    /// Whom a connection accepts.
    static func pattern(_ text: String) throws(ValueProblem) -> IdentityPattern {
        guard let identity = try identity(text) else { return .any }
        if let name = identity.distinguishedName, name.hasWildcards { return .distinguishedName(name) }
        guard identity.kind == .fqdn || identity.kind == .rfc822Address, identity.data.contains(UInt8(ascii: "*"))
        else {
            return .exactly(identity)
        }
        let name = String(decoding: identity.data, as: UTF8.self)
        let rest = name.dropFirst()
        guard name.hasPrefix("*"), !rest.contains("*"), let next = rest.first, next == "." || next == "@",
            rest.dropFirst().isEmpty == false
        else {
            throw ValueProblem(
                "'\(text)': a star may only stand for all that comes before a domain",
                remedy: "write *.example.net or *@example.net")
        }
        return .suffix(identity.kind, String(rest))
    }

    private static func isAny(_ text: String) -> Bool {
        ["", "%any", "%any4", "%any6", "*", "0.0.0.0", "::"].contains(text)
    }

    /// `type:value` with a type that is known; nil when the text has another form.
    private static func explicit(_ text: String) throws(ValueProblem) -> Identity? {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let type = text[..<colon].lowercased()
        let value = String(text[text.index(after: colon)...])
        if type.hasPrefix("{"), type.hasSuffix("}"), let number = UInt8(type.dropFirst().dropLast()) {
            return Identity(.init(rawValue: number), try octetsOrText(value))
        }
        if value.hasPrefix("^"), names.contains(where: { $0.0 == type }) {
            throw ValueProblem(
                "'\(text)': regular expressions are not supported yet", remedy: "write *.example.net, or %any")
        }
        guard let kind = names.first(where: { $0.0 == type })?.1 else {
            guard unsupported.contains(type) else { return nil }
            throw ValueProblem(
                "'\(text)': identities of type \(type) are not supported yet",
                remedy: "use a host name, an address, an e-mail address, a distinguished name or a keyid")
        }
        if kind == .ipv4Address || kind == .ipv6Address, !value.hasPrefix("#") {
            guard let address = IPAddress(value), address.family == (kind == .ipv4Address ? .v4 : .v6) else {
                throw ValueProblem("'\(value)' is not an address of type \(type)", remedy: "correct the address")
            }
            return Identity(address)
        }
        if kind == .asn1DN { return try distinguishedName(value) }
        let data = try octetsOrText(value)
        if kind == .ipv4Address || kind == .ipv6Address, data.count != (kind == .ipv4Address ? 4 : 16) {
            throw ValueProblem("'\(text)' has the wrong number of octets for \(type)", remedy: "correct the address")
        }
        return Identity(kind, data)
    }

    private static let names: [(String, Identity.Kind)] = [
        ("ipv4", .ipv4Address), ("ipv6", .ipv6Address), ("rfc822", .rfc822Address), ("email", .rfc822Address),
        ("userfqdn", .rfc822Address), ("fqdn", .fqdn), ("dns", .fqdn), ("keyid", .keyID), ("asn1dn", .asn1DN),
    ]

    private static let unsupported: Set<String> = [
        "ipv4net", "ipv6net", "ipv4range", "ipv6range", "asn1gn", "xmppaddr", "uri",
    ]

    private static func distinguishedName(_ value: String) throws(ValueProblem) -> Identity {
        let name =
            value.hasPrefix("#") ? DistinguishedName(der: try octetsOrText(value)) : DistinguishedName(text: value)
        guard let name else {
            throw ValueProblem(
                "'\(value)' is not a distinguished name", remedy: "write key=value pairs, as in C=CH, O=lab, CN=a.lab")
        }
        return Identity(name)
    }

    private static func octetsOrText(_ value: String) throws(ValueProblem) -> [UInt8] {
        value.hasPrefix("#") ? try octets(String(value.dropFirst()), value) : Array(value.utf8)
    }

    private static func octets(_ hex: String, _ text: String) throws(ValueProblem) -> [UInt8] {
        guard let octets = Hex.decode(hex), !octets.isEmpty else {
            throw ValueProblem(
                "'\(text)': what follows # is not hexadecimal", remedy: "write pairs of hexadecimal digits")
        }
        return octets
    }

    private static func suffix(of text: String, behind prefix: String) -> String? {
        text.hasPrefix(prefix) && text.utf8.count > prefix.utf8.count ? String(text.dropFirst(prefix.count)) : nil
    }
}
