import ESPEngine
public import GatewayModel
import LinuxSystem
import NetworkTypes

/// Policies that hold whether or not a Child SA is there.
extension UserspacePlane {
    /// Takes over what the configuration says, in place of what it said before. A trap that a Child SA left behind stays
    /// while `stillHas` says that the configuration has its child (connection, child). What is new is there before
    /// anything else goes. What is about a device of its child's own that is not there does not stand at all: elsewhere it
    /// would concern packets that it does not speak of. Of `dormant` those are kept closed in the other direction too that an earlier process left
    /// blocked.
    public func stand(
        _ policies: [StandingPolicy], dormant: [StandingPolicy] = [],
        stillHas: (_ connection: String, _ child: String) -> Bool
    ) throws(PlaneError) {
        let former = standing.entries
        let present = Set(
            former.filter { !$0.isLeftBehind && $0.domain == domain(of: $0.policy) }.map(\.policy))
        let wanted = Set(policies)
        for policy in policies where !present.contains(policy) {
            guard let domain = domain(of: policy) else { continue }
            try stand(policy, isLeftBehind: false, domain: domain)
        }
        for entry in former {
            let policy = entry.policy
            let isWanted = entry.isLeftBehind ? stillHas(policy.connection, policy.child) : wanted.contains(policy)
            let stays = isWanted && entry.domain == domain(of: policy)
            if !stays { withdraw(entry) }
        }
        for key in self.dormant.keys.sorted() { clear?.release(key) }
        self.dormant = [:]
        for (index, policy) in dormant.enumerated() {
            guard let first = policy.remote.first?.addresses.prefixes.first, routes?.isFound(first) == true else {
                continue
            }
            // Below the numbers of policies, and above those of Child SAs.
            let key = ChildSAID(rawValue: 1 << 30 | UInt32(truncatingIfNeeded: index))
            self.dormant[key] = PolicySelectors(local: policy.local, remote: policy.remote)
            clear?.protect(key, local: policy.local, remote: policy.remote)
        }
        refreshShunts()
        try commitPolicies()
    }

    /// Tells the guard when our own networks within peers' are others.
    func refreshSpared() {
        guard let routes, routes.sparedChanges != sparedChanges else { return }
        sparedChanges = routes.sparedChanges
        refreshShunts()
    }

    /// Tells the guard what is let through and what is not.
    func refreshShunts() {
        clear?.setShunts(standing.entries.map(\.policy), spared: routes?.sparedPrefixes ?? [])
    }

    /// A Child SA has taken over what an earlier process left closed, and has ended in order.
    func wakeFromDormancy(_ selectors: PolicySelectors) {
        if dormant.isEmpty { return }
        for key in dormant.keys.sorted() where dormant[key] == selectors {
            dormant[key] = nil
            clear?.release(key)
        }
    }

    /// Sets a trap for a Child SA that goes, in place of what it left behind before.
    func leaveTrap(_ policy: StandingPolicy) throws(PlaneError) {
        let former = standing.entries.filter {
            $0.isLeftBehind && $0.policy.connection == policy.connection && $0.policy.child == policy.child
        }
        guard let domain = domain(of: policy), !former.contains(where: { $0.policy == policy && $0.domain == domain })
        else { return }
        try stand(policy, isLeftBehind: true, domain: domain)
        for entry in former { withdraw(entry) }
    }

    private func stand(_ policy: StandingPolicy, isLeftBehind: Bool, domain: UInt64) throws(PlaneError) {
        let count = PolicyDatabase.entryCount(local: policy.local, remote: policy.remote)
        guard count <= PolicyDatabase.maximumEntries else {
            throw .association(.tooManySelectors(count, limit: PolicyDatabase.maximumEntries))
        }
        let entry = standing.add(policy, isLeftBehind: isLeftBehind, domain: domain)
        // Packets that are led into the device find the policy.
        hasNewOrders = true
        transmitOrders.append(.stand(entry.key, policy, domain: domain))
        // What is routed into a device of the child's own is nobody else's business.
        if domain > 0 { return }
        do {
            switch policy.action {
            case .trap:
                try routes?.protect(entry.key, local: policy.local, remote: policy.remote)
                clear?.protect(entry.key, local: policy.local, remote: policy.remote)
            case .bypass: routes?.spare(entry.key, policy.blocksFromAnywhere)
            case .block: clear?.protect(entry.key, local: policy.local, remote: policy.remote)
            case .discard: break
            }
        } catch {
            withdraw(entry)
            throw .system(error)
        }
    }

    /// The device whose packets a policy is about, 0 for the shared one's; nil when its child should have one and has not.
    private func domain(of policy: StandingPolicy) -> UInt64? {
        let key = VirtualInterface.key(connection: policy.connection, child: policy.child)
        if let entry = interfaces.entries[key] { return entry.domain }
        return policy.usesInterface || interfaces.wanted.contains(key) ? nil : 0
    }

    /// Takes a policy out.
    func withdraw(_ entry: StandingRegister.Entry) {
        standing.remove(entry)
        routes?.unprotect(entry.key, staysBlocked: false)
        hasNewOrders = true
        transmitOrders.append(.unprotect(entry.key))
        clear?.release(entry.key)
    }
}

extension StandingPolicy {
    /// The remote blocks that it selects whatever the source, protocol and ports: routes can tell those.
    var blocksFromAnywhere: [IPPrefix] {
        remote.filter { there in
            there.ipProtocol == .any && there.ports == .any && precedence <= Self.automaticPriority(.bypass)
                && local.contains { here in
                    here.ipProtocol == .any && here.ports == .any
                        && here.addresses.prefixes == [.everything(there.family)]
                }
        }.flatMap { $0.addresses.prefixes }
    }
}
