import CIPsecCrypto
import WireFormat

/// A distinguished name (X.501): what a certificate calls its subject, and what ID_DER_ASN1_DN holds (RFC 7296 §3.5).
///
/// It owns the DER, and the attributes that are read from it. It never decides whether a name may be believed. Nothing
/// in it can be larger than ``maximumLength``; malformed DER makes no name.
public struct DistinguishedName: Hashable, Sendable {
    /// One attribute and its value.
    public struct Attribute: Hashable, Sendable {
        /// The dotted object identifier of its type.
        public let identifier: String
        /// The characters of its value in UTF-8, or, where the value is no character string, its DER.
        public let value: [UInt8]
        /// Whether the value is characters.
        public let isText: Bool
        /// The relative name that it belongs to, from 0: attributes of the same one form a set.
        public let relativeName: Int
    }

    /// The name as it travels and as certificates hold it.
    public let der: [UInt8]
    /// Its attributes in their order.
    public let attributes: [Attribute]

    /// Octets of DER at most: more than any certificate's subject has.
    public static let maximumLength = 8192

    /// The name in `der`; nil when the octets are not one distinguished name and nothing else.
    public init?(der: [UInt8]) {
        guard let name = LibraryName(der: der), let attributes = name.attributes else { return nil }
        self.der = der
        self.attributes = attributes
    }

    /// The name that a text describes (``init(text:)``); values that are all PrintableString characters are encoded as
    /// such, e-mail addresses as IA5String, others as UTF8String: as strongSwan does it, since peers compare octets.
    init?(_ parts: [DistinguishedNameSyntax.Part]) {
        guard !parts.isEmpty, let name = LibraryName() else { return nil }
        for part in parts {
            guard name.add(part) else { return nil }
        }
        guard let der = name.der else { return nil }
        self.init(der: der)
    }

    /// Whether both name the same: attribute by attribute in the same order, character strings compared whatever their
    /// encoding, without regard to the case of ASCII letters and to spaces around or repeated (RFC 5280 §7.1).
    public func isSame(as other: DistinguishedName) -> Bool {
        if der == other.der { return true }
        guard attributes.count == other.attributes.count, let left = LibraryName(der: der),
            let right = LibraryName(der: other.der)
        else { return false }
        return left.isEqual(to: right)
    }

    /// Whether a value is `*` alone, which as a pattern stands for any value.
    public var hasWildcards: Bool { attributes.contains(where: \.isWildcard) }

    /// Whether `other` is the same name but for values that are `*` here; see ``isSame(as:)``.
    public func covers(_ other: DistinguishedName) -> Bool {
        guard hasWildcards else { return isSame(as: other) }
        guard attributes.count == other.attributes.count else { return false }
        // What a star stands for is put in its place; the rest must then be the same.
        var parts: [DistinguishedNameSyntax.Part] = []
        var theirs: [DistinguishedNameSyntax.Part] = []
        for (mine, their) in zip(attributes, other.attributes) {
            guard mine.identifier == their.identifier, mine.relativeName == their.relativeName, mine.isText,
                their.isText
            else { return false }
            if mine.isWildcard { continue }
            parts.append(.init(identifier: mine.identifier, value: mine.value, joins: false))
            theirs.append(.init(identifier: their.identifier, value: their.value, joins: false))
        }
        guard !parts.isEmpty else { return true }
        guard let left = DistinguishedName(parts), let right = DistinguishedName(theirs) else { return false }
        return left.isSame(as: right)
    }

    /// Names are equal when their DER is; see ``isSame(as:)`` for what people mean by the same name.
    public static func == (left: DistinguishedName, right: DistinguishedName) -> Bool { left.der == right.der }

    /// By the DER.
    public func hash(into hasher: inout Hasher) { hasher.combine(der) }
}

extension DistinguishedName.Attribute {
    /// Whether the value is `*` alone.
    public var isWildcard: Bool { isText && value == [UInt8(ascii: "*")] }
}

/// libcrypto's form of a name, for as long as one question takes.
@safe
private final class LibraryName {
    private let name: OpaquePointer

    init?() {
        guard let name = unsafe martlet_name_new() else { return nil }
        // Ours until `deinit`.
        unsafe self.name = name
    }

    init?(der: [UInt8]) {
        guard der.count <= DistinguishedName.maximumLength else { return nil }
        let read = unsafe der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            guard let base = buffer.baseAddress else { return nil }
            // Read during the call only.
            return unsafe martlet_name_read(base, buffer.count)
        }
        guard let read = unsafe read else { return nil }
        // Ours until `deinit`.
        unsafe name = read
    }

    deinit { unsafe martlet_name_free(name) }

    func add(_ part: DistinguishedNameSyntax.Part) -> Bool {
        // An empty value still needs an address.
        let octets = part.value.isEmpty ? [0] : part.value
        return unsafe octets.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return false }
            // libcrypto copies the value during the call.
            return unsafe martlet_name_add(
                name, part.identifier, part.encoding, base, part.value.count, part.joins ? 1 : 0) == 1
        }
    }

    var der: [UInt8]? {
        let length = unsafe martlet_name_write(name, nil, 0)
        guard length > 0, length <= DistinguishedName.maximumLength else { return nil }
        var der = [UInt8](repeating: 0, count: length)
        let written = unsafe der.withUnsafeMutableBufferPointer { buffer in
            // Writes `count` octets or none.
            unsafe martlet_name_write(name, buffer.baseAddress, buffer.count)
        }
        return written == length ? der : nil
    }

    /// nil when one has no form that can be shown.
    var attributes: [DistinguishedName.Attribute]? {
        var attributes: [DistinguishedName.Attribute] = []
        var identifier = [CChar](repeating: 0, count: 256)
        var value = [UInt8](repeating: 0, count: 4 * DistinguishedName.maximumLength)
        for index in 0..<(unsafe martlet_name_count(name)) {
            var length = value.count
            var isText: Int32 = 0
            var relativeName: Int32 = 0
            let done = unsafe identifier.withUnsafeMutableBufferPointer { identifierBuffer in
                unsafe value.withUnsafeMutableBufferPointer { valueBuffer in
                    guard let text = identifierBuffer.baseAddress, let octets = valueBuffer.baseAddress else {
                        return Int32(0)
                    }
                    // Each writes no more than the room that it is told of.
                    return unsafe martlet_name_entry(
                        name, index, text, identifierBuffer.count, octets, &length, &isText, &relativeName)
                }
            }
            guard done == 1 else { return nil }
            let dotted = identifier.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            attributes.append(
                .init(
                    identifier: String(decoding: dotted, as: UTF8.self), value: Array(value.prefix(length)),
                    isText: isText == 1, relativeName: Int(relativeName)))
        }
        return attributes
    }

    func isEqual(to other: LibraryName) -> Bool {
        // Both live until after the call, which changes neither.
        unsafe martlet_name_equal(name, other.name) == 1
    }
}

extension DistinguishedNameSyntax.Part {
    /// The encoding of the value, as the shim numbers them.
    fileprivate var encoding: Int32 {
        // emailAddress and unstructuredName are IA5String by definition (PKCS #9).
        if identifier == "1.2.840.113549.1.9.1" || identifier == "1.2.840.113549.1.9.2" {
            if value.allSatisfy({ $0 < 0x80 }) { return 2 }
        }
        return value.allSatisfy(Self.isPrintableString) ? 0 : 1
    }

    /// X.680 §41.4.
    private static func isPrintableString(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: " '()+,-./:=?".utf8.contains(octet)
        }
    }
}
