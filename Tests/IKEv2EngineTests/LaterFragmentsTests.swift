import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// How two ends agree that fragments that do not show their ports use an SA whose selectors look at them (RFC 7296 §1.3.1,
/// RFC 4301 §7.3).
@Suite struct LaterFragmentsTests {
    private static func connection(isLeft: Bool, ports: TrafficSelector.Ports) -> Connection {
        var connection = Pair.connection(isLeft: isLeft)
        let left = SelectorTemplate(Pair.prefix("10.1.0.0/16").range, ipProtocol: .udp, ports: ports)
        let right = SelectorTemplate(Pair.prefix("10.2.0.0/16").range, ipProtocol: .udp, ports: .any)
        connection.children[0].localSelectors = [isLeft ? left : right]
        connection.children[0].remoteSelectors = [isLeft ? right : left]
        return connection
    }

    private func agreed(_ left: TrafficSelector.Ports, _ right: TrafficSelector.Ports) throws -> Set<Bool> {
        let pair = Pair(
            left: Self.connection(isLeft: true, ports: left), right: Self.connection(isLeft: false, ports: right))
        pair.connect()
        #expect(pair.left.installed.count == 2 && pair.right.installed.count == 2)
        var found = Set((pair.left.installed + pair.right.installed).map { $0.tunnel.laterFragments == .followFirst })
        // In a CREATE_CHILD_SA from either end it is agreed on again.
        for gateway in [pair.left, pair.right] {
            gateway.handle(.command(.rekey(.child("net", connection: nil))))
            pair.run()
            found.formUnion(
                (pair.left.installed.suffix(2) + pair.right.installed.suffix(2)).map {
                    $0.tunnel.laterFragments == .followFirst
                })
        }
        return found
    }

    @Test func bothAgreeWherePortsAreLookedAt() throws {
        #expect(try agreed(.only(53), .only(53)) == [true])
        #expect(try agreed(.range(50...60), .only(53)) == [true])
    }

    @Test func whereNoneAreNothingIsSaid() throws {
        #expect(try agreed(.any, .any) == [false])
        #expect(try agreed(.opaque, .opaque) == [false])
    }

    @Test func whoWasNotAskedDoesNotAgree() throws {
        // The peer narrows what we would have taken whole.
        let pair = Pair(
            left: Self.connection(isLeft: true, ports: .any), right: Self.connection(isLeft: false, ports: .only(53)))
        pair.connect()
        let installed = pair.left.installed + pair.right.installed
        #expect(installed.count == 4)
        #expect(installed.allSatisfy { $0.tunnel.laterFragments == .asTheyAre })
        #expect(pair.left.installed.allSatisfy { $0.localSelectors.allSatisfy(\.namesPorts) })
    }
}
