/// The first exchange: algorithms, key exchange, nonces; in clear (RFC 7296 §1.2).
public enum IKESAInit {
    /// `HDR, [N(COOKIE)], SAi1, KEi, Ni, [N+], [V+]`.
    public struct Request: Hashable, Sendable {
        /// What the initiator offers for the IKE SA.
        public var offer: SecurityAssociationPayload
        /// The initiator's public value, of the method that it guesses.
        public var keyExchange: KeyExchangePayload
        /// Ni.
        public var nonce: NoncePayload
        /// Notifications; a cookie travels before everything else.
        public var notifies: [NotifyPayload]
        /// Vendor IDs.
        public var vendorIDs: [VendorIDPayload]

        /// A request by its parts.
        public init(
            offer: SecurityAssociationPayload, keyExchange: KeyExchangePayload, nonce: NoncePayload,
            notifies: [NotifyPayload] = [], vendorIDs: [VendorIDPayload] = []
        ) {
            self.offer = offer
            self.keyExchange = keyExchange
            self.nonce = nonce
            self.notifies = notifies
            self.vendorIDs = vendorIDs
        }

        /// Reads a request. Its message ID and responder SPI must be zero, its initiator SPI must not, and it must come
        /// from the original initiator.
        public init(_ message: Message) throws(GrammarError) {
            let header = message.header
            try header.require(.ikeSAInit, isResponse: false)
            guard header.initiatorSPI != 0 else { throw .forbiddenHeader("initiator SPI", .ikeSAInit) }
            guard header.responderSPI == 0 else { throw .forbiddenHeader("responder SPI", .ikeSAInit) }
            guard header.messageID == 0 else { throw .forbiddenHeader("message ID", .ikeSAInit) }
            guard header.isFromInitiator else { throw .forbiddenHeader("initiator flag", .ikeSAInit) }
            var bag = PayloadBag(message.payloads, of: .ikeSAInit)
            offer = try bag.one(.securityAssociation)
            keyExchange = try bag.one(.keyExchange)
            nonce = try bag.one(.nonce)
            notifies = bag.all(.notify)
            vendorIDs = bag.all(.vendorID)
            try bag.finish()
        }

        /// The payloads in the order in which they are sent.
        public var payloads: [Payload] {
            var payloads = notifies.filter { $0.type == .cookie }.map { Payload.notify($0) }
            payloads += [.securityAssociation(offer), .keyExchange(keyExchange), .nonce(nonce)]
            payloads += notifies.filter { $0.type != .cookie }.map { .notify($0) }
            payloads += vendorIDs.map { .vendorID($0) }
            return payloads
        }
    }

    /// `HDR, SAr1, KEr, Nr, [CERTREQ+], [N+], [V+]`, or notifications only.
    public enum Response: Hashable, Sendable {
        /// The exchange is complete.
        case complete(Complete)
        /// Nothing but notifications: COOKIE, INVALID_KE_PAYLOAD, NO_PROPOSAL_CHOSEN, INVALID_MAJOR_VERSION… Nobody
        /// has authenticated them. At least one.
        case notified([NotifyPayload], vendorIDs: [VendorIDPayload])

        /// A response that chooses.
        public struct Complete: Hashable, Sendable {
            /// The chosen proposal.
            public var choice: WireProposal
            /// The responder's public value.
            public var keyExchange: KeyExchangePayload
            /// Nr.
            public var nonce: NoncePayload
            /// The authorities whose certificates the responder would like.
            public var certificateRequests: [CertificateRequestPayload]
            /// Notifications.
            public var notifies: [NotifyPayload]
            /// Vendor IDs.
            public var vendorIDs: [VendorIDPayload]

            /// A response by its parts.
            public init(
                choice: WireProposal, keyExchange: KeyExchangePayload, nonce: NoncePayload,
                certificateRequests: [CertificateRequestPayload] = [], notifies: [NotifyPayload] = [],
                vendorIDs: [VendorIDPayload] = []
            ) {
                self.choice = choice
                self.keyExchange = keyExchange
                self.nonce = nonce
                self.certificateRequests = certificateRequests
                self.notifies = notifies
                self.vendorIDs = vendorIDs
            }
        }

        /// Reads a response. Its message ID must be zero; a complete one must have both SPIs, and may not come from the
        /// original initiator.
        public init(_ message: Message) throws(GrammarError) {
            let header = message.header
            try header.require(.ikeSAInit, isResponse: true)
            guard header.messageID == 0 else { throw .forbiddenHeader("message ID", .ikeSAInit) }
            guard !header.isFromInitiator else { throw .forbiddenHeader("initiator flag", .ikeSAInit) }
            var bag = PayloadBag(message.payloads, of: .ikeSAInit)
            let notifies = bag.all(.notify)
            let vendorIDs = bag.all(.vendorID)
            let isBare = ![.securityAssociation, .keyExchange, .nonce].contains(where: bag.contains)
            if isBare, !notifies.isEmpty {
                try bag.finish()
                self = .notified(notifies, vendorIDs: vendorIDs)
                return
            }
            let choice = try bag.one(.securityAssociation).chosen(.ikeSAInit)
            let keyExchange = try bag.one(.keyExchange)
            let nonce = try bag.one(.nonce)
            let requests = bag.all(.certificateRequest)
            try bag.finish()
            guard header.initiatorSPI != 0 else { throw .forbiddenHeader("initiator SPI", .ikeSAInit) }
            guard header.responderSPI != 0 else { throw .forbiddenHeader("responder SPI", .ikeSAInit) }
            self = .complete(
                Complete(
                    choice: choice, keyExchange: keyExchange, nonce: nonce, certificateRequests: requests,
                    notifies: notifies, vendorIDs: vendorIDs))
        }

        /// The payloads in the order in which they are sent.
        public var payloads: [Payload] {
            switch self {
            case .notified(let notifies, let vendorIDs):
                return notifies.map { .notify($0) } + vendorIDs.map { .vendorID($0) }
            case .complete(let parts):
                var payloads: [Payload] = [
                    .securityAssociation(SecurityAssociationPayload([parts.choice])), .keyExchange(parts.keyExchange),
                    .nonce(parts.nonce),
                ]
                payloads.reserveCapacity(
                    3 + parts.certificateRequests.count + parts.notifies.count + parts.vendorIDs.count)
                for request in parts.certificateRequests { payloads.append(.certificateRequest(request)) }
                for notify in parts.notifies { payloads.append(.notify(notify)) }
                for vendorID in parts.vendorIDs { payloads.append(.vendorID(vendorID)) }
                return payloads
            }
        }
    }
}
