import GatewayModel
import IKECore
import NetworkTypes

extension Configuration {
    /// The policies that hold whether or not anybody is connected: of children that are to be protected at all times, of
    /// those that packets bring up, and of those that are no tunnels. `path` finds the ends that `dynamic` stands for;
    /// a selector whose end is not known yet is left out.
    func standingPolicies(_ path: (Connection) -> Answer) -> [StandingPolicy] {
        policies(path) { child in
            // What is routed into its own device waits there anyway; all that can be asked of it is to be brought up.
            child.interface != nil && child.standingAction == .block ? nil : child.standingAction
        }
    }

    /// The same of children that are brought up by hand: nothing holds for them, unless an earlier process left them
    /// closed.
    func dormantPolicies(_ path: (Connection) -> Answer) -> [StandingPolicy] {
        policies(path) { $0.startAction == .none && $0.shunt == nil && $0.interface == nil ? .block : nil }
    }

    private func policies(
        _ path: (Connection) -> Answer, _ action: (ChildTemplate) -> StandingPolicy.Action?
    ) -> [StandingPolicy] {
        connections.flatMap { connection in
            let meant = connection.children.compactMap { child in action(child).map { (child, $0) } }
            var ends: Path?
            if meant.contains(where: { $0.0.hasDynamicSelectors }), case .path(let found) = path(connection) {
                ends = found
            }
            return meant.compactMap { child, action -> StandingPolicy? in
                let local = child.localSelectors.resolved(for: ends?.local.address, isShunt: child.shunt != nil)
                let remote = child.remoteSelectors.resolved(for: ends?.remote.address, isShunt: child.shunt != nil)
                guard !local.isEmpty, !remote.isEmpty else { return nil }
                var policy = StandingPolicy(
                    connection: connection.name, child: child.name, action: action, local: local, remote: remote,
                    priority: child.priority)
                policy.usesInterface = child.interface != nil
                return policy
            }
        }
    }
}

extension ChildTemplate {
    /// What its packets meet while there is no Child SA; nil when nothing is said of them.
    fileprivate var standingAction: StandingPolicy.Action? {
        if startAction == .none { return nil }
        return switch shunt {
        case .pass: .bypass
        case .drop: .discard
        case nil: startAction == .start ? .block : .trap
        }
    }

    fileprivate var hasDynamicSelectors: Bool { (localSelectors + remoteSelectors).contains { $0.addresses == nil } }
}

extension [SelectorTemplate] {
    /// A policy without a peer has no end of its own: there, `dynamic` stands for any address.
    fileprivate func resolved(for end: IPAddress?, isShunt: Bool) -> [TrafficSelector] {
        flatMap { selector -> [TrafficSelector] in
            if let addresses = selector.addresses {
                return [TrafficSelector(addresses, ipProtocol: selector.ipProtocol, ports: selector.ports)]
            }
            if isShunt {
                return IPAddress.Family.allCases.map {
                    TrafficSelector(
                        IPPrefix.everything($0).range, ipProtocol: selector.ipProtocol, ports: selector.ports)
                }
            }
            return end.map { [selector.resolved(for: $0)] } ?? []
        }
    }
}
