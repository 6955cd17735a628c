import ESPEngine
import IPPackets
import LinuxSystem

/// Inner packets on their way to the port: TCP segments and UDP datagrams that follow each other are joined where the port
/// can take that.
///
/// It owns the list of pieces, never their octets: these stay where they were opened until ``flush()``. Packets are
/// handed over in the order in which they came.
@safe
struct Delivery: ~Copyable {
    private let port: any PacketPort
    private let drops: DropCounters
    private let hasHeader: Bool
    private let joinsDatagrams: Bool
    /// How often the port refused a joined packet; after that nothing is joined any more.
    private var refusals = 0
    private let header = PacketMemory(VirtioHeader.length)
    private let pieces = GatherList(capacity: TCPTrain.maximumCount + 1)
    // One of the two at most.
    private var train: TCPTrain?
    private var datagrams: UDPTrain?
    // The packet that the train began with. The batch that it lies in is not used again before `flush()`.
    private var first: UnsafeMutableRawBufferPointer

    private static let patience = 8

    init(to port: any PacketPort, drops: DropCounters) {
        self.port = port
        self.drops = drops
        hasHeader = port.headerSize == VirtioHeader.length
        joinsDatagrams = hasHeader && port.takesDatagramTrains
        unsafe first = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    /// Hands a packet over, now or with the next ``flush()``, until which its octets must stay.
    @unsafe
    @inline(__always)
    mutating func deliver(_ packet: UnsafeMutableRawBufferPointer) {
        // The caller keeps the octets alive.
        let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(packet))
        guard hasHeader else {
            count((try? port.write(bytes)) ?? false, 1)
            return
        }
        if train != nil {
            // Kept alive by the caller as well, until the flush that ends the train.
            let start = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(first))
            if let payload = train?.take(bytes, after: start) {
                unsafe append(UnsafeRawBufferPointer(rebasing: packet[payload...]))
                if train?.isOpen == false { flush() }
                return
            }
            flush()
        } else if datagrams != nil {
            // As above.
            let start = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(first))
            if let payload = datagrams?.take(bytes, after: start) {
                unsafe append(UnsafeRawBufferPointer(rebasing: packet[payload...]))
                if datagrams?.isOpen == false { flush() }
                return
            }
            flush()
        }
        // The worker's own memory, and the caller's.
        unsafe append(UnsafeRawBufferPointer(header.all))
        unsafe append(UnsafeRawBufferPointer(packet))
        if refusals < Self.patience, let made = TCPTrain(bytes) {
            train = made
            unsafe first = packet
        } else if joinsDatagrams, refusals < Self.patience, let made = UDPTrain(bytes) {
            datagrams = made
            unsafe first = packet
        } else {
            write(VirtioHeader(), packets: 1)
        }
    }

    /// Hands over what was held back.
    mutating func flush() {
        if let ended = train {
            // See `first`.
            var start = unsafe MutableRawSpan(_unsafeBytes: first)
            write(ended.finish(&start, at: 0), packets: ended.count)
            train = nil
        } else if let ended = datagrams {
            // As above.
            var start = unsafe MutableRawSpan(_unsafeBytes: first)
            write(ended.finish(&start, at: 0), packets: ended.count)
            datagrams = nil
        }
    }

    private func append(_ piece: UnsafeRawBufferPointer) {
        // A train never has more pieces than the list was made for.
        let hasRoom = unsafe pieces.append(piece)
        assert(hasRoom)
    }

    private mutating func write(_ said: VirtioHeader, packets: Int) {
        // The worker's own memory.
        var memory = unsafe MutableRawSpan(_unsafeBytes: header.all)
        _ = said.write(into: &memory)
        do {
            count(try port.write(pieces), packets)
        } catch {
            // A kernel that does not take what we join would never take it.
            if packets > 1 { refusals += 1 }
            count(false, packets)
        }
        pieces.removeAll()
    }

    private func count(_ isDelivered: Bool, _ packets: Int) {
        if !isDelivered { for _ in 0..<packets { drops.count(.deliveryFailed) } }
    }
}
