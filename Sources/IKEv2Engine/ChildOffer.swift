import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes

/// What we offer for a Child SA, as the initiator of an exchange, until the peer has answered (RFC 7296 §1.3.1, §2.9).
///
/// It remembers exactly what was offered, so that an answer can be held against it. The inbound SPI is the IKE SA's to give
/// back.
struct ChildOffer {
    /// The template.
    let template: ChildTemplate
    /// Our SPI.
    let spi: UInt32
    /// The proposals as offered.
    let proposals: [Proposal]
    /// Whole packets in a tunnel, or payloads between the two hosts.
    let mode: ChildTemplate.Mode
    /// Packets on our side.
    let localSelectors: [TrafficSelector]
    /// Packets on the peer's side.
    let remoteSelectors: [TrafficSelector]
    /// The CPI under which we would take compressed payloads; nil when we offer none.
    let compressionIndex: UInt16?
    /// Whether we say that there may be more like it (RFC 9611 §4).
    var announcesResources = false
    /// Which of our resources it is for; see ``ChildAgreement/resource``.
    var resource: Int?

    /// An offer; nil when all SPIs are in use. IKE_AUTH has no key exchange of its own, so `withKeyExchange` is false
    /// there (RFC 7296 §1.2).
    init?(_ template: ChildTemplate, withKeyExchange: Bool, _ context: SessionContext, _ turn: inout Turn) {
        let possible = context.possible(template.offer)
        guard !possible.isEmpty else {
            let isForced = !context.nat.isAny
            context.refuse(
                .authenticationHeaderNeedsPlainPath(child: template.name, isForced: isForced), child: template.name,
                &turn)
            return nil
        }
        guard let spi = context.takeSPI(&turn) else { return nil }
        self.template = template
        self.spi = spi
        proposals = withKeyExchange ? possible : possible.withoutKeyExchange
        localSelectors = template.localSelectors.flatMap { $0.resolved(for: context.localHosts) }
        remoteSelectors = template.remoteSelectors.flatMap { $0.resolved(for: context.remoteHosts) }
        let isHostToHost = TransportMode.isHostToHost(local: localSelectors, remote: remoteSelectors, context.path)
        mode = isHostToHost ? template.mode : .tunnel
        compressionIndex = context.compressionIndex(template, proposals, &turn)
        announcesResources = template.announcesResources(turn.configuration.resources)
    }

    /// An offer in place of a Child SA: the same packets in the same way (RFC 7296 §2.9.2); nil when all SPIs are in use.
    init?(replacing old: ChildAgreement, _ context: SessionContext, _ turn: inout Turn) {
        let possible = context.possible(old.template.offer)
        guard !possible.isEmpty, let spi = context.takeSPI(&turn) else { return nil }
        template = old.template
        self.spi = spi
        mode = old.mode
        proposals = possible
        localSelectors = old.localSelectors
        remoteSelectors = old.remoteSelectors
        compressionIndex = context.compressionIndex(template, proposals, &turn)
        announcesResources = old.isGrouped
        resource = old.resource
    }

    /// Whether we ask that fragments that do not show their ports may use it.
    private var offersLaterFragments: Bool {
        mode == .tunnel && (localSelectors + remoteSelectors).contains { $0.namesPorts }
    }

    /// The three payloads.
    var negotiation: ChildNegotiation {
        let wire = proposals.enumerated().map { index, proposal in
            WireProposal(
                number: UInt8(truncatingIfNeeded: index + 1), proposal, spi: WireProposal.octets(spi))
        }
        return ChildNegotiation(
            securityAssociation: SecurityAssociationPayload(wire),
            initiatorSelectors: TrafficSelectorPayload(localSelectors),
            responderSelectors: TrafficSelectorPayload(remoteSelectors))
    }

    /// The notifications that go with it.
    var notifies: [NotifyPayload] {
        (mode == .transport ? [NotifyPayload(.useTransportMode)] : [])
            + (compressionIndex.map { [CompressionOffer(index: $0).notify] } ?? [])
            + (announcesResources ? [.resource(resource)] : [])
            + (offersLaterFragments ? [NotifyPayload(.nonFirstFragmentsAlso)] : [])
    }

    /// Holds the peer's answer against the offer.
    func agreement(
        _ answer: ChildNegotiation, _ notifies: [NotifyPayload]
    ) throws(Refusal) -> ChildAgreement {
        guard let choice = answer.choice, let proposal = choice.proposal,
            proposals.contains(where: { $0.allows(answer: proposal) })
        else {
            let chosen = answer.choice?.proposal?.transforms.map(\.description).joined(separator: "-")
            let name = answer.choice?.securityProtocol ?? .esp
            throw .choseWhatWasNotOffered(what: "\(name) proposal \(chosen ?? "that we do not understand")")
        }
        // 1 to 255 are reserved (RFC 4303 §2.1).
        guard let outboundSPI = choice.spi32, outboundSPI > 255 else {
            throw .choseWhatWasNotOffered(what: "a reserved SPI")
        }
        let local = answer.initiatorSelectors.selectors
        let remote = answer.responderSelectors.selectors
        guard SelectorNarrowing.isNarrowing(local, of: localSelectors),
            SelectorNarrowing.isNarrowing(remote, of: remoteSelectors)
        else {
            throw .selectorsDisjoint(
                oursLocal: localSelectors, oursRemote: remoteSelectors, theirsLocal: local, theirsRemote: remote)
        }
        var agreement = ChildAgreement(
            template: template, proposal: proposal, inboundSPI: spi, outboundSPI: outboundSPI,
            mode: notifies.contains(.useTransportMode) ? mode : .tunnel, localSelectors: local,
            remoteSelectors: remote)
        agreement.refusesPadding = notifies.contains(.espTFCPaddingNotSupported)
        agreement.carriesLaterFragments = offersLaterFragments && notifies.contains(.nonFirstFragmentsAlso)
        agreement.compression = try compression(notifies, proposal)
        agreement.isGrouped = announcesResources && notifies.contains(.saResourceInfo)
        agreement.resource = resource
        return agreement
    }
}

extension SessionContext {
    /// Takes an inbound SPI; nil when all are in use. It is given back with the IKE SA at the latest.
    func takeSPI(_ turn: inout Turn) -> UInt32? {
        guard let spi = turn.tables.spis.allocate(&turn.environment.entropy) else { return nil }
        heldSPIs = heldSPIs + [spi]
        return spi
    }

    /// Gives an inbound SPI back that no Child SA has.
    func giveBackSPI(_ spi: UInt32, _ turn: inout Turn) {
        guard heldSPIs.contains(spi) else { return }
        heldSPIs = heldSPIs.filter { $0 != spi }
        turn.tables.spis.release(spi)
    }

    /// Nothing came of an offer. A peer that has installed its side is told to take it away again.
    func withdraw(_ offer: ChildOffer, peerInstalledIt: Bool, _ turn: inout Turn) {
        if peerInstalledIt {
            agenda.add(.deleteOrphan(offer.spi, offer.proposals.first?.securityProtocol ?? .esp))
        } else {
            giveBackSPI(offer.spi, &turn)
        }
    }
}

extension Proposal {
    /// Without key exchange methods, as IKE_AUTH needs it.
    var withoutKeyExchange: Proposal {
        guard hasKeyExchange else { return self }
        return Proposal(securityProtocol, transforms.filter { $0.keyExchangeMethod.type != .keyExchange })
    }

    /// Whether a key exchange is in it, of the first kind or an additional one.
    fileprivate var hasKeyExchange: Bool { transforms.contains { $0.keyExchangeMethod.type == .keyExchange } }

    /// Whether there is an additional key exchange in it.
    var hasAdditionalKeyExchange: Bool { transforms.contains { $0.type.additionalKeyExchange != nil } }
}

extension [Proposal] {
    /// Without key exchange methods, each proposal once, in order.
    var withoutKeyExchange: [Proposal] {
        guard count > 1 || contains(where: \.hasKeyExchange) else { return self }
        var result: [Proposal] = []
        for proposal in self.map(\.withoutKeyExchange) where !result.contains(proposal) { result.append(proposal) }
        return result
    }
}
