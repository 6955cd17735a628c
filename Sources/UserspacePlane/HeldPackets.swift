import Clockwork
import GatewayModel

/// Packets that wait for the Child SA that they asked for, and who is to be asked.
///
/// It owns copies of the packets, bounded for each trap and in all, in number, octets and time. It belongs to the
/// transmitting thread and never sends anything.
struct HeldPackets {
    /// A packet as it came from the port.
    struct Held {
        let bytes: [UInt8]
        let trap: UInt32
        /// When it is of no use to anybody any more.
        let expires: Instant
    }

    fileprivate struct Trap {
        let connection: String
        let child: String
        /// When its child was last asked for; nil when the next packet asks.
        var asked: Instant?
        var count = 0
        var octets = 0
    }

    private var traps: [UInt32: Trap] = [:]
    /// The oldest first.
    private var waiting: [Held] = []
    private var octets = 0

    /// Packets, and octets of them, for one trap.
    static let (mostOfOne, mostOctetsOfOne) = (32, 128 << 10)
    /// The same for all of them.
    static let (most, mostOctets) = (1024, 4 << 20)
    /// How long a packet waits: longer than a handshake with some loss, shorter than hosts are patient.
    static let patience = Interval.seconds(10)
    /// How soon a child is asked for again.
    static let pause = Interval.seconds(1)

    /// Whether nothing waits.
    var isEmpty: Bool { waiting.isEmpty }
    /// How many wait.
    var count: Int { waiting.count }
    /// When the oldest has waited long enough.
    var nextExpiry: Instant? { waiting.first?.expires }

    /// Asks for this child when a packet meets trap `number`.
    mutating func set(_ number: UInt32, connection: String, child: String) {
        traps[number] = Trap(connection: connection, child: child)
    }

    /// The trap is gone, and what waited for it; returns how many packets that were.
    mutating func remove(_ number: UInt32) -> Int {
        traps.drop(number)
        if waiting.isEmpty { return 0 }
        let before = waiting.count
        waiting.removeAll { held in
            if held.trap == number { octets -= held.bytes.count }
            return held.trap == number
        }
        return before - waiting.count
    }

    /// Keeps a packet, until `expires` where that was said before. The event is nil when its child was asked for a moment
    /// ago; the packet is not kept when there is no room.
    mutating func hold(
        _ packet: RawSpan, for number: UInt32, until expires: Instant?, now: Instant
    ) -> (isKept: Bool, event: PlaneEvent?) {
        guard var trap = traps[number] else { return (false, nil) }
        defer { traps[number] = trap }
        var event: PlaneEvent?
        if trap.asked.map({ now - $0 >= Self.pause }) ?? true {
            trap.asked = now
            event = .acquire(connection: trap.connection, child: trap.child)
        }
        let size = packet.byteCount
        guard trap.count < Self.mostOfOne, trap.octets + size <= Self.mostOctetsOfOne, waiting.count < Self.most,
            octets + size <= Self.mostOctets
        else { return (false, event) }
        let source = Span<UInt8>(_bytes: packet)
        var copy: [UInt8] = []
        copy.reserveCapacity(size)
        for index in source.indices { copy.append(source[index]) }
        trap.count += 1
        trap.octets += size
        octets += size
        waiting.append(Held(bytes: copy, trap: number, expires: expires ?? now + Self.patience))
        return (true, event)
    }

    /// Takes everything out, the oldest first: an SA has come that may be what they wait for. What has to wait on asks
    /// again.
    mutating func takeAll() -> [Held] {
        defer {
            waiting = []
            octets = 0
        }
        for held in waiting { traps[held.trap]?.forget() }
        return waiting
    }

    /// Drops what has waited too long; returns how many packets that were.
    mutating func expire(_ now: Instant) -> Int {
        let late = waiting.prefix { $0.expires <= now }
        for held in late {
            octets -= held.bytes.count
            traps[held.trap]?.count -= 1
            traps[held.trap]?.octets -= held.bytes.count
        }
        waiting.removeFirst(late.count)
        return late.count
    }
}

extension HeldPackets.Trap {
    fileprivate mutating func forget() {
        asked = nil
        count = 0
        octets = 0
    }
}
