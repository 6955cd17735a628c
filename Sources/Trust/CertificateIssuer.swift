import CTrust
public import IPsecCrypto
import WireFormat

/// Makes certificates.
///
/// It owns how a certificate is put together: `martlet pki`, and tests. It decides nothing about what should be in one.
public struct CertificateIssuer: Sendable {
    /// The issuer's certificate; nil for one that issues itself.
    public let certificate: Certificate?
    /// The key that signs.
    public let key: PrivateKey

    /// An issuer.
    public init(_ certificate: Certificate?, _ key: PrivateKey) {
        self.certificate = certificate
        self.key = key
    }

    /// One extension in libcrypto's notation (x509v3_config(5)): `keyUsage`, `critical,digitalSignature`.
    public struct Extension: Sendable {
        let name: String
        let value: String

        /// One extension.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// A certificate for `key`.
    ///
    /// - Parameters:
    ///   - serial: Big-endian, 1 to 20 octets, positive.
    ///   - validity: In seconds since 1970.
    ///   - hash: For keys that can choose; by the size of the signing key where it is nil.
    /// - Returns: nil when libcrypto refuses: an extension that makes no sense, most often.
    public func issue(
        _ subject: DistinguishedName, _ subjectKey: PublicKey, serial: [UInt8], validity: ClosedRange<Int64>,
        extensions: [Extension], hash: HashFunction? = nil
    ) -> Certificate? {
        let draft = unsafe subject.der.lend { name, nameLength in
            unsafe serial.lend { number, numberLength in
                // All are read or shared during the call.
                unsafe martlet_draft(
                    name, nameLength, certificate?.library, subjectKey.key, number, numberLength, validity.lowerBound,
                    validity.upperBound)
            }
        }
        guard let draft = unsafe draft else { return nil }
        for part in extensions {
            guard unsafe martlet_draft_extend(draft, certificate?.library, part.name, part.value) == 1 else {
                unsafe martlet_certificate_free(draft)
                return nil
            }
        }
        guard unsafe martlet_draft_sign(draft, key.key, Self.hashName(key, hash)) == 1 else {
            unsafe martlet_certificate_free(draft)
            return nil
        }
        // Read anew: what was put together has not been looked at as a whole yet.
        let der = unsafe LibraryBytes.written { out, room in unsafe martlet_certificate_der(draft, out, room) }
        unsafe martlet_certificate_free(draft)
        return der.flatMap { try? Certificate(der: $0) }
    }

    /// The name of the hash to sign with; nil where the key's scheme has its own.
    static func hashName(_ key: PrivateKey, _ wanted: HashFunction?) -> String? {
        switch key.publicKey.kind {
        case .ed25519, .ed448: nil
        case .p384: (wanted ?? .sha384).digestName
        case .p521: (wanted ?? .sha512).digestName
        case .rsa, .p256, .curve: (wanted ?? .sha256).digestName
        }
    }
}

extension Certificate {
    /// The certificate in PEM.
    public var pem: [UInt8] {
        unsafe LibraryBytes.filled(room: 1 << 18) { out, length in
            // Writes no more than `length`.
            length = unsafe martlet_certificate_pem(library, out, length)
            return 1
        }.1
    }
}

extension HashFunction {
    /// libcrypto's name by which digests are looked up.
    var digestName: String {
        switch self {
        case .md5: "MD5"
        case .sha1: "SHA1"
        case .sha256: "SHA256"
        case .sha384: "SHA384"
        case .sha512: "SHA512"
        }
    }
}
