public import WireFormat

/// What can be wrong with an IKEv2 message: one case per violation.
///
/// It owns the reasons and their words. It never says what to do about one: that is the engine's decision. It never
/// carries the contents of a payload.
public enum GrammarError: Error, Hashable, Sendable {
    // The message as a whole

    /// The 28 octets of the header are not all there.
    case header(WireError)
    /// The header's length is not the datagram's.
    case lengthMismatch(stated: UInt32, datagram: Int)
    /// The message is longer than ``Message/maximumLength``.
    case messageTooLong(Int)
    /// The major version is not 2.
    case unsupportedVersion(IKEVersion)

    // The chain of payloads

    /// A payload broke its own grammar.
    case malformed(PayloadType, WireError)
    /// A payload type that we don't know is marked critical (RFC 7296 §2.5).
    case unsupportedCriticalPayload(PayloadType)
    /// More payloads than ``Message/maximumPayloads``.
    case tooManyPayloads
    /// Octets after the last payload.
    case trailing(Int)
    /// An SK or SKF payload inside another one.
    case nestedProtection(PayloadType)

    // Protection

    /// A message that must be sealed is not.
    case unprotected(ExchangeType)
    /// A message that must be in clear is sealed.
    case unexpectedProtection(ExchangeType)
    /// Octets after the SK or SKF payload, which must be the last (RFC 7296 §3.14).
    case protectionNotLast(PayloadType)
    /// An unknown payload in clear before the SK payload.
    case unknownBeforeProtection(PayloadType)
    /// The sealed part can't be what the negotiated algorithms make: too short, or not whole blocks.
    case sealedLength(Int)
    /// The integrity check failed. Nothing is known about who sent the message.
    case integrityCheckFailed
    /// The Pad Length is larger than the plaintext before it.
    case padding(length: UInt8, plaintext: Int)
    /// A fragment was given where a whole message is needed, or the reverse.
    case fragmentation
    /// The fragments are not exactly the parts of one message.
    case incompleteFragments

    // The typed exchanges

    /// The message belongs to another exchange.
    case wrongExchange(ExchangeType, expected: ExchangeType)
    /// A response where a request is needed, or the reverse.
    case wrongDirection(ExchangeType, isResponse: Bool)
    /// A payload that the exchange demands is not there.
    case missing(PayloadType, ExchangeType)
    /// A payload that may occur once occurs again.
    case repeated(PayloadType, ExchangeType)
    /// A payload that has no place in this message.
    case unexpected(PayloadType, ExchangeType)
    /// A notification that the exchange demands is not there.
    case missingNotify(NotifyType, ExchangeType)
    /// An SPI or message ID of the header has a value that the exchange forbids.
    case forbiddenHeader(String, ExchangeType)
    /// A chosen proposal must be exactly one.
    case ambiguousChoice(proposals: Int, ExchangeType)
}

extension GrammarError: CustomStringConvertible {
    /// One clause, without a capital (but for names) or a full stop.
    public var description: String {
        switch self {
        case .header(let error): "IKE header: \(error)"
        case .lengthMismatch(let stated, let datagram): "the header says \(stated) octets, the datagram has \(datagram)"
        case .messageTooLong(let count): "the message has \(count) octets, more than \(Message.maximumLength)"
        case .unsupportedVersion(let version): "IKE version \(version) is not 2.x"
        case .malformed(let type, let error): "\(type): \(error)"
        case .unsupportedCriticalPayload(let type): "\(type) is critical and unknown"
        case .tooManyPayloads: "more than \(Message.maximumPayloads) payloads"
        case .trailing(let count): "\(count) octets after the last payload"
        case .nestedProtection(let type): "\(type) inside an encrypted payload"
        case .unprotected(let exchange): "\(exchange) is not encrypted"
        case .unexpectedProtection(let exchange): "\(exchange) is encrypted where it must not be"
        case .protectionNotLast(let type): "\(type) is not the last payload"
        case .unknownBeforeProtection(let type): "unknown \(type) in clear before the encrypted payload"
        case .sealedLength(let count): "\(count) encrypted octets do not fit the negotiated algorithms"
        case .integrityCheckFailed: "the integrity check failed"
        case .padding(let length, let plaintext): "pad length \(length) in \(plaintext) octets of plaintext"
        case .fragmentation: "a fragment where a whole message is needed, or the reverse"
        case .incompleteFragments: "the fragments do not make one message"
        case .wrongExchange(let exchange, let expected): "\(exchange) where \(expected) is needed"
        case .wrongDirection(let exchange, let isResponse):
            isResponse
                ? "\(exchange) response where a request is needed" : "\(exchange) request where a response is needed"
        case .missing(let type, let exchange): "\(exchange) without \(type)"
        case .repeated(let type, let exchange): "\(exchange) with more than one \(type)"
        case .unexpected(let type, let exchange): "\(type) has no place in this \(exchange)"
        case .missingNotify(let type, let exchange): "\(exchange) without N(\(type))"
        case .forbiddenHeader(let field, let exchange): "\(exchange) with a forbidden \(field)"
        case .ambiguousChoice(let count, let exchange): "\(exchange) response with \(count) proposals instead of one"
        }
    }
}
