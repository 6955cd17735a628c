import GatewayModel
import NetworkTypes

/// Addresses and ports that can't be gone to, or that nobody follows.
extension Diagnosis {
    /// Whether none of these `remote_addrs` is a single address or a name.
    public static func namesNobody(_ remoteAddresses: String) -> Bool {
        let parts = remoteAddresses.split(separator: ",").map { $0.filter { !$0.isWhitespace } }
        return parts.allSatisfy { part in
            if part.hasPrefix("%any") { return true }
            if let prefix = IPPrefix(part), IPAddress(part) == nil {
                return prefix.length < (prefix.address.family == .v4 ? 32 : 128)
            }
            let ends = part.split(separator: "-", omittingEmptySubsequences: false)
            return ends.count == 2 && ends.allSatisfy { IPAddress(String($0)) != nil }
        }
    }

    /// Only the peer can start it.
    static func onlyThePeerStarts(_ remoteAddresses: String) -> Diagnosis {
        Diagnosis(
            code: "E-NO-PATH", summary: "Only the peer can start this connection.",
            facts: ["`remote_addrs` is \(remoteAddresses.isEmpty ? "not set" : remoteAddresses)"],
            causes: ["`remote_addrs` names no single address"],
            remedy:
                "To start it here, write `remote_addrs = ADDRESS` (or the peer's name) in the connection; else start it "
                + "at the peer.")
    }

    /// A peer that went from port 500 to 4500 where that is not followed.
    static func portChanged(_ path: Path) -> Diagnosis {
        Diagnosis(
            code: "E-PORT-CHANGE",
            summary: "The peer started on one UDP port and went on to another, which this service does not follow.",
            facts: ["Its IKE_AUTH came from \(path.remote) to our \(path.local), its IKE_SA_INIT to another port"],
            causes: ["a peer behind a NAT, or with `encap = yes`, that does not start on port 4500"],
            remedy: "Let the peer start on port 4500: `local_port = 4500` and `remote_port = 4500` in its swanctl.conf."
        )
    }

    /// A gateway sends us to another one, and we do not go.
    static func redirectRefused(_ gateway: Host, _ reason: String) -> Diagnosis {
        var cause = "gateways that send their clients to each other"
        if case .address(let address) = gateway, address.isLoopback || address.isMulticast || address.isUnspecified {
            cause = "a mistake in what the gateway is told to send its clients to (`redirect_to`)"
        }
        return Diagnosis(
            code: "E-REDIRECT", summary: "The gateway sends us to \(gateway), and we do not go there.",
            facts: ["Why: \(reason)"], causes: [cause],
            remedy: "Ask who runs the gateways, or set `charon.follow_redirects = no` to stay where you are.")
    }
}
