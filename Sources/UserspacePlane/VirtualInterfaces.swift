import GatewayModel
import LinuxSystem
import NetworkTypes

/// The devices that children have for themselves: made when the configuration names them, gone when it no longer does, so
/// that routes into them hold while their tunnels come and go.
///
/// It owns the devices' names, addresses and namespaces, and belongs to the control thread. It never makes a route, but for
/// those that the kernel makes for addresses.
final class VirtualInterfaces {
    /// A device.
    struct Entry {
        /// By which the packet threads know it; never 0, which is the shared device's.
        let domain: UInt64
        /// What was configured.
        let interface: VirtualInterface
        /// The open device.
        let device: TunDevice
        /// The namespace that it lives in.
        let namespace: NetworkNamespace?
    }

    private(set) var entries: [String: Entry] = [:]
    /// Devices of an earlier process, until somebody wants them.
    private var inherited: [PlaneInheritance.Interface]
    private var next: UInt64 = 1
    private let configuration: PlaneConfiguration
    /// Where the plane is.
    private let home: NetworkNamespace?

    /// The largest number that a template is tried with.
    private static let mostNumbers = 4096

    /// Devices in the calling thread's network namespace, where nothing else is configured.
    init(_ configuration: PlaneConfiguration) {
        self.configuration = configuration
        inherited = configuration.inheritance?.interfaces ?? []
        home = try? NetworkNamespace.current()
    }

    /// Makes a child's device.
    func open(_ key: String, _ interface: VirtualInterface) throws(SystemError) -> Entry {
        let namespace = try interface.namespace.map { name throws(SystemError) in try NetworkNamespace.open(name) }
        let mtu = interface.mtu ?? configuration.mtu ?? LinkFit.startMTU
        let offload = configuration.offload
        let device: TunDevice
        if let heir = takeInherited(key, interface) {
            device = heir
        } else if let place = namespace ?? home {
            do {
                device = try place.run { try Self.make(interface, mtu, offload) }
            } catch {
                throw error as? SystemError
                    ?? SystemError(call: "namespace", errno: .invalidArgument, context: "\(error)")
            }
        } else {
            device = try Self.make(interface, mtu, offload)
        }
        let entry = Entry(domain: next, interface: interface, device: device, namespace: namespace)
        next += 1
        entries[key] = entry
        return entry
    }

    /// The device that an earlier process has made for the same child, if it is configured as it was.
    private func takeInherited(_ key: String, _ interface: VirtualInterface) -> TunDevice? {
        guard let place = inherited.firstIndex(where: { $0.key == key }) else { return nil }
        let found = inherited.remove(at: place)
        let device = found.queue.adopt()
        let isWanted =
            found.namespace == interface.namespace
            && (interface.isNumbered || interface.nameTemplate == found.queue.name)
        return isWanted ? device : nil
    }

    /// Closes the devices of an earlier process that nobody has wanted.
    func forgetInherited() {
        for found in inherited { _ = found.queue.adopt() }
        inherited = []
    }

    /// Forgets a child's device; it goes with its last user.
    func close(_ key: String) -> Entry? { entries.removeValue(forKey: key) }

    /// Makes the device in the calling thread's namespace, with all that belongs to it.
    private static func make(
        _ interface: VirtualInterface, _ mtu: Int, _ offload: PlaneConfiguration.Offload
    ) throws(SystemError) -> TunDevice {
        let routes = try RouteSocket()
        let taken = Set(try routes.links().map(\.name))
        let names = interface.isNumbered ? 0..<mostNumbers : 0..<1
        guard let name = names.lazy.compactMap({ interface.name($0) }).first(where: { !taken.contains($0) }) else {
            throw SystemError(
                call: "TUNSETIFF", errno: .exists,
                context: "device \(interface.nameTemplate): the name is taken, or cannot be one")
        }
        let device = try UserspacePlane.device(name, offload)
        let index = try routes.link(named: name).index
        try routes.change(index, LinkChange(mtu: mtu))
        if device.hasVirtioHeader {
            // See UserspacePlane: what fits one send.
            try? routes.change(index, LinkChange(largestTrain: UInt32(OutboundTrain.largestInner)))
        }
        for address in interface.addresses {
            try routes.add(
                InterfaceAddress(
                    interface: index, address: address.address, prefixLength: address.prefixLength,
                    skipsDuplicateDetection: address.address.family == .v6), replace: true)
        }
        try routes.change(index, LinkChange(up: true))
        return device
    }
}
