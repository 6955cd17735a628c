import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

@Suite struct HandshakeTests {
    /// Every cipher, integrity algorithm, PRF and group takes part in a handshake that ends in a Child SA.
    @Test(arguments: [
        ("3des-md5-prfmd5-modp768", "3des-md5"), ("des-md5_128-prfsha1-modp1024", "des-sha1"),
        ("cast128-sha1_160-prfaesxcbc-modp1536", "cast128-sha1_160"),
        ("blowfish256-aesxcbc-prfaescmac-modp1024s160", "blowfish192-aesxcbc"),
        ("camellia256-aescmac-prfsha384-modp2048s224", "camellia192ctr-aescmac"),
        ("camellia128ccm8-prfaesxcbc-modp2048s256", "camellia256ccm12"),
        ("serpent256-sha512-prfsha512-ecp192", "serpent128-sha384"),
        ("twofish192-sha256-prfsha256-ecp224", "twofish256-sha512"), ("aes192ctr-sha1-prfsha1-ecp224bp", "aes128gmac"),
        ("aes256ccm12-prfsha256-ecp256bp", "aes256gcm16iiv"), ("aes128gcm8-prfsha256-ecp384bp", "aes128ccm8iiv"),
        ("aes128gcm12-prfsha256-ecp512bp", "chacha20poly1305iiv"), ("aes128gcm16-prfsha256-x448", "null-sha256_96"),
    ])
    func everyAlgorithmMakesATunnel(ike: String, esp: String) throws {
        var (first, second) = (
            Pair.connection(ike: ike, esp: esp), Pair.connection(isLeft: false, ike: ike, esp: esp)
        )
        // Some have numbers that only those understand who show whose they are.
        first.sendsVendorID = true
        second.sendsVendorID = true
        let pair = Pair(left: first, right: second)
        pair.connect()
        #expect(pair.left.refusals == [] && pair.right.refusals == [])
        let left = pair.left.installed
        #expect(left.count == 2)
        for association in left {
            let other = try #require(pair.right.installed.first { $0.spi == association.spi })
            #expect(association.encryptionKey == other.encryptionKey)
            #expect(association.integrityKey == other.integrityKey)
        }
    }

    @Test(arguments: [
        ("aes128gcm16-prfsha256-x25519", "aes128gcm16"),
        ("aes256-sha256-modp2048", "aes256-sha256"),
        ("chacha20poly1305-prfsha256-ecp256", "chacha20poly1305"),
    ])
    func bothEndsHoldTheSameKeys(ike: String, esp: String) throws {
        let pair = Pair(
            left: Pair.connection(ike: ike, esp: esp), right: Pair.connection(isLeft: false, ike: ike, esp: esp))
        pair.connect()
        #expect(pair.trace.count == 4)
        #expect(pair.left.refusals == [])
        #expect(pair.right.refusals == [])
        let left = pair.left.installed
        let right = pair.right.installed
        #expect(left.map(\.direction) == [.inbound, .outbound])
        #expect(right.map(\.direction) == [.inbound, .outbound])
        for association in left {
            let other = try #require(right.first { $0.direction != association.direction })
            #expect(association.spi == other.spi)
            #expect(association.encryptionKey == other.encryptionKey)
            #expect(association.integrityKey == other.integrityKey)
            #expect(association.encryptionKey.count >= 16)
            #expect(association.encryption == other.encryption)
            #expect(association.integrity == other.integrity)
            #expect(association.path == other.path.reversed)
            #expect(association.encapsulation == .udp)
            #expect(association.localSelectors == other.remoteSelectors)
        }
        #expect(left.first?.encryptionKey != left.last?.encryptionKey)
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.summary?.state == .established)
        #expect(pair.left.summary?.remoteIdentity == .fqdn("right.example"))
        #expect(pair.right.summary?.remoteIdentity == .fqdn("left.example"))
        #expect(pair.left.endpoint.counts.openTickets == 0)
    }

    @Test func oneIKESAIsFoundByItsNumberWhileItLives() throws {
        let pair = Pair()
        pair.connect()
        let summary = try #require(pair.left.summary)
        #expect(pair.left.endpoint.summary(of: summary.id) == summary)
        #expect(pair.left.endpoint.summary(of: IKESAID(rawValue: summary.id.rawValue + 1)) == nil)
        pair.left.handle(.command(.terminate(.ikeSA(summary.id))))
        pair.run()
        #expect(pair.left.endpoint.summary(of: summary.id) == nil)
    }
}
