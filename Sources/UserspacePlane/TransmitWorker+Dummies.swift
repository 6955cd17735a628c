import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import LinuxSystem
import NetworkTypes

/// Dummy packets: to whoever watches, an SA that is idle looks like one that is not (RFC 4303 §2.6).
extension TransmitWorker {
    /// The shortest, in octets: a packet with hardly anything in it.
    private static let shortest = 40

    /// Packets are led to an SA: from now on it sends dummies, if it is to.
    mutating func startDummies(_ handle: OutboundHandle) {
        // AH has none, and what another worker has is not here.
        guard associations.shape(of: handle) != nil else { return }
        let interval = tunnels[Int(handle.slot)].dummyInterval
        if interval > .zero { dummies.start(handle, every: interval, now: MonotonicClock.now()) }
    }

    /// Sends one for each SA whose turn it is.
    @inline(never)
    mutating func sendDummies(_ now: Instant) {
        while let (handle, interval) = dummies.takeDue(now) {
            guard let shape = associations.shape(of: handle) else {
                dummies.remove(handle)
                continue
            }
            if let used = associations.lastUse(of: handle), used + interval > now {
                dummies.wait(handle, since: used)
                continue
            }
            dummies.wait(handle, since: now)
            let place = Int(handle.slot)
            let rules = tunnels[place]
            let longest = max(rules.innerMTU - (shape.isTransport ? IPv6Header.length : 0), Self.shortest)
            let length = rules.paddedLength > 0 ? rules.paddedLength : Int.random(in: Self.shortest...longest)
            let outer = OuterMarks(mayFragment: false)
            guard let start = train.makeRoom(for: shape.length(around: length), place, tunnels.ways[place], outer)
            else {
                associations.drops.count(.noRoom)
                continue
            }
            // The train owns this memory, and nothing else uses it until it is sent.
            var slot = unsafe MutableRawSpan(_unsafeBytes: train.memory)
            let body = start + shape.headroom
            slot.clear(body..<(body + length))
            do throws(DropReason) {
                take(try associations.sealDummy(&slot, payload: body..<(body + length), by: handle), handle)
            } catch { continue }
        }
        train.send()
    }
}
