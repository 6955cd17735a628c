import Clockwork
import ESPEngine
import GatewayModel
import NetworkTypes

/// How an outbound SA's packets leave.
struct Way: Hashable, Sendable {
    /// The outer addresses and ports.
    var path: Path
    /// The socket, as an index into ``PlaneSockets/entries``.
    var socket: Int { Int(number) }
    // Small: there is one for each SA.
    private let number: UInt16

    init(path: Path, socket: Int) {
        self.path = path
        number = UInt16(clamping: socket)
    }
}

/// What the transmitting thread is asked to do.
enum TransmitOrder: Sendable {
    case install(OutboundSA, slot: Int32, Way, TunnelBehaviour, PathFit)
    case authenticate(OutboundAH, slot: Int32, Way, TunnelBehaviour, PathFit)
    case remove(OutboundHandle)
    case move(slot: Int32, Way, PathFit)
    /// Packets to somebody may have so many octets, headers included.
    case pathMTU(IPAddress, Int)
    case protect(ChildSAID, PolicySelectors, OutboundHandle, precedence: UInt32, domain: UInt64)
    case stand(ChildSAID, StandingPolicy, domain: UInt64)
    case openDomain(UInt64, any PacketPort)
    case closeDomain(UInt64)
    case block(ChildSAID)
    case unprotect(ChildSAID)
    case keepAlive(Way, every: Interval)
    /// A packet as a device gave it, which another worker has read and this one is to seal.
    case relayed([UInt8])
    case reach(Milestone)
    /// Stays where it is until somebody ends that.
    case rest(Rest)
    case stop
}
