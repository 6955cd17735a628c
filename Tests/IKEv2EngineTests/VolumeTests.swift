import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// SAs that have carried as much as they may: Child SAs by what the plane tells, IKE SAs by their own messages.
@Suite struct VolumeTests {
    private func child(_ gateway: Gateway) throws -> ChildSASummary {
        let children = try #require(gateway.summary?.children)
        #expect(children.map(\.state) == [.installed])
        return try #require(children.first)
    }

    @Test func aSoftLimitReplacesAChildAndAHardOneClosesIt() throws {
        let pair = Pair()
        pair.connect()
        let first = try child(pair.right)
        pair.right.handle(.plane(.volumeReached(first.id, .soft)))
        // Told once more while it is being done: nothing is done twice.
        pair.right.handle(.plane(.volumeReached(first.id, .soft)))
        pair.run()
        let second = try child(pair.right)
        #expect(second.id != first.id)
        // Too late: it is not the one that packets take.
        pair.right.handle(.plane(.volumeReached(first.id, .hard)))
        pair.run()
        #expect(try child(pair.right).id == second.id)
        pair.left.handle(.plane(.volumeReached(try child(pair.left).id, .hard)))
        pair.run()
        #expect(pair.left.summary?.children == [])
        #expect(pair.right.summary?.children == [])
        #expect(pair.left.liveSPIs.isEmpty && pair.right.liveSPIs.isEmpty)
    }

    @Test func theLimitsReachThePlaneEarlierByChance() throws {
        var left = Pair.connection()
        left.children[0].volume = VolumeLifetime(
            bytes: .init(rekey: 1_000_000, life: 1_100_000, random: 100_000), packets: .init(rekey: 1000, life: 1100))
        left.children[0].tunnel.segmentSize = .octets(1360)
        let pair = Pair(left: left)
        pair.connect()
        #expect(pair.left.installed.count == 2)
        var soft: Set<UInt64> = []
        for association in pair.left.installed {
            let bytes = try #require(association.limits.softBytes)
            soft.insert(bytes)
            #expect((900_000...1_000_000).contains(bytes))
            #expect(association.limits.hardBytes == 1_100_000)
            #expect(association.limits.softPackets == 1000 && association.limits.hardPackets == 1100)
            #expect(association.tunnel.segmentSize == .octets(1360))
        }
        #expect(soft.count == 2)
        for association in pair.right.installed { #expect(association.limits == VolumeLimits()) }
    }

    @Test func anIKESAIsReplacedAfterSoManyOctets() throws {
        var left = Pair.connection()
        left.rekeyBytes = 5_000
        let pair = Pair(left: left)
        pair.connect()
        let first = try #require(pair.left.summary?.id)
        var rounds = 0
        while pair.left.summary?.id == first, rounds < 200 {
            pair.left.handle(.command(.rekey(.child("net", connection: "net"))))
            pair.run()
            rounds += 1
        }
        // A rekeying of the child takes some hundred octets: neither at once nor never.
        #expect(rounds > 3 && rounds < 40)
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.summary?.state == .established)
        #expect(pair.left.refusals == [] && pair.right.refusals == [])
    }

    @Test func aPeerThatCannotTakePaddingGetsNone() throws {
        var template = ChildTemplate(name: "net")
        template.tunnel.padding = .path
        var agreement = ChildAgreement(
            template: template, proposal: Pair.proposals("aes128gcm16", .esp)[0], inboundSPI: 1, outboundSPI: 2,
            mode: .tunnel, localSelectors: [], remoteSelectors: [])
        #expect(agreement.tunnel.padding == .path)
        agreement.refusesPadding = true
        #expect(agreement.tunnel.padding == .none)
    }
}
