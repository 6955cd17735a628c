import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import LinuxSystem
import NetworkTypes

/// AH's packets on their way out: whole IP packets, which the kernel sends as they are and never cuts.
extension TransmitWorker {
    /// Finds the SA for a packet that no SA of ESP has, and does with each piece what is to be done.
    @inline(never)
    mutating func authenticate(
        _ packet: RawSpan, _ fields: PacketSelectorFields, _ plan: SegmentationPlan, _ handle: OutboundHandle,
        _ now: Instant
    ) {
        guard let association = authenticated.association(of: handle) else {
            associations.drops.count(.noSA)
            return
        }
        if association.isTransport, FragmentAssembly.isFragment(packet) {
            authenticateAssembled(packet, handle, association, now)
            return
        }
        let rules = tunnels[Int(handle.slot)]
        let opening = rules.clamp.isOn ? SegmentSizeClamp.opening(packet, fields) : nil
        for index in 0..<plan.count {
            let length = plan.length(of: index)
            guard length > rules.innerMTU else {
                let isCarried = authenticate(length, fields, handle, association, now) { slot, place in
                    let isWritten = plan.write(index, of: packet, into: &slot, at: place)
                    if isWritten, let opening {
                        rules.clamp.apply(to: &slot, packet: place..<(place + length), tcp: opening)
                    }
                    return isWritten
                }
                guard isCarried else { return }
                continue
            }
            // The worker's own memory, and nothing else uses it meanwhile.
            var memory = unsafe MutableRawSpan(_unsafeBytes: scratch.all)
            guard plan.write(index, of: packet, into: &memory, at: 0) else {
                associations.drops.count(.noRoom)
                return
            }
            // As above.
            let piece = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(scratch.all)).extracting(0..<length)
            guard refit(piece, fields, rules, handle, association, now) else { return }
        }
    }

    /// Does with a packet that is too long what is to be done; false when the others of its kind need not be tried.
    private mutating func refit(
        _ piece: RawSpan, _ fields: PacketSelectorFields, _ rules: TunnelRules, _ handle: OutboundHandle,
        _ association: OutboundAH, _ now: Instant
    ) -> Bool {
        switch rules.fate(isV6: fields.family == .v6, doesNotFragment: piece.doesNotFragment, length: piece.byteCount) {
        case .refused(let mtu):
            associations.drops.count(.tooBig)
            report.tooBig(piece, fields, mtu: mtu, now: now)
            return false
        case .whole:
            authenticateWhole(piece, handle, association, now)
            return true
        case .cut:
            guard let cuts = FragmentPlan(piece, mtu: rules.innerMTU) else {
                associations.drops.count(.tooBig)
                return true
            }
            for cut in 0..<cuts.count {
                let isCarried = authenticate(cuts.length(of: cut), fields, handle, association, now) { slot, place in
                    cuts.write(cut, of: piece, into: &slot, at: place)
                }
                guard isCarried else { return false }
            }
            return true
        }
    }

    /// Carries one inner packet of `length` octets that `write` puts in its place; false when its SA takes no more.
    private mutating func authenticate(
        _ length: Int, _ fields: PacketSelectorFields, _ handle: OutboundHandle, _ association: OutboundAH,
        _ now: Instant, _ write: (inout MutableRawSpan, Int) -> Bool
    ) -> Bool {
        let place = Int(handle.slot)
        let way = tunnels.ways[place]
        let headroom = association.headroom(for: fields.family, along: way.path)
        guard let start = train.makeRoom(for: headroom + length, place, way, OuterMarks()) else {
            associations.drops.count(.noRoom)
            return false
        }
        // The train owns this memory, and nothing else uses it until it is sent.
        var slot = unsafe MutableRawSpan(_unsafeBytes: train.memory)
        let body = start + headroom
        guard write(&slot, body) else {
            associations.drops.count(.noRoom)
            return false
        }
        do throws(DropReason) {
            take(
                try authenticated.seal(
                    &slot, inner: body..<(body + length), by: association, along: way.path,
                    tunnels[place].trafficClass, now: now), handle)
            return true
        } catch { return false }
    }
}
