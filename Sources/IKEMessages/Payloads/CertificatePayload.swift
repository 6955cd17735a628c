public import WireFormat

/// How a certificate is encoded (RFC 7296 §3.6; IANA's registry, open-ended).
public struct CertificateEncoding: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt8
    /// The encoding with this number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// An X.509 certificate in PKCS #7.
    public static let pkcs7 = Self(rawValue: 1)
    /// A PGP certificate.
    public static let pgp = Self(rawValue: 2)
    /// A key signed by DNS.
    public static let dnsSignedKey = Self(rawValue: 3)
    /// An X.509 certificate in DER whose key signs.
    public static let x509Signature = Self(rawValue: 4)
    /// A Kerberos token.
    public static let kerberosToken = Self(rawValue: 6)
    /// A certificate revocation list in DER.
    public static let revocationList = Self(rawValue: 7)
    /// An authority revocation list.
    public static let authorityRevocationList = Self(rawValue: 8)
    /// An SPKI certificate.
    public static let spki = Self(rawValue: 9)
    /// An X.509 attribute certificate.
    public static let x509Attribute = Self(rawValue: 10)
    /// A PKCS #1 RSA key (deprecated by RFC 7670).
    public static let rawRSAKey = Self(rawValue: 11)
    /// A SHA-1 hash and the URL of an X.509 certificate.
    public static let hashAndURLCertificate = Self(rawValue: 12)
    /// A SHA-1 hash and the URL of a bundle of X.509 certificates.
    public static let hashAndURLBundle = Self(rawValue: 13)
    /// OCSP content (RFC 4806).
    public static let ocsp = Self(rawValue: 14)
    /// A SubjectPublicKeyInfo (RFC 7670).
    public static let rawPublicKey = Self(rawValue: 15)
}

extension CertificateEncoding: CustomStringConvertible {
    /// A name for a log, else the number.
    public var description: String {
        switch self {
        case .pkcs7: "PKCS #7"
        case .pgp: "PGP"
        case .dnsSignedKey: "DNS signed key"
        case .x509Signature: "X.509"
        case .kerberosToken: "Kerberos"
        case .revocationList: "CRL"
        case .authorityRevocationList: "ARL"
        case .spki: "SPKI"
        case .x509Attribute: "X.509 attribute"
        case .rawRSAKey: "raw RSA key"
        case .hashAndURLCertificate: "hash and URL of X.509"
        case .hashAndURLBundle: "hash and URL of X.509 bundle"
        case .ocsp: "OCSP"
        case .rawPublicKey: "raw public key"
        default: "certificate encoding \(rawValue)"
        }
    }
}

/// A certificate or something that helps to judge one (RFC 7296 §3.6, figure 12).
public struct CertificatePayload: PayloadBody {
    /// How it is encoded.
    public var encoding: CertificateEncoding
    /// The encoded certificate.
    public var data: [UInt8]

    /// A certificate.
    public init(_ encoding: CertificateEncoding, _ data: [UInt8]) {
        self.encoding = encoding
        self.data = data
    }

    /// Reads the body.
    public init(parsing reader: inout WireReader) throws(WireError) {
        encoding = CertificateEncoding(rawValue: try reader.uint8("certificate encoding"))
        data = try reader.rest("certificate data")
    }

    /// Appends the body.
    public func write(into writer: inout WireWriter) {
        writer.uint8(encoding.rawValue)
        writer.append(data)
    }
}

/// Which certificates a peer would like to see (RFC 7296 §3.7, figure 13).
public struct CertificateRequestPayload: PayloadBody {
    /// Octets of one authority's hash (SHA-1 of its SubjectPublicKeyInfo).
    public static let hashLength = 20

    /// How the certificates should be encoded.
    public var encoding: CertificateEncoding
    /// The authorities as the encoding writes them.
    public var data: [UInt8]

    /// A request.
    public init(_ encoding: CertificateEncoding, _ data: [UInt8]) {
        self.encoding = encoding
        self.data = data
    }

    /// A request for X.509 certificates of authorities with these key hashes, 20 octets each.
    public init(authorities: [[UInt8]]) { self.init(.x509Signature, Array(authorities.joined())) }

    /// A request for OCSP answers, by responders with these key hashes or whom the issuer has told to answer (RFC 4806 §3.1).
    public init(responders: [[UInt8]]) { self.init(.ocsp, Array(responders.joined())) }

    /// Reads the body; fails when the authorities of X.509 are not whole hashes.
    public init(parsing reader: inout WireReader) throws(WireError) {
        encoding = CertificateEncoding(rawValue: try reader.uint8("certificate encoding"))
        data = try reader.rest("certification authority")
        if hasHashes, data.count % Self.hashLength != 0 {
            throw .trailing(structure: "certification authority hashes", count: data.count % Self.hashLength)
        }
    }

    /// Appends the body.
    public func write(into writer: inout WireWriter) {
        writer.uint8(encoding.rawValue)
        writer.append(data)
    }

    /// The authorities' key hashes; empty for an encoding that has none.
    public var authorities: [[UInt8]] {
        guard hasHashes else { return [] }
        return stride(from: 0, to: data.count - data.count % Self.hashLength, by: Self.hashLength).map {
            Array(data[$0..<($0 + Self.hashLength)])
        }
    }

    private var hasHashes: Bool {
        encoding == .x509Signature || encoding == .hashAndURLCertificate || encoding == .hashAndURLBundle
    }
}
