import CTrust
public import WireFormat

/// Files with certificates: PEM with any number, DER with one, PKCS #12 with a key as well.
///
/// It owns nothing that lasts. It reads octets that somebody else took from a file.
public enum CertificateFile {
    /// Certificates in one file at most.
    public static let most = 1024

    /// All certificates in PEM, or the one in DER; at least one.
    public static func certificates(_ octets: [UInt8]) throws(TrustError) -> [Certificate] {
        let list = unsafe octets.lend { bytes, count in
            unsafe martlet_certificates_read(bytes, count, Int32(most))
        }
        guard let list = unsafe list else { throw .noCertificate }
        let taken = unsafe CertificateList(adopting: list)
        return try taken.certificates()
    }

    /// What a PKCS #12 file holds.
    public struct Container: Sendable {
        /// The private key; nil where there is none.
        public let key: PrivateKey?
        /// The certificates, the key's own first.
        public let certificates: [Certificate]
    }

    /// The contents of a PKCS #12 file.
    public static func container(
        _ octets: SecretBytes, password: SecretBytes?
    ) throws(TrustError) -> Container {
        var outcome: Int32 = 0
        var key: OpaquePointer?
        let list = unsafe octets.lend { bytes, count -> OpaquePointer? in
            guard let password else {
                return unsafe martlet_container_read(bytes, count, nil, 0, &key, &outcome)
            }
            return unsafe password.lend { word, length in
                // All are read during the call only.
                unsafe martlet_container_read(bytes, count, word, length, &key, &outcome)
            }
        }
        let found: PrivateKey?
        if let key = unsafe key { found = try unsafe PrivateKey(adopting: key) } else { found = nil }
        guard let list = unsafe list else { throw PrivateKey.error(outcome, else: .noContainer) }
        return Container(key: found, certificates: try unsafe CertificateList(adopting: list).certificates())
    }
}

/// libcrypto's list of certificates, for as long as one call takes.
@safe
final class CertificateList {
    let list: OpaquePointer

    /// A list of these; nil when there is no memory.
    init?(_ certificates: [Certificate]) {
        guard let made = unsafe martlet_list_new() else { return nil }
        unsafe list = made
        for certificate in certificates {
            guard unsafe martlet_list_add(list, certificate.library) == 1 else { return nil }
        }
    }

    /// Takes over libcrypto's list.
    @unsafe
    init(adopting list: OpaquePointer) { unsafe self.list = list }

    deinit {
        // Made or taken over by `init`.
        unsafe martlet_list_free(list)
    }

    /// The certificates in it.
    func certificates() throws(TrustError) -> [Certificate] {
        var found: [Certificate] = []
        for index in 0..<max(0, unsafe martlet_list_count(list)) {
            guard let one = unsafe martlet_list_take(list, index) else { throw .noCertificate }
            found.append(try unsafe Certificate(adopting: one))
        }
        return found
    }
}
