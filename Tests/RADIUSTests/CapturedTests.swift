import Clockwork
import GatewayModel
import NetworkTypes
import Testing
import WireFormat

@testable import RADIUS

/// What FreeRADIUS 3.2.1 sent to a Martlet when it let in somebody by MSCHAPv2, as tcpdump saw it; the keys were
/// decrypted by Python's hashlib.
@Suite struct CapturedTests {
    private static let secret = SecretBytes(Array("a secret of the lab, for one capture".utf8))
    private static let proof = PacketProof(secret)
    private static let requestAuthenticator = hex("22c282934a6e104c09bf8e7a9c912367")
    private static let accept = hex(
        """
        020200b220117178a574776c784aaf6ec3c3cde308060a090007190773746166661b0600000e101a0c00000137070600
        0000011a0c000001370806000000061a2a00000137102486adbfc48c9119b418481dc89fa9316860e2132226784b8145
        2e20d3b5aeecd652511a2a0000013711248a9a1c1c8ce00e0735acb947cb25f98814cf7cee843d412d9c89312b2cddf2
        9a47ea4f060307000450125b0ecfc229578503c51dded134fbed6101076361726f6c
        """)

    private static func hex(_ text: String) -> [UInt8] { Hex.decode(text.filter { !$0.isWhitespace }) ?? [] }

    @Test func acceptIsBelievedAndUnderstood() throws {
        let packet = try RADIUSPacket(Self.accept)
        #expect(packet.encoded == Self.accept)
        try Self.proof.check(answer: packet, to: Self.requestAuthenticator, needsMessageAuthenticator: true)
        var settings = RADIUSSettings()
        settings.classNamesGroups = true
        let allowed = Authorization(
            packet, settings, Self.proof, requestAuthenticator: Self.requestAuthenticator)
        #expect(allowed.addresses == [IPAddress(v4: 0x0a09_0007)] && allowed.groups == ["staff"])
        #expect(allowed.sessionTimeout == .seconds(3600) && allowed.userName == Array("carol".utf8))
        let halves = Self.hex("f9350259cbc4e86617c00f4501dbf14d63495eaa8c91f75c03a46a1fa62a2eb5")
        #expect(allowed.key == SecretBytes(halves + [UInt8](repeating: 0, count: 32)))
    }

    @Test func noOctetOfItCanBeChanged() throws {
        for index in Self.accept.indices {
            var forged = Self.accept
            forged[index] ^= 0x80
            guard let packet = try? RADIUSPacket(forged) else { continue }
            #expect(throws: PacketProof.Failure.self) {
                try Self.proof.check(answer: packet, to: Self.requestAuthenticator, needsMessageAuthenticator: true)
            }
        }
    }

    @Test func accountsAreSealedAsTheServerWantsThem() throws {
        let request = Self.hex(
            """
            04000081ea33e9555eaf087e04967a9121c783342806000000013d060000000506060000000205060000000157056c61
            6204060a6300021e1131302e39392e302e325b343530305d1f1131302e39392e302e315b343530305d2c0c3662303232
            3166652d3101076361726f6c2d060000000137066b0221fe20096d6172746c6574
            """)
        let packet = try RADIUSPacket(request)
        let sealed = try #require(Self.proof.sealedAccountingRequest(packet))
        #expect(sealed.octets == request)
        let answer = try RADIUSPacket(Self.hex("05000014ed400532a24361b79a6faee2dcf2b67d"))
        try Self.proof.check(answer: answer, to: sealed.authenticator, needsMessageAuthenticator: false)
    }
}
