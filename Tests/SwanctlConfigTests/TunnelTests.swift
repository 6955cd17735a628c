import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
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
            dummy_interval = 2m
            """
        ).tunnel
        #expect(tunnel.segmentSize == .octets(1360))
        #expect(tunnel.mtu == 1400)
        #expect(tunnel.fragmentation == .after)
        #expect(!tunnel.copiesDF && !tunnel.copiesECN)
        #expect(tunnel.copiesDSCP == [.inward, .outward])
        #expect(tunnel.padding == .path)
        #expect(tunnel.dummyInterval == .minutes(2))
        #expect(try child("dummy_interval = 0").tunnel == TunnelBehaviour())
        #expect(try child("mss = off").tunnel.segmentSize == .unlimited)
        #expect(try child("mss = auto\nmtu = auto").tunnel == TunnelBehaviour())
        #expect(try child("tfc_padding = 900").tunnel.padding == .octets(900))
        #expect(try child("copy_dscp = no").tunnel.copiesDSCP == [])
        #expect(try child("copy_dscp = in").tunnel.copiesDSCP == .inward)
    }

    @Test func dummiesAreESPsOnly() throws {
        let key = "connections.gw.children.net.dummy_interval: "
        for (line, problem) in [
            ("ah_proposals = sha256", "AH has no dummy packets (RFC 4303 §2.6); use ESP, or remove it"),
            ("mode = pass", "without a tunnel there are no dummy packets (RFC 4303 §2.6); remove it"),
        ] {
            let found = errors(connection("", child: line + "\ndummy_interval = 1s"))
            #expect(found.contains { $0.hasSuffix(key + problem) }, "\(found)")
        }
        let both = "ah_proposals = sha256\nesp_proposals = aes128gcm16\ndummy_interval = 1s"
        let warnings = try load(connection("", child: both)).warnings.map(\.description)
        #expect(warnings.contains { $0.contains(key + "has no effect where the peer chooses AH") }, "\(warnings)")
        #expect(try child("mode = transport\ndummy_interval = 5").tunnel.dummyInterval == .seconds(5))
    }

    @Test(arguments: [
        ("mode = transport", "has no effect in transport mode"),
        ("ah_proposals = sha256", "has no effect with AH"),
        ("ah_proposals = sha256\nesp_proposals = aes128gcm16", "has no effect where the peer chooses AH"),
    ])
    func paddingThatHidesNothingIsWarnedOf(line: String, problem: String) throws {
        let warnings = try load(connection("", child: line + "\ntfc_padding = mtu")).warnings.map(\.description)
        #expect(warnings.contains { $0.contains("net.tfc_padding: \(problem): packets keep") }, "\(warnings)")
        #expect(try load(connection("", child: line)).warnings.allSatisfy { !$0.description.contains("tfc_padding") })
        #expect(
            try load(connection("", child: "tfc_padding = mtu")).warnings.allSatisfy {
                !$0.description.contains("tfc_padding")
            })
    }

    @Test func withoutAReplayWindowNumbersAreNotExtended() throws {
        let both = try child(
            "replay_window = 0\nesp_proposals = aes128gcm16-esn-noesn\nah_proposals = sha256-noesn-esn")
        #expect(both.proposals.count == 2)
        #expect(both.proposals.allSatisfy { $0.transforms(of: .sequenceNumbers) == [.noesn] })
        let wide = try child("replay_window = 32\nesp_proposals = aes128gcm16-esn-noesn")
        #expect(wide.proposals.first?.transforms(of: .sequenceNumbers).count == 2)
        for (key, value) in [("esp_proposals", "aes128gcm16-esn"), ("ah_proposals", "sha256-esn")] {
            let found = errors(connection("", child: "replay_window = 0\n\(key) = \(value)"))
            #expect(found.count == 1)
            #expect(
                found.first?.contains("net.\(key): extended sequence numbers (esn) need a replay window") == true,
                "\(found)")
        }
    }

    @Test(
        arguments: [
            ("icmp/3", 0x0300...0x03ff), ("icmp/3-11", 0x0300...0x0bff), ("ipv6-icmp/128", 0x8000...0x80ff),
            ("icmp/3(1)", 0x0301...0x0301), ("icmp/3(0)-11(255)", 0x0300...0x0bff), ("icmp/0-255", 0...0xffff),
        ] as [(String, ClosedRange<UInt16>)])
    func aNumberOfICMPIsAType(text: String, messages: ClosedRange<UInt16>) throws {
        let selector = try child("remote_ts = 10.2.0.0/16[\(text)]").remoteSelectors.first
        #expect(selector?.ports == .range(messages))
    }

    @Test(arguments: [
        ("icmp/300", "there is no ICMP type '300'"), ("icmp/3-300", "there is no ICMP type '300'"),
        ("icmp/http", "there is no ICMP type 'http'"), ("icmp/11-3", "the types go backwards"),
        ("icmp/3(300)", "there is no ICMP code '(300)'"),
    ])
    func whatIsNoTypeOfICMPIsNamed(text: String, problem: String) {
        let found = errors(connection("", child: "remote_ts = 10.2.0.0/16[\(text)]"))
        #expect(found.count == 1)
        #expect(found.first?.contains(problem) == true, "\(found)")
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
