import CTrust
public import IPsecCrypto

/// A certificate revocation list (RFC 5280 §5).
///
/// It owns libcrypto's form of it. It never says whether its signature is good: ``RevocationCheck`` does.
@safe
public final class RevocationList: @unchecked Sendable {
    // `@unchecked`: libcrypto's list is looked up under its own locks and not changed once made.
    let library: OpaquePointer
    /// Who issued it.
    public let issuer: DistinguishedName?
    /// From when and until when it speaks, in seconds since 1970; the end is Int64.max where none is given.
    public let validity: (from: Int64, next: Int64)
    /// Its number; nil where it has none.
    public let number: Int64?
    /// The number of the list that it changes, for a delta list.
    public let base: Int64?
    /// Certificates in it.
    public let count: Int
    /// Whether it speaks about everything that its issuer has issued, and says nothing that needs libcrypto's judgement.
    let isPlain: Bool

    /// One certificate that is revoked.
    public struct Entry: Hashable, Sendable {
        /// The serial number, big-endian.
        public let serial: [UInt8]
        /// When, in seconds since 1970.
        public let moment: Int64
        /// Why, as RFC 5280 §5.3.1 counts; nil for no reason.
        public let reason: Int?

        /// One certificate that is revoked.
        public init(serial: [UInt8], moment: Int64, reason: Int?) {
            self.serial = serial
            self.moment = moment
            self.reason = reason
        }
    }

    /// The list in a file, PEM or DER.
    public convenience init(file: [UInt8]) throws(TrustError) {
        let read = unsafe file.lend { octets, count in unsafe martlet_crl_read(octets, count) }
        guard let read = unsafe read else { throw .noRevocationList }
        try unsafe self.init(adopting: read)
    }

    /// Takes over libcrypto's list.
    init(adopting library: OpaquePointer) throws(TrustError) {
        var (from, next, number, base): (Int64, Int64, Int64, Int64) = (0, 0, -1, -1)
        var entries: Int32 = 0
        guard unsafe martlet_crl_facts(library, &from, &next, &number, &base, &entries) == 1 else {
            unsafe martlet_crl_free(library)
            throw .noRevocationList
        }
        unsafe self.library = library
        issuer = unsafe LibraryBytes.written { out, room in
            unsafe martlet_crl_issuer(library, out, room)
        }.flatMap { DistinguishedName(der: $0) }
        validity = (from, next)
        self.number = number < 0 ? nil : number
        self.base = base < 0 ? nil : base
        count = Int(entries)
        isPlain = unsafe martlet_crl_is_plain(library) == 1
    }

    /// Its DER, made anew each time: a list may be large.
    public var der: [UInt8] {
        unsafe LibraryBytes.written(limit: 128 << 20) { out, room in unsafe martlet_crl_der(library, out, room) } ?? []
    }

    deinit {
        // Made or taken over by `init`.
        unsafe martlet_crl_free(library)
    }

    /// Whether `authority`'s key signed it.
    public func isSigned(by authority: Certificate) -> Bool {
        // Both live until after the call.
        unsafe martlet_crl_signed_by(library, authority.library) == 1
    }

    /// Whether it says that a certificate of its issuer's is revoked.
    func holds(_ certificate: Certificate) -> Bool {
        // Both live until after the call.
        unsafe martlet_crl_holds(library, certificate.library) == 1
    }

    /// What it lists, in its order.
    public var entries: [Entry] {
        var found: [Entry] = []
        for index in 0..<count {
            var moment: Int64 = 0
            var reason: Int32 = -1
            let (done, serial) = unsafe LibraryBytes.filled(room: 64) { out, length in
                unsafe martlet_crl_entry(library, Int32(clamping: index), out, &length, &moment, &reason)
            }
            guard done == 1 else { break }
            found.append(Entry(serial: serial, moment: moment, reason: reason < 0 ? nil : Int(reason)))
        }
        return found
    }

    /// The list in PEM.
    public var pem: [UInt8] {
        unsafe LibraryBytes.filled(room: der.count * 2 + 4096) { out, length in
            length = unsafe martlet_crl_pem(library, out, length)
            return 1
        }.1
    }
}

extension CertificateIssuer {
    /// A revocation list of this issuer's; nil when it has no certificate, or libcrypto refuses.
    public func revocationList(
        _ entries: [RevocationList.Entry], validity: ClosedRange<Int64>, number: Int64, base: Int64? = nil
    ) -> RevocationList? {
        guard let certificate else { return nil }
        let draft = unsafe martlet_crl_draft(
            certificate.library, validity.lowerBound, validity.upperBound, number, base ?? -1)
        guard let draft = unsafe draft else { return nil }
        for entry in entries {
            let added = unsafe entry.serial.lend { octets, count in
                unsafe martlet_crl_draft_add(draft, octets, count, entry.moment, Int32(clamping: entry.reason ?? -1))
            }
            guard added == 1 else {
                unsafe martlet_crl_free(draft)
                return nil
            }
        }
        guard unsafe martlet_crl_draft_sign(draft, key.key, Self.hashName(key, nil)) == 1 else {
            unsafe martlet_crl_free(draft)
            return nil
        }
        return try? unsafe RevocationList(adopting: draft)
    }
}
