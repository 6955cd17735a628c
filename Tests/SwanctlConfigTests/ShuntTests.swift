import GatewayModel
import SwanctlConfig
import Testing

/// Children that are policies, and priorities.
struct ShuntTests {
    @Test func passAndDropAreRead() throws {
        let loaded = try load(
            """
            connections { shunts { children {
                lan { local_ts = 10.1.0.0/16
                    remote_ts = 10.1.0.0/16
                    mode = pass
                    start_action = trap }
                mail { remote_ts = 0.0.0.0/0[tcp/25]
                    mode = DROP
                    start_action = trap
                    priority = 7 }
            } } }
            """)
        let connection = try #require(loaded.connections.first)
        #expect(connection.isPolicyOnly)
        #expect(connection.children.map(\.shunt) == [.pass, .drop])
        #expect(connection.children.map(\.priority) == [0, 7])
        // It is nobody's peer: there is nothing to say about secrets and addresses.
        #expect(loaded.warnings.isEmpty, "\(loaded.warnings)")
    }

    @Test func aPolicyThatIsNeverInForceIsWarnedOf() throws {
        let loaded = try load("connections { a { children { lan { mode = pass\n } } } }")
        #expect(loaded.warnings.count == 1)
        #expect(loaded.warnings.first?.description.contains("only with start_action = trap") == true)
    }

    @Test func aTunnelMayHaveAPriority() throws {
        let loaded = try load(connection("", child: "priority = 1000000"))
        #expect(loaded.connections.first?.children.first?.priority == 1_000_000)
        #expect(loaded.connections.first?.isPolicyOnly == false)
        #expect(errors(connection("", child: "priority = 1000001")).count == 1)
    }
}
