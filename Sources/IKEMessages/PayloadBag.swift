/// A kind of payload that a typed exchange takes from a ``PayloadBag``.
public struct PayloadKind<Body: PayloadBody>: Sendable {
    let type: PayloadType
    let body: @Sendable (Payload) -> Body?
}

extension PayloadKind where Body == SecurityAssociationPayload {
    /// SA.
    public static var securityAssociation: Self {
        Self(type: .securityAssociation) { if case .securityAssociation(let body) = $0 { body } else { nil } }
    }
}

extension PayloadKind where Body == KeyExchangePayload {
    /// KE.
    public static var keyExchange: Self {
        Self(type: .keyExchange) { if case .keyExchange(let body) = $0 { body } else { nil } }
    }
}

extension PayloadKind where Body == IdentificationPayload {
    /// IDi.
    public static var initiatorIdentification: Self {
        Self(type: .initiatorIdentification) { if case .initiatorIdentification(let body) = $0 { body } else { nil } }
    }
    /// IDr.
    public static var responderIdentification: Self {
        Self(type: .responderIdentification) { if case .responderIdentification(let body) = $0 { body } else { nil } }
    }
}

extension PayloadKind where Body == CertificatePayload {
    /// CERT.
    public static var certificate: Self {
        Self(type: .certificate) { if case .certificate(let body) = $0 { body } else { nil } }
    }
}

extension PayloadKind where Body == CertificateRequestPayload {
    /// CERTREQ.
    public static var certificateRequest: Self {
        Self(type: .certificateRequest) { if case .certificateRequest(let body) = $0 { body } else { nil } }
    }
}

extension PayloadKind where Body == AuthenticationPayload {
    /// AUTH.
    public static var authentication: Self {
        Self(type: .authentication) { if case .authentication(let body) = $0 { body } else { nil } }
    }
}

extension PayloadKind where Body == NoncePayload {
    /// Ni or Nr.
    public static var nonce: Self { Self(type: .nonce) { if case .nonce(let body) = $0 { body } else { nil } } }
}

extension PayloadKind where Body == NotifyPayload {
    /// N.
    public static var notify: Self { Self(type: .notify) { if case .notify(let body) = $0 { body } else { nil } } }
}

extension PayloadKind where Body == DeletePayload {
    /// D.
    public static var delete: Self { Self(type: .delete) { if case .delete(let body) = $0 { body } else { nil } } }
}

extension PayloadKind where Body == VendorIDPayload {
    /// V.
    public static var vendorID: Self {
        Self(type: .vendorID) { if case .vendorID(let body) = $0 { body } else { nil } }
    }
}

extension PayloadKind where Body == TrafficSelectorPayload {
    /// TSi.
    public static var initiatorSelectors: Self {
        Self(type: .initiatorSelectors) { if case .initiatorSelectors(let body) = $0 { body } else { nil } }
    }
    /// TSr.
    public static var responderSelectors: Self {
        Self(type: .responderSelectors) { if case .responderSelectors(let body) = $0 { body } else { nil } }
    }
}

extension PayloadKind where Body == ConfigurationPayload {
    /// CP.
    public static var configuration: Self {
        Self(type: .configuration) { if case .configuration(let body) = $0 { body } else { nil } }
    }
}

extension PayloadKind where Body == EAPPayload {
    /// EAP.
    public static var eap: Self { Self(type: .eap) { if case .eap(let body) = $0 { body } else { nil } } }
}

/// The payloads of a message, to be taken out by kind until none is left: how a typed exchange is parsed.
///
/// It owns what has not been taken. The order of payloads of different kinds means nothing (RFC 7296 §2.5); payloads
/// that are not understood are passed over.
public struct PayloadBag: Sendable {
    /// The exchange, for the errors.
    public let exchange: ExchangeType
    private let payloads: [Payload]
    /// The types that were taken, a bit for each: the numbers of all that are understood are below 64.
    private var taken: UInt64 = 0

    /// All payloads of a message.
    public init(_ payloads: [Payload], of exchange: ExchangeType) {
        self.exchange = exchange
        self.payloads = payloads
    }

    /// Whether a payload of this type has not been taken.
    public func contains(_ type: PayloadType) -> Bool {
        !isTaken(type) && payloads.contains { $0.type == type }
    }

    private func isTaken(_ type: PayloadType) -> Bool { taken & 1 << UInt64(type.rawValue) != 0 }

    /// Takes all payloads of a kind, in their order.
    public mutating func all<Body>(_ kind: PayloadKind<Body>) -> [Body] {
        guard !isTaken(kind.type) else { return [] }
        let count = payloads.count { $0.type == kind.type }
        guard count > 0 else { return [] }
        taken |= 1 << UInt64(kind.type.rawValue)
        var bodies: [Body] = []
        bodies.reserveCapacity(count)
        for payload in payloads where payload.type == kind.type {
            if let body = kind.body(payload) { bodies.append(body) }
        }
        return bodies
    }

    /// Takes the payload of a kind that may be there once.
    public mutating func optional<Body>(_ kind: PayloadKind<Body>) throws(GrammarError) -> Body? {
        guard !isTaken(kind.type), let place = payloads.firstIndex(where: { $0.type == kind.type }) else { return nil }
        taken |= 1 << UInt64(kind.type.rawValue)
        guard !payloads[(place + 1)...].contains(where: { $0.type == kind.type }) else {
            throw .repeated(kind.type, exchange)
        }
        return kind.body(payloads[place])
    }

    /// Takes the payload of a kind that must be there once.
    public mutating func one<Body>(_ kind: PayloadKind<Body>) throws(GrammarError) -> Body {
        guard let body = try optional(kind) else { throw .missing(kind.type, exchange) }
        return body
    }

    /// Ends the taking: a payload that is understood but was not taken has no place in the message.
    public consuming func finish() throws(GrammarError) {
        for payload in payloads where !isTaken(payload.type) {
            if case .unknown = payload { continue }
            throw .unexpected(payload.type, exchange)
        }
    }
}

extension IKEHeader {
    /// Checks that the message belongs to an exchange and goes in the right direction.
    func require(_ exchange: ExchangeType, isResponse: Bool) throws(GrammarError) {
        guard self.exchange == exchange else { throw .wrongExchange(self.exchange, expected: exchange) }
        guard self.isResponse == isResponse else { throw .wrongDirection(exchange, isResponse: self.isResponse) }
    }
}

extension SecurityAssociationPayload {
    /// The chosen proposal of a response: the only one.
    func chosen(_ exchange: ExchangeType) throws(GrammarError) -> WireProposal {
        guard proposals.count == 1, let choice = proposals.first else {
            throw .ambiguousChoice(proposals: proposals.count, exchange)
        }
        return choice
    }
}
