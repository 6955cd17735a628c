import Clockwork
import LinuxSystem
import NetworkTypes

/// Looks whether the machine's addresses, or its ways out, have changed.
///
/// It owns a monitor. Changes that come together are told together, a moment after the first. What we put into the kernel
/// ourselves (routes of our table, addresses of our device) is no change.
final class AddressWatch {
    /// How long changes are gathered.
    private static let patience = Interval.milliseconds(200)

    private let monitor: RouteMonitor
    private let routes: RouteSocket
    private let table: UInt32
    private let device: String
    /// When what has changed is to be told; nil when nothing has.
    private(set) var due: Instant?

    /// Passes over `table`, routes of our own protocol number, and the link `device`.
    init(table: UInt32, routeProtocol: UInt8, device: String) throws(SystemError) {
        monitor = try RouteMonitor(ignoringRoutesOf: routeProtocol)
        routes = try RouteSocket()
        self.table = table
        self.device = device
    }

    /// Readable when there is something for ``look()``.
    var descriptor: Descriptor { monitor.descriptor }

    /// Takes in what has happened.
    func look() throws(SystemError) {
        let ours = (try? routes.link(named: device))?.index
        for change in try monitor.changes() {
            let counts: Bool
            switch change {
            case .address(let address), .addressRemoved(let address): counts = address.interface != ours
            case .route(let route), .routeRemoved(let route): counts = route.table != table
            case .link(let link), .linkRemoved(let link): counts = link.name != device
            case .missed: counts = true
            }
            if counts, due == nil { due = MonotonicClock.now() + Self.patience }
        }
    }

    /// The addresses by which peers may reach this machine now. What has changed counts as told.
    func addresses() throws(SystemError) -> [IPAddress] {
        due = nil
        let ours = (try? routes.link(named: device))?.index
        let loopbacks = try routes.links().filter(\.isLoopback).map(\.index)
        return try routes.addresses().filter { each in
            each.interface != ours && !loopbacks.contains(each.interface) && !each.isTentative
                && !each.address.isLinkLocal
        }.map(\.address).sorted()
    }
}
