import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import LinuxSystem
import NetworkTypes

/// What becomes of packets that are too long for their tunnel: cut, sealed as they are, or refused with a word to their
/// sender. None of it costs those that fit anything.
extension TransmitWorker {
    /// Does with a packet that is too long for its tunnel, or would be cut into such, what is to be done with each piece.
    @inline(never)
    mutating func refit(
        _ packet: RawSpan, _ fields: PacketSelectorFields, _ plan: SegmentationPlan, _ handle: OutboundHandle,
        _ shape: SealedShape, _ now: Instant
    ) {
        let rules = tunnels[Int(handle.slot)]
        for index in 0..<plan.count {
            // The worker's own memory, and nothing else uses it meanwhile.
            var memory = unsafe MutableRawSpan(_unsafeBytes: scratch.all)
            guard plan.write(index, of: packet, into: &memory, at: 0) else {
                associations.drops.count(.noRoom)
                return
            }
            // As above.
            let piece = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(scratch.all))
                .extracting(0..<plan.length(of: index))
            let fate =
                piece.byteCount <= rules.innerMTU
                ? .whole
                : rules.fate(
                    isV6: fields.family == .v6, doesNotFragment: packet.doesNotFragment, length: piece.byteCount)
            switch fate {
            case .whole:
                guard let skipped = skippedHeader(piece, shape) else { return }
                let isCarried = carry(piece.byteCount, skipped, fields, handle, shape, now) { slot, place in
                    slot.copy(piece, at: place)
                }
                guard isCarried else { return }
            case .cut:
                guard let cuts = FragmentPlan(piece, mtu: rules.innerMTU) else {
                    associations.drops.count(.tooBig)
                    continue
                }
                for cut in 0..<cuts.count {
                    let isCarried = carry(cuts.length(of: cut), 0, fields, handle, shape, now) { slot, place in
                        _ = cuts.write(cut, of: piece, into: &slot, at: place)
                    }
                    guard isCarried else { return }
                }
            case .refused(let mtu):
                // The others are as long, and their sender the same.
                for _ in index..<plan.count { associations.drops.count(.tooBig) }
                report.tooBig(piece, fields, mtu: mtu, now: now)
                return
            }
        }
    }

    /// Carries one inner packet of `length` octets that `write` puts in its place, by what may be cut on its way; false
    /// when its SA takes no more.
    private mutating func carry(
        _ length: Int, _ skipped: Int, _ fields: PacketSelectorFields, _ handle: OutboundHandle,
        _ shape: SealedShape, _ now: Instant, _ write: (inout MutableRawSpan, Int) -> Void
    ) -> Bool {
        let place = Int(handle.slot)
        let rules = tunnels[place]
        let outer = OuterMarks(
            trafficClass: shape.isTransport
                ? fields.trafficClass : rules.trafficClass.outer(forInner: fields.trafficClass))
        let inner = max(length, rules.paddedLength)
        guard let start = train.makeRoom(for: shape.length(around: inner - skipped), place, tunnels.ways[place], outer)
        else {
            associations.drops.count(.noRoom)
            return false
        }
        // The train owns this memory, and nothing else uses it until it is sent. There is room, as was just made sure.
        var slot = unsafe MutableRawSpan(_unsafeBytes: train.memory)
        let body = start + shape.headroom
        write(&slot, body)
        if inner > length { slot.clear((body + length)..<(body + inner)) }
        return seal(&slot, body..<(body + inner), handle, now)
    }
}

extension RawSpan {
    /// Whether the IP packet may not be cut: an IPv6 packet never is by anybody but its sender.
    @inline(__always)
    var doesNotFragment: Bool { uint8(at: 0) >> 4 == 6 || uint8(at: 6) & 0x40 != 0 }
}

extension MutableRawSpan {
    /// Zeros, which is what traffic flow confidentiality padding may be (RFC 4303 §2.7).
    @inline(never)
    mutating func clear(_ range: Range<Int>) {
        for offset in range { storeBytes(of: 0, toByteOffset: offset, as: UInt8.self) }
    }
}
