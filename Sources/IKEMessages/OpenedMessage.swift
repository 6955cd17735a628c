import WireFormat

/// One fragment that the keys have opened (RFC 7383 §2.6). Only ``SealedMessage/openFragment(with:)`` makes one.
public struct OpenedFragment: Hashable, Sendable {
    /// The header.
    public let header: IKEHeader
    /// Which part of the message it is.
    public let place: EncryptedPayload.Fragment
    /// Octets of the message that it holds.
    public var count: Int { content.count }

    let unprotected: [Payload]
    let firstInner: PayloadType
    /// The datagram before the SKF payload.
    let clear: [UInt8]
    /// The critical bit and the reserved bits of the SKF payload.
    let reserved: UInt8
    let content: [UInt8]

    init(
        header: IKEHeader, place: EncryptedPayload.Fragment, unprotected: [Payload], firstInner: PayloadType,
        clear: [UInt8], reserved: UInt8, content: [UInt8]
    ) {
        self.header = header
        self.place = place
        self.unprotected = unprotected
        self.firstInner = firstInner
        self.clear = clear
        self.reserved = reserved
        self.content = content
    }
}

/// A message that the keys of its IKE SA have opened. Nothing else makes one: whoever holds it knows that its sender
/// has the keys.
public struct OpenedMessage: Hashable, Sendable {
    /// The header.
    public let header: IKEHeader
    /// The payloads in clear before the encrypted one; authenticated, but not secret. Usually none.
    public let unprotected: [Payload]
    /// The payloads that were encrypted.
    public let payloads: [Payload]
    /// The message from its header to the generic header of the encrypted payload, with lengths adjusted, then the
    /// plaintext without padding: what IKE_INTERMEDIATE adds to the AUTH calculation (RFC 9242 §3.3.2).
    public var intermediateOctets: [UInt8] { Self.intermediateOctets(head: head, plaintext: plaintext) }

    private let head: ArraySlice<UInt8>
    private let plaintext: ArraySlice<UInt8>

    /// Reads the plaintext. `head` is the message up to the encrypted payload's body.
    init(
        header: IKEHeader, unprotected: [Payload], firstInner: PayloadType, head: ArraySlice<UInt8>,
        plaintext: ArraySlice<UInt8>
    ) throws(GrammarError) {
        var reader = WireReader(plaintext.span)
        let walk = try PayloadChain.walk(from: firstInner, &reader)
        guard walk.stop == .none else { throw .nestedProtection(walk.stop) }
        self.header = header
        self.unprotected = unprotected
        payloads = walk.payloads
        self.head = head
        self.plaintext = plaintext
    }

    /// Joins the fragments of one message, given in any order. They must be all of them, each once, with the same
    /// header and total; that they also lie within limits is the caller's care.
    public init(joining fragments: [OpenedFragment]) throws(GrammarError) {
        let ordered = fragments.sorted { $0.place.number < $1.place.number }
        guard let first = ordered.first, ordered.count == Int(first.place.total) else { throw .incompleteFragments }
        var plaintext: [UInt8] = []
        for (index, fragment) in ordered.enumerated() {
            guard Int(fragment.place.number) == index + 1, fragment.place.total == first.place.total,
                fragment.header == first.header
            else { throw .incompleteFragments }
            plaintext += fragment.content
            guard plaintext.count <= Message.maximumLength else { throw .messageTooLong(plaintext.count) }
        }
        // The message as if it had come whole: SK in place of SKF, the reserved bits of the first fragment.
        var writer = WireWriter(capacity: first.clear.count + GenericPayloadHeader.byteCount)
        writer.append(first.clear)
        if first.unprotected.isEmpty {
            writer.patch8(at: IKEHeader.nextPayloadOffset, PayloadType.encrypted.rawValue)
        } else {
            writer.patch8(at: Self.lastPayloadOffset(first), PayloadType.encrypted.rawValue)
        }
        writer.uint8(first.firstInner.rawValue)
        writer.uint8(first.reserved)
        writer.uint16(0)
        try self.init(
            header: first.header, unprotected: first.unprotected, firstInner: first.firstInner, head: writer.bytes[...],
            plaintext: plaintext[...])
    }

    /// Where the last payload in clear begins, whose first octet names the encrypted payload.
    private static func lastPayloadOffset(_ fragment: OpenedFragment) -> Int {
        var offset = IKEHeader.byteCount
        for _ in fragment.unprotected.dropLast() {
            guard offset + 3 < fragment.clear.count else { return offset }
            offset += Int(fragment.clear[offset + 2]) << 8 | Int(fragment.clear[offset + 3])
        }
        return offset
    }

    /// `head` (which ends with a generic header) and the plaintext, with both lengths counting just these octets.
    static func intermediateOctets(head: ArraySlice<UInt8>, plaintext: ArraySlice<UInt8>) -> [UInt8] {
        var writer = WireWriter(capacity: head.count + plaintext.count)
        writer.append(head)
        writer.append(plaintext)
        writer.patch32(at: IKEHeader.lengthOffset, writer.count)
        writer.patch16(at: head.count - 2, GenericPayloadHeader.byteCount + plaintext.count)
        return writer.bytes
    }
}
