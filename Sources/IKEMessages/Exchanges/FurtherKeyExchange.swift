/// An exchange between IKE_SA_INIT and IKE_AUTH (RFC 9242), for one more key exchange (RFC 9370) or for anything else that
/// fits into notifications.
public struct IKEIntermediate: Hashable, Sendable {
    /// Whether it answers.
    public var isResponse: Bool
    /// A public value, KEM key or ciphertext.
    public var keyExchange: KeyExchangePayload?
    /// Notifications.
    public var notifies: [NotifyPayload]
    /// Vendor IDs.
    public var vendorIDs: [VendorIDPayload]

    /// A message by its parts.
    public init(
        isResponse: Bool, keyExchange: KeyExchangePayload?, notifies: [NotifyPayload] = [],
        vendorIDs: [VendorIDPayload] = []
    ) {
        self.isResponse = isResponse
        self.keyExchange = keyExchange
        self.notifies = notifies
        self.vendorIDs = vendorIDs
    }

    /// Reads a request or a response.
    public init(_ message: OpenedMessage) throws(GrammarError) {
        isResponse = message.header.isResponse
        try message.header.require(.ikeIntermediate, isResponse: isResponse)
        var bag = PayloadBag(message.payloads, of: .ikeIntermediate)
        keyExchange = try bag.optional(.keyExchange)
        notifies = bag.all(.notify)
        vendorIDs = bag.all(.vendorID)
        try bag.finish()
    }

    /// The payloads in the order in which they are sent.
    public var payloads: [Payload] {
        (keyExchange.map { [.keyExchange($0)] } ?? []) + notifies.map { .notify($0) } + vendorIDs.map { .vendorID($0) }
    }
}

/// One more key exchange after CREATE_CHILD_SA (RFC 9370 §2.2.4). An ADDITIONAL_KEY_EXCHANGE notification links the
/// exchanges.
public enum IKEFollowupKE {
    /// `KE, N(ADDITIONAL_KEY_EXCHANGE)`, in a request or in a response.
    public struct Step: Hashable, Sendable {
        /// A public value, KEM key or ciphertext.
        public var keyExchange: KeyExchangePayload
        /// The link to the exchange before, which the request repeats; in a response the link for the one that is to
        /// follow, nil after the last.
        public var link: [UInt8]?
        /// Further notifications.
        public var notifies: [NotifyPayload]

        /// A step by its parts.
        public init(keyExchange: KeyExchangePayload, link: [UInt8]?, notifies: [NotifyPayload] = []) {
            self.keyExchange = keyExchange
            self.link = link
            self.notifies = notifies
        }

        init(_ bag: inout PayloadBag) throws(GrammarError) {
            keyExchange = try bag.one(.keyExchange)
            let all = bag.all(.notify)
            link = all.first(.additionalKeyExchange)?.data
            notifies = all.filter { $0.type != .additionalKeyExchange }
            _ = bag.all(.vendorID)
            if all.count - notifies.count > 1 { throw .repeated(.notify, .ikeFollowupKE) }
        }

        /// The payloads in the order in which they are sent.
        public var payloads: [Payload] {
            [.keyExchange(keyExchange)] + (link.map { [.notify(NotifyPayload(.additionalKeyExchange, $0))] } ?? [])
                + notifies.map { .notify($0) }
        }
    }

    /// What the initiator of the exchange sends.
    public struct Request: Hashable, Sendable {
        /// The public value and the link, which is never nil.
        public var step: Step

        /// A request.
        public init(keyExchange: KeyExchangePayload, link: [UInt8], notifies: [NotifyPayload] = []) {
            step = Step(keyExchange: keyExchange, link: link, notifies: notifies)
        }

        /// Reads a request; without a link it is refused.
        public init(_ message: OpenedMessage) throws(GrammarError) {
            try message.header.require(.ikeFollowupKE, isResponse: false)
            var bag = PayloadBag(message.payloads, of: .ikeFollowupKE)
            step = try Step(&bag)
            try bag.finish()
            guard step.link != nil else { throw .missingNotify(.additionalKeyExchange, .ikeFollowupKE) }
        }

        /// The payloads in the order in which they are sent.
        public var payloads: [Payload] { step.payloads }
    }

    /// What the responder of the exchange answers.
    public enum Response: Hashable, Sendable {
        /// The key exchange is complete.
        case complete(Step)
        /// Nothing but notifications: STATE_NOT_FOUND, TEMPORARY_FAILURE… At least one.
        case notified([NotifyPayload])

        /// Reads a response.
        public init(_ message: OpenedMessage) throws(GrammarError) {
            try message.header.require(.ikeFollowupKE, isResponse: true)
            var bag = PayloadBag(message.payloads, of: .ikeFollowupKE)
            if !bag.contains(.keyExchange), bag.contains(.notify) {
                let notifies = bag.all(.notify)
                _ = bag.all(.vendorID)
                try bag.finish()
                self = .notified(notifies)
                return
            }
            let step = try Step(&bag)
            try bag.finish()
            self = .complete(step)
        }

        /// The payloads in the order in which they are sent.
        public var payloads: [Payload] {
            switch self {
            case .complete(let step): step.payloads
            case .notified(let notifies): notifies.map { .notify($0) }
            }
        }
    }
}
