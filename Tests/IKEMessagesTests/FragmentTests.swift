import IKEMessages
import Testing
import WireFormat

/// RFC 7383.
@Suite struct FragmentTests {
    let message = Message(
        Codec.header,
        [.certificate(CertificatePayload(.x509Signature, Codec.octets(1500))), .nonce(Samples.nonce)])

    func fragments(_ maximumLength: Int, _ cipher: FakeSKCipher = FakeSKCipher()) throws -> [[UInt8]] {
        var counter: UInt8 = 0
        return try message.sealedFragments(with: cipher, maximumLength: maximumLength) {
            counter &+= 1
            return [UInt8](repeating: counter, count: cipher.ivLength)
        }
    }

    @Test(arguments: [80, 100, 257, 548, 1232, 1400]) func fragmentsJoinToTheMessageInAnyOrder(_ size: Int) throws {
        let cipher = FakeSKCipher()
        let datagrams = try fragments(size)
        #expect(datagrams.count > 1)
        #expect(datagrams.allSatisfy { $0.count <= size })
        let opened = try datagrams.map { try SealedMessage(parsing: $0).openFragment(with: cipher) }
        #expect(opened.map { Int($0.place.number) } == Array(1...datagrams.count))
        #expect(opened.allSatisfy { Int($0.place.total) == datagrams.count })
        let whole = try OpenedMessage(joining: opened.reversed())
        #expect(whole.payloads == message.payloads)
        #expect(whole.header == message.header)
        // The AUTH calculation must not see that the message was fragmented (RFC 9242 §3.3.2).
        #expect(whole.intermediateOctets == (try message.intermediateOctets()))
    }

    @Test func aShortMessageIsNotFragmented() throws {
        let datagrams = try fragments(3000)
        #expect(datagrams.count == 1)
        #expect(try SealedMessage(parsing: datagrams[0]).open(with: FakeSKCipher()).payloads == message.payloads)
    }

    @Test func onlyTheFirstFragmentNamesTheFirstPayload() throws {
        let parsed = try fragments(548).map { try SealedMessage(parsing: $0) }
        #expect(parsed.first?.payload.firstInner == .certificate)
        #expect(parsed.dropFirst().allSatisfy { $0.payload.firstInner == .none })
        #expect(parsed.allSatisfy { $0.payload.type == .encryptedFragment })
    }

    @Test func fragmentsThatAreNotOneMessageAreNotJoined() throws {
        let cipher = FakeSKCipher()
        let opened = try fragments(548).map { try SealedMessage(parsing: $0).openFragment(with: cipher) }
        let finer = try fragments(400).map { try SealedMessage(parsing: $0).openFragment(with: cipher) }
        var otherHeader = message
        otherHeader.header.messageID += 1
        let later = try otherHeader.sealedFragments(with: cipher, maximumLength: 548) { Codec.octets(8) }
            .map { try SealedMessage(parsing: $0).openFragment(with: cipher) }
        let sets: [[OpenedFragment]] = [
            [], Array(opened.dropLast()), Array(opened.dropFirst()), opened + [opened[0]],
            Array(opened.dropLast()) + [opened[0]], [opened[0]] + finer.dropFirst().prefix(opened.count - 1),
            [opened[0]] + later.dropFirst(),
        ]
        for set in sets {
            #expect(throws: GrammarError.incompleteFragments) { try OpenedMessage(joining: set) }
        }
    }

    @Test func aFragmentIsNotAMessageAndAMessageIsNoFragment() throws {
        let cipher = FakeSKCipher()
        let fragment = try SealedMessage(parsing: try fragments(548)[0])
        #expect(throws: GrammarError.fragmentation) { try fragment.open(with: cipher) }
        let whole = try SealedMessage(parsing: try fragments(3000)[0])
        #expect(throws: GrammarError.fragmentation) { try whole.openFragment(with: cipher) }
    }

    /// The fragment number is at offset 32, the total at 34, the next payload at 28.
    @Test(
        arguments: [
            (1, 32, [0, 0, 0, 4]), (0, 32, [0, 0, 0, 0]), (0, 32, [0, 5, 0, 4]), (1, 28, [37]),
        ] as [(Int, Int, [UInt8])])
    func numbersThatMakeNoSenseAreRefused(_ index: Int, _ offset: Int, _ octets: [UInt8]) throws {
        var bytes = try fragments(548)[index]
        bytes.replaceSubrange(offset..<(offset + octets.count), with: octets)
        #expect {
            try ReceivedMessage(parsing: bytes)
        } throws: { error in
            guard case .malformed(.encryptedFragment, .forbidden)? = error as? GrammarError else { return false }
            return true
        }
    }

    @Test func theNumbersAreAuthenticated() throws {
        var bytes = try fragments(548)[1]
        bytes[33] += 1
        #expect(throws: GrammarError.integrityCheckFailed) {
            try SealedMessage(parsing: bytes).openFragment(with: FakeSKCipher())
        }
    }

    @Test(arguments: [-10, 0, 40, 56]) func aSizeThatLeavesNoRoomIsRefused(_ size: Int) {
        #expect(throws: WritingError.fragmentSize(size)) { try fragments(size) }
    }

    @Test func fragmentsThatJoinToMoreThanAMessageAreRefused() throws {
        let cipher = FakeSKCipher()
        let half = Payload.vendorID(VendorIDPayload([UInt8](repeating: 0, count: 40000)))
        let large = Message(Codec.header, [half, half])
        let opened = try large.sealedFragments(with: cipher, maximumLength: 1200) { Codec.octets(8) }
            .map { try SealedMessage(parsing: $0).openFragment(with: cipher) }
        #expect {
            try OpenedMessage(joining: opened)
        } throws: { error in
            guard case .messageTooLong? = error as? GrammarError else { return false }
            return true
        }
    }
}
