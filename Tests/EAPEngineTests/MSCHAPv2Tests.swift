import IPsecCrypto
import Testing
import WireFormat

@testable import EAPEngine

/// The examples of RFC 2759 §9.2 and §9.3 and RFC 3079 §3.5.3.
struct MSCHAPv2Tests {
    private let name = Array("User".utf8)
    private let authenticator = Hex.decode("5B5D7C7D7B3F2F3E3C2C602132262628") ?? []
    private let peer = Hex.decode("21402324255E262A28295F2B3A337C7E") ?? []
    private let ntResponse = Hex.decode("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF") ?? []

    private func hash() throws -> SecretBytes {
        try #require(MSCHAPv2.ntHash(ofPassword: SecretBytes(Array("clientPass".utf8))))
    }

    @Test func passwordHash() throws {
        let hash = try hash()
        #expect(hash.exposedBytes() == Hex.decode("44EBBA8D5312B8D611474411F56989AE"))
        #expect(LegacyPrimitives.md4(hash).exposedBytes() == Hex.decode("41C00C584BD2D91C4017A2A12FA59F3F"))
    }

    @Test func challengeAndResponse() throws {
        #expect(
            MSCHAPv2.challengeHash(peer: peer, authenticator: authenticator, name: name)
                == Hex.decode("D02E4386BCE91226"))
        let response = MSCHAPv2.ntResponse(authenticator: authenticator, peer: peer, name: name, hash: try hash())
        #expect(response == ntResponse)
        // The domain does not count (RFC 2759 §4).
        let withDomain = Array("BIGCO\\User".utf8)
        #expect(
            MSCHAPv2.ntResponse(authenticator: authenticator, peer: peer, name: withDomain, hash: try hash())
                == ntResponse)
    }

    @Test func authenticatorResponse() throws {
        let proof = MSCHAPv2.authenticatorResponse(
            hash: try hash(), ntResponse: ntResponse, peer: peer, authenticator: authenticator, name: name)
        #expect(Hex.encode(proof).uppercased() == "407A5589115FD0D6209F510FE9C04566932CDA56")
    }

    @Test func keys() throws {
        let master = MSCHAPv2.masterKey(hash: try hash(), ntResponse: ntResponse)
        #expect(master.exposedBytes() == Hex.decode("FDECE3717A8C838CB388E527AE3CDD31"))
        // The example is the server's: what it sends with.
        #expect(
            MSCHAPv2.startKey(master: master, fromClient: false).exposedBytes()
                == Hex.decode("8B7CDC149B993A1BA118CB153F56DCCB"))
        let key = MSCHAPv2.sessionKey(hash: try hash(), ntResponse: ntResponse)
        #expect(key.count == 64)
        #expect(key.slice(16..<32)?.exposedBytes() == Hex.decode("8B7CDC149B993A1BA118CB153F56DCCB"))
    }

    @Test func wrongLengthsAreRefused() {
        #expect(MSCHAPv2.response(challenge: [1, 2, 3], hash: SecretBytes([UInt8](repeating: 1, count: 16))) == nil)
        #expect(MSCHAPv2.response(challenge: peer, hash: SecretBytes([1])) == nil)
        // A password that is not UTF-8 has no hash.
        #expect(MSCHAPv2.ntHash(ofPassword: SecretBytes([0xff, 0xfe])) == nil)
        // Beyond ASCII it is UTF-16: "ü" is fc 00.
        #expect(
            MSCHAPv2.ntHash(ofPassword: SecretBytes(Array("ü".utf8)))
                == LegacyPrimitives.md4(SecretBytes([0xfc, 0x00])))
    }
}
