import Clockwork
import ESPEngine
import GatewayModel
import LinuxSystem
import NetworkTypes

/// What the kernel knows of the ways to peers, and how wide the device has to be for them.
///
/// It belongs to the control thread. The device only ever grows: hosts whose packets are too long for one of the tunnels
/// are told so by that tunnel.
final class LinkFit {
    private let routes: RouteSocket?
    private let mark: UInt32?
    private let device: UInt32?
    private var deviceMTU: Int
    private var last: (path: Path, mtu: Int, time: Instant)?

    /// The device's MTU while no tunnel needs more.
    static let startMTU = 1400
    /// The device's MTU never becomes larger, however wide a path is.
    private static let largestMTU = 9216
    /// A path whose way is not known is taken for an Ethernet.
    private static let usualMTU = 1500
    /// A way that was asked for so recently is not asked for again: both directions of a Child SA need it.
    private static let freshness = Interval.seconds(1)

    /// Asks `routes`; nil asks nobody. `device` is the number of the device that is to grow; nil leaves it alone.
    /// `deviceMTU` is what that has already.
    init(_ routes: RouteSocket?, mark: UInt32?, device: UInt32? = nil, deviceMTU: Int? = nil) {
        self.deviceMTU = deviceMTU ?? Self.startMTU
        self.routes = routes
        self.mark = mark
        self.device = device
    }

    /// The longest packet that goes out along a path.
    func pathMTU(_ path: Path) -> Int {
        let now = MonotonicClock.now()
        if let last, last.path == path, now - last.time < Self.freshness { return last.mtu }
        let source = path.local.address.isUnspecified ? nil : path.local.address
        var mtu = Self.usualMTU
        if case .reachable(let way)? = try? routes?.lookup(path.remote.address, from: source, mark: mark) {
            mtu = way.mtu
        }
        last = (path, mtu, now)
        return mtu
    }

    /// What an SA along this path has room for.
    func fit(_ path: Path, _ encapsulation: SecurityAssociation.Encapsulation) -> PathFit {
        PathFit(
            mtu: pathMTU(path), isV6: path.remote.address.family == .v6, inUDP: encapsulation == .udp)
    }

    /// Lets the device carry inner packets of so many octets.
    func makeRoom(for inner: Int) {
        let wanted = min(inner, Self.largestMTU)
        guard let device, let routes, wanted > deviceMTU else { return }
        // A device that cannot grow carries shorter packets.
        guard (try? routes.change(device, LinkChange(mtu: wanted))) != nil else { return }
        deviceMTU = wanted
    }
}

extension TunnelBehaviour {
    /// The same for an SA whose selectors look at ports: fragments after the first do not show theirs (RFC 4301 §7). Then
    /// packets are cut after they are sealed, and those that come in pieces are put together, unless the peer has agreed
    /// to take the pieces.
    func withoutHiddenPorts(_ association: SecurityAssociation) -> TunnelBehaviour {
        func areSome(_ isSo: (TrafficSelector) -> Bool) -> Bool {
            association.localSelectors.contains(where: isSo) || association.remoteSelectors.contains(where: isSo)
        }
        guard areSome({ $0.ports != .any }) else { return self }
        var result = self
        result.fragmentation = .after
        if laterFragments == .asTheyAre, areSome({ $0.namesPorts }) {
            result.laterFragments = .joined
        }
        return result
    }
}
