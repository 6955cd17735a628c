public import Clockwork
public import GatewayModel
public import IPPackets
import NetworkTypes

/// What is done to the packets of one outbound SA before they are sealed: what a configuration says, put together with what
/// is known of the path. Numbers only: one copy of it lies beside each SA.
public struct TunnelRules: Hashable, Sendable {
    /// The longest inner packet that leaves whole, in octets.
    public let innerMTU: Int
    /// The longest inner packet for which one outer packet has room, in octets.
    public let capacity: Int
    /// The longest outer packet, in octets, its IP header included.
    public let pathMTU: Int
    /// What TCP's segments are held to.
    public let clamp: SegmentSizeClamp
    /// What the outer header says.
    public let trafficClass: TrafficClass
    /// Inner packets are padded to so many octets; 0 for none.
    public let paddedLength: Int
    /// Whether the outer header says "don't fragment" where the inner packet does.
    public let copiesDF: Bool
    /// Whether IPv4 packets that are too long, and may be cut, are cut after they are sealed.
    public let fragmentsAfter: Bool
    /// What becomes of fragments that do not show their ports.
    public let laterFragments: TunnelBehaviour.LaterFragments
    /// After so long without another packet a dummy leaves; zero for none.
    public let dummyInterval: Interval

    /// What every IPv6 link carries; longer packets may be refused, shorter ones never (RFC 8200 §5).
    public static let leastV6MTU = 1280
    /// No path is believed to be narrower (RFC 791 §3.1).
    public static let leastPathMTU = 576

    /// For SAs of this `shape` on a path of this family, in UDP or not, that takes packets of `pathMTU` octets.
    public init(_ behaviour: TunnelBehaviour, shape: SealedShape, isV6: Bool, inUDP: Bool, pathMTU: Int) {
        let header = isV6 ? IPv6Header.length : IPv4Header.minimumLength
        self.pathMTU = max(pathMTU, Self.leastPathMTU)
        let room = self.pathMTU - header - (inUDP ? UDPHeader.length : 0)
        // In transport mode a packet's own header goes outside.
        capacity = shape.capacity(within: room) + (shape.isTransport ? header : 0)
        innerMTU = min(capacity, behaviour.mtu ?? .max)
        clamp = behaviour.clamp(innerMTU: innerMTU)
        trafficClass = TrafficClass(behaviour)
        switch behaviour.padding {
        case .none: paddedLength = 0
        // Only an inner packet says itself how long it is.
        case _ where shape.isTransport: paddedLength = 0
        case .octets(let least): paddedLength = min(least, capacity)
        case .path: paddedLength = innerMTU
        }
        copiesDF = behaviour.copiesDF
        laterFragments = behaviour.laterFragments
        dummyInterval = behaviour.dummyInterval
        // Transport mode carries no fragments (RFC 4303 §3.3.4).
        fragmentsAfter = behaviour.fragmentation == .after || shape.isTransport
    }

    /// For the packets of this SA.
    public init(_ association: borrowing SecurityAssociation, shape: SealedShape, pathMTU: Int) {
        self.init(
            association.tunnel, shape: shape, isV6: association.path.remote.address.family == .v6,
            inUDP: association.encapsulation == .udp, pathMTU: pathMTU)
    }

    /// What becomes of an inner packet that is longer than ``innerMTU``.
    public enum Fate: Hashable, Sendable {
        /// It is sealed as it is; the outer packet may be cut on its way.
        case whole
        /// It is cut.
        case cut
        /// It is dropped, and its sender told how long packets may be.
        case refused(mtu: Int)
    }

    /// What becomes of an inner packet of `length` octets that is longer than ``innerMTU``.
    public func fate(isV6: Bool, doesNotFragment: Bool, length: Int) -> Fate {
        if isV6 {
            let limit = max(innerMTU, Self.leastV6MTU)
            return length <= limit ? .whole : .refused(mtu: limit)
        }
        if doesNotFragment { return .refused(mtu: innerMTU) }
        return fragmentsAfter ? .whole : .cut
    }
}
