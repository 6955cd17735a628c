import CTrust
public import IPsecCrypto
public import NetworkTypes

/// An X.509 certificate and what it says.
///
/// It owns libcrypto's form of it and copies of its facts. It never says whether it may be believed: ``ChainValidator``
/// does.
@safe
public final class Certificate: @unchecked Sendable {
    // `@unchecked`: libcrypto's certificate is changed only while `init` makes it look at the extensions.
    let library: OpaquePointer

    /// A name besides the subject (RFC 5280 §4.2.1.6).
    public enum AlternativeName: Hashable, Sendable {
        /// A host name; may begin with `*.`.
        case host(String)
        /// An e-mail address.
        case email(String)
        /// An address.
        case address(IPAddress)
        /// A distinguished name.
        case directory(DistinguishedName)
        /// A URI.
        case uri(String)
        /// Something else, by the tag of its general name.
        case other(Int)
    }

    /// Its DER.
    public let der: [UInt8]
    /// Whose key it is; nil where the name is empty or can't be read.
    public let subject: DistinguishedName?
    /// Who issued it.
    public let issuer: DistinguishedName?
    /// The serial number, big-endian.
    public let serial: [UInt8]
    /// Its beginning and end, in seconds since 1970.
    public let validity: (begins: Int64, ends: Int64)
    /// The names besides the subject.
    public let alternativeNames: [AlternativeName]
    /// The key usage bits (0x80 digitalSignature, 0x40 nonRepudiation, 0x04 keyCertSign, 0x02 cRLSign); nil for no limit.
    public let keyUsage: Int?
    /// The extended key usages as dotted identifiers; nil for no limit.
    public let purposes: [String]?
    /// Whether it may issue certificates.
    public let isAuthority: Bool
    /// How many authorities may stand below it; nil for any number.
    public let pathLength: Int?
    /// The hash of its own signature; nil where the scheme has its own.
    public let signatureBits: Int
    /// Whether it has issued itself.
    public let isSelfIssued: Bool
    /// Its key.
    public let key: PublicKey

    /// The certificate in DER, which holds it and nothing else.
    public convenience init(der: [UInt8]) throws(TrustError) {
        let read = unsafe der.lend { octets, count in unsafe martlet_certificate_read(octets, count) }
        guard let read = unsafe read else { throw .noCertificate }
        try unsafe self.init(adopting: read)
    }

    /// Takes over libcrypto's certificate.
    init(adopting library: OpaquePointer) throws(TrustError) {
        guard let facts = unsafe Facts(library) else {
            unsafe martlet_certificate_free(library)
            throw .noCertificate
        }
        guard let found = unsafe martlet_certificate_key(library) else {
            unsafe martlet_certificate_free(library)
            throw .unsupportedKey
        }
        do throws(TrustError) {
            key = try unsafe PublicKey(adopting: found)
        } catch {
            unsafe martlet_certificate_free(library)
            throw .unsupportedKey
        }
        unsafe self.library = library
        der = facts.der
        subject = facts.subject
        issuer = facts.issuer
        serial = facts.serial
        validity = facts.validity
        alternativeNames = facts.alternativeNames
        keyUsage = facts.keyUsage
        purposes = facts.purposes
        isAuthority = facts.isAuthority
        pathLength = facts.pathLength
        signatureBits = facts.signatureBits
        isSelfIssued = facts.isSelfIssued
    }

    deinit {
        // Made or taken over by `init`.
        unsafe martlet_certificate_free(library)
    }

    /// The subject as people write it; the first alternative name where it is empty.
    public var name: String {
        if let subject, !subject.attributes.isEmpty { return subject.description }
        return alternativeNames.first?.description ?? "(a certificate without a name)"
    }

    /// The issuer as people write it.
    public var issuerName: String { issuer?.description ?? "(nobody)" }

    /// Whether `other`'s key signed it.
    public func isSigned(by other: Certificate) -> Bool {
        // Both live until after the call, which changes neither.
        unsafe martlet_certificate_signed_by(library, other.library) == 1
    }

    /// What a location in a certificate is for.
    public enum Location: Int32, Sendable {
        /// A revocation list.
        case revocationList = 0
        /// An OCSP responder.
        case responder = 1
        /// A list of what has changed since a revocation list.
        case delta = 2
    }

    /// The URIs of a kind that it names, at most eight.
    public func locations(_ kind: Location) -> [String] {
        var found: [String] = []
        for index in 0..<8 {
            let (result, octets) = unsafe LibraryBytes.filled(room: 2048) { out, length in
                unsafe martlet_certificate_location(library, kind.rawValue, Int32(index), out, &length)
            }
            guard result == 1 else { break }
            if !octets.isEmpty { found.append(String(decoding: octets, as: UTF8.self)) }
        }
        return found
    }
}

extension Certificate {
    /// The identifier that it states of its own key (RFC 5280 §4.2.1.2); nil where it states none.
    public var statedKeyIdentifier: [UInt8]? { statedIdentifier(0) }

    /// The identifier that it states of its issuer's key (RFC 5280 §4.2.1.1); nil where it states none.
    public var issuerKeyIdentifier: [UInt8]? { statedIdentifier(1) }

    private func statedIdentifier(_ which: Int32) -> [UInt8]? {
        // Lives until after the call.
        let (done, octets) = unsafe LibraryBytes.filled(room: 64) { out, length in
            unsafe martlet_certificate_key_identifier(library, which, out, &length)
        }
        return done == 1 ? octets : nil
    }
}

extension Certificate: Equatable {
    /// The same octets.
    public static func == (left: Certificate, right: Certificate) -> Bool { left.der == right.der }
}

extension Certificate.AlternativeName: CustomStringConvertible {
    /// The name as people write it.
    public var description: String {
        switch self {
        case .host(let name), .email(let name), .uri(let name): name
        case .address(let address): address.description
        case .directory(let name): name.description
        case .other(let tag): "(a name of kind \(tag))"
        }
    }
}

/// A certificate's facts, read once.
private struct Facts {
    var der: [UInt8]
    var subject: DistinguishedName?
    var issuer: DistinguishedName?
    var serial: [UInt8]
    var validity: (begins: Int64, ends: Int64)
    var alternativeNames: [Certificate.AlternativeName] = []
    var keyUsage: Int?
    var purposes: [String]?
    var isAuthority: Bool
    var pathLength: Int?
    var signatureBits: Int
    var isSelfIssued: Bool

    /// Names and purposes at most: more than any honest certificate has.
    private static let most = 256

    /// nil when an extension that counts is malformed.
    @unsafe
    init?(_ library: OpaquePointer) {
        let der = unsafe LibraryBytes.written { out, room in unsafe martlet_certificate_der(library, out, room) }
        guard let der else { return nil }
        self.der = der
        subject = unsafe LibraryBytes.written { out, room in
            unsafe martlet_certificate_subject(library, out, room)
        }.flatMap { DistinguishedName(der: $0) }
        issuer = unsafe LibraryBytes.written { out, room in
            unsafe martlet_certificate_issuer(library, out, room)
        }.flatMap { DistinguishedName(der: $0) }
        let serial = unsafe LibraryBytes.filled(room: 64) { out, length in
            length = unsafe martlet_certificate_serial(library, out, length)
            return length > 0 ? 1 : 0
        }
        self.serial = serial.0 == 1 ? serial.1 : []
        var (begins, ends): (Int64, Int64) = (0, 0)
        guard unsafe martlet_certificate_validity(library, &begins, &ends) == 1 else { return nil }
        validity = (begins, ends)
        var (authority, path, usage): (Int32, Int32, Int32) = (0, -1, -1)
        guard unsafe martlet_certificate_constraints(library, &authority, &path, &usage) == 1 else { return nil }
        isAuthority = authority == 1
        pathLength = path < 0 ? nil : Int(path)
        keyUsage = usage < 0 ? nil : Int(usage)
        var (bits, own): (Int32, Int32) = (0, 0)
        _ = unsafe martlet_certificate_signature(library, &bits, &own)
        signatureBits = Int(bits)
        isSelfIssued = own == 1
        unsafe readPurposes(library)
        unsafe readNames(library)
    }

    @unsafe
    private mutating func readPurposes(_ library: OpaquePointer) {
        for index in 0..<Self.most {
            let (result, text) = unsafe LibraryBytes.text { out, room in
                unsafe martlet_certificate_purpose(library, Int32(index), out, room)
            }
            if result < 0 { return }
            purposes = purposes ?? []
            guard result == 1 else { return }
            purposes?.append(text)
        }
    }

    @unsafe
    private mutating func readNames(_ library: OpaquePointer) {
        for index in 0..<Self.most {
            var kind: Int32 = 0
            let (result, octets) = unsafe LibraryBytes.filled(room: 8192) { out, length in
                unsafe martlet_certificate_name(library, Int32(index), &kind, out, &length)
            }
            guard result == 1 else { return }
            alternativeNames.append(Self.name(Int(kind), octets))
        }
    }

    private static func name(_ kind: Int, _ octets: [UInt8]) -> Certificate.AlternativeName {
        // A zero octet in a name is an old trick: such a name is nobody's.
        let text = octets.allSatisfy { (0x21...0x7e).contains($0) } ? String(decoding: octets, as: UTF8.self) : nil
        switch kind {
        case 1: return text.map { .email($0) } ?? .other(kind)
        case 2: return text.map { .host($0) } ?? .other(kind)
        case 4: return DistinguishedName(der: octets).map { .directory($0) } ?? .other(kind)
        case 6: return text.map { .uri($0) } ?? .other(kind)
        case 7:
            guard octets.count == 4 || octets.count == 16 else { return .other(kind) }
            return IPAddress(bytes: octets).map { .address($0) } ?? .other(kind)
        default: return .other(kind)
        }
    }
}
