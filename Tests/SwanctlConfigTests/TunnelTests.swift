import Clockwork
import GatewayModel
import SwanctlConfig
import Testing

/// How packets are fitted to the path, and how many a child may carry.
@Suite struct TunnelTests {
    private func child(_ lines: String) throws -> ChildTemplate {
        let loaded = try load(connection("", child: lines))
        return try #require(loaded.connections.first?.children.first)
    }

    @Test func nothingIsSaidAndTheDefaultsHold() throws {
        let child = try child("")
        #expect(child.tunnel == TunnelBehaviour())
        #expect(child.volume == VolumeLifetime())
        #expect(try load(connection("")).connections.first?.rekeyBytes == 0)
    }

    @Test func everyKeyIsRead() throws {
        let tunnel = try child(
            """
            mss = 1360
            mtu = 1400
            fragment = after
            copy_df = no
            copy_ecn = no
            copy_dscp = yes
            tfc_padding = mtu
            """
        ).tunnel
        #expect(tunnel.segmentSize == .octets(1360))
        #expect(tunnel.mtu == 1400)
        #expect(tunnel.fragmentation == .after)
        #expect(!tunnel.copiesDF && !tunnel.copiesECN)
        #expect(tunnel.copiesDSCP == [.inward, .outward])
        #expect(tunnel.padding == .path)
        #expect(try child("mss = off").tunnel.segmentSize == .unlimited)
        #expect(try child("mss = auto\nmtu = auto").tunnel == TunnelBehaviour())
        #expect(try child("tfc_padding = 900").tunnel.padding == .octets(900))
        #expect(try child("copy_dscp = no").tunnel.copiesDSCP == [])
        #expect(try child("copy_dscp = in").tunnel.copiesDSCP == .inward)
    }

    @Test func limitsFollowFromEachOther() throws {
        let both = try child("rekey_bytes = 500m\nrekey_packets = 1000000")
        #expect(both.volume.bytes.rekey == 500 << 20)
        #expect(both.volume.bytes.life == (500 << 20) + (50 << 20) + 1)
        #expect(both.volume.bytes.random == both.volume.bytes.life - both.volume.bytes.rekey)
        #expect(both.volume.packets == .init(rekey: 1_000_000, life: 1_100_001, random: 100_001))
        let life = try child("life_packets = 1000")
        #expect(life.volume.packets == .init(rekey: 900, life: 1000, random: 100))
        let all = try child("rekey_bytes = 1g\nlife_bytes = 2g\nrand_bytes = 1k")
        #expect(all.volume.bytes == .init(rekey: 1 << 30, life: 2 << 30, random: 1 << 10))
        #expect(try load(connection("rekey_bytes = 10 m")).connections.first?.rekeyBytes == 10 << 20)
    }

    @Test(arguments: [
        ("mss = 20", "mss: '20' is not a number from 88 to 65535; write auto, off, or octets: 1360"),
        ("mtu = 500", "mtu: '500' is not a number from 576 to 65535; write auto, or octets of inner packets: 1400"),
        ("fragment = never", "fragment: 'never' is not one of the words allowed here; write one of: before, after"),
        (
            "rekey_bytes = 5t",
            "rekey_bytes: '5t' is not a number of octets; write a number of octets, or one with k, m or g: 500m, 4g"
        ),
        (
            "rekey_bytes = 99999999999g",
            "rekey_bytes: '99999999999g' is more octets than anybody sends; write a number of octets, or one with k, m or g: 500m, 4g"
        ),
        (
            "life_packets = -1",
            "life_packets: '-1' is not a number from 0 to 4294967295; write a number from 0 to 4294967295"
        ),
        ("tfc_padding = big", "tfc_padding: 'big' is not a number from 0 to 65535; write a number of octets, or mtu"),
    ])
    func mistakesAreNamed(line: String, message: String) {
        let found = errors(connection("", child: line))
        #expect(found.count == 1)
        #expect(found.first?.hasSuffix("connections.gw.children.net.\(message)") == true, "\(found)")
    }

    @Test func aLimitThatLeavesNoTimeIsWarnedOf() throws {
        let loaded = try load(connection("", child: "rekey_bytes = 2000\nlife_bytes = 1000"))
        #expect(loaded.warnings.count == 1)
    }
}
