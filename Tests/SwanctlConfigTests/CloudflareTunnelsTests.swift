import GatewayModel
import IKECore
import NetworkTypes
import Testing

@testable import SwanctlConfig

/// Tunnels of Cloudflare's that can't be told apart.
@Suite struct CloudflareTunnelsTests {
    private static func tunnel(
        _ name: String, _ peers: [AddressPattern], isAddressed: Bool = true, profile: String = "cloudflare-gateway"
    ) -> Connection {
        var made = Connection(name: name)
        made.profile = profile
        made.remoteAddresses = peers
        let identity = isAddressed ? Identity(IPAddress(v4: 0xc000_0201)) : .fqdn("\(name).example")
        made.remote.identity = .exactly(identity)
        made.local.identity = identity
        return made
    }

    private static func host(_ number: Int) -> AddressPattern {
        .prefix(IPPrefix(host: IPAddress(v4: 0xc000_0200 + UInt32(number))))
    }

    @Test func whatIsGoneOrReplacedIsNoRival() {
        var tunnels = CloudflareTunnels([Self.tunnel("a", [Self.host(1)])])
        let other = Self.tunnel("b", [Self.host(1)], isAddressed: false)
        #expect(tunnels.conflict(with: other)?.contains("'a'") == true, "the one that an address names")
        #expect(tunnels.conflict(with: Self.tunnel("a", [Self.host(1)])) == nil, "its own name")
        #expect(tunnels.conflict(with: Self.tunnel("c", [Self.host(1)], profile: "aws")) == nil)
        #expect(tunnels.conflict(with: Self.tunnel("c", [Self.host(1)], profile: "cloudflare")) == nil)
        tunnels.set(Self.tunnel("a", [Self.host(2)]))
        #expect(tunnels.conflict(with: other) == nil)
        tunnels.set(Self.tunnel("a", [Self.host(1)]))
        tunnels.remove("a")
        #expect(tunnels.conflict(with: other) == nil)
        tunnels.set(Self.tunnel("a", [.any], isAddressed: false))
        #expect(tunnels.conflict(with: other) == nil, "names tell them apart")
        #expect(tunnels.conflict(with: Self.tunnel("d", [Self.host(9)]))?.contains("'d'") == true)
    }

    @Test(arguments: [([host(1)], [host(1)]), ([host(1)], [.any]), ([.any], [host(1)]), ([], [host(1)]), ([.any], [])])
    func twoThatMeetAreRivalsWhereAnAddressNamesEither(_ one: [AddressPattern], _ other: [AddressPattern]) {
        for (isOne, isOther) in [(true, true), (true, false), (false, true), (false, false)] {
            let tunnels = CloudflareTunnels([Self.tunnel("a", one, isAddressed: isOne)])
            let conflict = tunnels.conflict(with: Self.tunnel("b", other, isAddressed: isOther))
            #expect((conflict != nil) == (isOne || isOther), "\(isOne), \(isOther)")
        }
    }

    /// Whoever is looked at alone is found among all, and nobody else.
    @Test func nobodyIsPassedOver() throws {
        var chance: UInt64 = 7
        func next(_ bound: Int) -> Int {
            chance = chance &* 6_364_136_223_846_793_005 &+ 1
            return Int(chance >> 33) % bound
        }
        let range = try #require(AddressRange(IPAddress(v4: 0xc000_0203), IPAddress(v4: 0xc000_0206)))
        func peers() -> [AddressPattern] {
            switch next(8) {
            case 0: [.any]
            case 1: []
            case 2: [.range(range)]
            case 3: [Self.host(next(40)), Self.host(next(40))]
            default: [Self.host(next(40))]
            }
        }
        var (conflicts, peace) = (0, 0)
        for round in 0..<400 {
            let all = (0..<(1 + next(12))).map { Self.tunnel("t\($0)", peers(), isAddressed: next(3) == 0) }
            let new = Self.tunnel("new", peers(), isAddressed: next(3) == 0)
            let found = CloudflareTunnels(all).conflict(with: new) != nil
            let one = all.contains { CloudflareTunnels([$0]).conflict(with: new) != nil }
            #expect(found == one, "round \(round)")
            if found { conflicts += 1 } else { peace += 1 }
        }
        #expect(conflicts > 50 && peace > 50)
    }
}
