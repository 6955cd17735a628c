import ESPEngine
import IPsecCrypto
import LinuxSystem
import NetworkTypes

/// What the outer IP header of a packet says besides where it goes.
struct OuterMarks: Hashable {
    /// DSCP and ECN.
    var trafficClass: UInt8 = 0
    /// Whether it may be cut on its way.
    var mayFragment = true
}

/// Sealed packets on their way out, packed so that few calls send them: packets of one size and one way lie behind each
/// other and leave as one train (UDP_SEGMENT).
///
/// It owns the memory that packets are sealed in. It is asked where the next one goes, then told that it is there.
@safe
struct OutboundTrain: ~Copyable {
    private let batch: DatagramBatch
    private let sockets: PlaneSockets
    // The same entries, which `sockets` keeps alive: what is sent counts no reference.
    private let lent: [Unmanaged<PlaneSockets.Entry>]
    private let drops: DropCounters
    /// Packets here that are still to be sealed. The worker that owns this train owns the batch.
    private let packetBatch: LentBatch?
    /// By socket.
    private let takesTrains: [Bool]
    /// For each slot of the batch, the socket that it leaves by and the SA's place.
    private var exits: [Int]
    private var places: [Int]
    private var mayFragment: [Bool]
    /// A socket by which something was too long to leave.
    private var tooLong: Int?
    /// By the SA's place: how often the kernel would not cut a train.
    private var refusals: [UInt8] = []

    // The slot that is being filled: `filled` slots before it are closed.
    private var filled = 0
    private var packets = 0
    private var octets = 0
    private var size = 0
    private var isShort = false
    private var place = -1
    private var way: Way
    private var outer = OuterMarks()

    /// Slots that one system call sends.
    private static let slots = 64
    /// Any packet with what ESP adds, and any train.
    private static let slotSize = 65_536 + 512
    /// The kernel's limit of segments, and of octets with all headers.
    private static let (mostPackets, mostOctets) = (64, 65_000)
    /// The inner octets that such a train has room for, as measured with packets of 1,400 octets.
    static let largestInner = 61_000
    /// So often may the kernel refuse to cut before an SA's packets leave one by one.
    private static let patienceWithTrains: UInt8 = 8
    /// How long a full socket is waited for before its packets are dropped, in milliseconds.
    private static let patience: Int32 = 20

    init(
        _ sockets: PlaneSockets, drops: DropCounters, makesTrains: Bool, batch packetBatch: LentBatch?
    ) throws(SystemError) {
        self.packetBatch = packetBatch
        batch = try DatagramBatch(capacity: Self.slots, slotSize: Self.slotSize)
        exits = [Int](repeating: 0, count: Self.slots)
        places = [Int](repeating: 0, count: Self.slots)
        mayFragment = [Bool](repeating: true, count: Self.slots)
        // Raw sockets cannot cut.
        takesTrains = sockets.entries.map { makesTrains && $0.use == .shared }
        let nowhere = Endpoint(.unspecified(.v4), 0)
        way = Way(path: Path(local: nowhere, remote: nowhere), socket: 0)
        self.sockets = sockets
        unsafe lent = sockets.entries.map { unsafe Unmanaged.passUnretained($0) }
        self.drops = drops
    }

    /// Where in ``memory`` the next packet starts, which has `length` octets; nil when it is too long for any slot.
    @inline(__always)
    mutating func makeRoom(for length: Int, _ place: Int, _ way: Way, _ outer: OuterMarks) -> Int? {
        guard length <= Self.slotSize else { return nil }
        if packets > 0 {
            if !isShort, place == self.place, length <= size, packets < Self.mostPackets,
                octets + length <= Self.mostOctets, outer == self.outer, way == self.way, canFollow(way)
            {
                return octets
            }
            close()
        }
        self.place = place
        self.way = way
        self.outer = outer
        return 0
    }

    /// The slot that is being filled. Valid until the next call of a method here.
    @unsafe var memory: UnsafeMutableRawBufferPointer { unsafe batch.memory(of: filled) }

    /// The packet for which there was made room is there, `length` octets long.
    @inline(__always)
    mutating func append(_ length: Int) {
        if packets == 0 { size = length }
        isShort = length < size
        packets += 1
        octets += length
    }

    /// Sends all that is there.
    mutating func send() {
        if packets > 0 { close(sendsWhenFull: false) }
        if let packetBatch, !packetBatch.finish() {
            // It is not told which: none of them may go.
            for slot in 0..<filled {
                for _ in 0..<batch[slot].datagrams { drops.count(.cipherRefused) }
            }
            filled = 0
        }
        var start = 0
        while start < filled {
            var end = start + 1
            while end < filled, exits[end] == exits[start], mayFragment[end] == mayFragment[start] { end += 1 }
            let wanted = mayFragment[start]
            // `sockets` lives as long as this does, and its list never changes.
            let isTooLong = unsafe lent[exits[start]]._withUnsafeGuaranteedRef { entry in
                entry.fragmentation.set(wanted, for: entry.socket)
                return send(start..<end, by: entry.socket)
            }
            if isTooLong { tooLong = exits[start] }
            start = end
        }
        filled = 0
    }

    /// A socket by which something was too long to leave, since the last call: its error queue says for whom.
    mutating func takeTooLong() -> Int? {
        defer { tooLong = nil }
        return tooLong
    }

    /// An SA has another way: trains may be cut there.
    mutating func forgive(_ place: Int) {
        while refusals.count <= place { refusals.append(0) }
        refusals[place] = 0
    }

    private func canFollow(_ way: Way) -> Bool {
        takesTrains[way.socket] && refusals[place] < Self.patienceWithTrains
    }

    /// Addresses the slot and goes on to the next.
    private mutating func close(sendsWhenFull: Bool = true) {
        batch[filled] = DatagramInformation(
            path: way.path, length: octets, segmentSize: packets > 1 ? size : 0, trafficClass: outer.trafficClass)
        exits[filled] = way.socket
        places[filled] = place
        mayFragment[filled] = outer.mayFragment
        filled += 1
        (packets, octets, isShort) = (0, 0, false)
        if filled == Self.slots, sendsWhenFull { send() }
    }

    /// Sends slots in order by one socket; true when something was too long for its path.
    private mutating func send(_ range: Range<Int>, by socket: any DatagramSocket) -> Bool {
        var next = range.lowerBound
        var sawTooLong = false
        while next < range.upperBound {
            let report = socket.send(batch, next..<range.upperBound)
            for _ in 0..<report.crowdedOut { drops.count(.queueFull) }
            for _ in 0..<(report.dropped - report.crowdedOut) { drops.count(.sendFailed) }
            if report.lastError == .messageTooLong { sawTooLong = true }
            if let cut = report.lastCut {
                // Broken here for good, perhaps: a path narrower than our packets, a kernel or a device that cannot.
                let count = refusals[places[cut]]
                refusals[places[cut]] = count == .max ? count : count + 1
            }
            next = report.next
            guard next < range.upperBound else { break }
            let hasRoom = (try? socket.descriptor.wait(writing: true, milliseconds: Self.patience)) ?? false
            if !hasRoom {
                for slot in next..<range.upperBound {
                    for _ in 0..<batch[slot].datagrams { drops.count(.queueFull) }
                }
                next = range.upperBound
            }
        }
        return sawTooLong
    }
}
