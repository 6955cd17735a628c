public import GatewayModel
public import LinuxSystem

/// Devices of children's own.
extension UserspacePlane {
    /// A child's device.
    public struct NamedInterface: Hashable, Sendable {
        /// The child (``GatewayModel/VirtualInterface/key(connection:child:)``).
        public let key: String
        /// How it is configured.
        public let interface: VirtualInterface

        /// A child's device.
        public init(key: String, interface: VirtualInterface) {
            self.key = key
            self.interface = interface
        }
    }

    /// What became of a child's device.
    public enum InterfaceOutcome: Sendable {
        /// It was made under this name.
        case made(key: String, name: String)
        /// It could not be made; the child's SAs will be refused.
        case failed(key: String, SystemError)
    }

    /// Makes the devices that are not there, removes those that nobody wants any more, and leaves the others alone.
    public func keepInterfaces(_ wanted: [NamedInterface]) -> [InterfaceOutcome] {
        interfaces.wanted = Set(wanted.map(\.key))
        var hasClosed = false
        for key in interfaces.entries.keys.sorted() {
            guard let entry = interfaces.entries[key],
                !wanted.contains(where: { $0.key == key && $0.interface == entry.interface })
            else { continue }
            interfaces.close(key)
            hasClosed = true
            transmitOrders.append(.closeDomain(entry.domain))
            receiveOrders.append(.closeDomain(entry.domain))
        }
        // Its name is free when the packet threads have let go of it.
        if hasClosed, rests.isEmpty { settle() }
        var outcomes: [InterfaceOutcome] = []
        for each in wanted where interfaces.entries[each.key] == nil {
            do throws(SystemError) {
                let entry = try interfaces.open(each.key, each.interface)
                transmitOrders.append(.openDomain(entry.domain, entry.device))
                receiveOrders.append(.openDomain(entry.domain, entry.device))
                if entry.namespace == nil { clear?.trust(entry.device.name) }
                outcomes.append(.made(key: each.key, name: entry.device.name))
            } catch { outcomes.append(.failed(key: each.key, error)) }
        }
        interfaces.forgetInherited()
        // A device is polled from then on, and given back when it is closed.
        wakeWorkers()
        return outcomes
    }

    /// The name of a child's device; nil when it has none.
    public func interfaceName(_ key: String) -> String? { interfaces.entries[key]?.device.name }
}
