import Clockwork
import ESPEngine
import IPPackets
import IPsecCrypto
import LinuxSystem

/// A packet that was read and is not carried yet, so that what it needs is fetched while others are read.
struct LookAhead {
    /// Octets of it.
    var length = 0
    /// What it is looked up by; nil when it is malformed.
    var fields: PacketSelectorFields?
    /// Its SA, once that is known; nil when it has none.
    var handle: OutboundHandle?

    /// Packets under way at the same time: one for each step, and the one that is carried.
    static let depth = 6
}

/// Among many SAs nearly all that a packet needs lies in memory, and not in a cache: where its policy is, the policy, where
/// its SA is, the SA, its keys, each known only when the one before is there. What is known is fetched while the packets
/// after it are read, so that nothing has to be waited for when it is sealed.
extension TransmitWorker {
    /// Reads what the port has, a batch at most, and carries it, each packet some turns after it was read.
    @inline(never)
    mutating func transmitAhead(_ port: any PacketPort, _ now: Instant) {
        let header = port.headerSize
        // As many as there are steps, in a tuple's place: no allocation.
        var packets = InlineArray<6, LookAhead>(repeating: LookAhead())
        var octets = 0
        var count = 0
        var turn = 0
        var isOpen = true
        while isOpen || turn - (LookAhead.depth - 1) < count {
            if isOpen {
                let place = count % LookAhead.depth
                // The limits keep a flood from holding up orders. The packet that was here has been carried.
                if count < Self.mostReads, octets < Self.mostOctets,
                    let length = unsafe read(port, into: memory(place), isShared: true)
                {
                    packets[place] = LookAhead(length: length)
                    octets += length
                    count += 1
                } else {
                    isOpen = false
                }
            }
            for step in 0..<(LookAhead.depth - 1) {
                let number = turn - step
                guard number >= 0 else { break }
                if number < count { look(&packets[number % LookAhead.depth], number % LookAhead.depth, header, step) }
            }
            let number = turn - (LookAhead.depth - 1)
            if number >= 0, number < count {
                let place = number % LookAhead.depth
                // The worker's own memory; the port has said how much it wrote.
                let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(memory(place)))
                carry(bytes.extracting(0..<packets[place].length), header, nil, now)
            }
            turn += 1
        }
    }

    /// Has fetched what the packet needs next.
    @inline(__always)
    private func look(_ packet: inout LookAhead, _ place: Int, _ header: Int, _ step: Int) {
        switch step {
        case 0:
            guard packet.length > header else { return }
            // As above.
            let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(memory(place)))
            packet.fields = try? PacketSelectorFields(parsing: bytes.extracting(header..<packet.length))
            if let fields = packet.fields { policies.anticipate(fields.destination, entries: false) }
        case 1:
            if let fields = packet.fields { policies.anticipate(fields.destination, entries: true) }
        case 2:
            guard let fields = packet.fields, case .protect(let handle) = policies.verdict(for: fields) else { return }
            packet.handle = handle
            associations.anticipate(handle, step: 0)
            tunnels.anticipate(Int(handle.slot))
        case 3: if let handle = packet.handle { associations.anticipate(handle, step: 1) }
        default: if let handle = packet.handle { associations.anticipate(handle, step: 2) }
        }
    }

    private func memory(_ place: Int) -> UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(
            rebasing: ahead.all[(place * Self.stagingSize)..<((place + 1) * Self.stagingSize)])
    }
}
