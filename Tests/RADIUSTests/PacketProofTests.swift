import IPsecCrypto
import RADIUS
import Testing
import WireFormat

@Suite struct PacketProofTests {
    private static let proof = PacketProof(RFCExamples.secret)

    @Test(arguments: [
        (RFCExamples.nemo, RFCExamples.nemoAccept), (RFCExamples.flopsy, RFCExamples.flopsyAccept),
        (RFCExamples.mopsy, RFCExamples.mopsyChallenge), (RFCExamples.mopsyAgain, RFCExamples.mopsyReject),
    ])
    func answersOfTheRFCAreBelieved(_ request: [UInt8], _ answer: [UInt8]) throws {
        let asked = try RADIUSPacket(request)
        try Self.proof.check(
            answer: try RADIUSPacket(answer), to: asked.authenticator, needsMessageAuthenticator: false)
    }

    @Test func noOctetOfAnAnswerCanBeChanged() throws {
        let asked = try RADIUSPacket(RFCExamples.nemo)
        for index in RFCExamples.nemoAccept.indices {
            var forged = RFCExamples.nemoAccept
            forged[index] ^= 1
            guard let packet = try? RADIUSPacket(forged) else { continue }
            #expect(throws: PacketProof.Failure.authenticator) {
                try Self.proof.check(answer: packet, to: asked.authenticator, needsMessageAuthenticator: false)
            }
        }
    }

    /// Blast-RADIUS (CVE-2024-3596): the authenticator alone, right as it may look, proves nothing.
    @Test func attack27AnswerWithoutMessageAuthenticator() throws {
        let asked = try RADIUSPacket(RFCExamples.nemo)
        #expect(throws: PacketProof.Failure.noMessageAuthenticator) {
            try Self.proof.check(
                answer: try RADIUSPacket(RFCExamples.nemoAccept), to: asked.authenticator,
                needsMessageAuthenticator: true)
        }
    }

    @Test func attack27AnswerWithAnotherMessageAuthenticator() throws {
        let asked = try RADIUSPacket(RFCExamples.nemo)
        // Two of them; one that is short; one of zeros. The authenticator over all is right each time.
        let wrong: [[RADIUSAttribute]] = [
            [
                RADIUSAttribute(.messageAuthenticator, [UInt8](repeating: 0, count: 16)),
                RADIUSAttribute(.messageAuthenticator, [UInt8](repeating: 0, count: 16)),
            ],
            [RADIUSAttribute(.messageAuthenticator, [1, 2, 3])], [RADIUSAttribute(.messageAuthenticator, [])],
            [RADIUSAttribute(.messageAuthenticator, [UInt8](repeating: 0, count: 16))],
        ]
        for attributes in wrong {
            let packet = Forge.answer(RADIUSPacket(.accessAccept, 0, attributes), to: asked, RFCExamples.secret)
            #expect(throws: PacketProof.Failure.messageAuthenticator) {
                try Self.proof.check(answer: packet, to: asked.authenticator, needsMessageAuthenticator: true)
            }
        }
        let right = try RADIUSPacket(
            try #require(Self.proof.sealedAnswer(RADIUSPacket(.accessAccept, 0, []), to: asked)))
        try Self.proof.check(answer: right, to: asked.authenticator, needsMessageAuthenticator: true)
    }

    // The following octets were computed by Python's hashlib and hmac, from RFC 3579 §3.2, RFC 2866 §3, RFC 2548 §2.4.2.

    private static let ends = SecretBytes(Array("a secret of two ends".utf8))
    private static let counted = (0..<16).map { UInt8($0) }

    @Test func accessRequestsAreSealed() throws {
        let eap: [UInt8] = [2, 7, 0, 10, 1] + Array("carol".utf8)
        let packet = RADIUSPacket(
            .accessRequest, 7, authenticator: Self.counted,
            [RADIUSAttribute(.userName, text: "carol")] + RADIUSPacket.pieces(ofEAP: eap))
        #expect(
            PacketProof(Self.ends).sealedAccessRequest(packet).map(Hex.encode)
                == "01070039000102030405060708090a0b0c0d0e0f5012fc503edf2a40755b62e6a3ae2b9d9d1601076361726f6c"
                + "4f0c0207000a016361726f6c")
    }

    @Test func accountingRequestsAreSealed() throws {
        let packet = RADIUSPacket(
            .accountingRequest, 9,
            [RADIUSAttribute(.acctStatusType, number: 1), RADIUSAttribute(.acctSessionID, text: "ab-1")])
        let sealed = try #require(PacketProof(Self.ends).sealedAccountingRequest(packet))
        #expect(Hex.encode(sealed.octets) == "0409002025d1ee8c637c596713bc994888389da42806000000012c0661622d31")
        #expect(Hex.encode(sealed.authenticator) == "25d1ee8c637c596713bc994888389da4")
    }

    @Test func requestsFromOutsideAreBelieved() throws {
        let octets = try #require(
            Hex.decode("280300218501ba3d38f45c238e769e541e46517b01076361726f6c37066553f100"))
        try PacketProof(Self.ends).check(request: try RADIUSPacket(octets))
        for index in octets.indices {
            var forged = octets
            forged[index] ^= 1
            guard let packet = try? RADIUSPacket(forged) else { continue }
            #expect(throws: PacketProof.Failure.authenticator) { try PacketProof(Self.ends).check(request: packet) }
        }
    }

    @Test func keysAreDecrypted() throws {
        let value = try #require(
            Hex.decode(
                "8102faf55d4d7db8a968d3b75a8b420f3f3a604851235d29a0a1a0067349b7aa7b0513af69ef0289358f520094072ca162ce"))
        let key = try #require(PacketProof(Self.ends).key(in: value, requestAuthenticator: Self.counted))
        #expect(key == SecretBytes((0x40..<0x60).map { UInt8($0) }))
        let other = PacketProof(RFCExamples.secret).key(in: value, requestAuthenticator: Self.counted)
        #expect(other != key)
    }

    @Test func attack27KeysThatLieAboutTheirLength() throws {
        let proof = PacketProof(Self.ends)
        for count in [0, 1, 2, 17, 19, 33, 253] {
            let value = [UInt8](repeating: 7, count: count)
            #expect(proof.key(in: value, requestAuthenticator: Self.counted) == nil)
        }
        for length: UInt8 in [0, 16, 17, 255] {
            let value = Forge.key([length] + [UInt8](repeating: 9, count: 15), Self.ends, Self.counted)
            #expect(proof.key(in: value, requestAuthenticator: Self.counted) == nil)
        }
    }
}

/// What a server writes, and what somebody writes who poses as one.
enum Forge {
    /// An answer whose authenticator is right and whose attributes are as they are.
    static func answer(_ answer: RADIUSPacket, to request: RADIUSPacket, _ secret: SecretBytes) -> RADIUSPacket {
        var packet = answer
        packet.identifier = request.identifier
        packet.authenticator = request.authenticator
        let octets = SecretBytes((packet.encoded ?? []) + secret.exposedBytes())
        packet.authenticator = LegacyPrimitives.md5(octets).exposedBytes()
        return packet
    }

    /// The value of an MS-MPPE key attribute with these octets in it (RFC 2548 §2.4.2).
    static func key(_ plain: [UInt8], _ secret: SecretBytes, _ authenticator: [UInt8]) -> [UInt8] {
        let salt: [UInt8] = [0x80, 1]
        var value = salt
        var chained = authenticator + salt
        for start in stride(from: 0, to: plain.count, by: 16) {
            let pad = LegacyPrimitives.md5(SecretBytes(secret.exposedBytes() + chained)).exposedBytes()
            chained = (0..<16).map { pad[$0] ^ plain[start + $0] }
            value += chained
        }
        return value
    }

    /// Both halves of an MSK as attributes.
    static func keys(_ key: [UInt8], _ secret: SecretBytes, _ authenticator: [UInt8]) -> [RADIUSAttribute] {
        let half = key.count / 2
        return [(UInt8(17), key[..<half]), (UInt8(16), key[half...])].map { kind, octets in
            var plain = [UInt8(octets.count)] + octets
            while plain.count % 16 != 0 { plain.append(0) }
            let value = Forge.key(plain, secret, authenticator)
            return RADIUSAttribute(.vendorSpecific, [0, 0, 1, 0x37, kind, UInt8(value.count + 2)] + value)
        }
    }
}
