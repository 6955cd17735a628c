import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import WireFormat

/// A Child SA on its way into the data plane: inbound first, so that nothing of the peer's is lost; then outbound and
/// policies, but for one that the peer has made in place of another (RFC 7296 §2.8). All of it is in force before our
/// answer leaves (see ``Effects/take()``): the peer's first packet may ask for one of ours.
struct ChildInstallation {
    /// The number that it will have.
    let id: ChildSAID
    private let terms: Held<ChildAgreement>
    /// What was agreed.
    var agreement: ChildAgreement { terms.wrappedValue }
    private let inboundKeys: PacketKeys
    private let outboundKeys: PacketKeys
    private let weInitiated: Bool

    /// Derives the keys; nil when the algorithms do not make a protection. `weInitiated` is about the exchange, not
    /// about the IKE SA.
    init?(
        _ terms: Held<ChildAgreement>, _ keys: SessionKeys, sharedSecret: SecretBytes? = nil,
        further: [SecretBytes] = [], initiatorNonce: [UInt8], responderNonce: [UInt8], weInitiated: Bool,
        _ tables: EndpointTables
    ) {
        let derived = KeySchedule.childKeys(
            terms.wrappedValue.proposal, prf: keys.suite.prf, derivation: keys.derivation, sharedSecret: sharedSecret,
            further: further, initiatorNonce: initiatorNonce, responderNonce: responderNonce)
        guard let derived else { return nil }
        id = tables.newChildSAID()
        self.terms = terms
        self.weInitiated = weInitiated
        // The initiator's keys protect what the initiator sends (RFC 7296 §2.17).
        inboundKeys = weInitiated ? derived.responder : derived.initiator
        outboundKeys = weInitiated ? derived.initiator : derived.responder
    }

    /// Installs the inbound direction.
    func installInbound(_ context: SessionContext, _ turn: inout Turn) {
        turn.plane(.install(association(.inbound, context, &turn)))
    }

    /// Installs the outbound direction and the policies; the child is up. One that loses a contest at once never gets
    /// packets to carry: `takesOver` is false then. One that the peer has made in place of `old` gets them when `old`
    /// goes: before that nobody knows whether the peer has had our answer, and can open them (RFC 7296 §2.8).
    /// `replaced` is the one that we have made it in place of.
    func complete(
        _ context: SessionContext, takesOver: Bool = true, inPlaceOf old: ChildSAID? = nil,
        replacing replaced: ChildSAID? = nil, _ turn: inout Turn
    ) {
        turn.plane(.install(association(.outbound, context, &turn)))
        let predecessor = old.flatMap { context.children.child($0) }.flatMap { $0.isProtecting ? $0.id : nil }
        let lifeTime = agreement.template.lifeTime
        let rekeyTime = turn.moment(in: agreement.template.rekeyTime, less: agreement.template.randTime)
        let before = (old ?? replaced).flatMap { context.children.child($0)?.protection }
        let number = turn.tables.protections.enter(
            agreement, of: context.connection.name, number: before ?? id.rawValue)
        var child = ChildSA(
            id: id, terms: terms, encapsulation: context.encapsulation,
            state: takesOver ? .installed : .rekeyed, installed: turn.now, rekeyDue: takesOver ? rekeyTime : nil,
            expires: lifeTime > .zero ? turn.now + lifeTime : nil, isProtecting: false, protection: number)
        child.predecessor = predecessor
        context.heldSPIs = context.heldSPIs.filter { $0 != agreement.inboundSPI }
        context.children.add(child)
        if takesOver, predecessor == nil { context.lead(to: id, &turn) }
        context.timers.set(.childExpiry(id), to: child.expires)
        context.timers.set(.childRekey(id), to: child.rekeyDue)
        context.watchUse(of: child)
        if !context.wanted.isEmpty { context.wanted = context.wanted.filter { $0 != agreement.template.name } }
        turn.tables.refusals.clear(context.connection.name)
        turn.tables.acquires.cameUp(context.connection.name, agreement.template.name)
        context.publish(.childInstalled(child.summary), &turn)
        if weInitiated, takesOver { context.wantMore(like: child, resources: turn.configuration.resources) }
    }

    private func association(
        _ direction: SecurityAssociation.Direction, _ context: SessionContext, _ turn: inout Turn
    ) -> SecurityAssociation {
        var association = agreement.association(
            direction, of: id, direction == .inbound ? inboundKeys : outboundKeys, context.encapsulation, context)
        association.limits = agreement.template.volume.limits(
            bytesChance: turn.environment.entropy.fraction(), packetsChance: turn.environment.entropy.fraction())
        return association
    }
}

extension ChildAgreement {
    /// One direction of the Child SA with this number, without limits of its volume.
    func association(
        _ direction: SecurityAssociation.Direction, of id: ChildSAID, _ keys: PacketKeys,
        _ encapsulation: SecurityAssociation.Encapsulation, _ context: SessionContext
    ) -> SecurityAssociation {
        let encryption = proposal.first(.encryption) ?? Transform(.encryption, 0)
        var integrity = AlgorithmRegistry.isAEAD(encryption) ? nil : proposal.first(.integrity)
        if integrity == .sha256, template.truncatesSHA256 { integrity = .sha256Truncated96 }
        var association = SecurityAssociation(
            direction: direction, spi: direction == .inbound ? inboundSPI : outboundSPI,
            child: id, mode: mode, encryption: encryption,
            integrity: integrity,
            usesExtendedSequenceNumbers: proposal.first(.sequenceNumbers) == .esn,
            encryptionKey: keys.encryption, integrityKey: keys.integrity, path: context.path,
            encapsulation: encapsulation,
            replayWindow: direction == .inbound ? template.replayWindow : 0,
            localSelectors: localSelectors, remoteSelectors: remoteSelectors)
        association.securityProtocol = proposal.securityProtocol
        association.tunnel = tunnel
        association.compressionIndex = compression.map {
            direction == .inbound ? $0.inbound : $0.outbound
        }
        association.policyPriority = template.priority
        association.resource = resource
        if template.interface != nil {
            association.interface = VirtualInterface.key(
                connection: context.connection.name, child: template.name)
        }
        return association
    }
}

extension SessionContext {
    /// A Child SA ends for `reason`: where its template says so, the next packet brings it up again. To be called before
    /// the Child SA is removed.
    func leaveTrap(_ child: ChildSA, _ reason: Event.CloseReason, _ turn: inout Turn) {
        let template = child.agreement.template
        guard child.isProtecting, child.agreement.resource == nil, reason.leavesTrap(template) else { return }
        var trap = StandingPolicy(
            connection: connection.name, child: template.name, action: .trap, local: child.agreement.localSelectors,
            remote: child.agreement.remoteSelectors)
        trap.priority = template.priority
        trap.usesInterface = template.interface != nil
        turn.plane(.trap(trap))
    }

    /// Packets go to this Child SA from now on: the newest policy decides, so they change over between one and the next.
    func lead(to id: ChildSAID, _ turn: inout Turn) {
        guard let terms = children.child(id)?.terms else { return }
        children.update(id) {
            $0.isProtecting = true
            $0.predecessor = nil
        }
        turn.plane(
            .protect(
                id, local: terms.wrappedValue.localSelectors, remote: terms.wrappedValue.remoteSelectors,
                spi: terms.wrappedValue.outboundSPI))
    }

    /// Takes a Child SA out of the data plane and forgets it.
    func removeChild(_ id: ChildSAID, _ reason: Event.CloseReason, staysBlocked: Bool, _ turn: inout Turn) {
        guard var child = children.remove(id) else { return }
        for next in children.all where next.predecessor == id {
            if next.state == .installed || next.state == .rekeying { lead(to: next.id, &turn) }
        }
        turn.plane(.remove(.outbound, spi: child.agreement.outboundSPI, of: id))
        // What is blocked of a group, the first of it blocks.
        let staysBlocked = staysBlocked && child.agreement.resource == nil
        turn.plane(
            reason == .replaced
                ? .retire(spi: child.agreement.inboundSPI, of: id)
                : .remove(.inbound, spi: child.agreement.inboundSPI, of: id))
        if child.isProtecting { turn.plane(.unprotect(id, staysBlocked: staysBlocked)) }
        turn.tables.spis.release(child.agreement.inboundSPI)
        turn.tables.protections.leave(child.agreement, of: connection.name)
        timers.remove(.childExpiry(id))
        timers.remove(.childRekey(id))
        timers.remove(.childInactivity(id))
        agenda.drop { intent in
            switch intent {
            case .deleteChild(id, _), .rekeyChild(id): true
            default: false
            }
        }
        endGroup(of: child, reason)
        child.state = .deleted
        publish(.childClosed(child.summary, reason), &turn)
    }
}

extension Event.CloseReason {
    /// Whether packets of a child that ended so ask for it again.
    func leavesTrap(_ template: ChildTemplate) -> Bool {
        switch self {
        case .peerDead: template.dpdAction == .trap
        case .byPeer, .failed: template.closeAction == .trap
        case .asked, .shutdown, .replaced, .expired, .inactive, .ikeSAEnded: false
        }
    }

    /// Whether the packets of a child that ended so stay blocked: nobody here wanted them to go in clear. `action` is
    /// what the configuration wants done then.
    func staysBlocked(_ action: ChildTemplate.CloseAction) -> Bool {
        switch self {
        case .asked, .shutdown, .replaced: false
        case .byPeer: action != .none
        case .failed, .peerDead, .expired, .inactive, .ikeSAEnded: true
        }
    }
}
