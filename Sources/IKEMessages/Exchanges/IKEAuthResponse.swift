extension IKEAuth {
    /// One of the responder's messages.
    public enum Response: Hashable, Sendable {
        /// The responder's proof, and the Child SA or the reason why there is none.
        case authenticated(Authenticated)
        /// A question of the EAP server; in the first response with who the responder is, and its proof unless EAP is
        /// to prove it as well (RFC 5998).
        case eap(EAPRound)
        /// A Child SA, or at least a configuration reply, without a proof: the end of several authentications, the last of
        /// which was the initiator's (RFC 4739). Nothing in this message authenticates the responder.
        case child(ChildNegotiation?, configuration: ConfigurationPayload?, notifies: [NotifyPayload])
        /// Nothing but notifications. With an error among them, the authentication has failed; with none at all, it goes
        /// on (RFC 4739).
        case notified([NotifyPayload], vendorIDs: [VendorIDPayload])

        /// `[IDr], [CERT+], AUTH, [CP], [SA, TSi, TSr], [N+], [V+]`.
        public struct Authenticated: Hashable, Sendable {
            /// IDr; nil in the last response after EAP, where it was said before.
            public var identity: IdentificationPayload?
            /// The responder's certificate and those that help to check it, its own first.
            public var certificates: [CertificatePayload]
            /// The responder's proof.
            public var authentication: AuthenticationPayload
            /// A configuration reply.
            public var configuration: ConfigurationPayload?
            /// The first Child SA; nil where none was wanted, or where a notification says why there is none.
            public var child: ChildNegotiation?
            /// Notifications.
            public var notifies: [NotifyPayload]
            /// Vendor IDs.
            public var vendorIDs: [VendorIDPayload]

            /// A response by its parts.
            public init(
                identity: IdentificationPayload?, certificates: [CertificatePayload] = [],
                authentication: AuthenticationPayload, configuration: ConfigurationPayload? = nil,
                child: ChildNegotiation? = nil, notifies: [NotifyPayload] = [], vendorIDs: [VendorIDPayload] = []
            ) {
                self.identity = identity
                self.certificates = certificates
                self.authentication = authentication
                self.configuration = configuration
                self.child = child
                self.notifies = notifies
                self.vendorIDs = vendorIDs
            }
        }

        /// `[IDr], [CERT+], [AUTH], EAP, [N+], [V+]`.
        public struct EAPRound: Hashable, Sendable {
            /// IDr, in the first response.
            public var identity: IdentificationPayload?
            /// The responder's certificates, its own first.
            public var certificates: [CertificatePayload]
            /// The responder's proof.
            public var authentication: AuthenticationPayload?
            /// The EAP server's message.
            public var eap: EAPPayload
            /// Notifications.
            public var notifies: [NotifyPayload]
            /// Vendor IDs.
            public var vendorIDs: [VendorIDPayload]

            /// A round by its parts.
            public init(
                identity: IdentificationPayload? = nil, certificates: [CertificatePayload] = [],
                authentication: AuthenticationPayload? = nil, eap: EAPPayload, notifies: [NotifyPayload] = [],
                vendorIDs: [VendorIDPayload] = []
            ) {
                self.identity = identity
                self.certificates = certificates
                self.authentication = authentication
                self.eap = eap
                self.notifies = notifies
                self.vendorIDs = vendorIDs
            }
        }

        /// Reads a response.
        public init(_ message: OpenedMessage) throws(GrammarError) {
            try message.header.require(.ikeAuth, isResponse: true)
            var bag = PayloadBag(message.payloads, of: .ikeAuth)
            let notifies = bag.all(.notify)
            let vendorIDs = bag.all(.vendorID)
            let identity = try bag.optional(.responderIdentification)
            let certificates = bag.all(.certificate)
            let authentication = try bag.optional(.authentication)
            if let eap = try bag.optional(.eap) {
                try bag.finish()
                self = .eap(
                    EAPRound(
                        identity: identity, certificates: certificates, authentication: authentication, eap: eap,
                        notifies: notifies, vendorIDs: vendorIDs))
                return
            }
            let configuration = try bag.optional(.configuration)
            let child = try ChildNegotiation.take(from: &bag, isResponse: true)
            try bag.finish()
            if let authentication {
                self = .authenticated(
                    Authenticated(
                        identity: identity, certificates: certificates, authentication: authentication,
                        configuration: configuration, child: child, notifies: notifies, vendorIDs: vendorIDs))
            } else if identity != nil || !certificates.isEmpty {
                throw .missing(.authentication, .ikeAuth)
            } else if child != nil || configuration != nil {
                self = .child(child, configuration: configuration, notifies: notifies)
            } else {
                self = .notified(notifies, vendorIDs: vendorIDs)
            }
        }

        /// The payloads in the order in which they are sent.
        public var payloads: [Payload] {
            switch self {
            case .authenticated(let parts):
                var payloads: [Payload] = []
                payloads.reserveCapacity(
                    6 + parts.certificates.count + parts.notifies.count + parts.vendorIDs.count)
                if let identity = parts.identity { payloads.append(.responderIdentification(identity)) }
                for certificate in parts.certificates { payloads.append(.certificate(certificate)) }
                payloads.append(.authentication(parts.authentication))
                if let configuration = parts.configuration { payloads.append(.configuration(configuration)) }
                if let child = parts.child { payloads += child.payloads }
                for notify in parts.notifies { payloads.append(.notify(notify)) }
                for vendorID in parts.vendorIDs { payloads.append(.vendorID(vendorID)) }
                return payloads
            case .eap(let parts):
                var payloads: [Payload] = parts.identity.map { [.responderIdentification($0)] } ?? []
                payloads += parts.certificates.map { .certificate($0) }
                if let proof = parts.authentication { payloads.append(.authentication(proof)) }
                payloads.append(.eap(parts.eap))
                payloads += parts.notifies.map { .notify($0) }
                payloads += parts.vendorIDs.map { .vendorID($0) }
                return payloads
            case .child(let child, let configuration, let notifies):
                return (configuration.map { [.configuration($0)] } ?? []) + (child?.payloads ?? [])
                    + notifies.map { .notify($0) }
            case .notified(let notifies, let vendorIDs):
                return notifies.map { .notify($0) } + vendorIDs.map { .vendorID($0) }
            }
        }
    }
}
