import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// Messages that somebody has changed on the way, in every suite's own places (attack 14 of the project's list).
@Suite struct CipherAttackTests {
    /// Every bit, several at once, and all: some 10,000 messages for the four suites.
    private static let changes: [UInt8] = (0..<8).map { 1 << $0 } + [0x03, 0x0f, 0x55, 0xaa, 0xf0, 0xc0, 0x81, 0xff]

    /// With a block cipher, padding is looked at after the integrity check only: no change of any octet is answered, nor
    /// told apart from another.
    @Test(
        "Attack 14: a changed octet of IV, ciphertext, padding or integrity check is dropped in silence, one like another",
        arguments: ["aes128-sha256-x25519", "aes256-sha512-x25519", "3des-sha1-x25519", "aes128gcm16-prfsha256-x25519"])
    func attack14(_ suite: String) throws {
        let pair = Pair(left: Pair.connection(ike: suite), right: Pair.connection(isLeft: false, ike: suite))
        pair.connect()
        try #require(pair.left.summary?.state == .established)
        pair.left.handle(.command(.rekey(.child("net", connection: nil))))
        let request = try #require(pair.left.takeOutbox().first)
        let path = request.path.reversed
        let marker = 28 + 4
        pair.right.effects = []
        for place in marker..<request.bytes.count {
            for bit in Self.changes {
                var changed = request.bytes
                changed[place] ^= bit
                pair.right.handle(.datagram(Datagram(changed, path: path, socket: request.socket)))
                #expect(pair.right.takeOutbox() == [])
            }
        }
        let tries = Self.changes.count * (request.bytes.count - marker)
        #expect(pair.right.drops == [Event.DropReason](repeating: .forged, count: tries))
        // Whoever shortens it by whole blocks gets no further.
        for cut in stride(from: 8, to: request.bytes.count - marker, by: 8) {
            var changed = Array(request.bytes.dropLast(cut))
            let length = changed.count
            (changed[26], changed[27]) = (UInt8(length >> 8), UInt8(length & 0xff))
            (changed[30], changed[31]) = (UInt8((length - 28) >> 8), UInt8((length - 28) & 0xff))
            pair.right.handle(.datagram(Datagram(changed, path: path, socket: request.socket)))
            #expect(pair.right.takeOutbox() == [])
        }
        #expect(pair.right.drops.allSatisfy { $0 == .forged })
        // The one that nobody has changed is good.
        pair.right.handle(.datagram(Datagram(request.bytes, path: path, socket: request.socket)))
        #expect(pair.right.takeOutbox().count == 1)
    }
}
