import Testing

@testable import IPsecCrypto

@Suite("Proposal syntax")
struct ProposalSyntaxTests {
    private func transforms(_ text: String, _ securityProtocol: SecurityProtocol) throws -> [Transform] {
        try Proposal(parsing: text, for: securityProtocol).transforms
    }

    private func failure(_ text: String, _ securityProtocol: SecurityProtocol) -> ProposalSyntaxError? {
        do throws(ProposalSyntaxError) {
            _ = try Proposal(parsing: text, for: securityProtocol)
            return nil
        } catch { return error }
    }

    @Test func readsIKE() throws {
        #expect(try transforms("aes128gcm16-prfsha256-x25519", .ike) == [.aes128gcm16, .prfsha256, .x25519])
        #expect(
            try transforms("aes256-sha256-modp2048", .ike) == [.aes256, .sha256, .prfsha256, .modp2048],
            "the PRF follows from the integrity algorithm")
        #expect(
            try transforms("aes256-sha512-prfsha256-ecp384-ecp256", .ike)
                == [.aes256, .sha512, .prfsha256, .ecp384, .ecp256], "a PRF that is named is the only one")
        #expect(
            try transforms("aes128gcm16-aes256gcm16-sha384-sha256-curve25519", .ike)
                == [.aes128gcm16, .aes256gcm16, .prfsha384, .prfsha256, .x25519],
            "beside an AEAD, integrity stands for the PRF only")
        #expect(try transforms(" AES128 - sha1-MODP2048\t", .ike) == [.aes128, .sha1, .prfsha1, .modp2048])
    }

    @Test func readsESP() throws {
        #expect(try transforms("aes128gcm16", .esp) == [.aes128gcm16, .noesn])
        #expect(try transforms("aes256-sha256", .esp) == [.aes256, .sha256, .noesn])
        #expect(
            try transforms("esn-aes128-sha256-x25519-none", .esp)
                == [.aes128, .sha256, .x25519, .noKeyExchange, .esn])
        #expect(try transforms("aes128gcm16-esn-noesn", .esp) == [.aes128gcm16, .esn, .noesn])
        #expect(try transforms("null-sha256", .esp) == [.nullEncryption, .sha256, .noesn])
        #expect(
            try transforms("aes256gcm16-sha256-modp2048", .esp) == [.aes256gcm16, .modp2048, .noesn],
            "configurations in the field name integrity beside an AEAD")
    }

    @Test(
        arguments: [
            ("aes128gcm16-prfsha256-x25519", SecurityProtocol.ike),
            ("aes256-aes128-sha384-sha256-prfsha384-prfsha256-ecp384-modp3072", .ike), ("aes128gcm16", .esp),
            ("aes256-sha256-x25519", .esp), ("chacha20poly1305-x25519-none-esn", .esp),
            ("aes192ctr-sha512-esn-noesn", .esp), ("null-sha1", .esp),
        ])
    func printsBackWhatItRead(text: String, securityProtocol: SecurityProtocol) throws {
        let proposal = try Proposal(parsing: text, for: securityProtocol)
        #expect(proposal.description == text)
        #expect(try Proposal(parsing: proposal.description, for: securityProtocol) == proposal)
    }

    @Test(arguments: [SecurityProtocol.ike, .esp])
    func defaultsParseBack(securityProtocol: SecurityProtocol) throws {
        let defaults = Proposal.defaults(for: securityProtocol)
        #expect(defaults.count == 2)
        for proposal in defaults {
            #expect(try Proposal(parsing: proposal.description, for: securityProtocol) == proposal)
        }
        #expect(AlgorithmRegistry.isAEAD(try #require(defaults.first?.first(.encryption))))
        #expect(defaults.allSatisfy { $0.transforms(of: .keyExchange).isEmpty == (securityProtocol == .esp) })
    }

    @Test(arguments: ["sha256", "sha384-sha512-x25519-none-esn-noesn", "aes128gmac", "aescmac-md5"])
    func authenticationHeaders(text: String) throws {
        let proposal = try Proposal(parsing: text, for: .ah)
        #expect(proposal.securityProtocol == .ah)
        #expect(proposal.description == text)
        #expect(proposal.transforms(of: .encryption).isEmpty)
        #expect(!proposal.transforms(of: .sequenceNumbers).isEmpty)
        #expect(Proposal.defaults(for: .ah).count == 1)
    }

    /// The word, its place, and what was probably meant.
    @Test(
        arguments: [
            ("aes128gmc16-prfsha256-x25519", SecurityProtocol.ike, "aes128gmc16", 1, "aes128gcm16"),
            ("aes128gcm16-prfsha265-x25519", .ike, "prfsha265", 13, "prfsha256"),
            ("aes256-sha256-modp1025", .ike, "modp1025", 15, "modp1024"),
            ("aes256-sha256-modp2084", .ike, "modp2084", 15, "modp2048"),
            ("aes256-sha256-x22519", .esp, "x22519", 15, "x25519"),
            ("aes256-sha256- curve2551", .esp, "curve2551", 16, "curve25519"),
            ("aes265-sha256", .esp, "aes265", 1, "aes256"),
            ("äes256-sha256-sha3", .esp, "äes256", 1, "aes256"),
        ])
    func namesTheUnknownWord(
        text: String, securityProtocol: SecurityProtocol, word: String, column: Int, suggestion: String
    ) throws {
        let error = try #require(failure(text, securityProtocol))
        #expect(error.problem == .unknownWord)
        #expect(error.word == word)
        #expect(error.column == column)
        #expect(error.suggestion == suggestion)
        #expect(error.description.contains("'\(word)' (character \(column)); did you mean '\(suggestion)'?"))
    }

    @Test func suggestsNothingFarFetched() throws {
        let error = try #require(failure("quantum-resistant", .ike))
        #expect(error.word == "quantum")
        #expect(error.suggestion == nil)
        #expect(failure(String(repeating: "x", count: 100_000), .ike)?.suggestion == nil)
    }

    @Test(
        arguments: [
            ("", SecurityProtocol.ike, .empty), ("  ", .esp, .empty), ("aes128--sha256", .esp, .unknownWord),
            ("aes128-sha256-", .esp, .unknownWord), ("-", .ike, .unknownWord), ("x25519", .ike, .encryptionMissing),
            ("sha256", .esp, .encryptionMissing), ("aes128-x25519", .ike, .integrityMissing),
            ("aes128", .esp, .integrityMissing), ("aes128ctr-esn", .esp, .integrityMissing),
            ("null", .esp, .integrityMissing), ("aes128-prfsha256-x25519", .ike, .integrityMissing),
            ("aes128gcm16-x25519", .ike, .prfMissing), ("aes128gcm16-prfsha256", .ike, .keyExchangeMissing),
            ("aes128gcm16-aes256-sha256", .esp, .mixesAEAD), ("aes128-aes128gcm16-sha256-x25519", .ike, .mixesAEAD),
            ("aes128-aes128-sha256", .esp, .repeated), ("aes128gcm-aes128gcm16", .esp, .repeated),
            ("aes128gcm16-prfsha256", .esp, .notFor(.esp)), ("null-sha256-x25519", .ike, .notFor(.ike)),
            ("aes128-sha256-none", .ike, .notFor(.ike)), ("aes128-sha256-x25519-esn", .ike, .notFor(.ike)),
            ("aes128-sha256", .ah, .notFor(.ah)), ("x25519-esn", .ah, .integrityAbsent), ("", .ah, .empty),
            ("sha256", SecurityProtocol(rawValue: 4), .unsupportedProtocol(SecurityProtocol(rawValue: 4))),
        ] as [(String, SecurityProtocol, ProposalSyntaxError.Problem)])
    func rejects(text: String, securityProtocol: SecurityProtocol, problem: ProposalSyntaxError.Problem) throws {
        let error = try #require(failure(text, securityProtocol))
        #expect(error.problem == problem)
        #expect(error.description.hasPrefix("proposal '\(text)': "))
    }

    /// What swanctl takes and leaves out is taken and left out.
    @Test(
        arguments: [
            ("aes256gcm16-prfsha256-x25519", SecurityProtocol.esp, "aes256gcm16-x25519", ["prfsha256"]),
            ("sha256-prfsha256", .ah, "sha256", ["prfsha256"]),
            ("aes128-sha256-AES128-sha256", .esp, "aes128-sha256", ["AES128", "sha256"]),
            ("aes128-sha256-none-x25519-esn-noesn", .ike, "aes128-sha256-x25519", ["none", "esn", "noesn"]),
            ("aes128-sha256-x25519", .ike, "aes128-sha256-x25519", []),
        ] as [(String, SecurityProtocol, String, [String])])
    func wordsThatDoNothingAreLeftOut(
        text: String, securityProtocol: SecurityProtocol, meaning: String, words: [String]
    ) throws {
        var idle: [Proposal.IdleWord] = []
        let found = try Proposal(reading: text, for: securityProtocol, idle: &idle)
        #expect(try found == Proposal(parsing: meaning, for: securityProtocol))
        #expect(idle.map(\.word) == words)
        // What is wrong stays wrong.
        for (wrong, use) in [
            ("null-sha256-x25519", SecurityProtocol.ike), ("aes128-sha256", .ah), ("aes128-sha256-none", .ike),
        ] {
            #expect(throws: ProposalSyntaxError.self) { try Proposal(reading: wrong, for: use, idle: &idle) }
        }
    }

    /// swanctl has one word for AES-GMAC in ESP and in AH.
    @Test(arguments: [128, 192, 256]) func swanctlsWordsInAH(bits: Int) throws {
        let found = try Proposal(parsing: "aes\(bits)gmac", for: .ah)
        #expect(try found == Proposal(parsing: "aes\(bits)gmac_ah", for: .ah))
        #expect(found.description == "aes\(bits)gmac")
        #expect(try Proposal(parsing: "aes\(bits)gmac", for: .esp).transforms.first?.type == .encryption)
        #expect(try Proposal(parsing: "sha256_96", for: .ah).transforms.first == .sha256Truncated96)
    }

    @Test func explainsTheCommonMistakes() {
        #expect(
            failure("aes256", .esp)?.description
                == "proposal 'aes256': 'aes256' (character 1) needs an integrity algorithm beside it; add for example 'sha256'"
        )
        #expect(
            failure("aes128gcm16-x25519", .ike)?.description
                == "proposal 'aes128gcm16-x25519': 'aes128gcm16' (character 1) brings its own integrity, so IKE needs a "
                + "PRF to be named; add for example 'prfsha256'")
        #expect(
            failure("aes128-prfsha384", .esp)?.description
                == "proposal 'aes128-prfsha384': 'prfsha384' (character 8) cannot be used in ESP; did you mean 'sha384'?"
        )
    }
}
