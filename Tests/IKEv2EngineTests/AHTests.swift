import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// Child SAs of AH: agreed on, rekeyed and closed under their own protocol number, and refused where a NAT is.
struct AHTests {
    private static func pair(_ left: String, _ right: String? = nil, forced: Bool = false) -> Pair {
        var (first, second) = (Pair.connection(), Pair.connection(isLeft: false))
        first.children[0].proposals = Pair.proposals(left, .ah)
        second.children[0].proposals = Pair.proposals(right ?? left, .ah)
        second.forcesEncapsulation = forced
        second.remoteAddresses = []
        // This gateway would rather have UDP; AH can't.
        return Pair(left: first, right: second)
    }

    @Test(arguments: ["sha256", "sha384-esn", "sha512", "sha1", "aescmac", "aes128gmac_ah"])
    func comesUpWithTheSameKeys(_ text: String) throws {
        let pair = Self.pair(text)
        pair.connect()
        let proposal = try #require(Pair.proposals(text, .ah).first)
        let length = try #require(proposal.first(.integrity).flatMap { PacketAuthenticator.keyLength(of: $0) })
        for gateway in [pair.left, pair.right] {
            try #require(gateway.installed.count == 2)
            for association in gateway.installed {
                #expect(association.securityProtocol == .ah)
                #expect(association.integrity == proposal.first(.integrity))
                #expect(association.integrityKey.count == length)
                #expect(association.encryptionKey.isEmpty)
                #expect(association.encapsulation == .none)
                #expect(association.usesExtendedSequenceNumbers == text.hasSuffix("-esn"))
            }
            #expect(gateway.summary?.children.first?.algorithms.securityProtocol == .ah)
        }
        for association in pair.left.installed {
            let other = try #require(pair.right.installed.first { $0.spi == association.spi })
            #expect(other.integrityKey == association.integrityKey)
            #expect(other.direction != association.direction)
        }
        #expect(pair.left.installed[0].integrityKey != pair.left.installed[1].integrityKey)
    }

    @Test func isRekeyedAndClosedByBothSides() throws {
        let pair = Self.pair("sha256-x25519,sha256")
        pair.connect()
        for gateway in [pair.left, pair.right] {
            let before = gateway.liveSPIs
            gateway.handle(.command(.rekey(.child("net", connection: nil))))
            pair.run()
            #expect(gateway.liveSPIs.count == 2)
            #expect(Set(gateway.liveSPIs).isDisjoint(with: before))
        }
        #expect(pair.left.installed.allSatisfy { $0.securityProtocol == .ah })
        pair.right.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        for gateway in [pair.left, pair.right] {
            #expect(gateway.liveSPIs.isEmpty)
            #expect(gateway.summary?.children.isEmpty == true)
        }
    }

    @Test func espAndAHAreNotTheSame() {
        var right = Pair.connection(isLeft: false, esp: "aes128-sha256")
        right.remoteAddresses = []
        var left = Pair.connection()
        left.children[0].proposals = Pair.proposals("sha256", .ah)
        let pair = Pair(left: left, right: right, prefersUDPEncapsulation: false)
        pair.connect()
        #expect(pair.left.installed.isEmpty)
        #expect(pair.right.refusals.count == 1)
    }

    @Test func whatIsOfferedBesidesIsTaken() {
        var left = Pair.connection()
        left.children[0].proposals = Pair.proposals("sha256", .ah) + Pair.proposals("aes256gcm16", .esp)
        var right = Pair.connection(isLeft: false, esp: "aes256gcm16")
        right.remoteAddresses = []
        let pair = Pair(left: left, right: right, prefersUDPEncapsulation: false)
        pair.connect()
        #expect(pair.left.installed.map(\.securityProtocol) == [.esp, .esp])
    }

    @Test func neitherUDPNorANATLetsItThrough() throws {
        let forced = Self.pair("sha256", forced: true)
        forced.connect()
        #expect(forced.left.installed.isEmpty)
        #expect(forced.left.refusals.first == .authenticationHeaderNeedsPlainPath(child: "net", isForced: false))
        // The IKE SA stands.
        #expect(forced.left.summary?.state == .established)

        let mapped = IPAddress(v4: 0xcb00_7105)
        let natted = Self.pair("sha256")
        natted.wire = { datagram, fromLeft in
            var path = datagram.path
            if fromLeft {
                path.local = Endpoint(mapped, path.local.port)
            } else {
                path.remote = Endpoint(Pair.leftAddress, path.remote.port)
            }
            return [Datagram(datagram.bytes, path: path, socket: datagram.socket)]
        }
        natted.connect()
        #expect(natted.left.refusals.first == .authenticationHeaderNeedsPlainPath(child: "net", isForced: false))
        // A peer that offers it all the same is refused.
        #expect(natted.right.installed.isEmpty)
    }

    @Test func truncationIsTheChildsOwnMatter() {
        for isAH in [true, false] {
            var (left, right) = (Pair.connection(), Pair.connection(isLeft: false))
            let proposals = isAH ? Pair.proposals("sha256", .ah) : Pair.proposals("aes128-sha256", .esp)
            left.children[0].proposals = proposals
            right.children[0].proposals = proposals
            left.children[0].truncatesSHA256 = true
            let pair = Pair(left: left, right: right)
            pair.connect()
            #expect(pair.left.installed.map(\.integrity) == [.sha256Truncated96, .sha256Truncated96])
            // Nothing of it is negotiated: the other side must have been told.
            #expect(pair.right.installed.map(\.integrity) == [.sha256, .sha256])
            #expect(pair.left.summary?.children.first?.algorithms.first(.integrity) == .sha256)
        }
    }
}
