import Foundation
import IPsecCrypto
import Telemetry
import Trust
import ViciMessages
import WireFormat

/// The text of swanctl's `--list-certs`: certificates and revocation lists under headings by kind.
///
/// It owns the layout. It trusts nothing in what it shows, and shows nothing of a private key but that there is one.
struct SwanctlCertificates {
    /// Now, in seconds since 1970.
    let now: Int64
    /// Times in UTC, not in the machine's zone.
    let isUTC: Bool
    /// Without flags and locations.
    let isShort: Bool
    /// PEM instead of words.
    let isPEM: Bool

    /// All `list-cert` messages that came, as lines. A heading begins where another kind does.
    func lines(_ messages: [ViciTree]) -> [String] {
        var lines: [String] = []
        var heading = ""
        for message in messages {
            let title = Self.title(message["type"] ?? "", message["flag"] ?? "NONE")
            if title != heading, !isPEM { lines += ["", "List of \(title)"] }
            heading = title
            lines += entry(message)
        }
        return lines
    }

    private static func title(_ type: String, _ flag: String) -> String {
        switch (type, flag) {
        case ("X509", "CA"): "X.509 CA Certificates"
        case ("X509", "AA"): "X.509 AA Certificates"
        case ("X509", "OCSP"): "X.509 OCSP Signer Certificates"
        case ("X509", _): "X.509 End Entity Certificates"
        case ("X509_AC", _): "X.509 Attribute Certificates"
        case ("X509_CRL", _): "X.509 CRLs"
        case ("OCSP_RESPONSE", _): "OCSP Responses"
        default: "Raw Public Keys"
        }
    }

    private func entry(_ message: ViciTree) -> [String] {
        guard case .value(let der)? = message[element: "data"] else { return [] }
        let holdsKey = message["has_privkey"] == "yes"
        let type = message["type"] ?? ""
        if isPEM { return pem(type, der) }
        switch type {
        case "X509":
            guard let certificate = try? Certificate(der: der) else { break }
            return text(certificate, holdsKey)
        case "X509_CRL":
            guard let list = try? RevocationList(file: der) else { break }
            return text(list)
        case "PUBKEY":
            guard let key = try? PublicKey(file: der) else { break }
            return [""] + (message["subject"].map { [field("subject", $0)] } ?? []) + text(key, holdsKey)
        default: break
        }
        return ["", "  \(der.count) octets that this program does not read"]
    }

    private func pem(_ type: String, _ der: [UInt8]) -> [String] {
        let label = ["X509": "CERTIFICATE", "X509_CRL": "X509 CRL", "PUBKEY": "PUBLIC KEY"][type] ?? type
        let body = Data(der).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return ["-----BEGIN \(label)-----", body, "-----END \(label)-----"]
    }

    // MARK: Certificates

    private func text(_ certificate: Certificate, _ holdsKey: Bool) -> [String] {
        let (begins, ends) = certificate.validity
        var lines = [
            "", field("subject", "\"\(certificate.subject?.description ?? "")\""),
            field("issuer", "\"\(certificate.issuerName)\""),
            field(
                "validity",
                "not before \(moment(begins)), "
                    + (now < begins ? "not valid yet (valid in \(span(begins - now)))" : "ok")),
            "             not after  \(moment(ends)), "
                + (now > ends ? "expired (\(span(now - ends)) ago)" : "ok (expires in \(span(ends - now)))"),
            field("serial", colons(certificate.serial)),
        ]
        let names = certificate.alternativeNames.map(\.description)
        if !names.isEmpty { lines.append(field("altNames", names.joined(separator: ", "))) }
        if !isShort { lines += details(certificate) }
        if let issuer = certificate.issuerKeyIdentifier { lines.append(field("authkeyId", colons(issuer))) }
        if let own = certificate.statedKeyIdentifier { lines.append(field("subjkeyId", colons(own))) }
        return lines + text(certificate.key, holdsKey)
    }

    private func details(_ certificate: Certificate) -> [String] {
        var lines: [String] = []
        let purposes = certificate.purposes ?? []
        let usage = certificate.keyUsage ?? 0
        let flags = [
            (certificate.isAuthority, "CA"), (!certificate.isAuthority && usage & 0x02 != 0, "CRLSign"),
            (purposes.contains("1.3.6.1.5.5.7.3.9"), "OCSPSigning"),
            (purposes.contains("1.3.6.1.5.5.7.3.1"), "serverAuth"),
            (purposes.contains("1.3.6.1.5.5.7.3.2"), "clientAuth"),
            (purposes.contains("1.3.6.1.5.5.8.2.2"), "ikeIntermediate"), (certificate.isSelfIssued, "self-signed"),
        ].filter(\.0).map(\.1)
        if !flags.isEmpty { lines.append(field("flags", flags.joined(separator: " "))) }
        for (name, kind) in [("CRL URIs", Certificate.Location.revocationList), ("OCSP URIs", .responder)] {
            for (index, uri) in certificate.locations(kind).enumerated() {
                lines.append(index == 0 ? field(name, uri) : "             \(uri)")
            }
        }
        if let length = certificate.pathLength { lines.append(field("pathlen", "\(length)")) }
        return lines
    }

    private func text(_ key: PublicKey, _ holdsKey: Bool) -> [String] {
        let kind =
            switch key.kind {
            case .rsa(let bits): "RSA \(bits) bits"
            case .ed25519: "ED25519 256 bits"
            case .ed448: "ED448 448 bits"
            case .p256, .p384, .p521, .curve: "ECDSA \(key.kind.bits) bits"
            }
        return [
            field("pubkey", kind + (holdsKey ? ", has private key" : "")), field("keyid", colons(key.identifier)),
            field("subjkey", colons(key.subjectKeyIdentifier)),
        ]
    }

    private func text(_ list: RevocationList) -> [String] {
        var lines = ["", field("issuer", "\"\(list.issuer?.description ?? "")\"")]
        lines.append(field("update", "this on \(moment(list.validity.from)), ok"))
        if list.validity.next != .max {
            let next = list.validity.next
            lines.append(
                "             next on \(moment(next)), "
                    + (now > next ? "expired (\(span(now - next)) ago)" : "ok (expires in \(span(next - now)))"))
        }
        if let number = list.number { lines.append(field("serial", "\(number)")) }
        if let base = list.base { lines.append(field("base", "\(base)")) }
        lines.append("  \(list.count) revoked certificate\(list.count == 1 ? "" : "s")" + (list.count == 0 ? "" : ":"))
        for entry in isShort ? [] : list.entries {
            lines.append("    \(colons(entry.serial)): \(moment(entry.moment))")
        }
        return lines
    }

    // MARK: Words

    private func field(_ name: String, _ value: String) -> String {
        let head = "  \(name):"
        // Names stand one column further to the left than everything else there.
        let column = name == "subject" || name == "issuer" ? 12 : 13
        return head + String(repeating: " ", count: max(1, column - head.count)) + Printable.text(value)
    }

    private func colons(_ octets: [UInt8]) -> String {
        octets.map { Hex.encode([$0]) }.joined(separator: ":")
    }

    /// `364 days`: whole units, the largest of which there are more than two.
    private func span(_ seconds: Int64) -> String {
        let units: [(Int64, String)] = [(86_400, "days"), (3_600, "hours"), (60, "minutes")]
        let (size, name) = units.first { seconds > 2 * $0.0 } ?? (1, "seconds")
        return "\(seconds / size) \(name)"
    }

    private func moment(_ seconds: Int64) -> String {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = isUTC ? TimeZone(secondsFromGMT: 0) : TimeZone.current
        format.dateFormat = "MMM dd HH:mm:ss yyyy"
        return format.string(from: Date(timeIntervalSince1970: Double(seconds))) + (isUTC ? " UTC" : "")
    }
}
