/// A message in one line, as the logs of this field write it:
/// `IKE_AUTH request 1 [ IDi IDr AUTH SA TSi TSr N(MOBIKE_SUP) ]`.
///
/// It shows kinds and names, never the contents of a payload.
public struct MessageDescription: Hashable, Sendable, CustomStringConvertible {
    /// The line.
    public let description: String

    /// Describes a message by its header and payloads.
    public init(_ header: IKEHeader, _ payloads: [Payload]) {
        description = Self.line(header, payloads.map(Self.word))
    }

    /// Describes a message in clear.
    public init(_ message: Message) { self.init(message.header, message.payloads) }

    /// Describes a message that has been opened.
    public init(_ message: OpenedMessage) { self.init(message.header, message.unprotected + message.payloads) }

    /// Describes a message that has not been opened: `IKE_AUTH request 1 [ EF(1/3) ]` for a fragment.
    public init(_ message: SealedMessage) {
        let last = message.fragment.map { "EF(\($0.number)/\($0.total))" } ?? "SK"
        description = Self.line(message.header, message.unprotected.map(Self.word) + [last])
    }

    private static func line(_ header: IKEHeader, _ words: [String]) -> String {
        let inside = words.isEmpty ? " " : " " + words.joined(separator: " ") + " "
        return "\(header.exchange) \(header.isResponse ? "response" : "request") \(header.messageID) [\(inside)]"
    }

    private static func word(_ payload: Payload) -> String {
        switch payload {
        case .notify(let notify): return "N(\(notify.type.shortName))"
        case .eap(let eap): return eap.description
        case .configuration(let configuration):
            let names = configuration.attributes.map { $0.type.description }
            return names.isEmpty ? "\(configuration.type)" : "\(configuration.type)(\(names.joined(separator: " ")))"
        case .unknown(let type, _): return "\(type)"
        default: return payload.type.description
        }
    }
}

extension Message: CustomStringConvertible {
    /// The line of a ``MessageDescription``.
    public var description: String { MessageDescription(self).description }
}

extension OpenedMessage: CustomStringConvertible {
    /// The line of a ``MessageDescription``.
    public var description: String { MessageDescription(self).description }
}

extension SealedMessage: CustomStringConvertible {
    /// The line of a ``MessageDescription``.
    public var description: String { MessageDescription(self).description }
}
