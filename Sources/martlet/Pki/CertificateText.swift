import IPsecCrypto
import Telemetry
import Trust
import WireFormat

/// Certificates and revocation lists in plain words.
///
/// It owns the words of `martlet pki show`. It trusts nothing in what it shows.
enum CertificateText {
    /// A certificate, several lines.
    static func text(_ certificate: Certificate, now: Int64) -> String {
        var lines = ["Certificate of \(certificate.name)"]
        lines.append("  issued by      \(certificate.isSelfIssued ? "itself" : certificate.issuerName)")
        let (begins, ends) = certificate.validity
        let state =
            now < begins
            ? "not valid yet" : now > ends ? "EXPIRED" : "\((ends - now) / 86_400) days left"
        lines.append("  valid          \(CalendarText.moment(begins)) to \(CalendarText.moment(ends)) (\(state))")
        lines.append("  key            \(certificate.key.kind)")
        lines.append("  serial number  \(Hex.encode(certificate.serial))")
        if certificate.isAuthority {
            let below = certificate.pathLength.map {
                $0 == 0 ? "no authority below it" : "at most \($0) authorities below it"
            }
            lines.append("  an authority: it issues certificates\(below.map { ", \($0)" } ?? "")")
        }
        for name in certificate.alternativeNames {
            let kind =
                switch name {
                case .host: "host name"
                case .email: "e-mail"
                case .address: "address"
                case .directory: "name"
                case .uri: "URI"
                case .other: "other"
                }
            lines.append("  also known as  \(name) (\(kind))")
        }
        if let usage = certificate.keyUsage { lines.append("  its key may    \(words(usage: usage))") }
        if let purposes = certificate.purposes {
            lines.append("  it is for      \(purposes.map(words(purpose:)).joined(separator: ", "))")
        }
        for uri in certificate.locations(.revocationList) { lines.append("  revoked?       \(uri) (list)") }
        for uri in certificate.locations(.responder) { lines.append("  revoked?       \(uri) (OCSP)") }
        lines.append("  CERTREQ name   \(Hex.encode(certificate.key.identifier))")
        return lines.map { Printable.text($0) }.joined(separator: "\n")
    }

    /// A revocation list, several lines.
    static func text(_ list: RevocationList, now: Int64) -> String {
        var lines = ["Revocation list of \(list.issuer?.description ?? "nobody")"]
        let next = list.validity.next == .max ? "for ever" : "until \(CalendarText.moment(list.validity.next))"
        let isStale = now > list.validity.next
        lines.append("  from \(CalendarText.moment(list.validity.from)) \(next)\(isStale ? " (OUT OF DATE)" : "")")
        if let number = list.number { lines.append("  number \(number)") }
        if let base = list.base { lines.append("  only what has changed since number \(base)") }
        lines.append("  \(list.count) revoked")
        for entry in list.entries.prefix(1000) {
            lines.append("    \(Hex.encode(entry.serial)) on \(CalendarText.moment(entry.moment))")
        }
        if list.count > 1000 { lines.append("    …") }
        return lines.map { Printable.text($0) }.joined(separator: "\n")
    }

    private static func words(usage: Int) -> String {
        let names = [
            (0x80, "sign"), (0x40, "sign for keeps"), (0x20, "encrypt keys"), (0x10, "encrypt data"),
            (0x08, "agree on keys"), (0x04, "sign certificates"), (0x02, "sign revocation lists"),
        ]
        let found = names.filter { usage & $0.0 != 0 }.map(\.1)
        return found.isEmpty ? "do nothing that is known" : found.joined(separator: ", ")
    }

    private static func words(purpose: String) -> String {
        switch purpose {
        case "2.5.29.37.0": "any purpose"
        case "1.3.6.1.5.5.7.3.1": "TLS and VPN servers"
        case "1.3.6.1.5.5.7.3.2": "TLS and VPN clients"
        case "1.3.6.1.5.5.7.3.17": "IPsec"
        case "1.3.6.1.5.5.8.2.2": "IPsec (ikeIntermediate)"
        case "1.3.6.1.5.5.7.3.3": "signing code"
        case "1.3.6.1.5.5.7.3.4": "e-mail"
        case "1.3.6.1.5.5.7.3.8": "time stamps"
        case "1.3.6.1.5.5.7.3.9": "OCSP answers"
        default: purpose
        }
    }
}
