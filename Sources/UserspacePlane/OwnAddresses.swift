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
    /// Whether that was compared with what the kernel says since ``expire()``.
    private var isFresh = false

    /// Of the namespace that `socket` works on, which must be the calling thread's.
    init(_ socket: RouteSocket) {
        self.socket = socket
        monitor = try? RouteMonitor(.addresses)
    }

    /// All of them, as they are now or were at the first question since ``expire()``.
    func current() throws(SystemError) -> [InterfaceAddress] {
        guard let monitor else { return try socket.addresses() }
        if isFresh, let known { return known }
        // The changes first: what comes after them is reported the next time.
        let hasChanged = (try? monitor.changes().isEmpty) != true
        isFresh = true
        if let known, !hasChanged { return known }
        known = nil
        let read = try socket.addresses()
        known = read
        return read
    }

    /// Looks at the kernel again at the next question. To be called after each round, and after a change of our own.
    func expire() { isFresh = false }
}
