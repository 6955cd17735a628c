import GatewayModel
import NetworkTypes

/// Virtual addresses in words: what was given, and why nothing was.
extension Diagnosis {
    init(noLeaseFor identity: Identity, wanted: [IPPrefix], reason: String) {
        if wanted.isEmpty {
            self.init(
                code: "E-ADDRESS-REQUEST-MISSING",
                summary: "The peer asks for no virtual address, but this connection gives one to everybody.",
                facts: ["The peer is \(Self.describe(identity))"],
                causes: ["the client is not set up to ask for an address", "the connection's `pools` are not meant"],
                remedy: "Set `vips = 0.0.0.0` at the client, or remove `pools` here.")
        } else {
            self.init(
                code: "E-NO-LEASE", summary: "The peer gets no virtual address, and so no tunnel.",
                facts: [
                    "The peer is \(Self.describe(identity))", "It asks for \(Self.virtualAddresses(wanted))",
                    "What prevents it: \(reason)",
                ], causes: [],
                remedy:
                    "Give the connection a pool with free addresses of that family, or `prefixes` (`pools` and `pools { … }`)."
            )
        }
    }

    static func virtualAddresses(_ wanted: [IPPrefix]) -> String {
        wanted.map { place in
            let isAny = place.address.isUnspecified
            guard place.isHost else { return isAny ? "any IPv6 prefix" : "the prefix \(place)" }
            guard isAny else { return place.address.description }
            return place.family == .v4 ? "any IPv4 address" : "any IPv6 address"
        }.joined(separator: ", ")
    }
}

extension EventText {
    /// What a gateway gave us.
    static func describe(_ settings: HostSettings) -> String {
        var parts: [String] = []
        func add(_ name: String, _ values: [some CustomStringConvertible]) {
            if !values.isEmpty { parts.append("\(name) \(values.map(\.description).joined(separator: ", "))") }
        }
        add("virtual addresses", settings.addresses)
        add("name servers", settings.nameServers)
        add("for the domains", settings.domains.map { $0.name.isEmpty ? "(all)" : $0.name })
        add("networks", settings.subnets)
        add("NetBIOS name servers", settings.netBIOSServers)
        add("DHCP servers", settings.dhcpServers)
        add("prefixes", settings.prefixes)
        return parts.isEmpty ? "nothing" : parts.joined(separator: "; ")
    }
}
