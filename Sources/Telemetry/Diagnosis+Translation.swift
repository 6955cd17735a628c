import GatewayModel
import NetworkTypes

/// What translators and half-closed firewalls do to a tunnel, in words.
extension Diagnosis {
    /// A peer had our answer, or did not, and did not go on.
    static func notGoneOn(_ path: Path, waited: Int64) -> Diagnosis {
        Diagnosis(
            code: "E-NOT-GONE-ON",
            summary: "\(path.remote.address) began a tunnel and did not go on: no IKE_AUTH came in \(waited) s.",
            facts: [
                "We answered its IKE_SA_INIT on \(path.local)",
                "With a NAT on the way, its next message comes to UDP port 4500",
            ],
            causes: [
                "a firewall lets UDP 500 through to us and not UDP 4500", "our answer did not reach the peer",
                "large packets are lost: IKE_AUTH with certificates may need `fragmentation = yes`",
                "a scanner, or somebody who floods us",
            ], remedy: "Let UDP 4500 through in front of this gateway, in both directions.")
    }

    /// The cause of a wrong identity that is a private address where another address is expected.
    static func hidden(_ received: Identity, _ expected: [IdentityPattern]) -> [String] {
        guard isPrivateAddress(received) else { return [] }
        let expectsAddress = expected.contains { pattern in
            if case .exactly(let identity) = pattern { identity.kind == .ipv4Address } else { false }
        }
        guard expectsAddress else { return [] }
        return ["a NAT hides the peer, which calls itself by its own, private address"]
    }

    /// The cause of a refusal where we call ourselves by a private address and a NAT is on the way.
    static func unseen(_ offer: Refusal.Offer) -> [String] {
        guard let identity = offer.localIdentity, isPrivateAddress(identity), offer.path.remote.port == 4500 else {
            return []
        }
        return [
            "we call ourselves by the private address \(identity), and the peer, beyond a NAT, expects our public one "
                + "(`local { id = … }`)"
        ]
    }

    private static let privateBlocks: [IPPrefix] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]
        .compactMap { IPPrefix($0) }

    private static func isPrivateAddress(_ identity: Identity) -> Bool {
        guard identity.kind == .ipv4Address, identity.data.count == 4 else { return false }
        let address = IPAddress(v4: identity.data.reduce(0) { $0 << 8 | UInt32($1) })
        return privateBlocks.contains { $0.contains(address) }
    }
}
