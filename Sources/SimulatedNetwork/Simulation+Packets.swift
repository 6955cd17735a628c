import Clockwork
import GatewayModel
import IKECore
import NetworkTypes
import WireFormat

/// An ESP packet without contents: which SA made it, and which packet is inside.
struct VirtualPacket {
    var association: SecurityAssociation
    var source: IPAddress
    var destination: IPAddress
    var ipProtocol: IPProtocolNumber
    var sourcePort: UInt16
    var destinationPort: UInt16
}

/// Why a plane did not accept a virtual packet.
enum PacketRefusal: String {
    case noSuchSA = "no inbound SA has this SPI"
    case otherKeys = "the keys differ"
    case exhausted = "the SA has carried all that it may"
    case otherSelectors = "the packet inside is not one that the SA carries"
}

extension Simulation {
    /// Sends one packet for each of a host's policies.
    func sendTraffic(from host: SimulatedHost) {
        for (child, policy) in host.plane.orderedPolicies {
            guard let packet = packet(for: policy, of: child, at: host), !host.isCutOff else { continue }
            guard !host.plane.isExhausted(.outbound, packet.association) else { continue }
            count(.outbound, packet.association, at: host)
            guard !host.dice.chance(host.link.loss), host.canUse(packet.association.path.local.address) else {
                continue
            }
            launch(.esp(packet), from: host, packet.association.path)
        }
    }

    /// Counts a packet, and tells the engine when that was the last before a limit.
    private func count(
        _ direction: SecurityAssociation.Direction, _ association: SecurityAssociation, at host: SimulatedHost
    ) {
        guard let mark = host.plane.count(direction, association, now) else { return }
        trace.note(now, host.name, "\(direction.rawValue) SPI \(Hex.encode(association.spi)): \(mark) limit")
        feed(.plane(.volumeReached(association.child, mark)), to: host)
    }

    /// A packet that a policy protects.
    func packet(for policy: SimulatedPlane.Policy, of child: ChildSAID, at host: SimulatedHost) -> VirtualPacket? {
        guard let association = host.plane.outbound(child, policy.spi), let local = policy.local.first,
            let remote = policy.remote.first
        else { return nil }
        return VirtualPacket(
            association: association, source: local.addresses.lower, destination: remote.addresses.upper,
            ipProtocol: local.ipProtocol == .any
                ? (remote.ipProtocol == .any ? .udp : remote.ipProtocol)
                : local.ipProtocol,
            sourcePort: Self.port(local.ports), destinationPort: Self.port(remote.ports))
    }

    private static func port(_ ports: TrafficSelector.Ports) -> UInt16 {
        if case .range(let range) = ports { return range.upperBound }
        return 0
    }

    /// Whether a host's plane accepts a packet; nil when it does.
    func refusal(of packet: VirtualPacket, at host: SimulatedHost) -> PacketRefusal? {
        guard let own = host.plane.inbound[packet.association.spi] else { return .noSuchSA }
        guard own.sharesKeys(with: packet.association) else { return .otherKeys }
        guard !host.plane.isExhausted(.inbound, own) else { return .exhausted }
        let carries =
            own.remoteSelectors.contains { $0.matches(packet.source, packet.ipProtocol, port: packet.sourcePort) }
            && own.localSelectors.contains {
                $0.matches(packet.destination, packet.ipProtocol, port: packet.destinationPort)
            }
        return carries ? nil : .otherSelectors
    }

    /// A virtual packet arrives at a plane.
    func accept(_ packet: VirtualPacket, at host: SimulatedHost, _ path: Path) {
        let spi = packet.association.spi
        switch refusal(of: packet, at: host) {
        case .noSuchSA:
            trace.note(now, host.name, "packet for unknown SPI \(Hex.encode(spi))")
            feed(.plane(.unknownSPI(spi, path)), to: host)
            return
        case let refusal?:
            trace.note(now, host.name, "packet refused: \(refusal.rawValue)")
            return
        case nil: break
        }
        packetsAccepted += 1
        if let own = host.plane.inbound[spi] { count(.inbound, own, at: host) }
        trace.note(now, host.name, "packet accepted by SPI \(Hex.encode(spi))")
        if !host.knowsChild(inboundSPI: spi) {
            report.violation("plane and engine agree", host, "a packet was accepted by an SA that IKE does not know")
        }
        guard let own = host.plane.inbound[spi], own.encapsulation == .udp, own.path.remote != path.remote else {
            return
        }
        trace.note(now, host.name, "mapping changed to \(path)")
        feed(.plane(.mappingChanged(own.child, path)), to: host)
    }
}

extension SecurityAssociation {
    /// Whether the other end's view of this SA has the same algorithms and keys.
    func sharesKeys(with other: SecurityAssociation) -> Bool {
        mode == other.mode && encryption == other.encryption && integrity == other.integrity
            && usesExtendedSequenceNumbers == other.usesExtendedSequenceNumbers
            && encryptionKey == other.encryptionKey && integrityKey == other.integrityKey
    }
}
