internal import CLinux
public import NetworkTypes

/// What is known of one slot of a batch: a datagram, or a train of datagrams of one size between the same two ends.
public struct DatagramInformation: Hashable, Sendable {
    /// Both ends. For sending, an unspecified local address lets the kernel choose, and the local port is the socket's.
    public var path: Path
    /// Where the octets start in the slot.
    public var start: Int
    /// How many octets there are.
    public var length: Int
    /// Octets of each datagram of the train but the last, which may be shorter; 0 when there is only one.
    public var segmentSize: Int
    /// The outer header's DSCP and ECN bits. For sending, 0 means the socket's own.
    public var trafficClass: UInt8
    /// The interface it came in by. For sending, 0 lets routes decide; link-local IPv6 needs one.
    public var interface: UInt32
    /// Whether the slot was too small and octets were lost.
    public var truncated: Bool

    /// One datagram of `length` octets from the slot's start on.
    public init(path: Path, start: Int = 0, length: Int, segmentSize: Int = 0, trafficClass: UInt8 = 0) {
        self.path = path
        self.start = start
        self.length = length
        self.segmentSize = segmentSize
        self.trafficClass = trafficClass
        interface = 0
        truncated = false
    }

    /// How many datagrams it is.
    public var datagrams: Int {
        segmentSize > 0 && segmentSize < length ? (length + segmentSize - 1) / segmentSize : 1
    }
}

/// Slots for many datagrams that one system call fills or empties (recvmmsg, sendmmsg).
///
/// It owns one slab of memory and the kernel's structures, all made once: receiving and sending allocate nothing. It
/// belongs to one thread. It never looks into the datagrams.
@safe
public final class DatagramBatch {
    /// How many slots there are.
    public let capacity: Int
    /// Octets in each slot.
    public let slotSize: Int
    // Owned here and freed in deinit. Every index is checked against `capacity` before it is used, and every length
    // against `slotSize`, here or in the shim.
    let raw: OpaquePointer
    private let slab: UnsafeMutableRawPointer
    let slots: UnsafeMutablePointer<martlet_slot>

    /// `capacity` slots of `slotSize` octets each. 65,535 octets hold any train.
    public init(capacity: Int, slotSize: Int) throws(SystemError) {
        guard let count = UInt32(exactly: capacity), count > 0, count <= 1024, slotSize > 0, slotSize <= 1 << 24,
            let batch = unsafe martlet_batch_create(count, slotSize), let slab = unsafe martlet_batch_slab(batch),
            let slots = unsafe martlet_batch_slots(batch)
        else {
            throw SystemError(
                call: "batch", errno: .noMemory, context: "\(capacity) datagrams of \(slotSize) octets")
        }
        self.capacity = capacity
        self.slotSize = slotSize
        unsafe raw = batch
        unsafe self.slab = slab
        unsafe self.slots = slots
    }

    deinit { unsafe martlet_batch_destroy(raw) }

    /// What is known of slot `index`. Setting it readies the slot for sending; a range outside the slot is refused by
    /// trapping: it would be our own mistake.
    public subscript(_ index: Int) -> DatagramInformation {
        get {
            precondition(index >= 0 && index < capacity, "no such slot")
            let slot = unsafe slots[index]
            var information = DatagramInformation(
                path: slot.path(
                    localPort: slot.local.port, family: IPAddress.Family(rawValue: slot.remote.family) ?? .v4),
                start: Int(slot.start), length: Int(slot.length), segmentSize: Int(slot.segment_size),
                trafficClass: slot.traffic_class)
            information.interface = slot.interface
            information.truncated = slot.truncated
            return information
        }
        set {
            precondition(index >= 0 && index < capacity, "no such slot")
            precondition(
                newValue.start >= 0 && newValue.start <= slotSize && newValue.length >= 0
                    && newValue.length <= slotSize - newValue.start, "outside the slot")
            var slot = martlet_slot()
            slot.setPath(newValue.path, interface: newValue.interface)
            slot.start = UInt32(newValue.start)
            slot.length = UInt32(newValue.length)
            slot.segment_size = UInt16(clamping: newValue.segmentSize)
            slot.traffic_class = newValue.trafficClass
            unsafe slots[index] = slot
        }
    }

    /// Lends all of slot `index`.
    public func withSlot<Result, Failure: Error>(
        _ index: Int, _ body: (inout MutableRawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // The slab lives as long as the batch, and nobody else may touch it: the batch belongs to one thread.
        var span = unsafe MutableRawSpan(_unsafeBytes: memory(of: index))
        return try body(&span)
    }

    /// Lends the octets of slot `index` that its information names.
    public func withDatagram<Result, Failure: Error>(
        _ index: Int, _ body: (inout MutableRawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let slot = unsafe memory(of: index)
        let start = unsafe min(Int(slots[index].start), slotSize)
        let end = unsafe min(start + Int(slots[index].length), slotSize)
        // Both ends were clamped to the slot.
        var span = unsafe MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: slot[start..<end]))
        return try body(&span)
    }

    /// Copies `bytes` to the start of slot `index` and addresses it: for control messages, not for the packet path.
    public func load(_ index: Int, _ bytes: [UInt8], path: Path) {
        precondition(bytes.count <= slotSize, "outside the slot")
        withSlot(index) { slot in
            for (offset, byte) in bytes.enumerated() { slot.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self) }
        }
        self[index] = DatagramInformation(path: path, length: bytes.count)
    }

    /// A copy of the octets of slot `index`: for control messages, not for the packet path.
    public func bytes(_ index: Int) -> [UInt8] {
        // The span is readable memory of exactly the length that goes with it.
        withDatagram(index) { span in unsafe span.withUnsafeBytes { unsafe [UInt8]($0) } }
    }

    /// The memory of slot `index`, valid while the batch lives: for the packet path, which confines its raw pointers.
    @unsafe
    public func memory(of index: Int) -> UnsafeMutableRawBufferPointer {
        precondition(index >= 0 && index < capacity, "no such slot")
        return unsafe UnsafeMutableRawBufferPointer(start: slab + index * slotSize, count: slotSize)
    }
}
