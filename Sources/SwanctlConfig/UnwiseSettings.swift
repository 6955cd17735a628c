import Clockwork
import GatewayModel
import NetworkTypes

/// What works and is unwise all the same: settings of one connection, looked at together.
///
/// It owns these rules. What can't work at all is an error of the readers.
struct UnwiseSettings {
    let diagnostics: DiagnosticCollector

    /// A day: longer keys are a longer harvest for whoever steals one.
    private static let longest = Interval.hours(24)

    /// Looks at a connection, which stands at `location`.
    func review(_ connection: Connection, _ location: SourceLocation) {
        for child in connection.children { review(child, of: connection, location) }
        reviewIdentity(connection, location)
    }

    private func review(_ child: ChildTemplate, of connection: Connection, _ location: SourceLocation) {
        let name = "child '\(child.name)' of connection '\(connection.name)'"
        if child.rekeyTime == .zero {
            // Where that is what the peer needs, there is nothing to say.
            if PeerProfile.all.first(where: { $0.name == connection.profile })?.child["rekey_time"] == "0s" { return }
            diagnostics.warning(
                location, "\(name) never changes its keys", remedy: "set rekey_time, for example to 1h")
        } else if child.rekeyTime > Self.longest {
            diagnostics.warning(
                location, "\(name) keeps its keys for longer than a day (\(hours(child.rekeyTime)))",
                remedy: "set its rekey_time to 1h, or to 8h where the peer insists")
        } else if child.lifeTime > Self.longest.scaled(by: Self.grace) {
            diagnostics.warning(
                location, "\(name) may live for longer than a day (\(hours(child.lifeTime)))",
                remedy: "leave life_time out, or make it shorter")
        }
        let ends = [connection.rekeyTime, connection.reauthTime].filter { $0 > .zero }
        guard let end = ends.min() else { return }
        let longest = max(child.rekeyTime, child.lifeTime.scaled(by: 1 / Self.grace))
        if longest > end {
            let lives = child.rekeyTime > end ? child.rekeyTime : child.lifeTime
            diagnostics.warning(
                location, "\(name) lives longer (\(hours(lives))) than its IKE SA (\(hours(end)))",
                remedy: "make the child's rekey_time and life_time shorter than the connection's rekey_time"
                    + " and reauth_time")
        }
    }

    /// By how much what is replaced in time may live longer than until then.
    private static let grace = 1.1

    /// A private address as our identity says nothing to a peer that sees a public one.
    private func reviewIdentity(_ connection: Connection, _ location: SourceLocation) {
        let remotes = connection.remoteAddresses.compactMap(\.single)
        guard let remote = remotes.first, !Self.isPrivate(remote) else { return }
        let own: IPAddress?
        if let identity = connection.local.identity {
            own = identity.kind == .ipv4Address ? IPAddress(identity.description) : nil
        } else {
            own = connection.localAddresses.compactMap(\.single).first
        }
        guard let own, own.family == .v4, Self.isPrivate(own) else { return }
        diagnostics.warning(
            location,
            "connection '\(connection.name)' calls us '\(own)', a private address, towards the public peer \(remote), "
                + "which most likely expects our public address",
            remedy: "set local { id = … } to our public address or to a name, as the peer has it")
    }

    private static let privateBlocks = [
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
    ]
    .compactMap { IPPrefix($0) }

    private static func isPrivate(_ address: IPAddress) -> Bool { privateBlocks.contains { $0.contains(address) } }

    private func hours(_ interval: Interval) -> String {
        let seconds = interval.wholeSeconds
        return seconds % 3600 == 0 ? "\(seconds / 3600) h" : "\(seconds) s"
    }
}
