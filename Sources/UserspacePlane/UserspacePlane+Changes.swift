public import GatewayModel
import LinuxSystem
public import NetworkTypes

/// What commands change in the kernel, made together.
///
/// A command is in force when ``obey(_:)`` returns, unless somebody gathers: then routes and the guard's sets change with
/// ``commitChanges()``, all those of a round by one call of the system each. SAs and what the packet threads do with them
/// never wait.
extension UserspacePlane {
    /// Gathers from now on.
    public func beginChanges() { gathersChanges = true }

    /// Whether something was gathered that is not in force yet.
    public var hasChanges: Bool { routes?.hasChanges == true || clear?.hasChanges == true }

    /// Makes what was gathered, and gathers no more. What could not be made, and for which Child SA; it is for whoever
    /// hears this to end that one.
    public func commitChanges() -> [PlaneRefusal] {
        gathersChanges = false
        return flush().map { PlaneRefusal(child: $0.child, reason: "\(PlaneError.system($0.error))") }
    }

    /// The peer's networks that are refused while this Child SA is up: of a family of which our side has no address in
    /// it. Empty for a Child SA with a device of its own.
    public func closedNetworks(of child: ChildSAID) -> [IPPrefix] { routes?.closed(child) ?? [] }

    /// Makes what a command has asked for, unless somebody gathers.
    func commit(_ command: PlaneCommand) throws(PlaneError) {
        guard !gathersChanges, let failure = flush().first else { return }
        if case .protect(let child, _, _, _) = command {
            // Half a protection is none: the Child SA fails, and with it what it had.
            abandon(child)
            _ = flush()
        }
        throw .system(failure.error)
    }

    /// Makes what standing policies have asked for; a policy for which that fails goes.
    func commitPolicies() throws(PlaneError) {
        let failures = flush()
        guard let first = failures.first else { return }
        for failure in failures {
            for entry in standing.entries where entry.key == failure.child { withdraw(entry) }
        }
        _ = flush()
        throw .system(first.error)
    }

    private func flush() -> [(child: ChildSAID?, error: SystemError)] {
        var failures: [(child: ChildSAID?, error: SystemError)] = []
        do { failures = try routes?.flush() ?? [] } catch { failures = [(nil, error)] }
        clear?.flush()
        return failures
    }
}
