import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import LinuxSystem
import NetworkTypes

/// AH's packets as they come in: whole IP packets, one by one, since a gateway has few of them.
extension ReceiveWorker {
    /// Takes some packets from a socket; false when it is time to stop.
    mutating func receivePackets(by socket: HeaderSocket) -> Bool {
        for _ in 0..<Self.turns {
            var count = 0
            while count < batch.capacity {
                // The batch owns this memory, and nothing else uses the slot until it is filled again.
                let memory = unsafe batch.memory(of: count)
                guard let length = unsafe (try? socket.receivePacket(into: memory)) ?? nil else { break }
                // After receiving and before checking, as for ESP.
                guard obey() else { return false }
                count += 1
                guard length > 0 else {
                    authenticated.drops.count(.truncated)
                    continue
                }
                unsafe check(memory, length, MonotonicClock.now())
            }
            // What is joined lies in the batch.
            flush()
            if count < batch.capacity { break }
        }
        return true
    }

    private mutating func check(_ memory: UnsafeMutableRawBufferPointer, _ length: Int, _ now: Instant) {
        // As above; the socket has said how much it wrote.
        var slot = unsafe MutableRawSpan(_unsafeBytes: memory)
        guard length <= slot.byteCount, let fields = try? PacketSelectorFields(parsing: slot.bytes) else {
            authenticated.drops.count(.malformedDatagram)
            return
        }
        let path = Path(local: Endpoint(fields.destination, 0), remote: Endpoint(fields.source, 0))
        let arrival = PacketArrival(path: path, trafficClass: fields.trafficClass)
        if keepEarly(slot.bytes.extracting(0..<length), arrival, now) { return }
        if !earlyAuthenticated.isEmpty, !early.isOpen(now) {
            for _ in 0..<earlyAuthenticated.expire(now) { authenticated.drops.count(.unknownSPI) }
        }
        do throws(DropReason) {
            let opened = try authenticated.open(&slot, packet: 0..<length, arrival, now: now)
            if opened.hasMoved { inbox.put(.mappingChanged(opened.child, path)) }
            if let mark = opened.mark { inbox.put(.volumeReached(opened.child, mark), always: mark == .hard) }
            // The inner packet lies within the slot, and stays there until the batch is used again.
            let inner = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[opened.inner])
            if let number = directions[opened.child] {
                unsafe deliver(inner, number)
            } else {
                unsafe delivery.deliver(inner)
            }
        } catch {
            guard error == .unknownSPI, unknownSPIs.take(now: now),
                let spi = InboundAHDatabase.spi(of: slot.bytes.extracting(0..<length))
            else { return }
            inbox.put(.unknownSPI(spi, path))
        }
    }

    /// Whether the packet is one for an SA that may be on its way, and waits for it now.
    private mutating func keepEarly(_ packet: RawSpan, _ arrival: PacketArrival, _ now: Instant) -> Bool {
        guard let spi = InboundAHDatabase.spi(of: packet), !authenticated.has(spi: spi) else { return false }
        return expectsMore(now) && earlyAuthenticated.keep(packet, spi, arrival)
    }

    /// An SA has come: what came before it is checked before anything that comes later.
    mutating func checkEarly(_ spi: UInt32) {
        let now = MonotonicClock.now()
        for var kept in earlyAuthenticated.take(spi) {
            unsafe kept.bytes.withUnsafeMutableBytes { bytes in
                // The array's own memory, which stays where it is until what was opened has been delivered.
                let packet = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[kept.packet])
                unsafe check(packet, packet.count, now)
                flush()
            }
        }
    }
}
