import Clockwork
import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes
import Testing

@testable import ESPEngine

/// What fits into a tunnel, and what becomes of what does not.
struct TunnelRulesTests {
    @Test(arguments: [576, 1280, 1400, 1492, 1500, 9000, 65_535])
    func theInnerMTUFillsThePathExactly(path: Int) throws {
        let algorithms: [(Transform, Transform?)] = [
            (.aes128gcm16, nil), (.aes256gcm16, nil), (.chacha20poly1305, nil), (.aes128, .sha256),
            (.aes256, .sha512), (Transform(.encryption, 3), .sha1),
        ]
        for (encryption, integrity) in algorithms { try check(encryption, integrity, path) }
    }

    private func check(_ encryption: Transform, _ integrity: Transform?, _ path: Int) throws {
        var entropy = SeededEntropy(seed: 1)
        let association = try Fixtures.association(.outbound, encryption: encryption, integrity: integrity)
        let shape = try OutboundSA(association, serial: 1, entropy: &entropy).shape
        let rules = TunnelRules(association, shape: shape, pathMTU: path)
        let headers = 20 + 8
        #expect(shape.length(around: rules.innerMTU) + headers <= path)
        #expect(shape.length(around: rules.innerMTU + 1) + headers > path)
        #expect(Int(rules.clamp.v4) == rules.innerMTU - 40)
        #expect(Int(rules.clamp.v6) == rules.innerMTU - 60)
    }

    private func rules(
        _ path: Int = 1500, isTransport: Bool = false, _ change: (inout TunnelBehaviour) -> Void = { _ in }
    ) -> TunnelRules {
        var behaviour = TunnelBehaviour()
        change(&behaviour)
        let shape = SealedShape(headroom: 16, alignment: 4, icvLength: 16, isTransport: isTransport)
        return TunnelRules(behaviour, shape: shape, isV6: false, inUDP: true, pathMTU: path)
    }

    @Test func transportModeHasRoomForTheHeader() {
        let rules = rules(isTransport: true) { $0.padding = .path }
        #expect(rules.innerMTU == 1438 + 20)
        #expect(rules.paddedLength == 0)
        #expect(rules.fate(isV6: false, doesNotFragment: false, length: 1500) == .whole)
        #expect(rules.fate(isV6: false, doesNotFragment: true, length: 1500) == .refused(mtu: 1458))
    }

    @Test func aConfigurationMayAskForLess() {
        #expect(rules().innerMTU == 1438)
        #expect(rules { $0.mtu = 1400 }.innerMTU == 1400)
        #expect(rules { $0.mtu = 2000 }.innerMTU == 1438)
        #expect(rules { $0.segmentSize = .octets(1200) }.clamp.v6 == 1200)
        #expect(rules { $0.segmentSize = .unlimited }.clamp == .none)
        // No report of a router makes it narrower than what every host takes.
        #expect(rules(68).innerMTU == rules(576).innerMTU)
    }

    @Test func paddingNeverNeedsMoreThanOnePacket() {
        #expect(rules().paddedLength == 0)
        #expect(rules { $0.padding = .octets(600) }.paddedLength == 600)
        #expect(rules { $0.padding = .octets(60_000) }.paddedLength == 1438)
        #expect(rules { $0.padding = .path }.paddedLength == 1438)
        #expect(
            rules {
                $0.padding = .path
                $0.mtu = 1300
            }.paddedLength == 1300)
    }

    @Test func whatIsTooLongIsCutOrRefused() {
        #expect(rules().fate(isV6: false, doesNotFragment: false, length: 1500) == .cut)
        #expect(rules().fate(isV6: false, doesNotFragment: true, length: 1500) == .refused(mtu: 1438))
        #expect(rules().fate(isV6: true, doesNotFragment: true, length: 1500) == .refused(mtu: 1438))
        let after = rules { $0.fragmentation = .after }
        #expect(after.fate(isV6: false, doesNotFragment: false, length: 1500) == .whole)
        #expect(after.fate(isV6: false, doesNotFragment: true, length: 1500) == .refused(mtu: 1438))
        // No IPv6 sender has to make its packets shorter than 1,280 octets.
        #expect(rules(1000).fate(isV6: true, doesNotFragment: true, length: 1280) == .whole)
        #expect(rules(1000).fate(isV6: true, doesNotFragment: true, length: 1281) == .refused(mtu: 1280))
    }
}
