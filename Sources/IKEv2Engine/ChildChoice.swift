import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes

/// What we answer to a peer's offer of a Child SA, as the responder of an exchange (RFC 7296 §2.9).
///
/// It owns the choice of the template, the proposal and the selectors. It installs nothing. The SPI that it takes is the
/// IKE SA's to give back.
enum ChildChoice {
    /// Why there is no Child SA: what the peer is told, and what people are told.
    struct Rejection: Error, Hashable {
        /// For the peer.
        let notify: NotifyPayload
        /// For people.
        let refusal: Refusal
        /// The child that came nearest.
        let child: String?
    }

    /// The choice, and the payloads that tell the peer.
    struct Choice {
        /// What both agree on, when the peer gets the answer.
        let terms: Held<ChildAgreement>
        /// The same.
        var agreement: ChildAgreement { terms.wrappedValue }
        /// SA, TSi and TSr of the answer.
        let negotiation: ChildNegotiation
        /// Notifications that go with it.
        let notifies: [NotifyPayload]
    }

    /// Chooses among the connection's children. `withKeyExchange` is false in IKE_AUTH, which has no key exchange of its
    /// own.
    ///
    /// In place of `old` the same packets go on in the same way (RFC 7296 §2.9.2).
    static func choose(
        _ offer: ChildNegotiation, _ notifies: [NotifyPayload], withKeyExchange: Bool,
        replacing old: ChildAgreement? = nil,
        _ context: SessionContext, _ turn: inout Turn
    ) throws(Rejection) -> Choice {
        let hosts = (local: context.localHosts, remote: context.remoteHosts)
        let offered = Offered(offer, withKeyExchange: withKeyExchange)
        let translation = TransportMode.Translation(
            initiatorSelectors: offered.initiatorSelectors, responderSelectors: offered.responderSelectors, notifies,
            context)
        let seen = translation.map { offered.seen(through: $0) } ?? offered
        if let limit = context.connection.largestChildCount, old == nil, context.children.liveCount >= limit {
            throw Rejection(
                notify: NotifyPayload(.noAdditionalSAs),
                refusal: .planeRefused(reason: "this kind of peer has \(limit) Child SAs at most"), child: nil)
        }
        var selectorsRefused: Rejection?
        var proposalRefused: Rejection?
        for template in old.map({ [$0.template] }) ?? ranked(context.configured.tunnels, offered, hosts) {
            let mode = if let old { old.mode } else { template.mode }
            let known = mode == .transport ? seen : offered
            let candidate =
                if let old { Candidate(replacing: old, known) } else { Candidate(template, known, hosts) }
            guard !candidate.local.isEmpty, !candidate.remote.isEmpty else {
                if selectorsRefused == nil { selectorsRefused = candidate.selectorsDisjoint(template, offered) }
                continue
            }
            let possible = context.possible(template.offer)
            let ours = withKeyExchange ? possible : possible.withoutKeyExchange
            if ours.isEmpty {
                if proposalRefused == nil {
                    proposalRefused = Rejection(
                        notify: NotifyPayload(.noProposalChosen),
                        refusal: .authenticationHeaderNeedsPlainPath(
                            child: template.name, isForced: !context.nat.isAny), child: template.name)
                }
                continue
            }
            guard let selection = Proposal.select(from: offered.proposals, configured: ours) else {
                if proposalRefused == nil {
                    proposalRefused = Rejection(
                        notify: NotifyPayload(.noProposalChosen),
                        refusal: .noChildProposal(
                            child: template.name, ours: possible, theirs: offered.proposals,
                            isFixed: context.connection.hasFixedAlgorithms),
                        child: template.name)
                }
                continue
            }
            let wire = offered.entries[selection.offeredIndex]
            let membership = try candidate.membership(
                template, notifies, replacing: old, context, resources: turn.configuration.resources)
            return try choice(
                template, candidate, selection.proposal, wire, notifies, translation, membership, context, &turn)
        }
        let nothing = Rejection(
            notify: NotifyPayload(.tsUnacceptable),
            refusal: .selectorsDisjoint(
                oursLocal: [], oursRemote: [], theirsLocal: offered.responderSelectors,
                theirsRemote: offered.initiatorSelectors), child: nil)
        throw proposalRefused ?? selectorsRefused ?? nothing
    }

    private static func choice(
        _ template: ChildTemplate, _ candidate: Candidate, _ proposal: Proposal, _ wire: Offered.Entry,
        _ notifies: [NotifyPayload], _ translation: TransportMode.Translation?, _ membership: ResourceMembership,
        _ context: SessionContext, _ turn: inout Turn
    ) throws(Rejection) -> Choice {
        guard let spi = context.children.hasRoom ? context.takeSPI(&turn) : nil else {
            throw Rejection(
                notify: NotifyPayload(.noAdditionalSAs), refusal: .planeRefused(reason: "no room for another Child SA"),
                child: template.name)
        }
        let isTransport =
            candidate.mode == .transport && notifies.contains(.useTransportMode)
            && TransportMode.isHostToHost(local: candidate.local, remote: candidate.remote, context.path)
        let translation = candidate.mode == .transport ? translation : nil
        var agreement = ChildAgreement(
            template: template, proposal: proposal, inboundSPI: spi, outboundSPI: wire.spi,
            mode: isTransport ? .transport : .tunnel, localSelectors: candidate.local,
            remoteSelectors: candidate.remote)
        agreement.refusesPadding = notifies.contains(.espTFCPaddingNotSupported)
        agreement.carriesLaterFragments =
            !isTransport && notifies.contains(.nonFirstFragmentsAlso)
            && (candidate.local.contains { $0.namesPorts } || candidate.remote.contains { $0.namesPorts })
        agreement.compression = context.compression(template, proposal, notifies, &turn)
        agreement.isGrouped = membership.isGrouped
        agreement.resource = membership.resource
        let negotiation = ChildNegotiation(
            securityAssociation: SecurityAssociationPayload([
                WireProposal(number: wire.number, proposal, spi: WireProposal.octets(spi))
            ]),
            initiatorSelectors: TrafficSelectorPayload(
                translation?.initiatorNamed(candidate.remote) ?? candidate.remote),
            responderSelectors: TrafficSelectorPayload(
                translation?.responderNamed(candidate.local) ?? candidate.local))
        return Choice(
            terms: Held(wrappedValue: agreement), negotiation: negotiation,
            notifies: (isTransport ? [NotifyPayload(.useTransportMode)] : [])
                + (agreement.compression.map { [CompressionOffer(index: $0.inbound).notify] } ?? [])
                + membership.notifies
                + (agreement.carriesLaterFragments ? [NotifyPayload(.nonFirstFragmentsAlso)] : []))
    }

    /// The templates whose selectors are the offered ones exactly, then the others; each group in the order of the
    /// configuration.
    private static func ranked(
        _ templates: [ChildTemplate], _ offered: Offered, _ hosts: (local: [AddressRange], remote: [AddressRange])
    ) -> [ChildTemplate] {
        guard templates.count > 1 else { return templates }
        let exact = templates.filter {
            let candidate = Candidate($0, offered, hosts)
            return candidate.local == offered.responderSelectors && candidate.remote == offered.initiatorSelectors
        }
        return exact + templates.filter { template in !exact.contains { $0.name == template.name } }
    }

    /// The peer's offer, as far as it is understood.
    private struct Offered {
        struct Entry {
            let number: UInt8
            let spi: UInt32
        }

        /// Those that are understood.
        let proposals: [Proposal]
        /// What goes with each of them.
        let entries: [Entry]
        let initiatorSelectors: [TrafficSelector]
        let responderSelectors: [TrafficSelector]

        init(_ negotiation: ChildNegotiation, withKeyExchange: Bool) {
            var proposals: [Proposal] = []
            var entries: [Entry] = []
            for wire in negotiation.securityAssociation.proposals {
                // 1 to 255 are reserved (RFC 4303 §2.1).
                guard wire.securityProtocol == .esp || wire.securityProtocol == .ah, let spi = wire.spi32, spi > 255,
                    let proposal = wire.proposal
                else { continue }
                proposals.append(withKeyExchange ? proposal : proposal.withoutKeyExchange)
                entries.append(Entry(number: wire.number, spi: spi))
            }
            (self.proposals, self.entries) = (proposals, entries)
            initiatorSelectors = negotiation.initiatorSelectors.selectors
            responderSelectors = negotiation.responderSelectors.selectors
        }

        private init(
            _ other: Offered, initiatorSelectors: [TrafficSelector], responderSelectors: [TrafficSelector]
        ) {
            proposals = other.proposals
            entries = other.entries
            self.initiatorSelectors = initiatorSelectors
            self.responderSelectors = responderSelectors
        }

        /// The same with the addresses under which we know the two hosts.
        func seen(through translation: TransportMode.Translation) -> Offered {
            Offered(
                self, initiatorSelectors: translation.initiatorSeen(initiatorSelectors),
                responderSelectors: translation.responderSeen(responderSelectors))
        }
    }

    /// One template held against the offer.
    private struct Candidate {
        let mode: ChildTemplate.Mode
        let ours: (local: [TrafficSelector], remote: [TrafficSelector])
        let local: [TrafficSelector]
        let remote: [TrafficSelector]

        init(
            _ template: borrowing ChildTemplate, _ offered: Offered,
            _ hosts: (local: [AddressRange], remote: [AddressRange])
        ) {
            mode = template.mode
            ours = (
                template.localSelectors.flatMap { $0.resolved(for: hosts.local) },
                template.remoteSelectors.flatMap { $0.resolved(for: hosts.remote) }
            )
            local = SelectorNarrowing.intersection(configured: ours.local, offered: offered.responderSelectors)
            remote = SelectorNarrowing.intersection(configured: ours.remote, offered: offered.initiatorSelectors)
        }

        init(replacing old: ChildAgreement, _ offered: Offered) {
            mode = old.mode
            ours = (old.localSelectors, old.remoteSelectors)
            local = SelectorNarrowing.intersection(configured: ours.local, offered: offered.responderSelectors)
            remote = SelectorNarrowing.intersection(configured: ours.remote, offered: offered.initiatorSelectors)
        }

        /// Which of a group's Child SAs it would be.
        func membership(
            _ template: ChildTemplate, _ notifies: [NotifyPayload], replacing old: ChildAgreement?,
            _ context: SessionContext, resources: Int
        ) throws(Rejection) -> ResourceMembership {
            if let old { return ResourceMembership(replacing: old, notifies) }
            let membership = ResourceMembership(
                template, local: local, remote: remote, notifies, context, resources: resources)
            if let membership { return membership }
            throw Rejection(
                notify: NotifyPayload(.tsMaxQueue),
                refusal: .planeRefused(
                    reason: "there is a Child SA for each of our \(resources) workers"),
                child: template.name)
        }

        func selectorsDisjoint(_ template: ChildTemplate, _ offered: Offered) -> Rejection {
            Rejection(
                notify: NotifyPayload(.tsUnacceptable),
                refusal: .selectorsDisjoint(
                    oursLocal: ours.local, oursRemote: ours.remote, theirsLocal: offered.responderSelectors,
                    theirsRemote: offered.initiatorSelectors), child: template.name)
        }
    }
}
