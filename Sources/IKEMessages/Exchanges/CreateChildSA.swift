import IPsecCrypto

/// A new Child SA, or the rekeying of a Child SA or of the IKE SA (RFC 7296 §1.3).
public enum CreateChildSA {
    /// A Child SA with its nonce and, for forward secrecy, a key exchange; in a request or in a response.
    public struct Child: Hashable, Sendable {
        /// SA, TSi and TSr.
        public var negotiation: ChildNegotiation
        /// Ni or Nr.
        public var nonce: NoncePayload
        /// A public value, where a key exchange takes place.
        public var keyExchange: KeyExchangePayload?
        /// A configuration request or reply.
        public var configuration: ConfigurationPayload?
        /// Notifications; in a request REKEY_SA among them when a Child SA is to be replaced.
        public var notifies: [NotifyPayload]
        /// Vendor IDs.
        public var vendorIDs: [VendorIDPayload]

        /// A Child SA by its parts.
        public init(
            negotiation: ChildNegotiation, nonce: NoncePayload, keyExchange: KeyExchangePayload? = nil,
            configuration: ConfigurationPayload? = nil, notifies: [NotifyPayload] = [],
            vendorIDs: [VendorIDPayload] = []
        ) {
            self.negotiation = negotiation
            self.nonce = nonce
            self.keyExchange = keyExchange
            self.configuration = configuration
            self.notifies = notifies
            self.vendorIDs = vendorIDs
        }

        /// The SA that is to be replaced; nil when the Child SA is a new one.
        public var rekeyed: NotifyPayload? { notifies.first(.rekeySA) }

        var payloads: [Payload] {
            var payloads = notifies.filter { $0.type == .rekeySA }.map { Payload.notify($0) }
            if let configuration { payloads.append(.configuration(configuration)) }
            payloads += [.securityAssociation(negotiation.securityAssociation), .nonce(nonce)]
            if let keyExchange { payloads.append(.keyExchange(keyExchange)) }
            payloads += [
                .initiatorSelectors(negotiation.initiatorSelectors),
                .responderSelectors(negotiation.responderSelectors),
            ]
            payloads += notifies.filter { $0.type != .rekeySA }.map { .notify($0) }
            payloads += vendorIDs.map { .vendorID($0) }
            return payloads
        }
    }

    /// A new IKE SA in place of the one that carries the message; in a request or in a response.
    public struct Rekeying: Hashable, Sendable {
        /// The offer, or in a response the choice: exactly one proposal. Each has an SPI of 8 octets.
        public var securityAssociation: SecurityAssociationPayload
        /// Ni or Nr.
        public var nonce: NoncePayload
        /// A public value.
        public var keyExchange: KeyExchangePayload
        /// Notifications.
        public var notifies: [NotifyPayload]
        /// Vendor IDs.
        public var vendorIDs: [VendorIDPayload]

        /// A rekeying by its parts.
        public init(
            securityAssociation: SecurityAssociationPayload, nonce: NoncePayload, keyExchange: KeyExchangePayload,
            notifies: [NotifyPayload] = [], vendorIDs: [VendorIDPayload] = []
        ) {
            self.securityAssociation = securityAssociation
            self.nonce = nonce
            self.keyExchange = keyExchange
            self.notifies = notifies
            self.vendorIDs = vendorIDs
        }

        var payloads: [Payload] {
            [.securityAssociation(securityAssociation), .nonce(nonce), .keyExchange(keyExchange)]
                + notifies.map { .notify($0) } + vendorIDs.map { .vendorID($0) }
        }
    }

    /// What the exchange asks for.
    public enum Request: Hashable, Sendable {
        /// A Child SA, new or in place of another.
        case child(Child)
        /// A new IKE SA.
        case ikeSA(Rekeying)

        /// Reads a request. It is about the IKE SA when its first proposal is.
        public init(_ message: OpenedMessage) throws(GrammarError) {
            try message.header.require(.createChildSA, isResponse: false)
            var bag = PayloadBag(message.payloads, of: .createChildSA)
            self =
                try CreateChildSA.isAboutIKE(message.payloads)
                ? .ikeSA(try CreateChildSA.rekeying(&bag, isResponse: false))
                : .child(try CreateChildSA.child(&bag, isResponse: false))
            try bag.finish()
        }

        /// The payloads in the order in which they are sent.
        public var payloads: [Payload] {
            switch self {
            case .child(let child): child.payloads
            case .ikeSA(let rekeying): rekeying.payloads
            }
        }
    }

    /// What came of it.
    public enum Response: Hashable, Sendable {
        /// A Child SA.
        case child(Child)
        /// A new IKE SA.
        case ikeSA(Rekeying)
        /// Nothing but notifications: why there is no new SA. At least one.
        case notified([NotifyPayload])

        /// Reads a response. It is about the IKE SA when its proposal is.
        public init(_ message: OpenedMessage) throws(GrammarError) {
            try message.header.require(.createChildSA, isResponse: true)
            var bag = PayloadBag(message.payloads, of: .createChildSA)
            if !bag.contains(.securityAssociation), !bag.contains(.nonce), bag.contains(.notify) {
                let notifies = bag.all(.notify)
                _ = bag.all(.vendorID)
                try bag.finish()
                self = .notified(notifies)
                return
            }
            self =
                try CreateChildSA.isAboutIKE(message.payloads)
                ? .ikeSA(try CreateChildSA.rekeying(&bag, isResponse: true))
                : .child(try CreateChildSA.child(&bag, isResponse: true))
            try bag.finish()
        }

        /// The payloads in the order in which they are sent.
        public var payloads: [Payload] {
            switch self {
            case .child(let child): child.payloads
            case .ikeSA(let rekeying): rekeying.payloads
            case .notified(let notifies): notifies.map { .notify($0) }
            }
        }
    }

    private static func isAboutIKE(_ payloads: [Payload]) throws(GrammarError) -> Bool {
        for case .securityAssociation(let payload) in payloads {
            return payload.proposals.first?.securityProtocol == .ike
        }
        throw .missing(.securityAssociation, .createChildSA)
    }

    private static func rekeying(_ bag: inout PayloadBag, isResponse: Bool) throws(GrammarError) -> Rekeying {
        let rekeying = Rekeying(
            securityAssociation: try bag.one(.securityAssociation), nonce: try bag.one(.nonce),
            keyExchange: try bag.one(.keyExchange), notifies: bag.all(.notify), vendorIDs: bag.all(.vendorID))
        if isResponse { _ = try rekeying.securityAssociation.chosen(.createChildSA) }
        return rekeying
    }

    private static func child(_ bag: inout PayloadBag, isResponse: Bool) throws(GrammarError) -> Child {
        guard let negotiation = try ChildNegotiation.take(from: &bag, isResponse: isResponse) else {
            throw .missing(.securityAssociation, .createChildSA)
        }
        return Child(
            negotiation: negotiation, nonce: try bag.one(.nonce), keyExchange: try bag.optional(.keyExchange),
            configuration: try bag.optional(.configuration), notifies: bag.all(.notify), vendorIDs: bag.all(.vendorID))
    }
}
