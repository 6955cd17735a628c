import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto

/// What can be offered to this peer, on this path.
///
/// It owns the two rules that no list of proposals shows: AH needs a path without NAT and UDP, and numbers from the range
/// for private use mean something only to those who gave them out.
extension SessionContext {
    /// The proposals of ours that can be used here; empty when AH alone is configured and can't be.
    func possible(_ proposals: [Proposal]) -> [Proposal] {
        let usable = encapsulation == .udp ? proposals.filter { $0.securityProtocol != .ah } : proposals
        if peerIsStrongSwan || !usable.contains(where: \.hasPrivateNumbers) { return usable }
        return usable.compactMap { $0.withoutPrivateNumbers }
    }
}

extension VendorIDPayload {
    /// strongSwan's mark: the MD5 of its name.
    static let strongSwan = VendorIDPayload([
        0x88, 0x2f, 0xe5, 0x6d, 0x6f, 0xd2, 0x0d, 0xbc, 0x22, 0x51, 0x61, 0x3b, 0x2e, 0xbe, 0x5b, 0xeb,
    ])
}

extension Connection {
    /// Our own mark, where the configuration wants it to be shown: by it a peer of the same kind, or strongSwan, takes
    /// private numbers from us.
    var vendorIDs: [VendorIDPayload] { sendsVendorID ? [.strongSwan] : [] }
}

extension ConfiguredConnection {
    /// Whether our NAT detection hash is made to mismatch, so that ESP travels in UDP.
    func pretendsNAT(_ configuration: Configuration) -> Bool {
        if connection.forcesEncapsulation { return true }
        return configuration.prefersUDPEncapsulation && !connection.avoidsEncapsulation && !offersAH
    }
}
