import Clockwork
import GatewayModel
import IKECore
import NetworkTypes

/// Both ends of every SA have the same keys, the one that receives is ready before the other may send, and a plane
/// holds what its engine knows, neither more nor less.
final class PlaneProperty: Property {
    let name = "plane and engine agree"

    private let hosts: [SimulatedHost]
    private var installed: [Int: [UInt32: [SecurityAssociation]]] = [:]

    init(hosts: [SimulatedHost]) { self.hosts = hosts }

    func handled(_ moment: Moment, _ report: inout Report) {
        let hasAnswered = moment.effects.contains { effect in
            if case .send(let datagram) = effect { WireHeader(datagram.bytes)?.isResponse == true } else { false }
        }
        var hasChanged = false
        for effect in moment.effects {
            switch effect {
            case .plane(.install(let association)):
                hasChanged = true
                if association.direction == .inbound {
                    checkInbound(association, moment.host, &report)
                    installed[moment.host.index, default: [:]][association.spi, default: []].append(association)
                } else {
                    checkOutbound(association, moment.host, hasAnswered: hasAnswered, &report)
                }
            case .plane: hasChanged = true
            case .publish: hasChanged = true
            case .send, .ask, .release, .forget, .expose: break
            }
        }
        if hasChanged { compare(moment.host, &report) }
    }

    private func checkOutbound(
        _ association: SecurityAssociation, _ host: SimulatedHost, hasAnswered: Bool, _ report: inout Report
    ) {
        let address = association.path.remote.address
        guard let peer = hosts.first(where: { $0.isKnown(as: address) }) else {
            report.violation(name, host, "an outbound SA goes to \(address), where nobody is")
            return
        }
        // Who answers a request installs before the peer can be ready, which is checked when it is.
        if hasAnswered { return }
        let candidates = installed[peer.index]?[association.spi] ?? []
        if candidates.isEmpty {
            report.violation(name, host, "an outbound SA is installed before \(peer.name) can receive")
        } else if !candidates.contains(where: { $0.sharesKeys(with: association) }) {
            report.violation(name, host, "\(peer.name) has other keys for the same SPI")
        } else if !candidates.contains(where: { $0.mirrors(association) }) {
            report.violation(name, host, "\(peer.name) has other selectors for the same SPI")
        }
    }

    /// Who answered has installed its outbound SA already: ours must fit it.
    private func checkInbound(_ association: SecurityAssociation, _ host: SimulatedHost, _ report: inout Report) {
        // An SPI that was used before may still be known to a peer as what it was: chance does that.
        guard installed[host.index]?[association.spi] == nil else { return }
        let senders = hosts.flatMap { peer in
            peer.plane.outbound(association.spi).filter { host.isKnown(as: $0.path.remote.address) }
        }
        guard !senders.isEmpty else { return }
        if !senders.contains(where: { $0.sharesKeys(with: association) }) {
            report.violation(name, host, "the peer has other keys for the same SPI")
        } else if !senders.contains(where: { $0.mirrors(association) }) {
            report.violation(name, host, "the peer has other selectors for the same SPI")
        }
    }

    private func compare(_ host: SimulatedHost, _ report: inout Report) {
        for spi in host.plane.inbound.keys.sorted() where !host.knowsChild(inboundSPI: spi) {
            report.violation(name, host, "the plane holds inbound SPI \(spi), which IKE does not know")
        }
        let children = host.summaries.flatMap { $0.children }
        for (child, policy) in host.plane.orderedPolicies {
            if !children.contains(where: { $0.id == child }) {
                report.violation(name, host, "the plane protects Child SA \(child), which IKE does not know")
            }
            if host.plane.outbound(child, policy.spi) == nil {
                report.violation(name, host, "the plane protects Child SA \(child) with an SA that is gone")
            }
        }
        for summary in host.summaries where summary.state == .established && summary.isBehindNAT {
            if host.configuration.limits.keepAlive > .zero, host.plane.keepAlives[summary.path] == nil {
                report.violation(
                    name, host, "IKE SA \(summary.id) is behind a NAT and \(summary.path) is not kept alive")
            }
        }
        for child in children where child.state == .installed {
            if host.plane.inbound[child.inboundSPI] == nil || host.plane.outbound(child.outboundSPI).isEmpty {
                report.violation(name, host, "IKE says that Child SA \(child.id) is installed, the plane lacks an SA")
            }
            // One that the peer has just made may still leave its packets to the one before it.
            let isCovered = host.plane.orderedPolicies.contains {
                $0.0 == child.id || $0.1.local == child.localSelectors && $0.1.remote == child.remoteSelectors
            }
            if !isCovered {
                report.violation(name, host, "IKE says that Child SA \(child.id) is installed, nothing is protected")
            }
        }
    }
}

extension SecurityAssociation {
    /// Whether the other end's view of this SA tunnels the same packets.
    func mirrors(_ other: SecurityAssociation) -> Bool {
        Set(localSelectors) == Set(other.remoteSelectors) && Set(remoteSelectors) == Set(other.localSelectors)
    }
}
