/// The exchange that authenticates both peers and makes the first Child SA (RFC 7296 §1.2 and §2.16, RFC 4739, 5998,
/// 6023). It may take several rounds.
public enum IKEAuth {
    /// One of the initiator's messages.
    public enum Request: Hashable, Sendable {
        /// Who the initiator is: the first message, and the first of each further authentication (RFC 4739).
        case identified(Identified)
        /// An answer of the EAP peer.
        case eap(EAPPayload, notifies: [NotifyPayload])
        /// The proof after EAP.
        case proof(AuthenticationPayload, notifies: [NotifyPayload])
        /// Nothing but notifications, or nothing at all: the responder goes on (RFC 4739).
        case empty(notifies: [NotifyPayload])

        /// `IDi, [CERT+], [CERTREQ+], [IDr], [AUTH], [CP], [SA, TSi, TSr], [N+], [V+]`.
        public struct Identified: Hashable, Sendable {
            /// IDi.
            public var identity: IdentificationPayload
            /// The initiator's certificate and those that help to check it, its own first.
            public var certificates: [CertificatePayload]
            /// The authorities whose certificates the initiator would like.
            public var certificateRequests: [CertificateRequestPayload]
            /// IDr: whom the initiator wants to talk to.
            public var responderIdentity: IdentificationPayload?
            /// The initiator's proof; nil where it asks for EAP.
            public var authentication: AuthenticationPayload?
            /// A configuration request.
            public var configuration: ConfigurationPayload?
            /// The first Child SA; nil where none is wanted (RFC 6023), or not in this round (RFC 4739).
            public var child: ChildNegotiation?
            /// Notifications.
            public var notifies: [NotifyPayload]
            /// Vendor IDs.
            public var vendorIDs: [VendorIDPayload]

            /// A request by its parts.
            public init(
                identity: IdentificationPayload, certificates: [CertificatePayload] = [],
                certificateRequests: [CertificateRequestPayload] = [],
                responderIdentity: IdentificationPayload? = nil, authentication: AuthenticationPayload? = nil,
                configuration: ConfigurationPayload? = nil, child: ChildNegotiation? = nil,
                notifies: [NotifyPayload] = [], vendorIDs: [VendorIDPayload] = []
            ) {
                self.identity = identity
                self.certificates = certificates
                self.certificateRequests = certificateRequests
                self.responderIdentity = responderIdentity
                self.authentication = authentication
                self.configuration = configuration
                self.child = child
                self.notifies = notifies
                self.vendorIDs = vendorIDs
            }
        }

        /// Reads a request.
        public init(_ message: OpenedMessage) throws(GrammarError) {
            try message.header.require(.ikeAuth, isResponse: false)
            var bag = PayloadBag(message.payloads, of: .ikeAuth)
            let notifies = bag.all(.notify)
            let vendorIDs = bag.all(.vendorID)
            let identity = try bag.optional(.initiatorIdentification)
            let eap = try bag.optional(.eap)
            let authentication = try bag.optional(.authentication)
            if let identity {
                // Who has just said its name can't have been asked anything by EAP.
                if eap != nil { throw .unexpected(.eap, .ikeAuth) }
                let certificates = bag.all(.certificate)
                let requests = bag.all(.certificateRequest)
                let responder = try bag.optional(.responderIdentification)
                let configuration = try bag.optional(.configuration)
                let child = try ChildNegotiation.take(from: &bag, isResponse: false)
                try bag.finish()
                self = .identified(
                    Identified(
                        identity: identity, certificates: certificates, certificateRequests: requests,
                        responderIdentity: responder, authentication: authentication, configuration: configuration,
                        child: child, notifies: notifies, vendorIDs: vendorIDs))
                return
            }
            // Everything that only a message with an identity may hold means that the identity is missing.
            let needsIdentity: [PayloadType] = [
                .securityAssociation, .initiatorSelectors, .responderSelectors, .responderIdentification, .certificate,
                .certificateRequest, .configuration,
            ]
            if needsIdentity.contains(where: bag.contains) { throw .missing(.initiatorIdentification, .ikeAuth) }
            try bag.finish()
            switch (eap, authentication) {
            case (.some(let eap), nil): self = .eap(eap, notifies: notifies)
            case (nil, .some(let proof)): self = .proof(proof, notifies: notifies)
            case (nil, nil): self = .empty(notifies: notifies)
            case (.some, .some): throw .unexpected(.authentication, .ikeAuth)
            }
        }

        /// The payloads in the order in which they are sent.
        public var payloads: [Payload] {
            switch self {
            case .eap(let eap, let notifies): return [.eap(eap)] + notifies.map { .notify($0) }
            case .proof(let proof, let notifies): return [.authentication(proof)] + notifies.map { .notify($0) }
            case .empty(let notifies): return notifies.map { .notify($0) }
            case .identified(let parts):
                var payloads: [Payload] = [.initiatorIdentification(parts.identity)]
                payloads += parts.certificates.map { .certificate($0) }
                payloads += parts.certificateRequests.map { .certificateRequest($0) }
                if let responder = parts.responderIdentity { payloads.append(.responderIdentification(responder)) }
                if let proof = parts.authentication { payloads.append(.authentication(proof)) }
                if let configuration = parts.configuration { payloads.append(.configuration(configuration)) }
                if let child = parts.child { payloads += child.payloads }
                payloads += parts.notifies.map { .notify($0) }
                payloads += parts.vendorIDs.map { .vendorID($0) }
                return payloads
            }
        }
    }
}
