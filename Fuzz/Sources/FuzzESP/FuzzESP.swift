// What comes to the data plane: datagrams from anybody, the text of a peer that has the keys, packets from our own side,
// and the order of sequence numbers. The first octet chooses.
import Clockwork
import ESPEngine
import FuzzSupport
import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes
import WireFormat

private let spi = SPILayout.spi(index: 1, chance: 5)
private let ours = Endpoint(IPAddress(v4: 0xc000_0201), 4500)
private let theirs = Endpoint(IPAddress(v4: 0xc000_0202), 4500)
private let now = Instant(nanoseconds: 1)

/// Without encryption, so that the input is the text; with an ICV, so that the order of the checks is the real one.
private func association(_ direction: SecurityAssociation.Direction) -> SecurityAssociation {
    func selectors(_ texts: [String]) -> [TrafficSelector] {
        texts.compactMap { IPPrefix($0).map { TrafficSelector($0) } }
    }
    var association = SecurityAssociation(
        direction: direction, spi: spi, child: ChildSAID(rawValue: 1), mode: .tunnel, encryption: .nullEncryption,
        integrity: .sha256, usesExtendedSequenceNumbers: true, encryptionKey: SecretBytes([]),
        integrityKey: SecretBytes([UInt8](repeating: 7, count: 32)), path: Path(local: ours, remote: theirs),
        encapsulation: .udp, replayWindow: 64, localSelectors: selectors(["0.0.0.0/1", "::/1"]),
        remoteSelectors: selectors(["0.0.0.0/1", "::/1"]))
    // A peer that has the keys may send anything compressed.
    association.compressionIndex = 0x3a7
    return association
}

/// One input is one datagram, one text, one packet or one list of sequence numbers.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzESP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Fuzz.octets(start, count)
    guard let first = input.first else { return 0 }
    let rest = Array(input.dropFirst())
    do {
        switch first & 3 {
        case 0: try anybody(rest)
        case 1: try keyHolder(rest)
        case 2: try ourSide(rest)
        default: sequenceNumbers(rest)
        }
    } catch {
        fatalError("a part of the test can't be made: \(error)")
    }
    return 0
}

/// Nothing that comes without the keys is opened.
private func anybody(_ datagram: [UInt8]) throws {
    var database = InboundSADatabase()
    try database.install(try InboundSA(association(.inbound)))
    var buffer = datagram
    let count = buffer.count
    var span = buffer.mutableSpan
    // Octets have no padding: a span of them is a raw span.
    var raw = unsafe span.mutableBytes
    _ = Fuzz.observe("\(EncapsulatedDatagram(raw.bytes))")
    let opened = try? database.open(&raw, packet: 0..<count, from: theirs, now: now)
    Fuzz.require(opened == nil, "a forged packet is opened")
    Fuzz.require(DropReason.allCases.map { database.drops[$0] }.reduce(0, +) == 1, "a drop is counted once")
}

/// What is opened lies within the packet and within the selectors; the number is used either way.
private func keyHolder(_ text: [UInt8]) throws {
    var database = InboundSADatabase()
    try database.install(try InboundSA(association(.inbound)))
    let keys = association(.outbound)
    let cipher = try PacketCipher(
        encryption: keys.encryption, integrity: keys.integrity,
        keys: PacketKeys(encryption: keys.encryptionKey, integrity: keys.integrityKey), direction: .seal)
    let head: [UInt8] = (0..<4).map { UInt8(truncatingIfNeeded: spi >> UInt32(24 - 8 * $0)) } + [0, 0, 0, 9]
    var buffer = head + text + [UInt8](repeating: 0, count: 16)
    let count = buffer.count
    var span = buffer.mutableSpan
    var raw = unsafe span.mutableBytes
    let isSealed = cipher.seal(
        &raw, associatedData: 0..<8, extraAssociatedData: 0, iv: 8..<8, text: 8..<(8 + text.count), icv: 8 + text.count)
    Fuzz.require(isSealed, "any text can be sealed")
    let opened = try? database.open(&raw, packet: 0..<count, from: theirs, now: now)
    if let opened {
        if opened.isExpanded {
            let room = unsafe database.expanded.count
            Fuzz.require(opened.inner.upperBound <= room, "it lies in the memory for it")
            Fuzz.require(opened.inner.count <= 65_535, "it is no longer than a packet can be")
        } else {
            Fuzz.require(
                opened.inner.lowerBound == 8 && opened.inner.upperBound <= count - 18, "the inner packet is inside")
        }
        if opened.isExpanded {
            // The database's own memory, until it is reclaimed.
            let place = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(database.expanded))
            requirePacket(place.extracting(opened.inner))
        } else {
            requirePacket(raw.bytes.extracting(opened.inner))
        }
    }
    guard text.count >= 2 else { return }
    let again = try? database.open(&raw, packet: 0..<count, from: theirs, now: now)
    Fuzz.require(again == nil && database.drops[.replayed] == 1, "an authentic packet comes once")
}

/// What was opened is an IP packet of just that length, within the selectors.
private func requirePacket(_ inner: RawSpan) {
    guard let fields = try? PacketSelectorFields(parsing: inner) else {
        fatalError("what was opened is no packet")
    }
    Fuzz.require(fields.length == inner.byteCount, "the inner packet is cut to its length")
    for address in [fields.source, fields.destination] {
        Fuzz.require(address.bits >> UInt128(address.family.bitWidth - 1) == 0, "it lies in the selectors")
    }
}

/// A packet of ours is sealed and comes out at the peer as it was, or is refused at once.
private func ourSide(_ packet: [UInt8]) throws {
    guard let fields = unsafe try? PacketSelectorFields(parsing: packet.span.bytes) else { return }
    var entropy = SeededEntropy(seed: 1)
    var outbound = OutboundSADatabase(entropy: entropy)
    var inbound = InboundSADatabase()
    var policies = PolicyDatabase()
    let handle = OutboundHandle(slot: 0, serial: 1)
    let keys = association(.outbound)
    try outbound.install(try OutboundSA(keys, serial: 1, entropy: &entropy), at: 0)
    try inbound.install(try InboundSA(association(.inbound)))
    try policies.set(
        keys.child, local: keys.localSelectors, remote: keys.remoteSelectors, action: .protect(handle))
    guard case .protect(let chosen) = policies.verdict(for: fields) else { return }
    let head = OutboundSADatabase.headroom
    var buffer = [UInt8](repeating: 0, count: head) + packet + [UInt8](repeating: 0, count: OutboundSADatabase.tailroom)
    var span = buffer.mutableSpan
    var raw = unsafe span.mutableBytes
    let sealed = try outbound.seal(&raw, inner: head..<(head + fields.length), by: chosen, now: now)
    let opened = try inbound.open(&raw, packet: sealed.packet, from: theirs, now: now)
    let came = unsafe opened.isExpanded ? Array(inbound.expanded[opened.inner]) : Array(buffer[opened.inner])
    Fuzz.require(came == Array(packet.prefix(fields.length)), "it comes out as it was")
}

/// The window against a plain set.
private func sequenceNumbers(_ steps: [UInt8]) {
    guard let size = steps.first.map({ Int($0) * 3 }), var window = ReplayWindow(size: size) else { return }
    var seen: Set<UInt64> = []
    var highest: UInt64 = 0
    for step in steps.dropFirst() {
        let ahead = Int64(Int8(bitPattern: step))
        let sequence = step == 127 ? highest + 1 << 20 : UInt64(max(0, Int64(highest) + ahead))
        let inside = sequence > highest || highest - sequence < UInt64(size)
        let expected = size == 0 || (sequence > 0 && inside && !seen.contains(sequence))
        Fuzz.require(window.isFresh(sequence) == expected, "the window knows what it has seen")
        guard expected else { continue }
        window.accept(sequence)
        seen.insert(sequence)
        highest = max(highest, sequence)
    }
}
