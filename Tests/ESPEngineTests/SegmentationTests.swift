import Clockwork
import IPPackets
import NetworkTypes
import Testing
import WireFormat

/// Packets that are cut and joined: the pieces are right by another computation, and what does not fit is refused.
struct SegmentationTests {
    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }

    @Test func theSumIsThatOfTheOtherImplementation() {
        var entropy = SeededEntropy(seed: 5)
        let bytes = entropy.bytes(300) + [UInt8](repeating: 0xff, count: 300) + [UInt8](repeating: 0, count: 40)
        for start in 0..<9 {
            for end in start..<bytes.count {
                var expected = InternetChecksum()
                expected.add(bytes.span.extracting(start..<end))
                expected.add(UInt32(0xfedc_ba98))
                let sum = unsafe OnesSum.of(bytes.span.bytes.extracting(start..<end), plus: 0xfedc_ba98)
                #expect(~sum == expected.value)
            }
        }
        let long = [UInt8](repeating: 0xff, count: 65_535)
        var expected = InternetChecksum()
        expected.add(long.span)
        #expect(unsafe ~OnesSum.of(long.span.bytes) == expected.value)
    }

    /// Any packet: cut, each piece verified, joined again, and it is what it was.
    @Test(arguments: [false, true]) func cutAndJoinedIsWhatItWas(v6: Bool) throws {
        var entropy = SeededEntropy(seed: v6 ? 6 : 4)
        for round in 0..<40 {
            let numbers = entropy.bytes(8).map { Int($0) }
            let size = 300 + numbers[0] * 5
            let length = (numbers[1] << 8 | numbers[2]) % 60_000 + 1
            let options = numbers[3] % 11 * 4
            let flags = SuperPacket.acknowledgement | (numbers[4] & 1 == 0 ? SuperPacket.push : 0)
            let packet = try SuperPacket(
                v6: v6, payload: entropy.bytes(length), segmentSize: size, options: options, flags: flags,
                sequence: .max - UInt32(numbers[5] * 100), fragments: round % 3 == 0)
            let pieces = try SuperPacket.cut(packet.bytes, packet.header)
            #expect(pieces.count == (length + size - 1) / size)
            var payload: [UInt8] = []
            for (index, piece) in pieces.enumerated() {
                #expect(try SuperPacket.isIntact(piece))
                let sequence = Self.word(packet.bytes, packet.network + 4) &+ UInt32(index * size)
                #expect(Self.word(piece, packet.network + 4) == sequence)
                let isLast = index == pieces.count - 1
                #expect(piece[packet.network + 13] == (isLast ? flags : SuperPacket.acknowledgement))
                if !v6 {
                    let first = UInt16(packet.bytes[4]) << 8 | UInt16(packet.bytes[5])
                    #expect(UInt16(piece[4]) << 8 | UInt16(piece[5]) == first &+ UInt16(index))
                }
                payload += piece[packet.headers...]
            }
            #expect(payload == Array(packet.bytes[packet.headers...]))
            let joined = SuperPacket.join(pieces)
            try #require(joined.count == 1)
            if pieces.count == 1 {
                #expect(joined[0].header == VirtioHeader() && joined[0].bytes == pieces[0])
            } else {
                #expect(joined[0].header == packet.header)
                #expect(joined[0].bytes == packet.bytes)
            }
        }
    }

    @Test(arguments: [false, true]) func flagsThatAreSaidOnceAreSaidOnce(v6: Bool) throws {
        let (fin, cwr): (UInt8, UInt8) = (1, 0x80)
        let flags = SuperPacket.acknowledgement | SuperPacket.push | fin | cwr
        let packet = try SuperPacket(v6: v6, payload: .init(repeating: 7, count: 350), segmentSize: 100, flags: flags)
        let pieces = try SuperPacket.cut(packet.bytes, packet.header)
        #expect(
            pieces.map { $0[packet.network + 13] } == [
                SuperPacket.acknowledgement | cwr, SuperPacket.acknowledgement, SuperPacket.acknowledgement,
                SuperPacket.acknowledgement | SuperPacket.push | fin,
            ])
        for piece in pieces { #expect(try SuperPacket.isIntact(piece)) }
    }

    @Test(arguments: [false, true]) func datagramsAreCut(v6: Bool) throws {
        var entropy = SeededEntropy(seed: 9)
        let packet = try SuperPacket(v6: v6, udp: true, payload: entropy.bytes(3333), segmentSize: 1000)
        let pieces = try SuperPacket.cut(packet.bytes, packet.header)
        #expect(pieces.map { $0.count - packet.headers } == [1000, 1000, 1000, 333])
        for piece in pieces {
            #expect(try SuperPacket.isIntact(piece))
            let said = Int(piece[packet.network + 4]) << 8 | Int(piece[packet.network + 5])
            #expect(said == piece.count - packet.network)
        }
        #expect(pieces.flatMap { $0[packet.headers...] } == Array(packet.bytes[packet.headers...]))
    }

    /// Only the checksum is missing. One that comes out as zero is written as the other zero: zero says that there is
    /// none.
    @Test(arguments: [false, true]) func missingChecksumsAreMade(v6: Bool) throws {
        for last in 0...UInt16.max where last % 251 == 0 || last > 65_000 {
            var packet = try SuperPacket(
                v6: v6, udp: true, payload: [1, 2, UInt8(last >> 8), UInt8(last & 0xff)], segmentSize: 0)
            packet.header.segmentation = .none
            let pieces = try SuperPacket.cut(packet.bytes, packet.header)
            try #require(pieces.count == 1)
            #expect(try SuperPacket.isIntact(pieces[0]))
            #expect(pieces[0][packet.network + 6] != 0 || pieces[0][packet.network + 7] != 0)
        }
    }

    @Test func theHeaderIsReadAsItIsWritten() throws {
        let header = try SuperPacket(v6: true, payload: [1, 2, 3], segmentSize: 2).header
        var bytes = [UInt8](repeating: 0, count: 12)
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        let beyond = header.write(into: &raw, at: 3)
        let before = header.write(into: &raw, at: -1)
        let isWritten = header.write(into: &raw, at: 2)
        #expect(!beyond && !before && isWritten)
        #expect(unsafe try VirtioHeader(parsing: bytes.span.bytes.extracting(2..<12)) == header)
        // On this machine, as the kernel writes it: checksum wanted, TCP over IPv6, in the host's order.
        #expect(bytes[2...3] == [1, 4])
        #expect(unsafe bytes.span.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: 6, as: UInt16.self) == 2)
        for length in 0..<10 {
            #expect(throws: PacketFault.short) {
                unsafe try VirtioHeader(parsing: bytes.span.bytes.extracting(0..<length))
            }
        }
        for kind in [2, 3, 6, 0x7f] as [UInt8] {
            bytes[1] = kind
            #expect(throws: PacketFault.badOffload) { unsafe try VirtioHeader(parsing: bytes.span.bytes) }
        }
        // With the bit that says CWR may be there.
        bytes[1] = 0x81
        #expect(unsafe try VirtioHeader(parsing: bytes.span.bytes).segmentation == .tcp4)
    }

    @Test(arguments: [false, true]) func whatDoesNotFitIsRefused(v6: Bool) throws {
        let right = try SuperPacket(v6: v6, payload: .init(repeating: 1, count: 500), segmentSize: 100)
        func refused(_ change: (inout SuperPacket) -> Void) -> Bool {
            var wrong = right
            change(&wrong)
            do {
                _ = unsafe try SegmentationPlan(wrong.bytes.span.bytes, wrong.header)
                return false
            } catch { return true }
        }
        #expect(!refused { _ in })
        #expect(refused { $0.bytes = [] })
        #expect(refused { $0.header.segmentSize = 0 })
        #expect(refused { $0.header.needsChecksum = false })
        #expect(refused { $0.header.segmentation = v6 ? .tcp4 : .tcp6 })
        #expect(refused { $0.header.segmentation = .udp })
        #expect(refused { $0.header.checksumStart += 1 })
        #expect(refused { $0.header.checksumStart = .max })
        #expect(refused { $0.header.checksumOffset = 14 })
        #expect(refused { $0.header.checksumOffset = .max })
        #expect(refused { $0.bytes[right.network + 12] = 0x40 })
        #expect(refused { $0.bytes.removeLast() })
        #expect(refused { $0.bytes.append(0) })
        if !v6 { #expect(refused { $0.bytes[6] = 0x20 }) }
        // Without a payload there is nothing to cut.
        let empty = try SuperPacket(v6: v6, payload: [], segmentSize: 100)
        #expect(throws: PacketFault.badOffload) {
            unsafe try SegmentationPlan(empty.bytes.span.bytes, empty.header)
        }
        // A header longer than the packet.
        let short = try SuperPacket(v6: v6, payload: [1], segmentSize: 100, options: 0)
        var long = short.bytes
        long[short.network + 12] = 0xf0
        #expect(throws: PacketFault.badOffload) { unsafe try SegmentationPlan(long.span.bytes, short.header) }
        // Nothing but a checksum, outside of the packet.
        var checksum = VirtioHeader()
        checksum.needsChecksum = true
        checksum.checksumStart = 19
        for offset in [UInt16(short.bytes.count - 20), .max] {
            checksum.checksumOffset = offset
            #expect(throws: PacketFault.badOffload) { unsafe try SegmentationPlan(short.bytes.span.bytes, checksum) }
        }
    }

    /// Damaged packets and headers of any kind: refused, or cut into pieces that fit; nothing traps.
    @Test func noDamageTraps() throws {
        var entropy = SeededEntropy(seed: 77)
        var refused = 0
        var cut = 0
        for round in 0..<6000 {
            let draw = entropy.bytes(16)
            let packet = try SuperPacket(
                v6: draw[0] & 1 == 0, udp: draw[0] & 2 == 0, payload: .init(repeating: 3, count: Int(draw[1])),
                segmentSize: Int(draw[2]))
            var bytes = packet.bytes
            var header = [UInt8](repeating: 0, count: VirtioHeader.length)
            var span = header.mutableSpan
            var raw = unsafe span.mutableBytes
            let isWritten = packet.header.write(into: &raw)
            #expect(isWritten)
            for index in 0..<Int(draw[3] % 4) {
                bytes[(Int(draw[4 + index]) + round) % min(bytes.count, 70)] = draw[8 + index]
            }
            if draw[12] & 1 == 0 { header[Int(draw[13]) % header.count] = draw[14] }
            do {
                let said = unsafe try VirtioHeader(parsing: header.span.bytes)
                let plan = unsafe try SegmentationPlan(bytes.span.bytes, said)
                for index in 0..<plan.count {
                    var room = [UInt8](repeating: 0, count: plan.length(of: index))
                    var span = room.mutableSpan
                    var raw = unsafe span.mutableBytes
                    let isWritten = unsafe plan.write(index, of: bytes.span.bytes, into: &raw, at: 0)
                    #expect(isWritten)
                    // Whatever it is now, looking at it does no harm either.
                    _ = unsafe TCPTrain(room.span.bytes)
                }
                cut += 1
            } catch { refused += 1 }
        }
        #expect(refused > 500 && cut > 500)
    }
}
