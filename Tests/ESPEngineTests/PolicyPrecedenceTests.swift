import GatewayModel
import IPPackets
import NetworkTypes
import Testing

@testable import ESPEngine

/// Policies that let through, drop, and ask for an SA, beside those that protect.
struct PolicyPrecedenceTests {
    private func fields(
        _ source: String, _ destination: String, ports: (UInt16, UInt16) = (1, 2)
    ) throws -> PacketSelectorFields {
        let bytes = try Fixtures.packet(from: source, to: destination, payload: [], ports: ports)
        return unsafe try PacketSelectorFields(parsing: bytes.span.bytes)
    }

    private func verdict(_ policies: borrowing PolicyDatabase, _ destination: String, port: UInt16 = 2) throws
        -> PolicyDatabase.Verdict
    {
        policies.verdict(for: try fields("10.1.0.1", destination, ports: (9, port)))
    }

    private let sa = PolicyDatabase.Action.protect(OutboundHandle(slot: 1, serial: 1))
    private let protected = PolicyDatabase.Verdict.protect(OutboundHandle(slot: 1, serial: 1))
    private func id(_ number: UInt32) -> ChildSAID { ChildSAID(rawValue: number) }
    private func block(_ text: String) throws -> [TrafficSelector] { [try Fixtures.selector(text)] }

    @Test func aWideBypassComesBeforeANarrowProtectionAndADiscardAfterIt() throws {
        var policies = PolicyDatabase()
        let local = try block("10.1.0.0/16")
        try policies.set(id(1), local: local, remote: try block("10.2.0.0/16"), action: sa)
        try policies.set(
            id(2), local: local, remote: try block("10.2.3.0/24"), action: .block,
            precedence: StandingPolicy.automaticPriority(.discard))
        #expect(try verdict(policies, "10.2.3.1") == protected)
        let web = TrafficSelector(try Fixtures.prefix("0.0.0.0/0").range, ipProtocol: .udp, ports: .only(80))
        try policies.set(
            id(3), local: local, remote: [web], action: .bypass, precedence: StandingPolicy.automaticPriority(.bypass))
        #expect(try verdict(policies, "10.2.0.1", port: 80) == .bypass)
        #expect(try verdict(policies, "192.0.2.1", port: 80) == .bypass)
        #expect(try verdict(policies, "10.2.0.1", port: 81) == protected)
        policies.remove(id(1))
        #expect(try verdict(policies, "10.2.3.1") == .block)
        #expect(try verdict(policies, "10.2.4.1") == .none)
    }

    @Test func aConfiguredPriorityDecidesBeforeEverythingElse() throws {
        var policies = PolicyDatabase()
        let (local, remote) = (try block("10.1.0.0/16"), try block("10.2.0.0/16"))
        try policies.set(id(1), local: local, remote: remote, action: .bypass, precedence: 10)
        try policies.set(id(2), local: local, remote: try block("10.0.0.0/8"), action: .block, precedence: 5)
        #expect(try verdict(policies, "10.2.0.1") == .block)
        try policies.set(id(3), local: local, remote: try block("0.0.0.0/0"), action: sa, precedence: 1)
        #expect(try verdict(policies, "10.2.0.1") == protected)
    }

    @Test func aTrapGivesWayToItsSAAndComesBackWithItsEnd() throws {
        var policies = PolicyDatabase()
        let local = try block("10.1.0.0/16")
        try policies.set(id(9), local: local, remote: try block("10.0.0.0/8"), action: .trap(9))
        #expect(try verdict(policies, "10.2.0.1") == .trap(9))
        // The peer took less than it was offered.
        try policies.set(id(1), local: local, remote: try block("10.2.0.0/16"), action: sa)
        #expect(try verdict(policies, "10.2.0.1") == protected)
        #expect(try verdict(policies, "10.3.0.1") == .trap(9))
        // The block that it leaves is no reason not to ask again, though it is the longer one.
        policies.setAction(id(1), .block)
        #expect(try verdict(policies, "10.2.0.1") == .trap(9))
        policies.remove(id(9))
        #expect(try verdict(policies, "10.2.0.1") == .block)
        #expect(try verdict(policies, "10.3.0.1") == .none)
    }

    @Test func withinABlockProtectionComesFirstWhateverTheOrder() throws {
        let (local, remote) = (try block("10.1.0.0/16"), try block("10.2.0.0/16"))
        let actions: [(UInt32, PolicyDatabase.Action)] = [(1, sa), (2, .trap(2)), (3, .block)]
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
            var policies = PolicyDatabase()
            for index in order {
                try policies.set(id(actions[index].0), local: local, remote: remote, action: actions[index].1)
            }
            #expect(try verdict(policies, "10.2.0.1") == protected)
            policies.remove(id(1))
            #expect(try verdict(policies, "10.2.0.1") == .trap(2))
            policies.remove(id(2))
            #expect(try verdict(policies, "10.2.0.1") == .block)
        }
    }
}
