import GatewayModel
import NetworkTypes

/// Connections that name no address to go to.
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
}
