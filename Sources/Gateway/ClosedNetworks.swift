import GatewayModel
import NetworkTypes

extension ChildSASummary {
    /// What the log says of networks that are refused while the child is up; nil for none, and for a Child SA in the place
    /// of another, of which that was said.
    func notice(ofClosed networks: [IPPrefix]) -> String? {
        guard let first = networks.first, protection == id.rawValue else { return nil }
        let family = first.family == .v4 ? "IPv4" : "IPv6"
        let list = networks.map(\.description).joined(separator: ", ")
        return
            "packets to \(list) are refused while child '\(name)' is up: its local_ts has no \(family) address of ours"
    }
}
