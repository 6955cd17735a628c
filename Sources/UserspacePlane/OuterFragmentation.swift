import LinuxSystem
import NetworkTypes
import Synchronization

/// Whether what a socket sends may be cut on its way: the kernel knows that of a socket only, not of a datagram.
///
/// It owns what the socket was told last, so that it is told again only when that changes. Any thread may ask; when two
/// want different things at the same time, a datagram goes out as the other one wanted, which the next repairs.
final class OuterFragmentation: Sendable {
    private let mayFragment = Atomic(true)

    /// Tells the socket before something is sent.
    @inline(__always)
    func set(_ wanted: Bool, for socket: any DatagramSocket) {
        if mayFragment.load(ordering: .relaxed) != wanted { change(wanted, socket) }
    }

    @inline(never)
    private func change(_ wanted: Bool, _ socket: any DatagramSocket) {
        // A socket that cannot be told goes on as it did.
        guard (try? socket.setPathMTUPolicy(wanted ? .fragment : .dontFragment)) != nil else { return }
        mayFragment.store(wanted, ordering: .relaxed)
    }
}

/// How long packets to somebody may be, as a router or our own kernel has said.
struct PathReport: Hashable {
    /// To whom.
    let remote: IPAddress
    /// Octets of the outer packet, its IP header included.
    let mtu: Int
}

extension PlaneSockets.Entry {
    /// Empties the socket's error queue, as far as one turn goes, and returns what it says about how long packets may be.
    /// The kernel has looked whether what is complained about was ours.
    func pathReports() -> [PathReport] {
        var reports: [PathReport] = []
        for _ in 0..<64 {
            guard let error = (try? socket.nextError()) ?? nil else { break }
            guard let mtu = error.pathMTU, let remote = error.destination?.address else { continue }
            let report = PathReport(remote: remote, mtu: mtu)
            if !reports.contains(report) { reports.append(report) }
        }
        return reports
    }
}
