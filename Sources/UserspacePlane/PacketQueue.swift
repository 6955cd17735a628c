public import LinuxSystem
import Synchronization

/// Inner packets in the process, without any device: what `martlet demo` and tests put in place of a TUN.
///
/// It owns two bounded queues, one for each way. When one is full, the packet is refused, never waited for.
public final class PacketQueue: PacketPort {
    private struct Lane: Sendable {
        var packets: [[UInt8]] = []
        /// Packets before this one were taken.
        var first = 0
    }

    private let toPlane = Mutex(Lane())
    private let toHost = Mutex(Lane())
    private let planeWakeup: Wakeup
    /// Signalled when a packet for the host came in.
    public let hostWakeup: Wakeup
    private let capacity: Int

    /// Queues of `capacity` packets.
    public init(capacity: Int = 1024) throws(SystemError) {
        self.capacity = capacity
        planeWakeup = try Wakeup()
        hostWakeup = try Wakeup()
    }

    /// Readable when the host has sent something.
    public var descriptor: Descriptor { planeWakeup.descriptor }
    /// Nothing stands before a packet.
    public var headerSize: Int { 0 }

    /// The host sends a packet; false when the queue is full.
    public func send(_ packet: [UInt8]) -> Bool {
        guard Self.put(packet, in: toPlane, capacity) else { return false }
        planeWakeup.signal()
        return true
    }

    /// The host takes a packet; nil when there is none.
    public func receive() -> [UInt8]? { Self.take(from: toHost, hostWakeup) }

    /// The plane takes a packet that the host has sent.
    public func read(into buffer: inout MutableRawSpan) throws(SystemError) -> Int? {
        guard let packet = Self.take(from: toPlane, planeWakeup) else { return nil }
        let count = min(packet.count, buffer.byteCount)
        for index in 0..<count { buffer.storeBytes(of: packet[index], toByteOffset: index, as: UInt8.self) }
        return count
    }

    /// The plane hands a packet to the host.
    public func write(_ packet: RawSpan) throws(SystemError) -> Bool {
        let octets = Span<UInt8>(_bytes: packet)
        var copy: [UInt8] = []
        copy.reserveCapacity(octets.count)
        for index in octets.indices { copy.append(octets[index]) }
        guard Self.put(copy, in: toHost, capacity) else { return false }
        hostWakeup.signal()
        return true
    }

    /// The plane hands a packet in pieces to the host.
    public func write(_ pieces: GatherList) throws(SystemError) -> Bool {
        guard Self.put(pieces.joined(), in: toHost, capacity) else { return false }
        hostWakeup.signal()
        return true
    }

    private static func put(_ packet: [UInt8], in lane: borrowing Mutex<Lane>, _ capacity: Int) -> Bool {
        lane.withLock { lane in
            guard lane.packets.count - lane.first < capacity else { return false }
            lane.packets.append(packet)
            return true
        }
    }

    private static func take(from lane: borrowing Mutex<Lane>, _ wakeup: Wakeup) -> [UInt8]? {
        lane.withLock { lane in
            guard lane.first < lane.packets.count else {
                lane.packets.removeAll(keepingCapacity: true)
                lane.first = 0
                // Under the lock, so that a signal for a packet put later is not taken back.
                wakeup.drain()
                return nil
            }
            defer {
                lane.first += 1
                if lane.first >= 1024 {
                    lane.packets.removeFirst(lane.first)
                    lane.first = 0
                }
            }
            return lane.packets[lane.first]
        }
    }
}
