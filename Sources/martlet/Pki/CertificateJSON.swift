import Telemetry
import Trust
import WireFormat

/// Certificates and revocation lists as JSON has them.
///
/// It owns the fields' names. It trusts nothing in what it shows.
enum CertificateJSON {
    /// A certificate. Times are seconds since 1970.
    static func value(_ certificate: Certificate) -> JSONValue {
        let (begins, ends) = certificate.validity
        return .object([
            "kind": "certificate", "subject": .text(Printable.text(certificate.name)),
            "issuer": .text(Printable.text(certificate.issuerName)), "begins": .number(Double(begins)),
            "ends": .number(Double(ends)), "key": .text("\(certificate.key.kind)"),
            "serial": .text(Hex.encode(certificate.serial)), "authority": .truth(certificate.isAuthority),
            "names": JSONValue(certificate.alternativeNames.map { Printable.text("\($0)") }),
            "lists": JSONValue(certificate.locations(.revocationList).map { Printable.text("\($0)") }),
            "responders": JSONValue(certificate.locations(.responder).map { Printable.text("\($0)") }),
        ])
    }

    /// A revocation list.
    static func value(_ list: RevocationList) -> JSONValue {
        .object([
            "kind": "revocation-list", "issuer": JSONValue(list.issuer.map { Printable.text("\($0)") }),
            "begins": .number(Double(list.validity.from)), "ends": .number(Double(list.validity.next)),
            "number": list.number.map { .number(Double($0)) } ?? .null,
            "revoked": JSONValue(list.entries.prefix(1000).map { Hex.encode($0.serial) }),
            "count": .number(Double(list.count)),
        ])
    }
}
