import CTrust
public import GatewayModel
import IPsecCrypto

/// Whether certificates of a trusted chain have been revoked, as far as lists say (RFC 5280 §6.3, by libcrypto).
///
/// It owns what follows from a list that is missing or stale under each policy. It never fetches anything: the lists come
/// in, and so does the moment.
public struct RevocationCheck: Sendable {
    /// The lists, full ones and delta ones, in any order.
    public var lists: [RevocationList]

    /// A check with these lists.
    public init(lists: [RevocationList]) { self.lists = lists }

    /// What lists say about one certificate.
    public enum Status: Hashable, Sendable {
        /// A list speaks about it, and does not hold it.
        case good(source: String)
        /// A list holds it.
        case revoked(source: String)
        /// No list speaks about it; why.
        case unknown(reason: String)
    }

    /// What is known about the certificate at `index` of a chain, which may not be the last: nobody vouches for that.
    /// `moment` is in seconds since 1970. `isSigned` may know already whose signature is on a list, which takes long to
    /// find out for a large one.
    public func status(
        of chain: [Certificate], at index: Int, moment: Int64,
        isSigned: (RevocationList, Certificate) -> Bool = { $0.isSigned(by: $1) }
    ) -> Status {
        guard chain.indices.contains(index), chain.indices.contains(index + 1) else {
            return .unknown(reason: "nobody has issued it")
        }
        let certificate = chain[index]
        let issuer = certificate.issuer
        let relevant = lists.filter { list in
            guard let issuer, let by = list.issuer else { return false }
            return by.isSame(as: issuer)
        }
        guard !relevant.isEmpty else {
            return .unknown(reason: "there is no revocation list of '\(certificate.issuerName)'")
        }
        // A peer may send lists: a false one must not come between us and a true one.
        let signed = relevant.filter { isSigned($0, chain[index + 1]) }
        guard let first = signed.first else {
            return .unknown(reason: "the signature of the revocation list of '\(certificate.issuerName)' is false")
        }
        // libcrypto looks at delta lists only where a certificate points to them.
        let changes = signed.filter { $0.base != nil && moment >= $0.validity.from && moment <= $0.validity.next }
        if changes.contains(where: { $0.holds(certificate) }) {
            return .revoked(source: "the delta revocation list of '\(certificate.issuerName)'")
        }
        if signed.allSatisfy(\.isPlain) { return plainStatus(certificate, chain[index + 1], signed, moment) }
        guard let listed = LibraryLists(signed), let certificates = CertificateList(chain) else {
            return .unknown(reason: "out of memory")
        }
        // All live until after the call, which changes none.
        let result = unsafe martlet_chain_revocation(
            certificates.list, Int32(clamping: index), listed.lists, moment)
        let source = "the revocation list of '\(first.issuer?.description ?? "")'"
        switch result {
        case X509_V_OK: return .good(source: source)
        case X509_V_ERR_CERT_REVOKED: return .revoked(source: source)
        case X509_V_ERR_CRL_HAS_EXPIRED:
            return .unknown(reason: "\(source) is out of date")
        case X509_V_ERR_CRL_NOT_YET_VALID: return .unknown(reason: "\(source) is from the future")
        case X509_V_ERR_CRL_SIGNATURE_FAILURE, X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
            return .unknown(reason: "the signature of \(source) is false")
        default:
            // libcrypto's words are a constant that ends in a zero octet.
            return .unknown(reason: "\(source) can't be used: \(unsafe String(cString: martlet_chain_words(result)))")
        }
    }

    /// What lists say that speak about everything of their issuer's: libcrypto would look through the whole of each
    /// again to check its signature, for every certificate.
    private func plainStatus(
        _ certificate: Certificate, _ issuer: Certificate, _ signed: [RevocationList], _ moment: Int64
    ) -> Status {
        let full = signed.filter { $0.base == nil }
        let source = "the revocation list of '\(certificate.issuerName)'"
        guard issuer.keyUsage.map({ $0 & 0x02 != 0 }) ?? true else {
            return .unknown(reason: "'\(issuer.name)' may not sign revocation lists")
        }
        // What a list that is out of date holds is revoked all the same.
        if full.contains(where: { $0.holds(certificate) }) { return .revoked(source: source) }
        if full.contains(where: { $0.validity.from <= moment && moment <= $0.validity.next }) {
            return .good(source: source)
        }
        if full.isEmpty { return .unknown(reason: "there is no full revocation list of '\(certificate.issuerName)'") }
        let isOld = full.contains { $0.validity.next < moment }
        return .unknown(reason: "\(source) is \(isOld ? "out of date" : "from the future")")
    }

    /// Judges a trusted chain.
    ///
    /// - Returns: What is known about the peer's own certificate.
    /// - Throws: `revoked` whatever the policy; `revocationUnknown` where the policy insists on an answer.
    public func judge(
        _ chain: [Certificate], _ policy: RevocationPolicy, moment: Int64
    ) throws(CertificateProblem) -> PeerCertificate.Revocation {
        var own = PeerCertificate.Revocation.notChecked
        for index in chain.indices.dropLast() {
            let certificate = chain[index]
            switch status(of: chain, at: index, moment: moment) {
            case .revoked(let source): throw .revoked(subject: certificate.name, source: source)
            case .good(let source): if index == 0 { own = .good(source: source) }
            case .unknown(let reason):
                let insists =
                    switch policy {
                    case .strict: true
                    case .ifURI:
                        !certificate.locations(.revocationList).isEmpty || !certificate.locations(.responder).isEmpty
                    case .relaxed: false
                    }
                if insists { throw .revocationUnknown(subject: certificate.name, reason: reason) }
                if index == 0 { own = .unknown(reason: reason) }
            }
        }
        return own
    }
}

/// libcrypto's form of several lists, for as long as one call takes.
@safe
private final class LibraryLists {
    let lists: OpaquePointer

    init?(_ lists: [RevocationList]) {
        guard let made = unsafe martlet_crls_new() else { return nil }
        unsafe self.lists = made
        for list in lists {
            guard unsafe martlet_crls_add(made, list.library) == 1 else { return nil }
        }
    }

    deinit {
        // Made by `init`.
        unsafe martlet_crls_free(lists)
    }
}
