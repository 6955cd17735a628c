/// What a Child SA is negotiated with: SA, TSi and TSr, which come together or not at all.
public struct ChildNegotiation: Hashable, Sendable {
    /// The offer, or in a response the choice: exactly one proposal.
    public var securityAssociation: SecurityAssociationPayload
    /// What the initiator of the exchange sends from and receives at.
    public var initiatorSelectors: TrafficSelectorPayload
    /// What the responder of the exchange sends from and receives at.
    public var responderSelectors: TrafficSelectorPayload

    /// A negotiation by its parts.
    public init(
        securityAssociation: SecurityAssociationPayload, initiatorSelectors: TrafficSelectorPayload,
        responderSelectors: TrafficSelectorPayload
    ) {
        self.securityAssociation = securityAssociation
        self.initiatorSelectors = initiatorSelectors
        self.responderSelectors = responderSelectors
    }

    /// The first proposal: in a response, the chosen one. Nil only in a value that we made empty ourselves.
    public var choice: WireProposal? { securityAssociation.proposals.first }

    /// Takes the three payloads; nil when there is none of them. One or two of them are an error that names what is
    /// missing.
    static func take(from bag: inout PayloadBag, isResponse: Bool) throws(GrammarError) -> ChildNegotiation? {
        guard [.securityAssociation, .initiatorSelectors, .responderSelectors].contains(where: bag.contains)
        else { return nil }
        let negotiation = ChildNegotiation(
            securityAssociation: try bag.one(.securityAssociation),
            initiatorSelectors: try bag.one(.initiatorSelectors),
            responderSelectors: try bag.one(.responderSelectors))
        if isResponse { _ = try negotiation.securityAssociation.chosen(bag.exchange) }
        return negotiation
    }

    var payloads: [Payload] {
        [
            .securityAssociation(securityAssociation), .initiatorSelectors(initiatorSelectors),
            .responderSelectors(responderSelectors),
        ]
    }
}
