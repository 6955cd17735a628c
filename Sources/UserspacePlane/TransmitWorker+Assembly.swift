import Clockwork
import ESPEngine
import IPPackets
import LinuxSystem
import NetworkTypes

/// Fragments on their way into transport mode, or into an SA whose peer takes none that hide their ports: joined first,
/// then sealed, then cut again by the kernel as any long packet.
extension TransmitWorker {
    /// Takes a fragment that an SA is to carry whole.
    @inline(never)
    mutating func assemble(
        _ fragment: RawSpan, _ fields: PacketSelectorFields, _ handle: OutboundHandle, _ shape: SealedShape,
        _ now: Instant
    ) {
        do throws(DropReason) {
            guard let whole = try assembly.take(fragment, scope: handle.slot) else { return }
            // Octets have no padding: a span of them is a raw span.
            let packet = unsafe whole.span.bytes
            let skipped = shape.isTransport ? try TransportHeader(parsing: packet).length : 0
            let rules = tunnels[Int(handle.slot)]
            let outer = OuterMarks(
                trafficClass: shape.isTransport
                    ? fields.trafficClass : rules.trafficClass.outer(forInner: fields.trafficClass))
            let length = shape.length(around: whole.count - skipped)
            guard let start = train.makeRoom(for: length, Int(handle.slot), tunnels.ways[Int(handle.slot)], outer)
            else {
                throw .noRoom
            }
            // The train owns this memory, and nothing else uses it until it is sent.
            var slot = unsafe MutableRawSpan(_unsafeBytes: train.memory)
            let body = start + shape.headroom
            guard whole.count <= slot.byteCount - body else { throw .noRoom }
            slot.copy(packet, at: body)
            _ = seal(&slot, body..<(body + whole.count), handle, now)
        } catch {
            associations.drops.count(error)
        }
    }
}
