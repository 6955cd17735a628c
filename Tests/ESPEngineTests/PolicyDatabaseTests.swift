import Clockwork
import GatewayModel
import IPPackets
import NetworkTypes
import Testing

@testable import ESPEngine

/// Lookups against a plain search, the order of policies, and that nothing is left behind.
struct PolicyDatabaseTests {
    private func fields(
        _ source: String, _ destination: String, ports: (UInt16, UInt16) = (1, 2)
    ) throws -> PacketSelectorFields {
        let bytes = try Fixtures.packet(from: source, to: destination, payload: [], ports: ports)
        return unsafe try PacketSelectorFields(parsing: bytes.span.bytes)
    }

    private func handle(_ number: Int32) -> OutboundHandle { OutboundHandle(slot: number, serial: UInt32(number)) }

    private func id(_ number: UInt32) -> ChildSAID { ChildSAID(rawValue: number) }

    @Test func theLongestBlockDecides() throws {
        var policies = PolicyDatabase()
        let all = [try Fixtures.selector("0.0.0.0/0"), try Fixtures.selector("::/0")]
        try policies.set(id(1), local: all, remote: all, action: .protect(handle(1)))
        try policies.set(id(2), local: all, remote: [try Fixtures.selector("10.2.0.0/16")], action: .protect(handle(2)))
        try policies.set(id(3), local: all, remote: [try Fixtures.selector("10.2.3.0/24")], action: .block)
        #expect(policies.verdict(for: try fields("10.1.0.1", "9.9.9.9")) == .protect(handle(1)))
        #expect(policies.verdict(for: try fields("fd01::1", "fd02::1")) == .protect(handle(1)))
        #expect(policies.verdict(for: try fields("10.1.0.1", "10.2.4.1")) == .protect(handle(2)))
        #expect(policies.verdict(for: try fields("10.1.0.1", "10.2.3.1")) == .block)
        policies.remove(id(3))
        #expect(policies.verdict(for: try fields("10.1.0.1", "10.2.3.1")) == .protect(handle(2)))
        policies.remove(id(1))
        #expect(policies.verdict(for: try fields("10.1.0.1", "9.9.9.9")) == .none)
    }

    @Test func aLongerBlockWhoseLocalSideDoesNotMatchLeavesItToAShorterOne() throws {
        var policies = PolicyDatabase()
        let wide = [try Fixtures.selector("10.0.0.0/8")]
        try policies.set(id(1), local: wide, remote: wide, action: .protect(handle(1)))
        try policies.set(
            id(2), local: [try Fixtures.selector("10.9.0.0/16")], remote: [try Fixtures.selector("10.2.0.0/16")],
            action: .protect(handle(2)))
        #expect(policies.verdict(for: try fields("10.9.0.1", "10.2.0.1")) == .protect(handle(2)))
        #expect(policies.verdict(for: try fields("10.8.0.1", "10.2.0.1")) == .protect(handle(1)))
        #expect(policies.verdict(for: try fields("192.0.2.1", "10.2.0.1")) == .none)
    }

    @Test func narrowBeforeWideNewBeforeOldProtectedBeforeBlocked() throws {
        var policies = PolicyDatabase()
        let local = [try Fixtures.selector("10.1.0.0/16")]
        let remote = try Fixtures.prefix("10.2.0.0/16")
        let web = TrafficSelector(remote.range, ipProtocol: .udp, ports: .only(80))
        let packet = try fields("10.1.0.1", "10.2.0.1", ports: (9, 80))
        let other = try fields("10.1.0.1", "10.2.0.1", ports: (9, 81))
        try policies.set(id(1), local: local, remote: [web], action: .protect(handle(1)))
        try policies.set(id(2), local: local, remote: [TrafficSelector(remote)], action: .protect(handle(2)))
        #expect(policies.verdict(for: packet) == .protect(handle(1)))
        #expect(policies.verdict(for: other) == .protect(handle(2)))
        try policies.set(id(3), local: local, remote: [TrafficSelector(remote)], action: .protect(handle(3)))
        #expect(policies.verdict(for: other) == .protect(handle(3)))
        policies.setAction(id(3), .block)
        #expect(policies.verdict(for: other) == .protect(handle(2)))
        policies.remove(id(2))
        #expect(policies.verdict(for: other) == .block)
        policies.setAction(id(3), .protect(handle(4)))
        #expect(policies.verdict(for: other) == .protect(handle(4)))
        // Said again, it replaces what was said before.
        try policies.set(id(1), local: local, remote: [TrafficSelector(remote)], action: .protect(handle(5)))
        #expect(policies.verdict(for: packet) == .protect(handle(5)))
    }

    @Test func hiddenPortsMatchAnyAndOpaqueOnly() throws {
        var bytes = try Fixtures.packet(from: "10.1.0.1", to: "10.2.0.1", ports: (9, 80))
        bytes[7] = 3
        let fragment = unsafe try PacketSelectorFields(parsing: bytes.span.bytes)
        let local = [try Fixtures.selector("10.1.0.0/16")]
        let remote = try Fixtures.prefix("10.2.0.0/16").range
        for (ports, expected) in [
            (TrafficSelector.Ports.any, PolicyDatabase.Verdict.block), (.opaque, .block), (.only(80), .none),
        ] {
            var policies = PolicyDatabase()
            try policies.set(
                id(1), local: local, remote: [TrafficSelector(remote, ipProtocol: .udp, ports: ports)], action: .block)
            #expect(policies.verdict(for: fragment) == expected)
        }
        var policies = PolicyDatabase()
        try policies.set(
            id(1), local: local, remote: [TrafficSelector(remote, ipProtocol: .udp, ports: .opaque)], action: .block)
        #expect(policies.verdict(for: try fields("10.1.0.1", "10.2.0.1")) == .none)
    }

    @Test func agreesWithAPlainSearchAndLeavesNothing() throws {
        struct Rule {
            let child: UInt32
            let remote: TrafficSelector
        }
        var random = SeededEntropy(seed: 11)
        var policies = PolicyDatabase()
        var rules: [Rule] = []
        let local = [try Fixtures.selector("0.0.0.0/0")]
        for step in 1...3000 as ClosedRange<UInt32> {
            if random.below(3) == 0, !rules.isEmpty {
                let rule = rules.remove(at: Int(random.below(UInt64(rules.count))))
                policies.remove(id(rule.child))
            } else {
                let base = 0x0a00_0000 | random.uint32() & 0x3f
                let length = 20 + Int(random.below(13))
                let prefix = try #require(IPPrefix(IPAddress(v4: base), length: length))
                rules.append(Rule(child: step, remote: TrafficSelector(prefix)))
                try policies.set(
                    id(step), local: local, remote: [TrafficSelector(prefix)], action: .protect(handle(Int32(step))))
            }
            let destination = IPAddress(v4: 0x0a00_0000 | random.uint32() & 0x3f)
            let expected =
                rules.filter { $0.remote.addresses.contains(destination) }
                .max {
                    (($0.remote.addresses.prefix?.length ?? 0), $0.child)
                        < (($1.remote.addresses.prefix?.length ?? 0), $1.child)
                }
                .map { PolicyDatabase.Verdict.protect(handle(Int32($0.child))) } ?? .none
            #expect(policies.verdict(for: try fields("10.9.9.9", destination.description)) == expected)
        }
        for rule in rules { policies.remove(id(rule.child)) }
        #expect(policies.storage == (0, 0))
        #expect(policies.count == 0)
    }

    @Test func rangesThatAreNoBlocksAreCovered() throws {
        var policies = PolicyDatabase()
        let range = try #require(AddressRange(try Fixtures.address("10.2.0.3"), try Fixtures.address("10.2.0.130")))
        try policies.set(
            id(1), local: [try Fixtures.selector("10.0.0.0/8")], remote: [TrafficSelector(range)], action: .block)
        for last in 0..<140 {
            let verdict = policies.verdict(for: try fields("10.1.0.1", "10.2.0.\(last)"))
            #expect(verdict == ((3...130).contains(last) ? .block : .none))
        }
    }

    @Test func anExplosionOfSelectorsIsRefused() throws {
        var policies = PolicyDatabase()
        let range = try #require(AddressRange(IPAddress(.v6, bits: 1), IPAddress(.v6, bits: .max - 1)))
        let remote = [TrafficSelector](repeating: TrafficSelector(range), count: 255)
        let local = [TrafficSelector](repeating: try Fixtures.selector("::/0"), count: 255)
        #expect(throws: SAError.self) { try policies.set(id(1), local: local, remote: remote, action: .block) }
        #expect(policies.storage == (0, 0))
    }
}
