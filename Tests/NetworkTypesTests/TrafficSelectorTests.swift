import NetworkTypes
import Testing

@Suite struct TrafficSelectorTests {
    private func selector(_ prefix: String, _ number: IPProtocolNumber = .any, _ ports: TrafficSelector.Ports = .any)
        throws -> TrafficSelector
    {
        TrafficSelector(try #require(IPPrefix(prefix)).range, ipProtocol: number, ports: ports)
    }

    @Test func narrowsToWhatBothSelect() throws {
        let wide = try selector("10.0.0.0/8")
        let narrow = try selector("10.1.0.0/16", .tcp, .range(80...443))
        #expect(wide.intersection(narrow) == narrow)
        #expect(narrow.intersection(wide) == narrow)
        #expect(
            try narrow.intersection(selector("10.1.2.0/24", .tcp, .range(400...500)))?.description
                == "10.1.2.0/24[tcp/400-443]")
        #expect(try narrow.intersection(selector("10.1.0.0/16", .udp)) == nil)
        #expect(try narrow.intersection(selector("10.2.0.0/16")) == nil)
        #expect(try wide.intersection(selector("fd00::/8")) == nil)
        #expect(wide.contains(narrow))
        #expect(!narrow.contains(wide))
    }

    @Test func keepsHiddenPortsApart() throws {
        let opaque = try selector("10.0.0.0/8", .udp, .opaque)
        #expect(try opaque.intersection(selector("10.0.0.0/8", .udp, .only(53))) == nil)
        #expect(try opaque.intersection(selector("10.0.0.0/8")) == opaque)
        let inside = try #require(IPAddress("10.0.0.1"))
        #expect(opaque.matches(inside, .udp, port: nil))
        #expect(!opaque.matches(inside, .udp, port: 53))
    }

    @Test func matchesPackets() throws {
        let web = try selector("10.1.0.0/16", .tcp, .only(80))
        let inside = try #require(IPAddress("10.1.2.3"))
        #expect(web.matches(inside, .tcp, port: 80))
        #expect(!web.matches(inside, .tcp, port: 81))
        #expect(!web.matches(inside, .udp, port: 80))
        #expect(!web.matches(inside, .tcp, port: nil))
        #expect(try !web.matches(#require(IPAddress("10.2.0.1")), .tcp, port: 80))
    }

    @Test func printsAsTheFieldDoes() throws {
        #expect(try selector("10.1.0.0/16").description == "10.1.0.0/16")
        #expect(try selector("10.1.0.1/32", .tcp, .only(80)).description == "10.1.0.1/32[tcp/80]")
        #expect(try selector("10.1.0.0/16", .gre).description == "10.1.0.0/16[gre]")
        #expect(try selector("10.1.0.0/16", .icmp, .range(0x0800...0x08ff)).description == "10.1.0.0/16[icmp/8]")
        #expect(try selector("10.1.0.0/16", .udp, .opaque).description == "10.1.0.0/16[udp/OPAQUE]")
    }
}

@Suite struct PrefixTrieTests {
    /// Against a list that is searched from end to end.
    @Test func findsTheLongestMatch() throws {
        var seed: UInt64 = 7
        func next(_ bound: UInt64) -> UInt64 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (seed >> 33) % bound
        }
        for family in IPAddress.Family.allCases {
            var trie = PrefixTrie<Int>()
            var list: [IPPrefix: Int] = [:]
            for value in 0..<400 {
                let bits = UInt128(next(1 << 12)) << UInt128(family.bitWidth - 12) | UInt128(next(4))
                let length = Int(next(13)) + (next(10) == 0 ? family.bitWidth - 12 : 0)
                let prefix = try #require(IPPrefix(IPAddress(family, bits: bits), length: length))
                trie.insert(prefix, value)
                list[prefix] = value
                if next(5) == 0, let victim = list.keys.min() {
                    let removed = (trie.remove(victim), list.removeValue(forKey: victim))
                    #expect(removed.0 == removed.1)
                }
            }
            #expect(trie.count == list.count)
            for (prefix, value) in list { #expect(trie[prefix] == value) }
            for _ in 0..<2000 {
                let bits = UInt128(next(1 << 12)) << UInt128(family.bitWidth - 12) | UInt128(next(4))
                let address = IPAddress(family, bits: bits)
                let expected = list.filter { $0.key.contains(address) }.max { $0.key.length < $1.key.length }
                let found = trie.longestMatch(address)
                #expect(found?.prefix == expected?.key)
                #expect(found?.value == expected?.value)
            }
        }
    }
}
