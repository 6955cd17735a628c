/// The exchange that brings an IKE SA back from a ticket; in clear, in place of IKE_SA_INIT (RFC 5723 §4.3).
public enum IKESessionResume {
    /// `HDR, [N(COOKIE)], Ni, N(TICKET_OPAQUE), [N+]`.
    public struct Request: Hashable, Sendable {
        /// Ni.
        public var nonce: NoncePayload
        /// The ticket, as the gateway gave it.
        public var ticket: [UInt8]
        /// Further notifications; a cookie travels before everything else.
        public var notifies: [NotifyPayload]

        /// A request by its parts.
        public init(nonce: NoncePayload, ticket: [UInt8], notifies: [NotifyPayload] = []) {
            self.nonce = nonce
            self.ticket = ticket
            self.notifies = notifies
        }

        /// Reads a request. Its message ID and responder SPI must be zero, and its initiator SPI must not.
        public init(_ message: Message) throws(GrammarError) {
            let header = message.header
            try header.require(.ikeSessionResume, isResponse: false)
            guard header.initiatorSPI != 0 else { throw .forbiddenHeader("initiator SPI", .ikeSessionResume) }
            guard header.responderSPI == 0 else { throw .forbiddenHeader("responder SPI", .ikeSessionResume) }
            guard header.messageID == 0 else { throw .forbiddenHeader("message ID", .ikeSessionResume) }
            guard header.isFromInitiator else { throw .forbiddenHeader("initiator flag", .ikeSessionResume) }
            var bag = PayloadBag(message.payloads, of: .ikeSessionResume)
            nonce = try bag.one(.nonce)
            let all = bag.all(.notify)
            _ = bag.all(.vendorID)
            try bag.finish()
            guard let opaque = all.first(.ticketOpaque) else { throw .missingNotify(.ticketOpaque, .ikeSessionResume) }
            ticket = opaque.data
            notifies = all.filter { $0.type != .ticketOpaque }
            if all.count - notifies.count > 1 { throw .repeated(.notify, .ikeSessionResume) }
        }

        /// The payloads in the order in which they are sent.
        public var payloads: [Payload] {
            notifies.filter { $0.type == .cookie }.map { .notify($0) }
                + [.nonce(nonce), .notify(NotifyPayload(.ticketOpaque, ticket))]
                + notifies.filter { $0.type != .cookie }.map { .notify($0) }
        }
    }

    /// `HDR, Nr, [N+]`, or notifications only.
    public enum Response: Hashable, Sendable {
        /// The session is resumed.
        case complete(nonce: NoncePayload, notifies: [NotifyPayload])
        /// Nothing but notifications: COOKIE, TICKET_NACK… At least one.
        case notified([NotifyPayload])

        /// Reads a response. Its message ID must be zero; a complete one must have a responder SPI.
        public init(_ message: Message) throws(GrammarError) {
            let header = message.header
            try header.require(.ikeSessionResume, isResponse: true)
            guard header.messageID == 0 else { throw .forbiddenHeader("message ID", .ikeSessionResume) }
            guard !header.isFromInitiator else { throw .forbiddenHeader("initiator flag", .ikeSessionResume) }
            var bag = PayloadBag(message.payloads, of: .ikeSessionResume)
            let notifies = bag.all(.notify)
            _ = bag.all(.vendorID)
            if !bag.contains(.nonce), !notifies.isEmpty {
                try bag.finish()
                self = .notified(notifies)
                return
            }
            let nonce = try bag.one(.nonce)
            try bag.finish()
            guard header.responderSPI != 0 else { throw .forbiddenHeader("responder SPI", .ikeSessionResume) }
            self = .complete(nonce: nonce, notifies: notifies)
        }

        /// The payloads in the order in which they are sent.
        public var payloads: [Payload] {
            switch self {
            case .complete(let nonce, let notifies): [.nonce(nonce)] + notifies.map { .notify($0) }
            case .notified(let notifies): notifies.map { .notify($0) }
            }
        }
    }
}
