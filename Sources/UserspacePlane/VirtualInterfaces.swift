import GatewayModel
import LinuxSystem
import NetworkTypes

/// The devices that children have for themselves: made when the configuration names them, gone when it no longer does, so
/// that routes into them hold while their tunnels come and go.
///
/// They outlive a process that does not end in order: routes into them stay, and what takes these routes goes nowhere until
/// the next process opens them again, which knows them by what is written on them. It owns the devices' names, addresses
/// and namespaces, and belongs to the control thread. It never makes a route, but for those that the kernel makes for
/// addresses.
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
    /// The children that are to have a device, whether or not one could be made.
    var wanted: Set<String> = []
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

    /// Makes a child's device, or opens the one that an earlier process has left.
    func open(_ key: String, _ interface: VirtualInterface) throws(SystemError) -> Entry {
        let namespace = try interface.namespace.map { name throws(SystemError) in try NetworkNamespace.open(name) }
        let mtu = interface.mtu ?? configuration.mtu ?? LinkFit.startMTU
        let offload = configuration.offload
        let mark = mark(key)
        let device: TunDevice
        if let heir = takeInherited(key, interface) {
            device = heir
            try? Self.run(in: namespace ?? home) { try Self.keep(heir, mark, RouteSocket()) }
        } else {
            device = try Self.run(in: namespace ?? home) { try Self.make(interface, mtu, offload, mark) }
        }
        let entry = Entry(domain: next, interface: interface, device: device, namespace: namespace)
        next += 1
        entries[key] = entry
        return entry
    }

    /// The device that an earlier process has handed over for the same child, if it is configured as it was.
    private func takeInherited(_ key: String, _ interface: VirtualInterface) -> TunDevice? {
        guard let place = inherited.firstIndex(where: { $0.key == key }) else { return nil }
        let found = inherited.remove(at: place)
        let device = found.queue.adopt()
        let isWanted =
            found.namespace == interface.namespace
            && (interface.isNumbered || interface.nameTemplate == found.queue.name)
        if !isWanted { try? device.setPersistent(false) }
        return isWanted ? device : nil
    }

    /// Closes the devices of an earlier process that nobody has wanted.
    func forgetInherited() {
        for found in inherited { try? found.queue.adopt().setPersistent(false) }
        inherited = []
    }

    /// Forgets a child's device; it goes with its last user.
    func close(_ key: String) { try? entries.removeValue(forKey: key)?.device.setPersistent(false) }

    /// All devices go with their last users, and at once those that an earlier process has left and nobody has wanted.
    func removeAll() {
        for entry in entries.values { try? entry.device.setPersistent(false) }
        let start = mark("")
        for place in [home] + entries.values.map(\.namespace) {
            guard let place else { continue }
            try? place.run {
                for link in try RouteSocket().links() where link.alias?.hasPrefix(start) == true {
                    // Refused where somebody uses it.
                    try? TunDevice(nameTemplate: link.name, virtioHeader: true).setPersistent(false)
                }
            }
        }
    }

    // MARK: One device

    /// What is written on a child's device: whose it is, of the gateways on this machine and of their children.
    private func mark(_ key: String) -> String {
        let gateway = if case .tun(let name) = configuration.inside { name } else { "-" }
        return "martlet \(gateway) \(key)"
    }

    /// Runs `body` in a namespace; where there is none, here.
    private static func run<Result: Sendable>(
        in place: NetworkNamespace?, _ body: @escaping @Sendable () throws -> Result
    ) throws(SystemError) -> Result {
        do {
            return try place.map { place in try place.run { try body() } } ?? body()
        } catch {
            throw error as? SystemError
                ?? SystemError(call: "namespace", errno: .invalidArgument, context: "\(error)")
        }
    }

    /// Makes the device in the calling thread's namespace, with all that belongs to it.
    private static func make(
        _ interface: VirtualInterface, _ mtu: Int, _ offload: PlaneConfiguration.Offload, _ mark: String
    ) throws(SystemError) -> TunDevice {
        let routes = try RouteSocket()
        let device: TunDevice
        if let found = try find(interface, offload, mark, routes) {
            device = found
        } else {
            device = try create(interface, offload, routes)
        }
        try keep(device, mark, routes)
        let index = try routes.link(named: device.name).index
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

    /// The device that an earlier process has left for the same child; nil when there is none of a name that fits, or
    /// somebody uses it. One of another name goes.
    private static func find(
        _ interface: VirtualInterface, _ offload: PlaneConfiguration.Offload, _ mark: String, _ routes: RouteSocket
    ) throws(SystemError) -> TunDevice? {
        let names = interface.isNumbered ? 0..<mostNumbers : 0..<1
        for link in try routes.links() where link.alias == mark {
            guard let device = try? UserspacePlane.device(link.name, offload) else { continue }
            if names.contains(where: { interface.name($0) == link.name }) { return device }
            try? device.setPersistent(false)
        }
        return nil
    }

    private static func create(
        _ interface: VirtualInterface, _ offload: PlaneConfiguration.Offload, _ routes: RouteSocket
    ) throws(SystemError) -> TunDevice {
        let taken = Set(try routes.links().map(\.name))
        let names = interface.isNumbered ? 0..<mostNumbers : 0..<1
        guard let name = names.lazy.compactMap({ interface.name($0) }).first(where: { !taken.contains($0) }) else {
            throw SystemError(
                call: "TUNSETIFF", errno: .exists,
                context: "device \(interface.nameTemplate): the name is taken, or cannot be one")
        }
        return try UserspacePlane.device(name, offload)
    }

    /// Lets a device outlive the process. One whose mark has no room would not be known again: it goes with the process.
    private static func keep(_ device: TunDevice, _ mark: String, _ routes: RouteSocket) throws(SystemError) {
        guard mark.utf8.count <= LinkChange.longestAlias else { return }
        try routes.change(try device.index(using: routes), LinkChange(alias: mark))
        try device.setPersistent(true)
    }
}
