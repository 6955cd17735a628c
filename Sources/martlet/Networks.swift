import ArgumentParser
import Foundation
import GatewayModel
import LinuxSystem
import NetworkTypes
import Telemetry

/// Networks and addresses on the command line, beside those of this machine.
enum Networks {
    /// Refuses what is no network.
    static func check(_ networks: [String]) throws {
        guard !networks.isEmpty else { throw ValidationError("Name a network with --lan, such as 192.168.10.0/24.") }
        for network in networks where IPPrefix(network) == nil {
            throw ValidationError("'\(network)' is not a network; write it as 192.168.10.0/24.")
        }
    }

    /// Networks as blocks are written: without what stands behind a block's length.
    static func blocks(_ networks: [String]) throws -> [String] {
        try check(networks)
        return networks.map { text in text.contains("/") ? IPPrefix(text)?.description ?? text : text }
    }

    /// Refuses networks of a new connection's peer that our own hosts, or another tunnel, have already, and those to which
    /// none of our networks could speak. What stands for everything is in nobody's way.
    static func review(_ networks: [String], of new: Connection, among connections: [Connection]) throws {
        let ours = new.children.flatMap { $0.localSelectors.compactMap(\.addresses) }
        let words = ours.map(\.description).joined(separator: ", ")
        for network in networks {
            guard let prefix = IPPrefix(network) else { continue }
            if let own = ours.first(where: { meets(prefix.range, $0) }) {
                throw CommandFailure(
                    "\(network) overlaps our own network \(own): packets for one would go to the other. Give --lan the "
                        + "network behind '\(new.name)'; where both have the same one, one of them has to be renumbered."
                )
            }
            guard ours.isEmpty || ours.contains(where: { $0.family == prefix.family }) else {
                let family = prefix.family == .v4 ? "IPv4" : "IPv6"
                throw CommandFailure(
                    "\(network) is \(family), and none of our networks is (\(words)). Add an \(family) network to "
                        + "local_ts of the section 'site', or give --lan one of the other family.")
            }
            for other in connections where other.name != new.name && !other.isPolicyOnly {
                for child in other.children where child.shunt == nil && child.interface == nil {
                    let theirs = child.remoteSelectors.compactMap(\.addresses)
                    guard let taken = theirs.first(where: { meets(prefix.range, $0) }) else { continue }
                    throw CommandFailure(
                        "\(network) overlaps \(taken), which lies behind '\(other.name)': only one tunnel can carry it. "
                            + "Give --lan a network that no other site has, or remove it from '\(other.name)'.")
                }
            }
        }
    }

    private static func meets(_ one: AddressRange, _ other: AddressRange) -> Bool {
        other.prefix?.length != 0 && one.intersection(other) != nil
    }

    /// Our address towards the Internet; nil when there is no way there.
    static func outwardAddress() -> String? {
        guard let target = IPAddress("192.0.2.1"), let routes = try? RouteSocket(),
            case .reachable(let route)? = try? routes.lookup(target, mark: nil)
        else { return nil }
        return route.preferredSource?.description
    }

    /// Whether an interface of this machine has the address; true also where nobody can say.
    static func isHere(_ address: String) -> Bool {
        guard let wanted = IPAddress(address), let own = try? RouteSocket().addresses() else { return true }
        return own.contains { $0.address == wanted }
    }

    /// What to say of an address at which nobody elsewhere finds us; nil when it may be found.
    static func unreachable(_ address: String) -> String? {
        let isPrivate = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"].contains {
            block in
            IPAddress(address).map { IPPrefix(block)?.contains($0) ?? false } ?? false
        }
        guard let known = IPAddress(address), isPrivate || known.isLinkLocal || known.isLoopback else { return nil }
        return
            "\(address) is a private address: only sites in the same private network reach it. Behind a NAT, name the "
            + "public one with --address."
    }

    /// What to say when this machine passes nothing on between these networks and others; nil when it does.
    static func forwardingIsOff(_ networks: [String]) -> String? {
        let prefixes = networks.compactMap { IPPrefix($0) }.filter { !$0.isHost }
        for (family, file, key) in [
            (IPAddress.Family.v4, "ipv4/ip_forward", "net.ipv4.ip_forward"),
            (.v6, "ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding"),
        ] where prefixes.contains(where: { $0.family == family }) {
            guard let value = try? RawFile.readText("/proc/sys/net/\(file)"), value.hasPrefix("0") else { continue }
            return
                "\(Diagnosis.forwardingIsOff.summary) Switch it on: `sysctl -w \(key)=1`, and a line in /etc/sysctl.d to "
                + "keep it."
        }
        return nil
    }
}
