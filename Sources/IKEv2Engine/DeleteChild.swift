import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto

/// Closes one Child SA (RFC 7296 §1.4.1). It carries packets until the peer has confirmed.
struct DeleteChild: Exchange {
    private let id: ChildSAID
    private let reason: Event.CloseReason
    private let spi: UInt32
    private let securityProtocol: SecurityProtocol

    /// The deletion of a Child SA; nil when it is gone already.
    init?(_ id: ChildSAID, _ reason: Event.CloseReason, _ context: SessionContext, _ turn: inout Turn) {
        guard let child = context.children.child(id) else { return nil }
        self.id = id
        self.reason = reason
        spi = child.agreement.inboundSPI
        securityProtocol = child.agreement.proposal.securityProtocol
        context.children.update(id) { $0.state = .deleting }
        context.closing = (id, reason)
    }

    var type: ExchangeType { .informational }
    var activity: Activity { .closingChild(id) }
    var payloads: [Payload] { [.delete(DeletePayload(.children(securityProtocol, spis: [spi])))] }
    var remainder: Remainder? { .intent(.deleteChild(id, reason)) }

    /// The peer has closed its side as well; whether it says so, or its own deletion crossed ours, is all the same.
    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep {
        guard let child = context.children.child(id) else { return .done }
        let template = child.agreement.template
        context.leaveTrap(child, reason, &turn)
        context.removeChild(id, reason, staysBlocked: reason.staysBlocked(template.closeAction), &turn)
        if reason == .expired, template.startAction == .start || template.startAction == .trapAndStart {
            context.agenda.add(.createChild(template.name))
        }
        return .done
    }
}

/// Tells the peer to take away a Child SA that it has installed and we have not.
struct DeleteOrphan: Exchange {
    /// Our SPI.
    let spi: UInt32
    /// ESP or AH.
    let securityProtocol: SecurityProtocol

    var type: ExchangeType { .informational }
    var activity: Activity { .closingChild(nil) }
    var payloads: [Payload] { [.delete(DeletePayload(.children(securityProtocol, spis: [spi])))] }
    var remainder: Remainder? { .intent(.deleteOrphan(spi, securityProtocol)) }

    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep {
        context.giveBackSPI(spi, &turn)
        return .done
    }
}

extension SessionContext {
    /// The peer has closed Child SAs, named by the SPIs of what it receives.
    /// - Returns: Our SPIs of the same Child SAs, for the answer. Those that we have asked to close ourselves are not
    ///   among them (RFC 7296 §1.4.1).
    func childrenDeleted(
        _ spis: [UInt32], _ securityProtocol: SecurityProtocol, _ turn: inout Turn
    ) -> [UInt32] {
        var ours: [UInt32] = []
        for spi in spis {
            guard let child = children.child(outboundSPI: spi, securityProtocol) else {
                // It may be one that the peer has made and we have not heard of yet: its answer was lost.
                let isMaking = requests.inFlight?.exchange == .createChildSA
                if isMaking, earlyDeletions.count < ChildTable.capacity { earlyDeletions.append(spi) }
                continue
            }
            if child.state != .deleting { ours.append(child.agreement.inboundSPI) }
            let template = child.agreement.template
            let reason = deletionReason(child)
            leaveTrap(child, reason, &turn)
            removeChild(child.id, reason, staysBlocked: reason.staysBlocked(template.closeAction), &turn)
            if reason == .byPeer, template.closeAction == .start { restart(template.name, &turn) }
        }
        return ours
    }

    /// Why a Child SA ends that the peer closes.
    private func deletionReason(_ child: ChildSA) -> Event.CloseReason {
        switch child.state {
        case .deleting: closing?.child == child.id ? closing?.reason ?? .asked : .asked
        case .rekeyed: .replaced
        default: .byPeer
        }
    }
}
