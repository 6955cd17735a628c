import IKEMessages
import Testing
import WireFormat

@Suite struct MessageTests {
    @Test func aWholeMessageWithstandsTheCodecTest() throws {
        let payloads = Samples.all.filter { $0.payload.type != .unknown200 }.map { $0.payload }
        try Codec.check(Message(Codec.header, Array(payloads.prefix(6))))
        try Codec.check(Message(Codec.header, []))
    }

    @Test func theHeaderIsReadFieldByField() throws {
        let bytes: [UInt8] =
            [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0x21, 34, 0xff, 0, 0, 1, 2, 0, 0, 0, 28]
        let header = try Message(parsing: bytes).header
        #expect(header.initiatorSPI == 0x0102_0304_0506_0708)
        #expect(header.responderSPI == 9)
        #expect(header.version == IKEVersion(rawValue: 0x21))
        #expect(header.exchange == .ikeSAInit)
        #expect(header.flags == [.initiator, .version, .response])
        #expect(header.messageID == 258)
        #expect(try IKEHeader(peeking: bytes) == header)
    }

    @Test(arguments: [27, 29] as [UInt8]) func theLengthMustBeTheDatagrams(_ stated: UInt8) {
        let bytes: [UInt8] = [UInt8](repeating: 1, count: 16) + [0, 0x20, 34, 0, 0, 0, 0, 0, 0, 0, 0, stated]
        #expect(throws: GrammarError.lengthMismatch(stated: UInt32(stated), datagram: 28)) {
            try ReceivedMessage(parsing: bytes)
        }
    }

    @Test(arguments: [0x10, 0x30, 0x00, 0xf0] as [UInt8])
    func anotherMajorVersionIsRefusedButItsHeaderCanBeRead(_ version: UInt8) throws {
        var bytes = try Message(Codec.header, []).encoded()
        bytes[17] = version
        #expect(throws: GrammarError.unsupportedVersion(IKEVersion(rawValue: version))) {
            try ReceivedMessage(parsing: bytes)
        }
        #expect(try IKEHeader(peeking: bytes).version.rawValue == version)
    }

    @Test func anUnknownPayloadIsKeptUnlessItIsCritical() throws {
        var bytes = try Message(Codec.header, [.unknown(.unknown200, UnknownPayload([1, 2]))]).encoded()
        #expect(try Message(parsing: bytes).payloads == [.unknown(.unknown200, UnknownPayload([1, 2]))])
        bytes[29] = 0x80
        #expect(throws: GrammarError.unsupportedCriticalPayload(.unknown200)) { try ReceivedMessage(parsing: bytes) }
    }

    @Test func theCriticalBitOfAKnownPayloadIsIgnored() throws {
        var bytes = try Message(Codec.header, [.nonce(Samples.nonce)]).encoded()
        bytes[29] = 0xff
        #expect(try Message(parsing: bytes).payloads == [.nonce(Samples.nonce)])
    }

    @Test func thereAreAtMost255Payloads() throws {
        let vendor = Payload.vendorID(VendorIDPayload([]))
        let most = Message(Codec.header, [Payload](repeating: vendor, count: 255))
        let bytes = try most.encoded()
        #expect(try Message(parsing: bytes) == most)
        #expect(throws: WritingError.tooManyPayloads(256)) {
            try Message(Codec.header, most.payloads + [vendor]).encoded()
        }
        var longer = bytes + [0, 0, 0, 4]
        longer[bytes.count - 4] = PayloadType.vendorID.rawValue
        Codec.patch(&longer, at: 24, UInt32(longer.count))
        #expect(throws: GrammarError.tooManyPayloads) { try ReceivedMessage(parsing: longer) }
    }

    @Test func octetsAfterTheLastPayloadAreRefused() throws {
        var bytes = try Message(Codec.header, [.nonce(Samples.nonce)]).encoded() + [0]
        Codec.patch(&bytes, at: 24, UInt32(bytes.count))
        #expect(throws: GrammarError.trailing(1)) { try ReceivedMessage(parsing: bytes) }
    }

    @Test(arguments: [0, 3] as [UInt8]) func aPayloadShorterThanItsHeaderIsRefused(_ length: UInt8) throws {
        var bytes = try Message(Codec.header, [.nonce(Samples.nonce)]).encoded()
        bytes[31] = length
        #expect(throws: GrammarError.malformed(.nonce, .short(field: "payload", needed: Int(length) - 4, had: 32))) {
            try ReceivedMessage(parsing: bytes)
        }
    }

    @Test func whatIsTooLongIsNeitherReadNorWritten() {
        let huge = [UInt8](repeating: 0, count: 65536)
        #expect(throws: GrammarError.messageTooLong(65536)) { try ReceivedMessage(parsing: huge) }
        #expect(throws: WritingError.payloadTooLong) {
            try Message(Codec.header, [.vendorID(VendorIDPayload(huge))]).encoded()
        }
        let half = Payload.vendorID(VendorIDPayload([UInt8](repeating: 0, count: 33000)))
        #expect(throws: WritingError.messageTooLong(28 + 2 * 33004)) {
            try Message(Codec.header, [half, half]).encoded()
        }
    }

    @Test func aSealedMessageIsNotOneInClear() throws {
        let bytes = try Message(Codec.header, []).sealed(with: FakeSKCipher(), iv: Codec.octets(8))
        #expect(throws: GrammarError.unexpectedProtection(.informational)) { try Message(parsing: bytes) }
        let clear = try Message(Codec.header, []).encoded()
        #expect(throws: GrammarError.unprotected(.informational)) { try SealedMessage(parsing: clear) }
    }
}

extension PayloadType {
    static let unknown200 = PayloadType(rawValue: 200)
}
