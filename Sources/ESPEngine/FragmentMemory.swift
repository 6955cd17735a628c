public import Clockwork
import GatewayModel
public import IPPackets
import NetworkTypes

/// What was decided about the first fragments of packets, for the later ones, which do not show their ports (RFC 4301 §7.3
/// and §7.4).
///
/// It owns room for a fixed number of packets, made when the first fragment comes; the oldest give way. It belongs to one
/// thread. Nothing is asked of it for packets that are whole.
public struct FragmentMemory: ~Copyable {
    private struct Key: Equatable {
        let source: IPAddress
        let destination: IPAddress
        let ipProtocol: UInt8
        let scope: UInt64

        init(_ fields: PacketSelectorFields, _ scope: UInt64) {
            source = fields.source
            destination = fields.destination
            // The fragments of an IPv6 packet may name different ones.
            ipProtocol = fields.family == .v4 ? fields.ipProtocol.rawValue : 0
            self.scope = scope
        }
    }

    private struct Entry {
        var key: Key
        var decision: PolicyDatabase.Verdict?
        var leastNext: Int
        var expires: Instant
    }

    /// A packet whose first fragment was seen.
    public struct First: Sendable {
        /// What was decided about it; nil where the only question is whether it was let through.
        public let decision: PolicyDatabase.Verdict?
        /// Whether the later fragment lies behind all that the first one showed.
        public let isBehind: Bool
    }

    private var entries: [Entry] = []
    /// Beside the entries, so that looking through them all touches little memory.
    private var identifications: [UInt32] = []
    /// The place that is used next.
    private var next = 0

    /// Packets that are remembered.
    public static let capacity = 256
    /// How long: fragments follow each other at once, and identifications come again.
    public static let patience = Interval.seconds(30)

    /// Remembers nothing.
    public init() {}

    /// The first fragment of a packet has come. What has the same numbers and another `scope` is another packet.
    public mutating func remember(
        _ part: FragmentFields, of fields: PacketSelectorFields, scope: UInt64, _ decision: PolicyDatabase.Verdict?,
        now: Instant
    ) {
        let entry = Entry(
            key: Key(fields, scope), decision: decision, leastNext: part.leastNext, expires: now + Self.patience)
        if entries.isEmpty {
            entries.reserveCapacity(Self.capacity)
            identifications.reserveCapacity(Self.capacity)
        }
        if let place = place(entry.key, part.identification) {
            entries[place] = entry
            return
        }
        if entries.count < Self.capacity {
            entries.append(entry)
            identifications.append(part.identification)
        } else {
            entries[next] = entry
            identifications[next] = part.identification
        }
        next = (next + 1) % Self.capacity
    }

    /// What is known of a later fragment's packet.
    public func recall(
        _ part: FragmentFields, of fields: PacketSelectorFields, scope: UInt64, now: Instant
    ) -> First? {
        guard let place = place(Key(fields, scope), part.identification), entries[place].expires > now else {
            return nil
        }
        return First(decision: entries[place].decision, isBehind: part.offset >= entries[place].leastNext)
    }

    /// Forgets what no SA was found for: policies have changed, and nothing may leave in clear by what they said before.
    public mutating func forgetUnprotected() {
        for place in entries.indices {
            if case .protect = entries[place].decision { continue }
            entries[place].expires = Instant(nanoseconds: .min)
        }
    }

    /// Whether an inbound SA whose selectors look at ports may carry the fragment at the start of `packet`: a later one
    /// may go where the first one went, and may not write over what that one showed.
    mutating func admit(
        _ packet: RawSpan, _ fields: PacketSelectorFields, isSelected: Bool, by child: ChildSAID, now: Instant
    ) throws(DropReason) {
        guard let part = FragmentFields(parsing: packet) else { throw .malformedInner }
        let scope = UInt64(child.rawValue)
        if isSelected {
            if part.isFirst { remember(part, of: fields, scope: scope, nil, now: now) }
            return
        }
        guard !part.isFirst, let first = recall(part, of: fields, scope: scope, now: now) else {
            throw .outsideSelectors
        }
        guard first.isBehind else { throw .malformedInner }
    }

    /// The newest first: fragments mostly follow each other at once.
    private func place(_ key: Key, _ identification: UInt32) -> Int? {
        let identifications = identifications.span
        var place = next
        for _ in identifications.indices {
            place = place == 0 ? identifications.count - 1 : place - 1
            if identifications[place] == identification, entries[place].key == key { return place }
        }
        return nil
    }
}
