import GatewayModel
import IKECore
import NetworkTypes
import Testing

@testable import Gateway

/// What the configuration has to say about packets while nobody is connected.
struct StandingPoliciesTests {
    private func selector(_ text: String) throws -> SelectorTemplate { SelectorTemplate(try #require(IPPrefix(text))) }

    @Test func eachChildBecomesWhatItsActionSays() throws {
        var connection = Connection(name: "hq")
        let actions: [(ChildTemplate.StartAction, ChildTemplate.Shunt?, StandingPolicy.Action?)] = [
            (.none, nil, nil), (.trap, nil, .trap), (.trapAndStart, nil, .trap), (.start, nil, .block),
            (.trap, .pass, .bypass), (.trap, .drop, .discard), (.none, .drop, nil),
        ]
        for (index, (start, shunt, _)) in actions.enumerated() {
            var child = ChildTemplate(name: "c\(index)")
            child.startAction = start
            child.shunt = shunt
            child.localSelectors = [try selector("10.1.0.0/16")]
            child.remoteSelectors = [try selector("10.2.0.0/16")]
            child.priority = UInt32(index)
            connection.children.append(child)
        }
        var asked = 0
        let policies = Configuration(connections: [connection]).standingPolicies { _ in
            asked += 1
            return .noPath("nobody")
        }
        #expect(policies.map(\.action) == actions.compactMap(\.2))
        #expect(policies.map(\.child) == ["c1", "c2", "c3", "c4", "c5"])
        #expect(policies.map(\.precedence) == [1, 2, 3, 4, 5])
        #expect(asked == 0)
    }

    @Test func dynamicStandsForTheEndsWhereTheyAreKnown() throws {
        var connection = Connection(name: "hq")
        var child = ChildTemplate(name: "host")
        child.startAction = .trap
        connection.children = [child]
        let (here, there) = (IPAddress(v4: 0xc000_0201), IPAddress(v4: 0xc000_0202))
        let path = Path(local: Endpoint(here, 500), remote: Endpoint(there, 500))
        let configuration = Configuration(connections: [connection])
        let known = configuration.standingPolicies { _ in .path(path) }
        #expect(known.map(\.local) == [[TrafficSelector(AddressRange(host: here))]])
        #expect(known.map(\.remote) == [[TrafficSelector(AddressRange(host: there))]])
        #expect(configuration.standingPolicies { _ in .noPath("no route") }.isEmpty)
        // Without a peer there are no ends.
        connection.children[0].shunt = .drop
        let drop = Configuration(connections: [connection]).standingPolicies { _ in .noPath("no route") }
        #expect(drop.first?.remote.map(\.description) == ["0.0.0.0/0", "::/0"])
    }
}
