public import Clockwork

/// How the packets of a Child SA are fitted to the path, and what inner and outer headers tell each other (RFC 4301 §5.1.2
/// and §8, RFC 6040).
///
/// It owns what a configuration says, never what a path turned out to be.
public struct TunnelBehaviour: Hashable, Sendable {
    /// What TCP segments are held to while a connection is made.
    public enum SegmentSize: Hashable, Sendable {
        /// To what fits into one outer packet.
        case automatic
        /// To nothing: the ends find out by themselves.
        case unlimited
        /// To so many octets, or to what fits if that is less.
        case octets(Int)
    }

    /// Where IPv4 packets that are too long, and may be cut, are cut.
    public enum Fragmentation: String, Hashable, Sendable {
        /// The inner packet: every fragment is sealed by itself, and the peer has nothing to put together.
        case before
        /// The outer packet: the peer's host has to put the ESP packet together before it is opened.
        case after
    }

    /// In which directions the DSCP is copied (RFC 2983).
    public struct Directions: OptionSet, Hashable, Sendable {
        /// The bits.
        public let rawValue: UInt8
        /// The bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// From the inner header to the outer one.
        public static let outward = Directions(rawValue: 1)
        /// From the outer header to the inner one: whoever can change packets on their way chooses then.
        public static let inward = Directions(rawValue: 2)
    }

    /// What hides how long packets are (RFC 4303 §2.7).
    public enum Padding: Hashable, Sendable {
        /// Nothing.
        case none
        /// Inner packets are padded to so many octets at least.
        case octets(Int)
        /// Inner packets are padded to what fits into one outer packet.
        case path
    }

    /// What becomes of a packet's fragments after the first, which do not show their ports (RFC 4301 §7).
    public enum LaterFragments: UInt8, Hashable, Sendable {
        /// What the policies say about a packet without ports.
        case asTheyAre
        /// Both ends have agreed that they go where the first one went (RFC 4301 §7.3).
        case followFirst
        /// They did not: selectors look at ports, and an IPv4 packet is put together before it is sealed.
        case joined
    }

    /// What TCP segments are held to.
    public var segmentSize: SegmentSize
    /// The largest inner packet, in octets, where the path would let larger ones through; nil for what the path lets
    /// through.
    public var mtu: Int?
    /// Where packets are cut.
    public var fragmentation: Fragmentation
    /// Whether the outer IPv4 header says "don't fragment" where the inner packet does. When not, it never does.
    public var copiesDF: Bool
    /// Whether congestion is told between the headers.
    public var copiesECN: Bool
    /// Where the DSCP is copied to.
    public var copiesDSCP: Directions
    /// What hides how long packets are.
    public var padding: Padding
    /// After so long without another packet on the outbound SA a dummy leaves (RFC 4303 §2.6); zero for none.
    public var dummyInterval: Interval
    /// What becomes of fragments that do not show their ports. No configuration says it: it is agreed on.
    public var laterFragments: LaterFragments

    /// The least that ``mtu`` may be: what every IPv4 host takes (RFC 791 §3.1).
    public static let leastMTU = 576

    /// This field's defaults.
    public init() {
        segmentSize = .automatic
        mtu = nil
        fragmentation = .before
        copiesDF = true
        copiesECN = true
        copiesDSCP = .outward
        padding = .none
        dummyInterval = .zero
        laterFragments = .asTheyAre
    }
}
