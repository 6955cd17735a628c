import Clockwork
import ESPEngine
import IPPackets

/// Packets that came right behind the IKE message that makes their SA: the peer that sent it may use the SA at once, and
/// the control thread has not read it yet (RFC 7296 §2.8).
///
/// It owns copies, a few, and only while an IKE message was heard a moment ago: at any other time a packet for an
/// SPI that is nobody's is nobody's. It belongs to the receiving thread.
struct EarlyPackets {
    /// A packet, with room before it as opening may need.
    struct Kept {
        var bytes: [UInt8]
        let packet: Range<Int>
        let arrival: PacketArrival

        /// A copy of a packet.
        init(_ packet: RawSpan, _ arrival: PacketArrival) {
            let room = InboundSADatabase.headroom
            bytes = [UInt8](repeating: 0, count: room)
            bytes.reserveCapacity(room + packet.byteCount)
            let octets = Span<UInt8>(_bytes: packet)
            for index in octets.indices { bytes.append(octets[index]) }
            self.packet = room..<bytes.count
            // The header that it came with is not kept: what it said is.
            self.arrival = PacketArrival(path: arrival.path, trafficClass: arrival.trafficClass)
        }
    }

    private var waiting: [(spi: UInt32, kept: Kept)] = []
    /// Until when packets are kept.
    private var until = Instant(nanoseconds: .min)

    private static let patience = Interval.milliseconds(200)
    private static let most = 128
    private static let largest = 9216

    /// Whether nothing waits.
    var isEmpty: Bool { waiting.isEmpty }

    /// An IKE message was heard at that moment.
    mutating func open(_ heard: Instant) { until = max(until, heard + Self.patience) }

    /// Whether packets are kept at this moment.
    @inline(__always)
    func isOpen(_ now: Instant) -> Bool { now < until }

    /// Keeps a packet of this SPI; false when there is no room for it.
    mutating func keep(_ packet: RawSpan, _ spi: UInt32, _ arrival: PacketArrival) -> Bool {
        guard waiting.count < Self.most, packet.byteCount <= Self.largest else { return false }
        waiting.append((spi, Kept(packet, arrival)))
        return true
    }

    /// Takes out those of this SPI, in the order in which they came.
    mutating func take(_ spi: UInt32) -> [Kept] {
        let found = waiting.filter { $0.spi == spi }.map { $0.kept }
        if !found.isEmpty { waiting.removeAll { $0.spi == spi } }
        return found
    }

    /// Takes out all whose time is over.
    mutating func expire(_ now: Instant) -> Int {
        guard now >= until else { return 0 }
        defer { waiting.removeAll() }
        return waiting.count
    }
}
