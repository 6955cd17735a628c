import GatewayModel
import IKECore
import NetworkTypes
import Telemetry
import ViciServer

/// What somebody may have to know at once (`alert`).
///
/// It owns the alerts that take more than one event to see; ``Alert`` knows the others.
extension ControlFacade {
    /// Tells the alerts that an event is.
    func publishAlerts(_ event: Event, _ server: any ViciAudience) {
        guard server.hasListeners("alert") else { return }
        let summary = event.ikeSA.flatMap { announcement(of: $0) ?? gateway.ikeSA($0) }
        for alert in Alert.all(event) {
            server.publish(.alert(type: alert.type, message: alert.message, summary))
        }
        // A successor protects what the first one did.
        if case .childInstalled(let child) = event.kind, child.protection == child.id.rawValue,
            isNarrowed(child, event.connection)
        {
            let selectors =
                "\(child.localSelectors.map(\.description).joined(separator: ", ")) === "
                + child.remoteSelectors.map(\.description).joined(separator: ", ")
            server.publish(
                .alert(
                    type: "ts-narrowed", message: "'\(child.name)' protects less than is configured: \(selectors)",
                    summary))
        }
    }

    /// An IKE SA is being deleted: under `unique = replace`, the peer may have begun another one in its place.
    func publishReplacement(of id: IKESAID?, _ server: any ViciAudience) {
        guard server.hasListeners("alert"), let summary = id.flatMap({ announcement(of: $0) }),
            gateway.connection(named: summary.connection)?.uniqueness == .replace
        else { return }
        publishReplacement(of: summary, server)
    }

    /// An IKE SA, `summary` as it was, is over since there is another one, unless that was told already.
    func publishReplacement(of summary: IKESASummary, _ server: any ViciAudience) {
        guard !replaced.contains(summary.id), server.hasListeners("alert") else { return }
        // In place of one that is authenticated anew we begin the next; here the peer has come once more.
        let next = gateway.ikeSAs.last { sa in
            sa.id > summary.id && sa.state == .established && !sa.isInitiator
                && sa.remoteIdentity == summary.remoteIdentity && sa.localIdentity == summary.localIdentity
        }
        guard let next else { return }
        replaced.insert(summary.id)
        server.publish(
            .alert(
                type: "unique-replace",
                message: "another IKE SA with the same peer, number \(next.id), takes this one's place (unique)",
                summary))
    }

    /// An answer has come to somebody whose requests had to be repeated.
    func publishAnswer(_ event: Event) {
        guard let id = event.ikeSA, repeating.remove(id) != nil, let server, server.hasListeners("alert") else {
            return
        }
        server.publish(
            .alert(
                type: "retransmit-send-cleared", message: "the peer answers again",
                announcement(of: id) ?? gateway.ikeSA(id)))
    }

    /// Takes note of whose requests have to be repeated.
    func noteRepetitions(_ event: Event) {
        switch event.kind {
        case .retransmitted: if let id = event.ikeSA { repeating.insert(id) }
        case .ikeClosed: if !repeating.isEmpty, let id = event.ikeSA { repeating.remove(id) }
        default: break
        }
    }

    /// Whether a Child SA has other selectors than its template. What the ends' own addresses decide is not compared.
    private func isNarrowed(_ child: ChildSASummary, _ connection: String?) -> Bool {
        let template = connection.flatMap { gateway.connection(named: $0)?.child(named: child.name) }
        guard let template, child.mode == .tunnel else { return false }
        return isNarrowed(template.localSelectors, child.localSelectors)
            || isNarrowed(template.remoteSelectors, child.remoteSelectors)
    }

    private func isNarrowed(_ configured: [SelectorTemplate], _ agreed: [TrafficSelector]) -> Bool {
        guard configured.allSatisfy({ $0.addresses != nil }) else { return false }
        let whole = configured.compactMap { selector in
            selector.addresses.map { TrafficSelector($0, ipProtocol: selector.ipProtocol, ports: selector.ports) }
        }
        return Set(whole) != Set(agreed)
    }
}
