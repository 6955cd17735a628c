public import Clockwork
public import NetworkTypes

/// A box that hides one host behind a public address and maps its ports (RFC 4787: endpoint-independent mapping).
///
/// It owns the mappings and forgets those that are not used. It never looks into a datagram.
public struct NATBox: Sendable {
    /// Its own address, on the outside.
    public let outside: IPAddress
    /// The host that it hides.
    public let inside: IPAddress
    /// Whether IKE's ports are forwarded to the host, so that it can be reached from outside, and keep their numbers.
    public let forwards: Bool
    /// How long an unused mapping lives.
    public let timeout: Interval

    private struct Mapping: Sendable {
        var insidePort: UInt16
        var outsidePort: UInt16
        var lastUse: Instant
    }

    private var mappings: [Mapping] = []
    private var nextPort: UInt16 = 40_000

    /// A box without mappings.
    public init(outside: IPAddress, inside: IPAddress, forwards: Bool, timeout: Interval) {
        self.outside = outside
        self.inside = inside
        self.forwards = forwards
        self.timeout = timeout
    }

    private static func isForwarded(_ port: UInt16) -> Bool { port == 500 || port == 4500 }

    /// What the outside sees of a datagram that the host sends from `port`.
    public mutating func outbound(_ port: UInt16, _ now: Instant) -> Endpoint {
        if forwards, Self.isForwarded(port) { return Endpoint(outside, port) }
        expire(now)
        if let index = mappings.firstIndex(where: { $0.insidePort == port }) {
            mappings[index].lastUse = now
            return Endpoint(outside, mappings[index].outsidePort)
        }
        nextPort = nextPort >= 60_000 ? 40_000 : nextPort + 1
        mappings.append(Mapping(insidePort: port, outsidePort: nextPort, lastUse: now))
        return Endpoint(outside, nextPort)
    }

    /// Where a datagram to `port` of the outside goes; nil when nothing is mapped there.
    public mutating func inbound(_ port: UInt16, _ now: Instant) -> Endpoint? {
        if forwards, Self.isForwarded(port) { return Endpoint(inside, port) }
        expire(now)
        guard let index = mappings.firstIndex(where: { $0.outsidePort == port }) else { return nil }
        mappings[index].lastUse = now
        return Endpoint(inside, mappings[index].insidePort)
    }

    /// Forgets every mapping: the next datagrams get other ports.
    public mutating func rebind() { mappings.removeAll() }

    private mutating func expire(_ now: Instant) {
        mappings.removeAll { now - $0.lastUse > timeout }
    }
}
