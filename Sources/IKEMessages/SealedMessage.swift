import WireFormat

/// A message with an encrypted payload that nobody has opened yet (RFC 7296 §3.14, RFC 7383 §2.5).
///
/// It owns the datagram's octets. It never trusts anything in them.
public struct SealedMessage: Hashable, Sendable {
    /// The header.
    public let header: IKEHeader
    /// The payloads in clear before the encrypted one; all of known types, usually none.
    public let unprotected: [Payload]
    /// The encrypted payload.
    public let payload: EncryptedPayload
    /// The whole datagram.
    public let bytes: [UInt8]
    /// Where the encrypted payload's generic header is in ``bytes``.
    let headOffset: Int

    init(
        header: IKEHeader, unprotected: [Payload], payload: EncryptedPayload, bytes: [UInt8], headOffset: Int
    ) {
        self.header = header
        self.unprotected = unprotected
        self.payload = payload
        self.bytes = bytes
        self.headOffset = headOffset
    }

    /// Reads a datagram (without a non-ESP marker) that holds a message with an encrypted payload.
    public init(parsing datagram: Span<UInt8>) throws(GrammarError) {
        guard case .sealed(let message) = try ReceivedMessage(parsing: datagram) else {
            throw .unprotected(try IKEHeader(peeking: datagram).exchange)
        }
        self = message
    }

    /// The same for an array.
    public init(parsing datagram: [UInt8]) throws(GrammarError) { try self.init(parsing: datagram.span) }

    /// Which part of a message it is; nil when it is a whole one.
    public var fragment: EncryptedPayload.Fragment? { payload.fragment }

    /// Opens a whole message. The only errors that don't prove knowledge of the keys are ``GrammarError/fragmentation``,
    /// ``GrammarError/sealedLength(_:)`` and ``GrammarError/integrityCheckFailed``.
    public func open(with cipher: borrowing some SKCipher) throws(GrammarError) -> OpenedMessage {
        guard fragment == nil else { throw .fragmentation }
        let plaintext = try decrypt(with: cipher)
        return try OpenedMessage(
            header: header, unprotected: unprotected, firstInner: payload.firstInner,
            head: bytes[..<bodyOffset], plaintext: plaintext)
    }

    /// Opens one fragment; the same errors as ``open(with:)``.
    public func openFragment(with cipher: borrowing some SKCipher) throws(GrammarError) -> OpenedFragment {
        guard let place = fragment else { throw .fragmentation }
        let plaintext = try decrypt(with: cipher)
        return OpenedFragment(
            header: header, place: place, unprotected: unprotected, firstInner: payload.firstInner,
            clear: Array(bytes[..<headOffset]), reserved: bytes[headOffset + 1], content: Array(plaintext))
    }

    private var bodyOffset: Int { headOffset + EncryptedPayload.headLength(fragment) }

    /// The plaintext without its padding.
    private func decrypt(with cipher: borrowing some SKCipher) throws(GrammarError) -> ArraySlice<UInt8> {
        let body = payload.body
        let ciphertextLength = body.count - cipher.ivLength - cipher.icvLength
        guard ciphertextLength >= 1, ciphertextLength.isMultiple(of: max(1, cipher.blockLength)) else {
            throw .sealedLength(body.count)
        }
        let opened = cipher.open(
            associatedData: bytes.span.extracting(first: bodyOffset), iv: body.span.extracting(first: cipher.ivLength),
            sealed: body.span.extracting(droppingFirst: cipher.ivLength))
        guard let plaintext = opened else { throw .integrityCheckFailed }
        guard plaintext.count == ciphertextLength, let padLength = plaintext.last else {
            throw .sealedLength(plaintext.count)
        }
        let contentLength = plaintext.count - 1 - Int(padLength)
        guard contentLength >= 0 else { throw .padding(length: padLength, plaintext: plaintext.count) }
        return plaintext[..<contentLength]
    }
}
