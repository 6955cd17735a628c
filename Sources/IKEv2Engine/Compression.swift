import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto

/// Whether the payloads of a Child SA are compressed, and under which CPIs (RFC 7296 §2.22).
///
/// Each end names the CPI under which it takes them. An end that says nothing takes none, and then nobody compresses.
extension SessionContext {
    /// The CPI that we offer for a child, or answer with; nil when it compresses nothing, or has no ESP for it.
    func compressionIndex(_ template: ChildTemplate, _ proposals: [Proposal], _ turn: inout Turn) -> UInt16? {
        guard template.compresses, proposals.allSatisfy({ $0.securityProtocol == .esp }) else { return nil }
        let used = children.all.compactMap { $0.agreement.compression?.inbound }
        // There are fewer children than CPIs, so it ends.
        while true {
            let index = turn.tables.newCompressionIndex(&turn.environment.entropy)
            if !used.contains(index) { return index }
        }
    }

    /// What we answer to an offer; nil where the peer made none that we can take.
    func compression(
        _ template: ChildTemplate, _ proposal: Proposal, _ notifies: [NotifyPayload], _ turn: inout Turn
    ) -> CompressionIndices? {
        guard template.compresses, let theirs = notifies.deflateIndex,
            let ours = compressionIndex(template, [proposal], &turn)
        else { return nil }
        return CompressionIndices(inbound: ours, outbound: theirs)
    }
}

extension ChildOffer {
    /// What the peer's answer makes of our offer; nil when it does without.
    func compression(_ notifies: [NotifyPayload], _ proposal: Proposal) throws(Refusal) -> CompressionIndices? {
        guard notifies.contains(.ipcompSupported) else { return nil }
        guard let ours = compressionIndex, proposal.securityProtocol == .esp, let theirs = notifies.deflateIndex else {
            throw .choseWhatWasNotOffered(what: "compression")
        }
        return CompressionIndices(inbound: ours, outbound: theirs)
    }
}
