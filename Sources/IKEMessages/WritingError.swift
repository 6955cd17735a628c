/// Why a message of ours can't be written.
public enum WritingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A payload, or a structure in it, is longer than its length field can say.
    case payloadTooLong
    /// The message is longer than ``Message/maximumLength``.
    case messageTooLong(Int)
    /// More payloads than ``Message/maximumPayloads``.
    case tooManyPayloads(Int)
    /// The IV doesn't have the cipher's length.
    case ivLength(Int, expected: Int)
    /// The cipher refused, or made another number of octets than it must.
    case cipher
    /// Fragments of this size can't hold the message.
    case fragmentSize(Int)

    /// One clause, without a capital or a full stop.
    public var description: String {
        switch self {
        case .payloadTooLong: "a payload is too long for its length field"
        case .messageTooLong(let count): "the message has \(count) octets, more than \(Message.maximumLength)"
        case .tooManyPayloads(let count): "\(count) payloads, more than \(Message.maximumPayloads)"
        case .ivLength(let count, let expected): "an IV of \(count) octets where the cipher needs \(expected)"
        case .cipher: "the cipher refused"
        case .fragmentSize(let count): "fragments of \(count) octets can't hold the message"
        }
    }
}
