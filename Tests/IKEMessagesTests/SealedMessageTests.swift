import IKEMessages
import Testing
import WireFormat

@Suite struct SealedMessageTests {
    let message = Message(Codec.header, [.nonce(Samples.nonce), .notify(NotifyPayload(.cookie2, [1, 2, 3]))])

    @Test(arguments: [1, 2, 4, 8, 16], [0, 8, 16])
    func whatWasSealedIsOpened(_ blockLength: Int, _ ivLength: Int) throws {
        let cipher = FakeSKCipher(ivLength: ivLength, blockLength: blockLength)
        for extra in 0..<20 {
            let message = Message(Codec.header, [.vendorID(VendorIDPayload(Codec.octets(extra)))])
            let bytes = try message.sealed(with: cipher, iv: Codec.octets(ivLength))
            // The padding is the shortest that fills the blocks.
            let content = 4 + extra + 1
            let padded = (content + blockLength - 1) / blockLength * blockLength
            #expect(bytes.count == 28 + 4 + ivLength + padded + 12)
            let opened = try SealedMessage(parsing: bytes).open(with: cipher)
            #expect(opened.payloads == message.payloads)
            #expect(opened.header == message.header)
            #expect(opened.unprotected.isEmpty)
        }
    }

    @Test func anEmptyMessageIsSealed() throws {
        let opened = try Message(Codec.header, []).opened()
        #expect(opened.payloads.isEmpty)
    }

    @Test func everyTruncationAndEveryBitFlipIsRefused() throws {
        let cipher = FakeSKCipher()
        let bytes = try message.sealed(with: cipher, iv: Codec.octets(8))
        for cut in 0..<bytes.count {
            #expect(throws: GrammarError.self) { try ReceivedMessage(parsing: Array(bytes[..<cut])) }
            guard cut >= 32 else { continue }
            let fitted = Codec.fitted(Array(bytes[..<cut]))
            #expect(throws: GrammarError.self) { try SealedMessage(parsing: fitted).open(with: cipher) }
        }
        for bit in 0..<(bytes.count * 8) {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: GrammarError.self, "bit \(bit)") { try SealedMessage(parsing: flipped).open(with: cipher) }
        }
    }

    @Test func theWrongKeyOpensNothing() throws {
        let bytes = try message.sealed(with: FakeSKCipher(key: 1), iv: Codec.octets(8))
        #expect(throws: GrammarError.integrityCheckFailed) {
            try SealedMessage(parsing: bytes).open(with: FakeSKCipher(key: 2))
        }
    }

    @Test(arguments: [0, 1, 19, 20, 35, 37]) func aBodyThatIsNotWholeBlocksIsNotEvenDecrypted(_ count: Int) throws {
        let sealed = try SealedMessage(parsing: Self.datagram([], .none, body: Codec.octets(count)))
        #expect(throws: GrammarError.sealedLength(count)) { try sealed.open(with: FakeSKCipher()) }
    }

    @Test func aPadLengthLargerThanThePlaintextIsRefused() throws {
        let cipher = FakeSKCipher(blockLength: 1)
        for (plaintext, pad) in [([1] as [UInt8], 1 as UInt8), ([7, 7, 200], 200)] {
            let sealed = try SealedMessage(parsing: Self.sealing(plaintext, .nonce, with: cipher))
            #expect(throws: GrammarError.padding(length: pad, plaintext: plaintext.count)) {
                try sealed.open(with: cipher)
            }
        }
    }

    @Test func anyPaddingThatFitsIsAccepted() throws {
        let cipher = FakeSKCipher(blockLength: 1)
        let chain: [UInt8] = [0, 0, 0, 5, 42]
        let bytes = Self.sealing(chain + [UInt8](repeating: 0xee, count: 255) + [255], .vendorID, with: cipher)
        #expect(try SealedMessage(parsing: bytes).open(with: cipher).payloads == [.vendorID(VendorIDPayload([42]))])
    }

    @Test(arguments: [PayloadType.encrypted, .encryptedFragment])
    func anEncryptedPayloadInsideAnotherIsRefused(_ type: PayloadType) throws {
        let cipher = FakeSKCipher(blockLength: 1)
        let bytes = Self.sealing([0, 0, 0, 8, 0, 1, 0, 1, 0], type, with: cipher)
        #expect(throws: GrammarError.nestedProtection(type)) { try SealedMessage(parsing: bytes).open(with: cipher) }
    }

    @Test func whatIsInsideIsParsedAsStrictly() throws {
        let cipher = FakeSKCipher(blockLength: 1)
        let critical = Self.sealing([0, 0x80, 0, 4, 0], .unknown200, with: cipher)
        #expect(throws: GrammarError.unsupportedCriticalPayload(.unknown200)) {
            try SealedMessage(parsing: critical).open(with: cipher)
        }
        let trailing = Self.sealing([0, 0, 0, 4, 9, 9, 0], .vendorID, with: cipher)
        #expect(throws: GrammarError.trailing(2)) { try SealedMessage(parsing: trailing).open(with: cipher) }
    }

    @Test func theEncryptedPayloadIsTheLast() throws {
        var bytes = Self.datagram([], .none, body: Codec.octets(40)) + [0]
        Codec.patch(&bytes, at: 24, UInt32(bytes.count))
        #expect(throws: GrammarError.protectionNotLast(.encrypted)) { try ReceivedMessage(parsing: bytes) }
    }

    @Test func payloadsInClearBeforeItMustBeKnown() throws {
        let known = Payload.vendorID(VendorIDPayload([1]))
        let body = Codec.octets(40)
        let sealed = try SealedMessage(parsing: Self.datagram([known], .none, body: body))
        #expect(sealed.unprotected == [known])
        let unknown = Payload.unknown(.unknown200, UnknownPayload([1]))
        #expect(throws: GrammarError.unknownBeforeProtection(.unknown200)) {
            try ReceivedMessage(parsing: Self.datagram([unknown], .none, body: body))
        }
    }

    @Test func payloadsInClearAreAuthenticatedButStayApart() throws {
        let cipher = FakeSKCipher(blockLength: 1)
        let known = Payload.vendorID(VendorIDPayload([1]))
        var bytes = Self.sealing([0, 0, 0, 5, 42, 0], .vendorID, before: [known], with: cipher)
        let opened = try SealedMessage(parsing: bytes).open(with: cipher)
        #expect(opened.unprotected == [known])
        #expect(opened.payloads == [.vendorID(VendorIDPayload([42]))])
        bytes[32] ^= 1
        #expect(throws: GrammarError.integrityCheckFailed) { try SealedMessage(parsing: bytes).open(with: cipher) }
    }

    @Test func theCipherMustBeAskedForWhatItIs() {
        #expect(throws: WritingError.ivLength(7, expected: 8)) {
            try message.sealed(with: FakeSKCipher(), iv: Codec.octets(7))
        }
    }

    @Test func theIntermediateOctetsCountNeitherIVNorPaddingNorICV() throws {
        // RFC 9242 §3.3.2: both ends must compute the same, whatever the cipher adds.
        let sent = try message.intermediateOctets()
        #expect(try message.opened().intermediateOctets == sent)
        let chain = 4 + 32 + 4 + 4 + 3
        #expect(sent.count == 28 + 4 + chain)
        #expect(Array(sent[24..<28]) == [0, 0, 0, UInt8(28 + 4 + chain)])
        #expect(Array(sent[28..<32]) == [PayloadType.nonce.rawValue, 0, 0, UInt8(4 + chain)])
    }

    /// A datagram with `payloads` in clear and an SK payload that holds `body`.
    static func datagram(_ payloads: [Payload], _ firstInner: PayloadType, body: [UInt8]) -> [UInt8] {
        var writer = WireWriter()
        writer.uint64(1)
        writer.uint64(2)
        writer.append([(payloads.first?.type ?? .encrypted).rawValue, 0x20, 37, 8, 0, 0, 0, 1, 0, 0, 0, 0])
        for (index, payload) in payloads.enumerated() {
            let next = index + 1 < payloads.count ? payloads[index + 1].type : .encrypted
            writer.append([next.rawValue, 0])
            writer.lengthPrefixed16(overhead: 4) { payload.write(into: &$0) }
        }
        EncryptedPayload(firstInner: firstInner, body: body).write(into: &writer)
        writer.patch32(at: 24, writer.count)
        return writer.bytes
    }

    /// A datagram whose SK payload holds exactly this plaintext, Pad Length included.
    static func sealing(
        _ plaintext: [UInt8], _ firstInner: PayloadType, before: [Payload] = [], with cipher: FakeSKCipher
    ) -> [UInt8] {
        let iv = Codec.octets(cipher.ivLength)
        let room = [UInt8](repeating: 0, count: iv.count + plaintext.count + cipher.icvLength)
        let head = datagram(before, firstInner, body: room).dropLast(room.count)
        let sealed = cipher.seal(associatedData: Array(head).span, iv: iv.span, plaintext: plaintext.span)
        return Array(head) + iv + (sealed ?? [])
    }
}
