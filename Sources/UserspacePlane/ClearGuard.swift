import ESPEngine
import GatewayModel
import LinuxSystem
import NetworkTypes

/// Discards packets that come in clear although a policy protects them (RFC 4301 §5.2), and those that a policy drops, by a
/// table of nftables of our own.
///
/// Like the routes that refuse, the table outlives the process, whatever ends it: the next one puts its own in that one's
/// place in one step. It owns the table `inet martlet` and belongs to the control thread. Where the kernel has no nftables,
/// it says so once (``failure``) and does nothing.
final class ClearGuard {
    private let socket: NetfilterSocket?
    private let configuration: PlaneConfiguration
    private var devices: [String]
    private var isInstalled = false
    /// Why nothing is discarded; nil while it is.
    private(set) var failure: SystemError?

    /// What is protected, and how many say so.
    private var counts = CompactTable<ClearSelector, UInt32>()
    private var wanted = CompactTable<ChildSAID, PolicySelectors>()
    private var protection = ClearProtection()
    /// Policies that let through or drop, the first to be asked first.
    private var shunts: [StandingPolicy] = []
    /// Blocks of our own side that lie within a peer's.
    private var spared: [IPPrefix] = []

    private static let table = "martlet"

    /// For packets that do not come by one of `devices`. Nothing is done before the first policy.
    init(_ configuration: PlaneConfiguration, devices: [String]) {
        self.configuration = configuration
        self.devices = devices
        do { socket = try NetfilterSocket() } catch {
            socket = nil
            failure = error
        }
    }

    /// Packets that come by this device were protected.
    func trust(_ device: String) {
        guard !devices.contains(device) else { return }
        devices.append(device)
        guard isInstalled else { return }
        var batch = NetfilterBatch(table: Self.table)
        batch.add(.init(Self.padded(device)), to: "devices")
        commit(batch)
    }

    /// Takes over what lets through and what drops, in place of what was said before.
    func setShunts(_ policies: [StandingPolicy], spared: [IPPrefix]) {
        let shunts = policies.enumerated().filter { $0.element.action == .bypass || $0.element.action == .discard }
            .sorted { ($0.element.precedence, $0.offset) < ($1.element.precedence, $1.offset) }.map(\.element)
        let isChanged = shunts != self.shunts || spared != self.spared
        self.shunts = shunts
        self.spared = spared
        guard install(), isChanged else { return }
        var batch = NetfilterBatch(table: Self.table)
        // What waits may need sets that these rules would look into.
        flush()
        addShunts(to: &batch)
        addProtection(protection, to: &batch)
        commit(batch)
    }

    /// Discards what comes in clear for these selectors, for this Child SA or policy, and for it nothing else any more;
    /// from the next ``flush()`` on.
    func protect(_ key: ChildSAID, local: [TrafficSelector], remote: [TrafficSelector]) {
        let former = self.wanted.updateValue(PolicySelectors(local: local, remote: remote), forKey: key)
        let isInstalled = install()
        // First what is new, so that nothing is open in between.
        for selector in ClearSelector.pairs(from: remote, to: local) {
            var isNew = false
            counts.change(selector) { count in
                isNew = count == nil
                count = (count ?? 0) + 1
            }
            if isNew, isInstalled { protection.add(selector) }
        }
        if let former { release(former) }
    }

    /// This Child SA or policy wants nothing discarded any more, from the next ``flush()`` on.
    func release(_ key: ChildSAID) {
        if let former = wanted.removeValue(forKey: key) { release(former) }
    }

    /// Removes the table.
    func removeAll() {
        counts = CompactTable()
        wanted = CompactTable()
        protection.forget()
        guard isInstalled else { return }
        var batch = NetfilterBatch(table: Self.table)
        batch.addTable()
        batch.deleteTable()
        commit(batch)
        isInstalled = false
    }

    /// One less wants these.
    private func release(_ former: PolicySelectors) {
        for selector in ClearSelector.pairs(from: former.remote, to: former.local) {
            var wasLast = false
            counts.change(selector) { count in
                wasLast = count == 1
                count = count.flatMap { $0 > 1 ? $0 - 1 : nil }
            }
            if wasLast, isInstalled { protection.remove(selector) }
        }
    }

    // MARK: What is to be done

    /// Whether something was asked for that is not carried out yet.
    var hasChanges: Bool { isInstalled && protection.isPending }

    /// Carries out what was asked for since the last time; nothing is in force before. To be called before anybody is told
    /// that it is.
    func flush() {
        guard isInstalled, let socket else { return }
        do throws(SystemError) {
            try protection.flush(Self.table) { batch throws(SystemError) in try socket.commit(batch) }
        } catch { if failure == nil { failure = error } }
    }

    private func commit(_ batch: NetfilterBatch) {
        do { try socket?.commit(batch) } catch { if failure == nil { failure = error } }
    }

    // MARK: The table

    /// Puts the table there, in place of one that an earlier process left; false where that cannot be.
    private func install() -> Bool {
        guard let socket, !isInstalled else { return isInstalled }
        var batch = NetfilterBatch(table: Self.table)
        // What is to be removed has to be there.
        batch.addTable()
        batch.deleteTable()
        batch.addTable()
        batch.addSet("devices", [.interfaceName])
        for device in devices { batch.add(.init(Self.padded(device)), to: "devices") }
        ClearSelector.addSets(to: &batch)
        for chain in ["first", "protected", "dropped"] { batch.addChain(chain) }
        batch.addChain("input", at: .input)
        batch.addChain("forward", at: .forward)
        batch.addChain("leaving", at: .output)
        batch.addChain("passing", at: .forward, priority: 1)
        addHooks(to: &batch)
        addShunts(to: &batch)
        protection.forget()
        addProtection(protection, to: &batch)
        do { try socket.commit(batch) } catch {
            failure = error
            return false
        }
        isInstalled = true
        failure = nil
        for selector in counts.keys.sorted() { protection.add(selector) }
        return isInstalled
    }

    private func addHooks(to batch: inout NetfilterBatch) {
        let accept: [NetfilterExpression] = [.verdict(.accept)]
        for chain in ["input", "forward"] {
            batch.addRule(to: chain, [.meta(.inputName, register: 0), .isIn("devices", register: 0)] + accept)
        }
        batch.addRule(
            to: "input", [.meta(.inputName, register: 0), .equals(Self.padded("lo"), register: 0)] + accept)
        // What makes and carries tunnels is never in one.
        let ports = Set((configuration.ikeEndpoints + configuration.sharedEndpoints).map(\.port)).sorted()
        for port in ports where port != 0 {
            batch.addRule(
                to: "input",
                [
                    .meta(.upperProtocol, register: 0), .equals([17], register: 0),
                    .payload(.transport, offset: 2, length: 2, register: 0),
                    .equals(ClearSelector.octets(port), register: 0),
                ] + accept)
        }
        for ipProtocol in [50, 51] as [UInt8] {
            batch.addRule(
                to: "input", [.meta(.upperProtocol, register: 0), .equals([ipProtocol], register: 0)] + accept)
        }
        // IPv6 joins fragments behind this hook. Those but the first have no ports, and are nothing without the first.
        batch.addRule(
            to: "input",
            ClearSelector.isFamily(.v6) + [
                .fragmentHeader(offset: 2, length: 2, register: 0), .within([0, 8], [0xff, 0xff], register: 0),
            ] + accept)
        // Neighbour discovery: without it the peer itself cannot be reached.
        batch.addRule(
            to: "input",
            ClearSelector.isFamily(.v6) + [
                .meta(.upperProtocol, register: 0), .equals([58], register: 0),
                .payload(.transport, offset: 0, length: 1, register: 0), .within([133], [137], register: 0),
            ] + accept)
        for chain in ["input", "forward"] {
            batch.addRule(to: chain, [.verdict(.jump("first"))])
            batch.addRule(to: chain, [.verdict(.jump("protected"))])
        }
        for chain in ["leaving", "passing"] {
            batch.addRule(to: chain, [.meta(.outputName, register: 0), .isIn("devices", register: 0)] + accept)
            if let mark = configuration.mark {
                let octets = hostOctets(of: mark)
                batch.addRule(to: chain, [.meta(.mark, register: 0), .equals(octets, register: 0)] + accept)
            }
            batch.addRule(to: chain, [.verdict(.jump("dropped"))])
        }
    }

    /// Our own networks within a peer's, then policies by their precedence as far as they come before protection; and the
    /// policies for what leaves.
    private func addShunts(to batch: inout NetfilterBatch) {
        batch.flushChain("first")
        for prefix in spared {
            let everything = [TrafficSelector(IPPrefix.everything(prefix.family))]
            for pair in ClearSelector.pairs(from: [TrafficSelector(prefix)], to: everything) {
                batch.addRule(to: "first", pair.steps + [.verdict(.accept)])
            }
        }
        for policy in shunts where policy.precedence < StandingPolicy.protectPriority {
            add(policy, to: "first", isLeaving: false, &batch)
        }
        batch.flushChain("dropped")
        guard shunts.contains(where: { $0.action == .discard }) else { return }
        for policy in shunts { add(policy, to: "dropped", isLeaving: true, &batch) }
    }

    private func add(_ policy: StandingPolicy, to chain: String, isLeaving: Bool, _ batch: inout NetfilterBatch) {
        let pairs =
            isLeaving
            ? ClearSelector.pairs(from: policy.local, to: policy.remote)
            : ClearSelector.pairs(from: policy.remote, to: policy.local)
        let verdict: [NetfilterExpression] =
            policy.action == .bypass ? [.verdict(.accept)] : [.counter, .verdict(.drop)]
        for pair in pairs { batch.addRule(to: chain, pair.steps + verdict) }
    }

    private func addProtection(_ protection: ClearProtection, to batch: inout NetfilterBatch) {
        batch.flushChain("protected")
        protection.addRules(to: &batch, chain: "protected")
        for policy in shunts where policy.action == .discard && policy.precedence >= StandingPolicy.protectPriority {
            add(policy, to: "protected", isLeaving: false, &batch)
        }
    }

    /// The mark in the host's order.
    private func hostOctets(of mark: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: mark.littleEndian >> (8 * $0)) }
    }

    /// A link's name as the kernel compares it.
    private static func padded(_ name: String) -> [UInt8] {
        let octets = Array(name.utf8.prefix(16))
        return octets + [UInt8](repeating: 0, count: 16 - octets.count)
    }
}
