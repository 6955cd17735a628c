import GatewayModel
import NetworkTypes

/// Addresses of devices: `10.1.0.1/24`, or an address alone; and that no two children name the same device.
enum InterfaceSyntax {
    /// The address, and how many bits of it the neighbours share.
    static func address(_ text: String) -> (IPAddress, Int)? {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(String(first)) else { return nil }
        guard parts.count == 2 else { return (address, address.family.bitWidth) }
        guard let length = Int(parts[1]), (0...address.family.bitWidth).contains(length),
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return (address, length)
    }

    /// A name without a number in it is one device's, and a device is one child's.
    static func review(
        _ connections: [Connection], _ locations: [SourceLocation], _ diagnostics: DiagnosticCollector
    ) {
        struct Place: Hashable {
            let namespace: String?
            let name: String
        }
        var owners: [Place: String] = [:]
        for (connection, location) in zip(connections, locations) {
            for child in connection.children {
                guard let interface = child.interface, !interface.isNumbered else { continue }
                let owner = "child '\(child.name)' of connection '\(connection.name)'"
                let place = Place(namespace: interface.namespace, name: interface.nameTemplate)
                if let other = owners[place] {
                    diagnostics.error(
                        location, "tunnel_interface '\(place.name)' of \(owner) is that of \(other) already",
                        remedy: "give each child a name of its own, or write one with %d: vti%d")
                } else {
                    owners[place] = owner
                }
            }
        }
    }
}
