import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import Testing

@testable import IKEv2Engine

/// Algorithms with private numbers mean something only between those who show strongSwan's vendor ID.
struct PrivateNumberTests {
    private static func pair(
        ike: String = "aes128gcm16-prfsha256-x25519", esp: String, leftShows: Bool, rightShows: Bool
    ) -> Pair {
        var left = Pair.connection(ike: ike, esp: esp)
        var right = Pair.connection(isLeft: false, ike: ike, esp: esp)
        left.sendsVendorID = leftShows
        right.sendsVendorID = rightShows
        return Pair(left: left, right: right)
    }

    @Test(arguments: [true, false], [true, false])
    func childrenUseThemWhenBothShowWhoseTheyAre(leftShows: Bool, rightShows: Bool) {
        let pair = Self.pair(esp: "serpent256-sha256", leftShows: leftShows, rightShows: rightShows)
        pair.connect()
        let cipher = Pair.proposals("serpent256-sha256", .esp).first?.first(.encryption)
        if leftShows, rightShows {
            #expect(pair.left.installed.map(\.encryption) == [cipher, cipher])
        } else {
            #expect(pair.left.installed.isEmpty)
            #expect(!pair.left.refusals.isEmpty || !pair.right.refusals.isEmpty)
        }
    }

    @Test func whatElseIsOfferedServesEverybody() {
        let pair = Self.pair(esp: "twofish256-aes256-sha256", leftShows: false, rightShows: false)
        pair.connect()
        #expect(pair.left.installed.map(\.encryption) == [.aes256, .aes256])
        let both = Self.pair(esp: "twofish256-aes256-sha256", leftShows: true, rightShows: true)
        both.connect()
        #expect(both.left.installed.first?.encryption.id == 1027)
    }

    @Test(arguments: [true, false], [true, false])
    func ikeItselfAsWell(leftShows: Bool, rightShows: Bool) {
        let pair = Self.pair(
            ike: "serpent128-sha256-x25519", esp: "aes128gcm16", leftShows: leftShows, rightShows: rightShows)
        pair.connect()
        #expect((pair.left.summary?.state == .established) == (leftShows && rightShows))
    }

    @Test func theMarkIsTheHashOfTheName() {
        #expect(VendorIDPayload.strongSwan.data.count == 16)
        let pair = Self.pair(esp: "aes128gcm16", leftShows: true, rightShows: false)
        pair.connect()
        let mark = VendorIDPayload.strongSwan.data
        let shown = pair.trace.filter { sent in
            sent.datagram.bytes.indices.contains { start in
                sent.datagram.bytes[start...].starts(with: mark)
            }
        }
        #expect(shown.count == 1)
        #expect(shown.first?.fromLeft == true)
    }
}
