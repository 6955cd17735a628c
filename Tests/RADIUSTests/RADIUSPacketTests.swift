import NetworkTypes
import RADIUS
import Testing
import WireFormat

@Suite struct RADIUSPacketTests {
    @Test(arguments: RFCExamples.all)
    func examplesAreReadAndWrittenAsTheyWere(_ example: [UInt8]) throws {
        let packet = try RADIUSPacket(example)
        #expect(packet.encoded == example)
    }

    @Test func exampleOf7point2SaysWhatTheRFCSays() throws {
        let packet = try RADIUSPacket(RFCExamples.flopsyAccept)
        #expect(packet.code == .accessAccept && packet.identifier == 1)
        #expect(packet.first(.framedIPAddress)?.address(.v4) == IPAddress(v4: 0xffff_fffe))
        #expect(packet.first(.framedMTU)?.number == 1500)
        #expect(packet.attributes.count == 6)
    }

    @Test func paddingIsPassedOver() throws {
        let packet = try RADIUSPacket(RFCExamples.nemoAccept + [1, 2, 3])
        #expect(packet.encoded == RFCExamples.nemoAccept)
    }

    @Test(arguments: [0, 1])
    func attack27AttributeOfNoLength(_ length: UInt8) {
        var octets = RFCExamples.nemoAccept
        octets[21] = length
        #expect(throws: WireError.forbidden(field: "attribute length", value: UInt64(length))) {
            try RADIUSPacket(octets)
        }
    }

    @Test func attack27LengthsThatLie() throws {
        let octets = RFCExamples.nemoAccept
        for count in 0..<octets.count {
            #expect(throws: WireError.self) { try RADIUSPacket(Array(octets.prefix(count))) }
        }
        for length in [0, 19, 39, 4097, 65_535] {
            var lying = octets
            lying[2] = UInt8(length >> 8)
            lying[3] = UInt8(length & 0xff)
            #expect(throws: WireError.self) { try RADIUSPacket(lying) }
        }
        var beyond = octets
        beyond[beyond.count - 5] = 7
        #expect(throws: WireError.self) { try RADIUSPacket(beyond) }
    }

    @Test func attack27VendorAttributesThatLie() {
        let inside: [[UInt8]] = [
            [], [0, 0, 1], [0, 0, 1, 0x37], [0, 0, 1, 0x37, 17], [0, 0, 1, 0x37, 17, 0], [0, 0, 1, 0x37, 17, 1],
            [0, 0, 1, 0x37, 17, 3], [0, 0, 1, 0x37, 17, 255, 1],
        ]
        for value in inside {
            #expect(RADIUSAttribute(.vendorSpecific, value).vendorValues(of: 311).isEmpty)
        }
    }

    @Test func longEAPMessagesAreCutAndJoined() throws {
        let message = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        let pieces = RADIUSPacket.pieces(ofEAP: message)
        #expect(pieces.map(\.value.count) == [253, 253, 253, 241])
        let packet = try RADIUSPacket(try #require(RADIUSPacket(.accessRequest, 1, pieces).encoded))
        #expect(packet.eapMessage == message)
    }

    @Test func whatIsTooLongIsNotWritten() {
        let attribute = RADIUSAttribute(.replyMessage, [UInt8](repeating: 65, count: 253))
        #expect(RADIUSPacket(.accessAccept, 1, [RADIUSAttribute](repeating: attribute, count: 15)).encoded != nil)
        #expect(RADIUSPacket(.accessAccept, 1, [RADIUSAttribute](repeating: attribute, count: 16)).encoded == nil)
        #expect(RADIUSAttribute(.replyMessage, [UInt8](repeating: 65, count: 300)).value.count == 253)
    }
}

/// The packets of RFC 2865 §7; the secret of the two is "xyzzy5461".
enum RFCExamples {
    static let secret = SecretBytes(Array("xyzzy5461".utf8))
    static let nemo = octets(
        """
        01 00 00 38 0f 40 3f 94 73 97 80 57 bd 83 d5 cb 98 f4 22 7a 01 06 6e 65 6d 6f 02 12 0d be 70 8d
        93 d4 13 ce 31 96 e4 3f 78 2a 0a ee 04 06 c0 a8 01 10 05 06 00 00 00 03
        """)
    static let nemoAccept = octets(
        """
        02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf 9b 55 e0 b2 06 06 00 00 00 01 0f 06 00 00 00 00
        0e 06 c0 a8 01 03
        """)
    static let flopsy = octets(
        """
        01 01 00 47 2a ee 86 f0 8d 0d 55 96 9c a5 97 8e 0d 33 67 a2 01 08 66 6c 6f 70 73 79 03 13 16 e9
        75 57 c3 16 18 58 95 f2 93 ff 63 44 07 72 75 04 06 c0 a8 01 10 05 06 00 00 00 14 06 06 00 00 00
        02 07 06 00 00 00 01
        """)
    static let flopsyAccept = octets(
        """
        02 01 00 38 15 ef bc 7d ab 26 cf a3 dc 34 d9 c0 3c 86 01 a4 06 06 00 00 00 02 07 06 00 00 00 01
        08 06 ff ff ff fe 0a 06 00 00 00 02 0d 06 00 00 00 01 0c 06 00 00 05 dc
        """)
    static let mopsy = octets(
        """
        01 02 00 39 f3 a4 7a 1f 6a 6d 76 71 0b 94 7a b9 30 41 a0 39 01 07 6d 6f 70 73 79 02 12 33 65 75
        73 77 82 89 b5 70 88 5e 15 08 48 25 c5 04 06 c0 a8 01 10 05 06 00 00 00 07
        """)
    static let mopsyChallenge = octets(
        """
        0b 02 00 4e 36 f3 c8 76 4a e8 c7 11 57 40 3c 0c 71 ff 9c 45 12 30 43 68 61 6c 6c 65 6e 67 65 20
        33 32 37 36 39 34 33 30 2e 20 20 45 6e 74 65 72 20 72 65 73 70 6f 6e 73 65 20 61 74 20 70 72 6f
        6d 70 74 2e 18 0a 33 32 37 36 39 34 33 30
        """)
    static let mopsyAgain = octets(
        """
        01 03 00 43 b1 22 55 6d 42 8a 13 d0 d6 25 38 07 c4 57 ec f0 01 07 6d 6f 70 73 79 02 12 69 2c 1f
        20 5f c0 81 b9 19 b9 51 95 f5 61 a5 81 04 06 c0 a8 01 10 05 06 00 00 00 07 18 0a 33 32 37 36 39
        34 33 30
        """)
    static let mopsyReject = octets("03 03 00 14 a4 2f 4f ca 45 91 6c 4e 09 c8 34 0f 9e 74 6a a0")

    /// §7.3's second request says that its State has 16 octets and holds 8, as the RFC's text says: it is mended here.
    static let all = [nemo, nemoAccept, flopsy, flopsyAccept, mopsy, mopsyChallenge, mopsyAgain, mopsyReject]

    static func octets(_ text: String) -> [UInt8] {
        text.split(whereSeparator: \.isWhitespace).compactMap { UInt8($0, radix: 16) }
    }
}
