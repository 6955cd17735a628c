public import Clockwork
public import GatewayModel
import IPsecCrypto
public import NetworkTypes
import WireFormat

/// A data plane that carries nothing but knows everything: what was installed, removed and protected, and whether the
/// order made sense.
///
/// It owns SAs, policies and complaints. It never repairs a command that makes no sense: it writes it down.
public final class SimulatedPlane: DataPlane {
    /// A child's packets and the outbound SA that they take.
    public struct Policy: Hashable, Sendable {
        /// Packets on our side.
        public var local: [TrafficSelector]
        /// Packets on the peer's side.
        public var remote: [TrafficSelector]
        /// The outbound SA.
        public var spi: UInt32
    }

    /// SAs of packets that come in, by SPI.
    public private(set) var inbound: [UInt32: SecurityAssociation] = [:]
    /// SAs of packets that go out, the oldest first. Their SPIs were chosen by peers: two may be the same.
    public private(set) var outbound: [SecurityAssociation] = []
    /// What is protected.
    public private(set) var policies: [ChildSAID: Policy] = [:]
    /// What asks for a child again after its end, by `connection/child`.
    public private(set) var traps: [String: StandingPolicy] = [:]
    /// Paths that are kept alive.
    public private(set) var keepAlives: [Path: Interval] = [:]
    /// Virtual addresses, with how many IKE SAs gave each.
    public private(set) var addresses: [IPAddress: Int] = [:]

    /// Another process has it from now on: that one says anew which addresses and mappings it needs.
    func changeHands() {
        addresses = [:]
        keepAlives = [:]
    }
    private var carried: [SecurityAssociation.Direction: [UInt32: SACounters]] = [:]
    private var complaints: [String] = []

    /// A plane that holds nothing.
    public init() {}

    /// Whether nothing is held.
    public var isEmpty: Bool {
        inbound.isEmpty && outbound.isEmpty && policies.isEmpty && keepAlives.isEmpty && addresses.isEmpty
    }

    /// What is held, in a few words.
    public var summary: String {
        "\(inbound.count) inbound, \(outbound.count) outbound, \(policies.count) policies, "
            + "\(keepAlives.count) kept alive"
    }

    /// The policies in the order of their children.
    public var orderedPolicies: [(ChildSAID, Policy)] {
        policies.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Takes out what was wrong with the commands since the last time.
    public func takeComplaints() -> [String] {
        defer { complaints.removeAll() }
        return complaints
    }

    /// Obeys one command, and complains when it makes no sense.
    public func obey(_ command: PlaneCommand) {
        switch command {
        case .install(let association): install(association)
        case .remove(.inbound, let spi, _):
            if inbound.removeValue(forKey: spi) == nil { complain("removes an inbound SA that is not there", spi) }
            carried[.inbound]?[spi] = nil
        case .retire(let spi, let child): obey(.remove(.inbound, spi: spi, of: child))
        case .remove(.outbound, let spi, let child): removeOutbound(child, spi)
        case .protect(let child, let local, let remote, let spi): protect(child, local, remote, spi)
        case .unprotect(let child, _): unprotect(child)
        case .trap(let policy): trap(policy)
        case .move(let child, let path, let encapsulation): move(child, path, encapsulation)
        case .keepAlive(let path, let interval): keepAlives[path] = interval > .zero ? interval : nil
        case .addAddress(let address, _): addresses[address, default: 0] += 1
        case .removeAddress(let address, _):
            guard let users = addresses[address] else {
                complaints.append("removes the address \(address), which is not there")
                return
            }
            addresses[address] = users > 1 ? users - 1 : nil
        }
    }

    /// The SAs of packets that go out with this SPI.
    public func outbound(_ spi: UInt32) -> [SecurityAssociation] { outbound.filter { $0.spi == spi } }

    /// The SA of a policy's packets.
    public func outbound(_ child: ChildSAID, _ spi: UInt32) -> SecurityAssociation? {
        outbound.first { $0.spi == spi && $0.child == child }
    }

    private func removeOutbound(_ child: ChildSAID, _ spi: UInt32) {
        if outbound(child, spi) == nil { complain("removes an outbound SA that is not there", spi) }
        outbound.removeAll { $0.spi == spi && $0.child == child }
        carried[.outbound]?[spi] = nil
    }

    /// Packets would go in clear while there is an SA for them: the SAs go first.
    private func unprotect(_ child: ChildSAID) {
        if policies.removeValue(forKey: child) == nil {
            complaints.append("unprotects Child SA \(child), which is not protected")
        }
        for association in outbound where association.child == child {
            complain("ends the protection before it removes the outbound SA", association.spi)
        }
    }

    private func trap(_ policy: StandingPolicy) {
        if policy.action != .trap || policy.local.isEmpty || policy.remote.isEmpty {
            complaints.append("sets a trap for no packets: \(policy.connection)/\(policy.child)")
        }
        traps["\(policy.connection)/\(policy.child)"] = policy
    }

    private func install(_ association: SecurityAssociation) {
        let spi = association.spi
        if spi < 256 { complain("installs a reserved SPI", spi) }
        if association.localSelectors.isEmpty || association.remoteSelectors.isEmpty {
            complain("installs an SA without selectors", spi)
        }
        if association.encryptionKey.isEmpty, association.encryption.id != 11 {
            complain("installs a cipher without a key", spi)
        }
        switch association.direction {
        case .inbound:
            if inbound.updateValue(association, forKey: spi) != nil { complain("installs an inbound SA twice", spi) }
        case .outbound:
            if !inbound.values.contains(where: { $0.child == association.child }) {
                complain("installs an outbound SA before its inbound one", spi)
            }
            if outbound(association.child, spi) != nil { complain("installs an outbound SA twice", spi) }
            outbound.append(association)
        }
    }

    private func protect(_ child: ChildSAID, _ local: [TrafficSelector], _ remote: [TrafficSelector], _ spi: UInt32) {
        if outbound(child, spi) == nil { complain("protects packets with an outbound SA that is not there", spi) }
        if local.isEmpty || remote.isEmpty { complain("protects no packets", spi) }
        policies[child] = Policy(local: local, remote: remote, spi: spi)
    }

    private func move(_ child: ChildSAID, _ path: Path, _ encapsulation: SecurityAssociation.Encapsulation) {
        var found = false
        for spi in inbound.keys.sorted() where inbound[spi]?.child == child {
            inbound[spi]?.path = path
            inbound[spi]?.encapsulation = encapsulation
            found = true
        }
        for index in outbound.indices where outbound[index].child == child {
            outbound[index].path = path
            outbound[index].encapsulation = encapsulation
        }
        if !found { complaints.append("moves Child SA \(child), which is not there") }
    }

    private func complain(_ text: String, _ spi: UInt32) {
        complaints.append("\(text): SPI \(String(spi, radix: 16))")
    }

    /// Counts a packet of an SA and says which of its limits it has come to with it; each is told once.
    func count(
        _ direction: SecurityAssociation.Direction, _ association: SecurityAssociation, _ now: Instant
    ) -> VolumeMark? {
        var counters = carried[direction]?[association.spi] ?? SACounters()
        counters.packets += 1
        counters.lastUse = now
        carried[direction, default: [:]][association.spi] = counters
        if counters.packets == association.limits.hardPackets { return .hard }
        return counters.packets == association.limits.softPackets ? .soft : nil
    }

    /// Whether an SA has carried all that it may.
    func isExhausted(_ direction: SecurityAssociation.Direction, _ association: SecurityAssociation) -> Bool {
        carried[direction]?[association.spi]?.packets ?? 0 >= association.limits.hardPackets ?? .max
    }

    /// The traffic of an SA's direction; nil when there is no such SA.
    public func counters(_ direction: SecurityAssociation.Direction, spi: UInt32) -> SACounters? {
        guard direction == .inbound ? inbound[spi] != nil : !outbound(spi).isEmpty else { return nil }
        return carried[direction]?[spi] ?? SACounters()
    }

    /// The network that carries the virtual packets tells the engine itself: nothing waits here.
    public func takeEvents() -> [PlaneEvent] { [] }
}
