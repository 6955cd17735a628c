public import WireFormat

/// The payload that holds all others, encrypted and authenticated (RFC 7296 §3.14, figure 21), or one part of it
/// (SKF, RFC 7383 §2.5).
///
/// It owns the fields in clear. What is inside only ``SealedMessage`` can show, with the keys.
public struct EncryptedPayload: Hashable, Sendable {
    /// Which part of a message a fragment is.
    public struct Fragment: Hashable, Sendable {
        /// Its number, from 1 to ``total``.
        public let number: UInt16
        /// How many there are.
        public let total: UInt16

        /// A fragment's place; nil for a number of zero or above the total.
        public init?(number: UInt16, total: UInt16) {
            guard number >= 1, number <= total else { return nil }
            self.number = number
            self.total = total
        }
    }

    /// The type of the first payload inside; none when it is empty, and in every fragment but the first.
    public let firstInner: PayloadType
    /// The place of a fragment; nil for a whole SK payload.
    public let fragment: Fragment?
    /// Initialization vector, ciphertext and integrity check value.
    public let body: [UInt8]

    /// SK or SKF.
    public var type: PayloadType { fragment == nil ? .encrypted : .encryptedFragment }

    /// An encrypted payload by its fields.
    public init(firstInner: PayloadType, fragment: Fragment? = nil, body: [UInt8]) {
        self.firstInner = firstInner
        self.fragment = fragment
        self.body = body
    }

    /// Reads the payload from its generic header on; `reader` must hold the rest of the message.
    init(_ type: PayloadType, parsing reader: inout WireReader) throws(GrammarError) {
        do throws(WireError) {
            let header = try GenericPayloadHeader(parsing: &reader)
            var content = try reader.child(header.bodyLength, "payload")
            firstInner = header.next
            if type == .encryptedFragment {
                let number = try content.uint16("fragment number")
                let total = try content.uint16("total fragments")
                guard let place = Fragment(number: number, total: total) else {
                    throw WireError.forbidden(field: "fragment number of \(total)", value: UInt64(number))
                }
                guard number == 1 || firstInner == .none else {
                    throw WireError.forbidden(
                        field: "next payload of a later fragment", value: UInt64(firstInner.rawValue))
                }
                fragment = place
            } else {
                fragment = nil
            }
            body = try content.rest("encrypted content")
        } catch {
            throw .malformed(type, error)
        }
        guard reader.isAtEnd else { throw .protectionNotLast(type) }
    }

    /// Appends what stands before the body; the payload length counts `bodyLength` octets of it.
    static func writeHead(
        firstInner: PayloadType, fragment: Fragment?, bodyLength: Int, into writer: inout WireWriter
    ) {
        writer.uint8(firstInner.rawValue)
        writer.uint8(0)
        let position = writer.count
        writer.uint16(0)
        if let fragment {
            writer.uint16(fragment.number)
            writer.uint16(fragment.total)
        }
        writer.patch16(at: position, headLength(fragment) + bodyLength)
    }

    /// Octets before the body: the generic header, and a fragment's two numbers.
    static func headLength(_ fragment: Fragment?) -> Int { GenericPayloadHeader.byteCount + (fragment == nil ? 0 : 4) }

    /// Appends the payload with its generic header.
    public func write(into writer: inout WireWriter) {
        Self.writeHead(firstInner: firstInner, fragment: fragment, bodyLength: body.count, into: &writer)
        writer.append(body)
    }
}
