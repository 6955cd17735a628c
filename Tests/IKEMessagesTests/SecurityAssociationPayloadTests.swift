import IKEMessages
import IPsecCrypto
import Testing
import WireFormat

@Suite struct SecurityAssociationPayloadTests {
    /// RFC 7296 §3.3, spelt out: one ESP proposal with AES-GCM-256 and no extended sequence numbers.
    static let esp: [UInt8] = [
        0, 0, 0, 32,  // last proposal, length
        1, 3, 4, 2, 0xc1, 0xc2, 0xc3, 0xc4,  // number, ESP, SPI of 4 octets, 2 transforms
        3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 1, 0,  // more, length, ENCR 20, Key Length 256
        0, 0, 0, 8, 5, 0, 0, 0,  // last, length, ESN 0
    ]

    @Test func aProposalIsReadFieldByField() throws {
        let payload = try SecurityAssociationPayload(parsing: Self.esp)
        let proposal = try #require(payload.proposals.first)
        #expect(payload.proposals.count == 1)
        #expect(proposal.number == 1)
        #expect(proposal.spi32 == 0xc1c2_c3c4)
        #expect(proposal.spi64 == nil)
        #expect(
            proposal.proposal
                == Proposal(.esp, [Transform(.encryption, 20, keyBits: 256), Transform(.sequenceNumbers, 0)]))
        #expect(payload.body == Self.esp)
    }

    /// Each changes one octet of the proposal above.
    @Test(
        arguments: [
            (0, 2), (0, 1), (3, 31), (3, 33), (3, 3), (5, 1), (6, 8), (7, 1), (7, 3), (12, 0), (12, 2), (15, 11),
            (15, 2),
            (21, 13 | 0x80), (24, 3), (27, 9), (27, 7),
        ] as [(Int, UInt8)])
    func oneWrongOctetIsRefusedOrKept(_ offset: Int, _ value: UInt8) throws {
        var bytes = Self.esp
        bytes[offset] = value
        if offset == 21 {
            // Another attribute than Key Length: kept, and the transform must not be chosen.
            let proposal = try #require(try SecurityAssociationPayload(parsing: bytes).proposals.first)
            #expect(proposal.transforms.first?.isUnderstood == false)
            #expect(proposal.proposal == nil)
        } else {
            #expect(throws: WireError.self) { try SecurityAssociationPayload(parsing: bytes) }
        }
    }

    @Test func anOfferKeepsItsOtherAlternatives() throws {
        var offer = try #require(try SecurityAssociationPayload(parsing: Self.esp).proposals.first)
        var strange = offer.transforms[0]
        strange.unknownAttributes = [TransformAttribute(type: 99, value: .short(1))]
        offer.transforms.insert(strange, at: 0)
        #expect(offer.proposal?.transforms(of: .encryption) == [Transform(.encryption, 20, keyBits: 256)])
    }

    @Test func aKeyLengthIsAShortAttributeAndOnlyOne() {
        let long: [UInt8] = [0, 0, 0, 22, 1, 1, 0, 1, 0, 0, 0, 14, 1, 0, 0, 12, 0, 14, 0, 2, 1, 0]
        #expect(throws: WireError.forbidden(field: "octets of a key length", value: 2)) {
            try SecurityAssociationPayload(parsing: long)
        }
        let twice: [UInt8] =
            [0, 0, 0, 24, 1, 1, 0, 1, 0, 0, 0, 16, 1, 0, 0, 12, 0x80, 14, 0, 128, 0x80, 14, 1, 0]
        #expect(throws: WireError.forbidden(field: "second key length", value: 256)) {
            try SecurityAssociationPayload(parsing: twice)
        }
    }

    @Test func noMoreProposalsThanNumbersAreRead() throws {
        let proposal: [UInt8] = [2, 0, 0, 8, 1, 1, 0, 0]
        let last: [UInt8] = [0, 0, 0, 8, 1, 1, 0, 0]
        let full = Array([[UInt8]](repeating: proposal, count: 254).joined()) + last
        #expect(try SecurityAssociationPayload(parsing: full).proposals.count == 255)
        #expect(throws: WireError.forbidden(field: "number of proposals", value: 256)) {
            try SecurityAssociationPayload(parsing: proposal + full)
        }
    }

    @Test func anEmptyPayloadIsRefused() {
        #expect(throws: WireError.self) { try SecurityAssociationPayload(parsing: []) }
    }

    @Test func spisBecomeOctetsAndNumbers() {
        #expect(WireProposal.octets(UInt32(0x0102_0304)) == [1, 2, 3, 4])
        #expect(Samples.rekeyProposal.spi64 == 0xa1a2_a3a4_a5a6_a7a8)
    }
}
