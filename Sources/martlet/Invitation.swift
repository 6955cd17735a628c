import Foundation
import IPsecCrypto
import WireFormat

/// All that the other end of a tunnel has to know, in one line that is pasted there.
///
/// It owns the line's form. The line holds the shared key, with which whoever reads it can pose as either end, or the
/// invited one's private key, with which they can pose as that.
struct Invitation: Codable, Equatable {
    /// The form's version.
    var v = 1
    /// Who invites: a name that is an identity too.
    var gateway: String
    /// Where it is.
    var address: String
    /// The networks behind it.
    var networks: [String]
    /// Who is invited.
    var you: String
    /// The networks behind the invited one.
    var your_networks: [String]
    /// The shared key, hexadecimal; empty where there is a certificate.
    var key: String
    /// The invited one's key and certificate, with the authority's; nil where there is a shared key.
    var credentials: SiteAuthority.Credentials?

    private static let prefix = "martlet1:"
    /// The version of those with a certificate.
    private static let withCertificate = 2

    /// The line: base64url, with a check on damage at the end.
    func line() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let octets = Array(try encoder.encode(self))
        let text = Data(octets + Self.check(octets)).base64EncodedString()
        return Self.prefix
            + text.replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }

    /// Reads a line; blanks and line ends, which terminals put into long lines, do not matter.
    init(line: String) throws {
        // Pasted lines bring breaks with them, and the quotes of a chat or a mail.
        let text = line.filter { !$0.isWhitespace && !"'\"`".contains($0) }
        guard text.hasPrefix(Self.prefix) else {
            throw CommandFailure("This is no invitation: it begins with `\(Self.prefix)`. Paste the whole line.")
        }
        var base64 = text.dropFirst(Self.prefix.count).replacingOccurrences(of: "-", with: "+")
            .replacingOccurrences(of: "_", with: "/")
        base64 += String(repeating: "=", count: (4 - base64.count % 4) % 4)
        guard let data = Data(base64Encoded: base64), data.count > 8 else { throw Self.damaged }
        let octets = Array(data.dropLast(4))
        guard Self.check(octets) == Array(data.suffix(4)) else { throw Self.damaged }
        do { self = try JSONDecoder().decode(Invitation.self, from: Data(octets)) } catch { throw Self.damaged }
        guard (1...Self.withCertificate).contains(v), (v == Self.withCertificate) == (credentials != nil) else {
            throw CommandFailure("This invitation is of a later form (\(v)); update this Martlet.")
        }
    }

    init(
        gateway: String, address: String, networks: [String], you: String, your_networks: [String], key: String,
        credentials: SiteAuthority.Credentials? = nil
    ) {
        self.gateway = gateway
        self.address = address
        self.networks = networks
        self.you = you
        self.your_networks = your_networks
        self.key = key
        self.credentials = credentials
        if credentials != nil { v = Self.withCertificate }
    }

    private static let damaged = CommandFailure(
        "The invitation is damaged. Paste the whole line, from `\(prefix)` to its end.")

    /// Four octets that a damaged line will not have. It finds damage, not forgery.
    private static func check(_ octets: [UInt8]) -> [UInt8] {
        guard let prf = PRF(.prfsha256) else { return [] }
        return Array(prf.compute(key: SecretBytes(Array(prefix.utf8)), octets).exposedBytes().prefix(4))
    }
}
