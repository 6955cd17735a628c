public import GatewayModel
import IPPackets

/// What inner and outer headers tell each other about DSCP and ECN (RFC 2983, RFC 6040): the one place where that is
/// decided. An octet is DSCP (six bits), then ECN (two).
public struct TrafficClass: Hashable, Sendable {
    /// The bits that are copied to the outer header.
    private let outward: UInt8
    /// Whether the outer DSCP replaces the inner one.
    private let takesDSCP: Bool
    /// Whether congestion that the outer header tells of is told on.
    private let takesECN: Bool

    // Not stored: a constant in every place, where a packet would look whether they are made already.
    private static var dscp: UInt8 { 0xfc }
    private static var ecn: UInt8 { 0x03 }

    /// As a configuration says.
    public init(_ behaviour: TunnelBehaviour) {
        outward =
            (behaviour.copiesDSCP.contains(.outward) ? Self.dscp : 0) | (behaviour.copiesECN ? Self.ecn : 0)
        takesDSCP = behaviour.copiesDSCP.contains(.inward)
        takesECN = behaviour.copiesECN
    }

    /// The outer header's octet for a packet whose own is `inner`: RFC 6040's normal mode, or without ECN its
    /// compatibility mode, in which routers drop instead of marking.
    @inline(__always)
    public func outer(forInner inner: UInt8) -> UInt8 { inner & outward }

    /// Whether an outer header's octet changes anything inside.
    @inline(__always)
    func matters(_ outer: UInt8) -> Bool { takesDSCP || takesECN && outer & Self.ecn != 0 }

    /// The inner header's octet for what came (RFC 6040 §4.2, figure 4); nil when the packet is to be dropped: congestion
    /// was seen, and its ends would not understand that.
    func arriving(inner: UInt8, outer: UInt8) -> UInt8? {
        var result = inner
        if takesDSCP { result = result & Self.ecn | outer & Self.dscp }
        guard takesECN else { return result }
        switch (inner & Self.ecn, outer & Self.ecn) {
        // Not-ECT inside: what any outer mark but CE said stays outside.
        case (0, 3): return nil
        case (0, _): return result
        // CE outside, or inside already.
        case (_, 3), (3, _): return result | 3
        // ECT(1) is the stronger of the two that say "capable".
        case (_, 1): return result & ~Self.ecn | 1
        default: return result
        }
    }
}

/// What is done to an inner packet that has just been opened, besides opening it.
struct ArrivalRules {
    private let trafficClass: TrafficClass
    private let segmentSize: SegmentSizeClamp

    /// As a configuration says; `innerMTU` is what the path takes, nil when it is not known.
    init(_ behaviour: TunnelBehaviour, innerMTU: Int? = nil) {
        trafficClass = TrafficClass(behaviour)
        segmentSize = behaviour.clamp(innerMTU: innerMTU)
    }

    /// Changes the packet at `inner` where that is called for. `fields` are its own.
    @inline(__always)
    func apply(
        to buffer: inout MutableRawSpan, _ inner: Range<Int>, _ fields: PacketSelectorFields, outerClass: UInt8
    ) throws(DropReason) {
        if trafficClass.matters(outerClass) { try mark(&buffer, inner, fields, outerClass) }
        clamp(&buffer, inner, fields)
    }

    /// Holds the segments of a connection that the packet at `inner` opens to what fits.
    @inline(__always)
    func clamp(_ buffer: inout MutableRawSpan, _ inner: Range<Int>, _ fields: PacketSelectorFields) {
        guard segmentSize.isOn, let tcp = SegmentSizeClamp.opening(buffer.bytes.extracting(inner), fields) else {
            return
        }
        segmentSize.apply(to: &buffer, packet: inner, tcp: tcp)
    }

    @inline(never)
    private func mark(
        _ buffer: inout MutableRawSpan, _ inner: Range<Int>, _ fields: PacketSelectorFields, _ outerClass: UInt8
    ) throws(DropReason) {
        guard let wanted = trafficClass.arriving(inner: fields.trafficClass, outer: outerClass) else {
            throw .congested
        }
        guard wanted != fields.trafficClass else { return }
        TrafficClassField.set(wanted, in: &buffer, at: inner.lowerBound)
    }
}

extension TunnelBehaviour {
    /// What TCP's segments are held to where inner packets may have `innerMTU` octets; nil when that is not known.
    func clamp(innerMTU: Int?) -> SegmentSizeClamp {
        switch segmentSize {
        case .unlimited: .none
        case .automatic: innerMTU.map { SegmentSizeClamp(innerMTU: $0) } ?? .none
        case .octets(let limit): SegmentSizeClamp(innerMTU: innerMTU ?? 65_535, limit: limit)
        }
    }
}
