public import GatewayModel
public import IPsecCrypto
public import NetworkTypes
public import StateRecords

/// How far an SA has come: what one process hands to the next, besides the SA itself.
///
/// Two processes must never both go on from one: the outbound ones would use IVs twice.
public struct AssociationState: Sendable {
    /// How far its packets have come.
    public enum Progress: Sendable {
        /// The last sequence number that was used, and where the IVs that are counted start.
        case outbound(last: UInt64, ivStart: UInt64)
        /// The numbers that were seen, and where the peer was last.
        case inbound(ReplayWindow, remote: Endpoint)
    }

    /// Its keys.
    public var keys: PacketKeys
    /// Its traffic so far.
    public var counters: SACounters
    /// How far its packets have come.
    public var progress: Progress

    /// A state.
    public init(keys: PacketKeys, counters: SACounters, progress: Progress) {
        self.keys = keys
        self.counters = counters
        self.progress = progress
    }
}

extension AssociationState: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.put(keys)
        writer.put(counters)
        switch progress {
        case .outbound(let last, let ivStart):
            writer.uint8(0)
            writer.uint64(last)
            writer.uint64(ivStart)
        case .inbound(let window, let remote):
            writer.uint8(1)
            writer.put(window)
            writer.put(remote)
        }
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        let keys = try reader.value(PacketKeys.self)
        let counters = try reader.value(SACounters.self)
        let progress: Progress
        switch try reader.uint8("direction") {
        case 0:
            let last = try reader.uint64("sequence number")
            progress = .outbound(last: last, ivStart: try reader.uint64("IV"))
        case 1:
            let window = try reader.value(ReplayWindow.self)
            progress = .inbound(window, remote: try reader.value())
        default: throw .badValue("direction")
        }
        self.init(keys: keys, counters: counters, progress: progress)
    }
}

extension OutboundSA {
    /// Goes on where another process has left off; nil when the state is not an outbound SA's. Sequence numbers go on
    /// after a jump, and the IVs with them.
    public convenience init?(
        resuming association: SecurityAssociation, _ state: AssociationState, serial: UInt32
    ) throws(SAError) {
        guard case .outbound(let last, let ivStart) = state.progress else { return nil }
        let next = OutboundSequence.resuming(after: last, extended: association.usesExtendedSequenceNumbers)
        try self.init(
            association, serial: serial, ivStart: ivStart, lastSequence: next, counters: state.counters)
    }
}

extension OutboundAH {
    /// Goes on where another process has left off; nil when the state is not an outbound SA's.
    public convenience init?(
        resuming association: SecurityAssociation, _ state: AssociationState, serial: UInt32
    ) throws(SAError) {
        guard case .outbound(let last, let ivStart) = state.progress else { return nil }
        let next = OutboundSequence.resuming(after: last, extended: association.usesExtendedSequenceNumbers)
        try self.init(
            association, serial: serial, ivStart: ivStart, lastSequence: next, counters: state.counters)
    }
}

extension InboundSA {
    /// Goes on where another process has left off; nil when the state is not an inbound SA's.
    public convenience init?(
        resuming association: SecurityAssociation, _ state: AssociationState, pathMTU: Int?
    ) throws(SAError) {
        guard case .inbound(let window, let remote) = state.progress else { return nil }
        guard association.spi > 255 else { throw .reservedSPI(association.spi) }
        try self.init(association, window: window, remote: remote, counters: state.counters, pathMTU: pathMTU)
    }
}

extension InboundAH {
    /// Goes on where another process has left off; nil when the state is not an inbound SA's.
    public convenience init?(
        resuming association: SecurityAssociation, _ state: AssociationState, pathMTU: Int?
    ) throws(SAError) {
        guard case .inbound(let window, _) = state.progress else { return nil }
        try self.init(association, window: window, counters: state.counters, pathMTU: pathMTU)
    }
}
