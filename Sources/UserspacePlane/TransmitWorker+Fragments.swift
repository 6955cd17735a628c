import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import NetworkTypes

/// Fragments that come by the device. The first shows its ports; the later ones go where it went (RFC 4301 §7.3, §7.4).
extension TransmitWorker {
    /// What an SA does with fragments that do not show their ports; nil when it is gone.
    private func laterFragments(_ handle: OutboundHandle) -> TunnelBehaviour.LaterFragments? {
        let isThere = associations.shape(of: handle) != nil || authenticated.association(of: handle) != nil
        return isThere ? tunnels[Int(handle.slot)].laterFragments : nil
    }

    /// Whether an SA in transport mode: that joins all fragments by itself.
    private func isTransport(_ handle: OutboundHandle) -> Bool {
        associations.shape(of: handle)?.isTransport ?? authenticated.association(of: handle)?.isTransport ?? false
    }

    /// Whether a later fragment goes where the first one went, whatever is said of packets without ports.
    private func binds(_ decision: PolicyDatabase.Verdict, isV4: Bool) -> Bool {
        // Another worker knows, who remembers the same.
        guard case .protect(let handle) = decision, owns(handle) else { return true }
        switch laterFragments(handle) {
        case .followFirst: return true
        // An IPv6 packet is put together by its receiver only (RFC 8200 §4.5).
        case .joined: return isV4 || isTransport(handle)
        case .asTheyAre, nil: return false
        }
    }

    /// What becomes of a fragment about which the policies say `found`; nil when it was dealt with here.
    @inline(never)
    mutating func follow(
        _ packet: RawSpan, _ fields: PacketSelectorFields, _ found: PolicyDatabase.Verdict, _ domain: LentDomain?,
        _ now: Instant
    ) -> PolicyDatabase.Verdict? {
        guard let part = FragmentFields(parsing: packet) else { return found }
        let scope = domain?.number ?? 0
        var verdict = found
        if part.isFirst {
            fragments.remember(part, of: fields, scope: scope, found, now: now)
        } else {
            guard let first = fragments.recall(part, of: fields, scope: scope, now: now),
                let decision = first.decision, binds(decision, isV4: fields.family == .v4)
            else { return found }
            guard first.isBehind else {
                associations.drops.count(.malformedPacket)
                return nil
            }
            verdict = decision
        }
        guard case .protect(let handle) = verdict, owns(handle), fields.family == .v4,
            laterFragments(handle) == .joined, !isTransport(handle)
        else { return verdict }
        if let shape = associations.shape(of: handle) {
            assemble(packet, fields, handle, shape, now)
        } else if let association = authenticated.association(of: handle) {
            authenticateAssembled(packet, handle, association, now)
        }
        return nil
    }
}
