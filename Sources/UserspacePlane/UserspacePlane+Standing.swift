import ESPEngine
public import GatewayModel
import LinuxSystem
import NetworkTypes

/// Policies that hold whether or not a Child SA is there.
extension UserspacePlane {
    /// Takes over what the configuration says, in place of what it said before. A trap that a Child SA left behind stays
    /// while `stillHas` says that the configuration has its child (connection, child). What is new is there before
    /// anything else goes.
    public func stand(
        _ policies: [StandingPolicy], stillHas: (_ connection: String, _ child: String) -> Bool
    ) throws(PlaneError) {
        let former = standing.entries
        for policy in policies where !former.contains(where: { $0.policy == policy && !$0.isLeftBehind }) {
            try stand(policy, isLeftBehind: false)
        }
        for entry in former {
            let policy = entry.policy
            let stays = entry.isLeftBehind ? stillHas(policy.connection, policy.child) : policies.contains(policy)
            if !stays { try withdraw(entry) }
        }
    }

    /// Sets a trap for a Child SA that goes, in place of what it left behind before.
    func leaveTrap(_ policy: StandingPolicy) throws(PlaneError) {
        let former = standing.entries.filter {
            $0.isLeftBehind && $0.policy.connection == policy.connection && $0.policy.child == policy.child
        }
        if former.contains(where: { $0.policy == policy }) { return }
        try stand(policy, isLeftBehind: true)
        for entry in former { try withdraw(entry) }
    }

    private func stand(_ policy: StandingPolicy, isLeftBehind: Bool) throws(PlaneError) {
        let count = PolicyDatabase.entryCount(local: policy.local, remote: policy.remote)
        guard count <= PolicyDatabase.maximumEntries else {
            throw .association(.tooManySelectors(count, limit: PolicyDatabase.maximumEntries))
        }
        let entry = standing.add(policy, isLeftBehind: isLeftBehind)
        // Packets that are led into the device find the policy.
        hasNewOrders = true
        transmitOrders.append(.stand(entry.key, policy))
        do {
            switch policy.action {
            case .trap: try routes?.protect(entry.key, local: policy.local, remote: policy.remote)
            case .bypass: try routes?.spare(entry.key, policy.blocksFromAnywhere)
            case .block, .discard: break
            }
        } catch {
            try? withdraw(entry)
            throw .system(error)
        }
    }

    private func withdraw(_ entry: StandingRegister.Entry) throws(PlaneError) {
        standing.remove(entry)
        do { try routes?.unprotect(entry.key, staysBlocked: false) } catch { throw .system(error) }
        hasNewOrders = true
        transmitOrders.append(.unprotect(entry.key))
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
