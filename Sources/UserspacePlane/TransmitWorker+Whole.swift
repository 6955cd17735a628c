import Clockwork
import ESPEngine
import IPPackets
import LinuxSystem
import NetworkTypes

/// Packets that leave with the IP header that they came with, by a socket that adds none: those in transport mode whose
/// header says more than addresses and a protocol (RFC 4303 §3.1.1), and AH's that are longer than the path takes. The
/// kernel never cuts such packets: they are cut here, after they are sealed (RFC 4302 §3.3.4, RFC 4303 §3.3.4).
extension TransmitWorker {
    /// Carries a packet in transport mode whose options or extension headers stay outside.
    @inline(never)
    mutating func carryWhole(
        _ packet: RawSpan, _ fields: PacketSelectorFields, _ plan: SegmentationPlan, _ handle: OutboundHandle,
        _ shape: SealedShape, _ now: Instant
    ) {
        let place = Int(handle.slot)
        let rules = tunnels[place]
        // In UDP the kernel writes the header, and knows nothing of these.
        guard let way = wholeWay(place) else {
            associations.drops.count(.headerNotCarried)
            return
        }
        for index in 0..<plan.count {
            let length = plan.length(of: index)
            // Options are not sealed, so padding may be a little longer than the rules know.
            let longest = max(rules.innerMTU - Self.reserve, fields.family == .v6 ? TunnelRules.leastV6MTU : 0)
            if length > longest, packet.doesNotFragment {
                for _ in index..<plan.count { associations.drops.count(.tooBig) }
                report.tooBig(packet, fields, mtu: longest, now: now)
                return
            }
            // The worker's own memory, and nothing else uses it meanwhile.
            var memory = unsafe MutableRawSpan(_unsafeBytes: whole.all)
            let body = shape.headroom
            guard plan.write(index, of: packet, into: &memory, at: body) else {
                associations.drops.count(.noRoom)
                return
            }
            do throws(DropReason) {
                let sealed = try associations.sealWhole(&memory, packet: body..<(body + length), by: handle, now: now)
                note(sealed, handle)
                sendWhole(sealed.packet, place, way)
            } catch { return }
        }
    }

    /// Carries a packet by AH that has to be cut when it is sealed.
    @inline(never)
    mutating func authenticateWhole(
        _ packet: RawSpan, _ handle: OutboundHandle, _ association: OutboundAH, _ now: Instant
    ) {
        let place = Int(handle.slot)
        let way = tunnels.ways[place]
        // As above.
        var memory = unsafe MutableRawSpan(_unsafeBytes: whole.all)
        let body = OutboundAH.headroom
        guard packet.byteCount <= memory.byteCount - body else {
            associations.drops.count(.noRoom)
            return
        }
        memory.copy(packet, at: body)
        do throws(DropReason) {
            let sealed = try authenticated.seal(
                &memory, inner: body..<(body + packet.byteCount), by: association, along: way.path,
                tunnels[place].trafficClass, now: now)
            note(sealed, handle)
            sendWhole(sealed.packet, place, way)
        } catch { return }
    }

    /// A fragment that AH is to carry whole: it waits for the others of its packet.
    @inline(never)
    mutating func authenticateAssembled(
        _ fragment: RawSpan, _ handle: OutboundHandle, _ association: OutboundAH, _ now: Instant
    ) {
        do throws(DropReason) {
            guard let packet = try assembly.take(fragment, scope: handle.slot) else { return }
            // Octets have no padding: a span of them is a raw span.
            authenticateWhole(unsafe packet.span.bytes, handle, association, now)
        } catch {
            associations.drops.count(error)
        }
    }

    /// Where packets with their own headers leave for an SA's peer; nil when the SA's go in UDP.
    private func wholeWay(_ place: Int) -> Way? {
        let way = tunnels.ways[place]
        guard way.path.remote.port == 0, let socket = headerSocket(way.path.local) else { return nil }
        return Way(path: way.path, socket: socket)
    }

    /// Sends the whole packet at `range`, in pieces where the path asks for that.
    private mutating func sendWhole(_ range: Range<Int>, _ place: Int, _ way: Way) {
        let limit = tunnels[place].pathMTU
        // The worker's own memory, which nobody writes to before the next packet.
        let packet = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(whole.all)).extracting(range)
        guard packet.byteCount > limit else {
            write(packet.byteCount, place, way) { slot, start in
                slot.copy(packet, at: start)
                return true
            }
            return
        }
        guard let plan = HostFragmentPlan(packet, mtu: limit) else {
            associations.drops.count(.tooBig)
            return
        }
        identification &+= 1
        let identification = identification
        for index in 0..<plan.count {
            write(plan.length(of: index), place, way) { slot, start in
                plan.write(index, of: packet, identification: identification, into: &slot, at: start)
            }
        }
    }

    /// Puts `length` octets into the train.
    private mutating func write(
        _ length: Int, _ place: Int, _ way: Way, _ body: (inout MutableRawSpan, Int) -> Bool
    ) {
        guard let start = train.makeRoom(for: length, place, way, OuterMarks()) else {
            associations.drops.count(.noRoom)
            return
        }
        // The train owns this memory, and nothing else uses it until it is sent.
        var slot = unsafe MutableRawSpan(_unsafeBytes: train.memory)
        guard body(&slot, start) else {
            associations.drops.count(.noRoom)
            return
        }
        train.append(length)
    }

    /// The longest padding of any cipher.
    private static let reserve = 16
}
