import Clockwork
import ESPEngine
import GatewayModel
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import UserspacePlane

/// SAs that are alike share what is done to their packets, and each follows its own path all the same.
@Suite struct TunnelTableTests {
    private let shape: SealedShape
    private let fit = PathFit(mtu: 1500, isV6: false, inUDP: true)
    private let first = IPAddress(v4: 0x0a00_0001)
    private let second = IPAddress(v4: 0x0a00_0002)
    private let now = Instant.zero

    init() throws {
        let path = Path(local: Endpoint(first, 4500), remote: Endpoint(second, 4500))
        let selectors = try Support.selectors(["10.1.0.0/16"])
        let pair = Support.associations(index: 1, isFirst: true, path: path, local: selectors, remote: selectors)
        var entropy = SeededEntropy(seed: 1)
        shape = try OutboundSA(pair.outbound, serial: 1, entropy: &entropy).shape
    }

    private func way(to remote: IPAddress) -> Way {
        Way(path: Path(local: Endpoint(first, 4500), remote: Endpoint(remote, 4500)), socket: 0)
    }

    @Test func alikeSAsShareOneKind() {
        var table = TunnelTable()
        for place in 0..<100 { table.install(place, TunnelBehaviour(), fit, shape, way(to: first)) }
        #expect(table.kindCount == 1)
        #expect(table[99].innerMTU == table[0].innerMTU)
    }

    @Test func whatIsLearntConcernsOnePeer() {
        var table = TunnelTable()
        table.install(0, TunnelBehaviour(), fit, shape, way(to: first))
        table.install(1, TunnelBehaviour(), fit, shape, way(to: second))
        let wide = table[0].innerMTU
        let isNews = table.learn(second, 1300, now: now)
        #expect(isNews)
        #expect(table[0].innerMTU == wide)
        #expect(table[1].innerMTU < 1300)
        #expect(table.kindCount == 2)
        // One that is installed later knows it too.
        table.install(2, TunnelBehaviour(), fit, shape, way(to: second))
        #expect(table[2].innerMTU == table[1].innerMTU)
        table.forget(now: now + .minutes(11))
        #expect(table[1].innerMTU == wide)
        #expect(table[2].innerMTU == wide)
        #expect(table.kindCount == 1)
    }

    @Test func oneThatMovesLeavesTheOthersAlone() {
        var table = TunnelTable()
        for place in 0..<3 { table.install(place, TunnelBehaviour(), fit, shape, way(to: first)) }
        let wide = table[0].innerMTU
        table.learn(second, 1200, now: now)
        #expect(table[1].innerMTU == wide, "nobody sends there")
        table.move(1, PathFit(mtu: 1400, isV6: false, inUDP: true), way(to: second))
        #expect(table[1].innerMTU < wide)
        #expect(table[0].innerMTU == wide && table[2].innerMTU == wide)
        table.move(1, fit, way(to: first))
        #expect(table[1].innerMTU == wide)
        #expect(table.kindCount == 1)
    }
}
