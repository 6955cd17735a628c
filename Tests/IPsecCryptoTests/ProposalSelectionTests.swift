import Testing

@testable import IPsecCrypto

@Suite("Proposal selection")
struct ProposalSelectionTests {
    private func ike(_ text: String) throws -> Proposal { try Proposal(parsing: text, for: .ike) }
    private func esp(_ text: String) throws -> Proposal { try Proposal(parsing: text, for: .esp) }

    @Test func choosesOneOfEachTypeInOurOrder() throws {
        let ours = try ike("aes256gcm16-aes128gcm16-prfsha384-prfsha256-ecp384-x25519")
        let theirs = try ike("aes128gcm16-aes256gcm16-prfsha256-prfsha384-x25519-ecp384")
        #expect(ours.chosen(from: theirs)?.transforms == [.aes256gcm16, .prfsha384, .ecp384])
        #expect(ours.chosen(from: theirs, preferring: .theirs)?.transforms == [.aes128gcm16, .prfsha256, .x25519])
    }

    @Test func choosesWhatBothHave() throws {
        let ours = try ike("aes256-aes128-sha512-sha256-x25519-modp3072")
        let theirs = try ike("aes128-sha1-sha256-modp2048-modp3072")
        #expect(ours.chosen(from: theirs)?.transforms == [.aes128, .prfsha256, .sha256, .modp3072])
        #expect(try ours.chosen(from: ike("aes128-sha1-modp3072")) == nil)
        #expect(try ours.chosen(from: ike("aes128-sha256-modp2048")) == nil)
        #expect(try ours.chosen(from: ike("aes128gcm16-prfsha256-x25519")) == nil)
    }

    @Test func keyLengthsMustBeEqual() throws {
        let ours = try esp("aes128gcm16")
        #expect(try ours.chosen(from: esp("aes256gcm16")) == nil)
        #expect(ours.chosen(from: Proposal(.esp, [Transform(.encryption, 20), .noesn])) == nil)
        #expect(ours.chosen(from: Proposal(.esp, [Transform(.encryption, 20, keyBits: 128), .noesn])) != nil)
    }

    @Test func protocolsMustBeEqual() throws {
        let ours = try esp("aes128gcm16")
        #expect(ours.chosen(from: Proposal(.ah, ours.transforms)) == nil)
        #expect(ours.chosen(from: Proposal(.ike, ours.transforms)) == nil)
    }

    @Test func absentSequenceNumbersAre32Bits() throws {
        let offer = Proposal(.esp, [.aes128gcm16])
        #expect(try esp("aes128gcm16").chosen(from: offer)?.transforms == [.aes128gcm16])
        #expect(try esp("aes128gcm16-esn").chosen(from: offer) == nil)
        #expect(try esp("aes128gcm16-esn-noesn").chosen(from: offer)?.transforms == [.aes128gcm16])
        #expect(
            try esp("aes128gcm16-esn-noesn").chosen(from: esp("aes128gcm16-noesn-esn"))?.transforms
                == [.aes128gcm16, .esn])
        #expect(Proposal(.esp, [.aes128gcm16]).chosen(from: try esp("aes128gcm16")) == (try esp("aes128gcm16")))
    }

    @Test func noKeyExchangeEqualsNone() throws {
        let ours = try esp("aes128gcm16")
        let none = Proposal(.esp, [.aes128gcm16, .noKeyExchange, .noesn])
        #expect(ours.chosen(from: none)?.transforms == [.aes128gcm16, .noKeyExchange, .noesn])
        #expect(none.chosen(from: ours)?.transforms == [.aes128gcm16, .noesn])
        #expect(try ours.chosen(from: esp("aes128gcm16-x25519")) == nil)
        #expect(try ours.chosen(from: esp("aes128gcm16-x25519-none"))?.first(.keyExchange) == .noKeyExchange)
        #expect(try esp("aes128gcm16-x25519").chosen(from: ours) == nil)
        #expect(try esp("aes128gcm16-x25519").removing(.keyExchange) == ours)
        #expect(try esp("aes128gcm16-x25519").chosen(from: esp("aes128gcm16-x25519"))?.first(.keyExchange) == .x25519)
    }

    @Test func ikeNeedsEveryPart() {
        let whole: [Transform] = [.aes128, .prfsha256, .sha256, .x25519]
        #expect(Proposal(.ike, whole).chosen(from: Proposal(.ike, whole))?.transforms == whole)
        for missing in whole {
            let partial = Proposal(.ike, whole.filter { $0 != missing })
            #expect(partial.chosen(from: partial) == nil, "\(missing) is missing")
            #expect(Proposal(.ike, whole).chosen(from: partial) == nil)
            #expect(partial.chosen(from: Proposal(.ike, whole)) == nil)
        }
        let none = Proposal(.ike, [.aes128gcm16, .prfsha256, .noKeyExchange])
        #expect(none.chosen(from: none) == nil)
        #expect(Proposal(.ike, []).chosen(from: Proposal(.ike, [])) == nil)
        #expect(Proposal(.esp, []).chosen(from: Proposal(.esp, [])) == nil)
    }

    @Test func encryptionWithoutIntegrityIsNeverChosen() {
        let noIntegrity = Transform(.integrity, 0)
        for offer in [[Transform.aes128, .noesn], [.aes128, noIntegrity, .noesn], [.nullEncryption, .noesn]] {
            #expect(Proposal(.esp, offer).chosen(from: Proposal(.esp, offer)) == nil)
        }
    }

    @Test func anAEADDropsIntegrity() throws {
        let ours = try esp("aes128gcm16")
        #expect(
            ours.chosen(from: Proposal(.esp, [.aes128gcm16, .aes128, .sha256, .noesn]))?.transforms
                == [.aes128gcm16, .noesn])
        let none = Transform(.integrity, 0)
        #expect(
            ours.chosen(from: Proposal(.esp, [.aes128gcm16, none, .noesn]))?.transforms == [
                .aes128gcm16, none, .noesn,
            ],
            "an offer of no integrity is answered with it")
    }

    /// RFC 9370's additional key exchanges and anything newer: a type that we do not have must not be passed over.
    @Test func anUnknownTypeIsNotIgnored() throws {
        let additional = TransformType(rawValue: 6)
        let ours = try ike("aes128gcm16-prfsha256-x25519")
        let theirs = Proposal(.ike, ours.transforms + [Transform(additional, 36)])
        #expect(ours.chosen(from: theirs) == nil)
        #expect(
            ours.chosen(from: Proposal(.ike, theirs.transforms + [Transform(additional, 0)]))?.first(additional)
                == Transform(additional, 0))
    }

    @Test func selectsAcrossLists() throws {
        let ours = [try ike("aes256gcm16-prfsha384-ecp384"), try ike("aes128-sha256-x25519")]
        let theirs = [try ike("aes128-sha256-x25519"), try ike("aes256gcm16-prfsha384-ecp384")]
        let mine = try #require(Proposal.select(from: theirs, configured: ours))
        #expect((mine.ourIndex, mine.offeredIndex) == (0, 1))
        let other = try #require(Proposal.select(from: theirs, configured: ours, preferring: .theirs))
        #expect((other.ourIndex, other.offeredIndex) == (1, 0))
        #expect(other.proposal.first(.keyExchange) == .x25519)
        #expect(Proposal.select(from: [], configured: ours) == nil)
        #expect(try Proposal.select(from: [ike("aes128-sha1-modp2048")], configured: ours) == nil)
    }

    /// As the initiator: what the responder chose must be something that we offered, and nothing more.
    @Test func checksAnAnswer() throws {
        let offer = try ike("aes256-aes128-sha256-x25519-ecp256")
        let answer = Proposal(.ike, [.aes128, .prfsha256, .sha256, .ecp256])
        #expect(offer.chosen(from: answer) == answer)
        #expect(offer.chosen(from: Proposal(.ike, [.aes128, .prfsha384, .sha256, .ecp256])) == nil)
    }

    @Test func explainsTheNearestMismatch() throws {
        let ours = try ike("aes256-sha256-x25519-ecp256")
        let offers = [
            try ike("aes128-sha1-modp2048"), try ike("aes256-sha256-modp2048-modp3072"),
            try ike("aes128-sha256-modp2048"),
        ]
        let mismatch = try #require(ours.mismatch(against: offers))
        #expect(mismatch.offeredIndex == 1)
        #expect(mismatch.nearest == offers[1])
        #expect(mismatch.failures.map(\.type) == [.keyExchange])
        #expect(mismatch.failures.first?.ours == [.x25519, .ecp256])
        #expect(mismatch.failures.first?.theirs == [.modp2048, .modp3072])
        #expect(mismatch.description == "key exchange: we accept x25519, ecp256, offered was modp2048, modp3072")
        #expect(ours.mismatch(against: [ours]) == nil)
        #expect(ours.mismatch(against: []) == nil)
        #expect(try ours.mismatch(against: [esp("aes128gcm16")]) == nil)
    }

    @Test func suggestsWhatIsNearestAndNothingWeak() throws {
        let ours = [try ike("aes256gcm16-prfsha384-ecp384")]
        let offers = [
            try ike("3des-md5-modp1024"), try ike("aes256-sha256-modp1024-modp2048"),
            try ike("aes128gcm16-aes256gcm16-prfsha256-prfsha384-x25519"),
        ]
        // The third differs in the group only, and has the preferred alternatives of the other types.
        #expect(Proposal.suggestion(from: offers, configured: ours)?.description == "aes256gcm16-prfsha384-x25519")
        let second = try #require(Proposal.suggestion(from: Array(offers.prefix(2)), configured: ours))
        #expect(second.description == "aes256-sha256-prfsha256-modp2048")
        #expect(try Proposal(parsing: second.description, for: .ike) == second)
        #expect(Proposal.select(from: [offers[1]], configured: [second]) != nil)
        #expect(Proposal.suggestion(from: [offers[0]], configured: ours) == nil)
        let unknown = Proposal(.ike, [Transform(.encryption, 65_000), .sha256, .prfsha256, .x25519])
        #expect(Proposal.suggestion(from: [unknown], configured: ours) == nil)
        #expect(try esp("aes128-null-sha256").soundPart == esp("aes128-sha256"))
        #expect(try esp("null-sha256").soundPart == nil)
        #expect(
            try Proposal.suggestion(from: [esp("aes128-sha256-modp1024")], configured: []) == nil, "its group is weak")
    }

    @Test func explainsMissingTypesAndKeyLengths() throws {
        let ours = try esp("aes128gcm16")
        let length = try #require(try ours.mismatch(against: [esp("aes256gcm16")]))
        #expect(length.failures.map(\.type) == [.encryption])
        #expect(length.description == "encryption: we accept aes128gcm16, offered was aes256gcm16")
        let group = try #require(try ours.mismatch(against: [esp("aes128gcm16-x25519")]))
        #expect(group.description == "key exchange: we accept none, offered was x25519")
        let cipher = try #require(try esp("aes128-sha256").mismatch(against: [ours]))
        #expect(cipher.failures.map(\.type) == [.encryption, .integrity])
        let whole = try #require(
            try Proposal.mismatch(of: [esp("aes128-sha256-esn"), esp("aes256gcm16")], against: [esp("aes128gcm16")]))
        #expect(try whole.ours == esp("aes256gcm16"))
        #expect(try Proposal.mismatch(of: [esp("aes128-sha256"), ours], against: [ours]) == nil)
    }

    /// A mismatch is reported exactly when nothing can be chosen.
    @Test func agreesWithTheChoice() throws {
        let texts = [
            "aes128gcm16", "aes256gcm16", "aes128-sha256", "aes128-sha512-esn", "null-sha256", "aes128-sha256-x25519",
            "aes128gcm16-x25519-none", "chacha20poly1305-esn-noesn",
        ]
        for left in texts {
            for right in texts {
                let (ours, theirs) = (try esp(left), try esp(right))
                #expect(
                    (ours.chosen(from: theirs) == nil) == (ours.mismatch(against: [theirs]) != nil), "\(left) \(right)")
                #expect((ours.chosen(from: theirs) == nil) == (theirs.chosen(from: ours) == nil), "\(left) \(right)")
            }
        }
    }
}

@Suite struct ProposalAnswerTests {
    /// Peers write the transforms of an answer in orders of their own.
    @Test func anAnswerMayComeInAnyOrder() throws {
        let ours = try Proposal(parsing: "aes128-aes256-sha256-modp2048", for: .ike)
        let answer = Proposal(
            .ike, [.aes256, .sha256, .prfsha256, .modp2048])
        #expect(ours.allows(answer: answer))
        #expect(ours.allows(answer: Proposal(.ike, answer.transforms.reversed())))
    }

    @Test func anAnswerIsOneTransformOfEachType() throws {
        let ours = try Proposal(parsing: "aes128-aes256-sha256-modp2048", for: .ike)
        let two: [Transform] = [.aes128, .aes256, .sha256, .prfsha256, .modp2048]
        #expect(!ours.allows(answer: Proposal(.ike, two)))
        #expect(!ours.allows(answer: Proposal(.ike, [.aes256, .aes256, .sha256, .prfsha256, .modp2048])))
        #expect(!ours.allows(answer: Proposal(.ike, [.aes256, .sha256, .prfsha256])))
        #expect(!ours.allows(answer: Proposal(.ike, [.aes256, .sha256, .prfsha256, .x25519])))
    }
}
