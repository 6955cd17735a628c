import GatewayModel
import NetworkTypes
import SwanctlConfig
import Testing

/// What the section `pools` means, and the keys of connections that go with it.
@Suite struct PoolTests {
    private func pool(_ lines: String) throws -> AddressPool {
        try #require(try load("pools { p {\n\(lines)\n} }").pools.first)
    }

    private func problems(_ lines: String) -> [String] { errors("pools { p {\n\(lines)\n} }") }

    @Test(arguments: [
        ("10.3.0.0/24", "10.3.0.1..10.3.0.254"), ("10.3.0.0/30", "10.3.0.1..10.3.0.2"),
        ("10.3.0.4/31", "10.3.0.4/31"), ("10.3.0.5", "10.3.0.5/32"), ("10.3.0.10 - 10.3.0.12", "10.3.0.10..10.3.0.12"),
        ("fd00::/120", "fd00::1..fd00::fe"), ("fd00::7/128", "fd00::7/128"), ("fd00::/127", "fd00::/127"),
        // From the written address on; of a huge block, as much as strongSwan takes.
        ("10.3.0.1/24", "10.3.0.1..10.3.0.254"), ("10.3.0.5/24", "10.3.0.5..10.3.0.254"),
        ("10.3.0.254/24", "10.3.0.254/32"), ("10.3.0.1/31", "10.3.0.1/32"), ("fd00::5/120", "fd00::5..fd00::fe"),
        ("fd00::/64", "fd00::1..fd00::7fff:fffe"), ("fd00::5:0:0:7/64", "fd00::5:0:0:7..fd00::5:0:7fff:fffe"),
    ])
    func addressesThatAreLent(written: String, range: String) throws {
        let pool = try pool("addrs = \(written)")
        #expect(pool.addresses?.description == range)
        #expect(pool.base == written)
        #expect(pool.attributes == [])
    }

    @Test func attributesTravelAsTheirTypesSay() throws {
        let pool = try pool(
            """
            addrs = 10.3.0.0/24
            dns = 10.1.0.53, fd01::53
            nbns = 10.1.0.54
            dhcp = 10.1.0.55
            netmask = 255.255.255.0
            server = 10.1.0.1
            subnet = 10.1.0.0/16, fd01::/64
            split_include = 10.7.0.0/16
            split_exclude = 10.7.7.0/24
            prefix = fd00:1::/64
            domain = corp.example
            dnssec_ta = example.org:43547:8:2:00ff
            20 = 10.1.0.99
            7 = some version
            16390 = 0xcafe
            """)
        let expected: [(UInt16, [UInt8])] = [
            (3, [10, 1, 0, 53]), (10, [0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53]), (4, [10, 1, 0, 54]),
            (6, [10, 1, 0, 55]), (2, [255, 255, 255, 0]), (23_456, [10, 1, 0, 1]),
            (13, [10, 1, 0, 0, 255, 255, 0, 0]), (15, [0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64]),
            (13, [10, 7, 0, 0, 255, 255, 0, 0]), (28_677, [10, 7, 7, 0, 255, 255, 255, 0]),
            (18, [0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64]), (25, Array("corp.example".utf8)),
            (25, Array("example.org".utf8)), (26, [0xaa, 0x1b, 8, 2, 0, 0xff]), (20, [10, 1, 0, 99]),
            (7, Array("some version".utf8)), (16_390, [0xca, 0xfe]),
        ]
        #expect(pool.attributes == expected.map { HostAttribute(type: $0.0, value: $0.1) })
    }

    @Test(arguments: [
        ("", "1:9: error: pools.p has no addrs; add addrs = 10.3.0.0/24, or a range"),
        ("addrs = 10.3.0.9-10.3.0.1", "2:1: error: pools.p.addrs: '10.3.0.9-10.3.0.1' goes backwards"),
        (
            "addrs = 10.3.0.255/24",
            "2:1: error: pools.p.addrs: '10.3.0.255/24' begins behind the last address that can be lent"
        ),
        ("addrs = ten", "2:1: error: pools.p.addrs: 'ten' is neither a block nor a range"),
        ("addrs = 10.3.0.0/24\nnetmask = 255.0.255.0", "3:1: error: pools.p.netmask: '255.0.255.0' is not a mask"),
        (
            "addrs = 10.3.0.0/24\ndsn = 10.1.0.53",
            "3:1: error: pools.p.dsn: 'dsn' is not an attribute; did you mean 'dns'?"
        ),
        ("addrs = 10.3.0.0/24\nnbns = fd00::1", "3:1: error: pools.p.nbns: 'fd00::1' is not an IPv4 address"),
        ("addrs = 10.3.0.0/24\n7 = 0xabc", "3:1: error: pools.p.7: what follows 0x is not hexadecimal"),
        ("addrs = 10.3.0.0/24\nprefix = 10.0.0.0/8", "3:1: error: pools.p.prefix: '10.0.0.0/8' is not an IPv6 prefix"),
        (
            "addrs = 10.3.0.0/24\ndnssec_ta = a.example:1:2",
            "3:1: error: pools.p.dnssec_ta: 'a.example:1:2' is not a trust"
        ),
    ])
    func mistakesNameTheirPlace(lines: String, message: String) {
        let problems = problems(lines)
        #expect(problems.count == 1 && problems.first?.hasPrefix(message) == true, "\(problems)")
    }

    @Test func connectionsAskAndGive() throws {
        let text = connection("vips = 0.0.0.0, ::, 10.3.0.9\npools = four, six")
        let loaded = try load(text + "\npools { four { addrs = 10.3.0.0/24\n}\nsix { addrs = fd03::/120\n} }")
        let read = try #require(loaded.connections.first)
        #expect(read.virtualAddresses == [.unspecified(.v4), .unspecified(.v6), IPAddress(v4: 0x0a03_0009)])
        #expect(read.pools == ["four", "six"])
        #expect(loaded.pools.map(\.name) == ["four", "six"])
        #expect(loaded.warnings == [])
    }

    @Test func aPoolThatIsNotThereIsAnError() {
        let text = connection("pools = fuor") + "\npools { four { addrs = 10.3.0.0/24\n} }"
        #expect(
            errors(text).map { $0.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? "" } == [
                "error: connection 'gw' gives addresses of pool 'fuor', which is not there; did you mean 'four'?"
            ])
    }

    @Test func overlappingPoolsAreWarnedOf() throws {
        let loaded = try load("pools { a { addrs = 10.3.0.0/24\n}\nb { addrs = 10.3.0.128/25\n} }")
        #expect(loaded.warnings.count == 1 && loaded.warnings.first?.description.contains("overlap") == true)
    }

    @Test(arguments: [
        ("prefixes = 2001:db8:100::/48", "2001:db8:100::/48", 64, "2001:db8:100::..2001:db8:100:ffff::"),
        ("prefixes = fd00::/56\nprefix_length = 60", "fd00::/56", 60, "fd00::..fd00:0:0:f0::"),
        ("prefixes = fd00::/64", "fd00::/64", 64, "fd00::/128"),
        ("addrs = 10.3.0.0/24\nprefixes = fd00:0:1::/48", "fd00:0:1::/48", 64, "fd00:0:1::..fd00:0:1:ffff::"),
    ])
    func prefixesThatAreLent(lines: String, block: String, length: Int, ends: String) throws {
        let pool = try pool(lines)
        let stock = try #require(pool.prefixes)
        #expect(stock.block.description == block && stock.length == length && stock.ends.description == ends)
        #expect((pool.addresses == nil) == !lines.hasPrefix("addrs"))
        #expect(pool.base == (lines.hasPrefix("addrs") ? "10.3.0.0/24" : block))
        #expect(pool.attributes == [])
    }

    @Test(arguments: [
        (
            "prefixes = 2001:db8:100::/48\nprefix_length = 40",
            "3:1: error: pools.p.prefix_length: 40 is shorter than the prefix 2001:db8:100::/48 that it is to divide"
        ),
        (
            "prefixes = 2001:db8:100::/80",
            "2:1: error: pools.p.prefix_length: 64 is shorter than the prefix 2001:db8:100::/80 that it is to divide"
        ),
        ("prefixes = 10.3.0.0/16", "2:1: error: pools.p.prefixes: '10.3.0.0/16' is not an IPv6 prefix"),
        ("prefixes = 2001:db8:100::", "2:1: error: pools.p.prefixes: '2001:db8:100::' is not an IPv6 prefix"),
        ("prefixes = fd00::/48\nprefix_length = 129", "3:1: error: pools.p.prefix_length: "),
        (
            "prefixes = fd00::/48\naddrs = fd00::1-fd00::9",
            "1:9: error: the addresses and the prefixes of pool 'p' overlap"
        ),
    ])
    func mistakesInPrefixesNameTheirPlace(lines: String, message: String) {
        let problems = problems(lines)
        #expect(problems.count == 1 && problems.first?.hasPrefix(message) == true, "\(problems)")
    }

    @Test(arguments: [
        ("prefixes = fd00::/48", "prefixes = fd00:0:0:7::/64"), ("prefixes = fd00::/48", "addrs = fd00::/120"),
        ("addrs = fd00::/120", "prefixes = fd00::/48"),
    ])
    func prefixesThatAreAnothersAreAnError(one: String, other: String) {
        let found = errors("pools { a { \(one)\n}\nb { \(other)\n} }")
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.hasPrefix("3:1: error: pools 'a' and 'b' overlap: ") == true, "\(found)")
    }

    @Test func whatHasNoEffectIsWarnedOf() throws {
        let alone = try load("pools { p { addrs = 10.3.0.0/24\nprefix_length = 56\n} }").warnings
        #expect(alone.count == 1 && alone.first?.description.contains("no effect without prefixes") == true)
        let same = try load("pools { p { addrs = 10.3.0.0/24\nprefix = fd00::/64\n} }").warnings
        #expect(same.count == 1 && same.first?.description.contains("the same prefix") == true)
    }

    @Test func aPrefixIsAskedForByItsLength() throws {
        let read = try #require(try load(connection("vips = 0.0.0.0, ::/64, fd00:7::/60")).connections.first)
        #expect(read.virtualAddresses == [.unspecified(.v4)])
        #expect(read.virtualPrefixes.map(\.description) == ["::/64", "fd00:7::/60"])
        for wrong in ["10.3.0.0/24", "::/0", "fd00::/128", "0.0.0.0/0"] {
            let found = errors(connection("vips = \(wrong)"))
            let isTold = found.first?.contains("vips: '\(wrong)' is no prefix that can be asked for") == true
            #expect(found.count == 1 && isTold, "\(found)")
        }
    }
}
