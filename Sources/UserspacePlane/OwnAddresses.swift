import LinuxSystem

/// The addresses of this machine's links, read again only when the kernel says that one came or went: a gateway that
/// takes a thousand Child SAs a second must not list them for each.
///
/// It owns a copy and a monitor; it belongs to the control thread. It never chooses among them.
final class OwnAddresses {
    private let socket: RouteSocket
    /// Nil where there is none to be had: then every question goes to the kernel.
    private let monitor: RouteMonitor?
    private var known: [InterfaceAddress]?

    /// Of the namespace that `socket` works on, which must be the calling thread's.
    init(_ socket: RouteSocket) {
        self.socket = socket
        monitor = try? RouteMonitor(.addresses)
    }

    /// All of them, as they are now.
    func current() throws(SystemError) -> [InterfaceAddress] {
        guard let monitor else { return try socket.addresses() }
        // The changes first: what comes after them is reported the next time.
        let hasChanged = (try? monitor.changes().isEmpty) != true
        if let known, !hasChanged { return known }
        let read = try socket.addresses()
        known = read
        return read
    }
}
