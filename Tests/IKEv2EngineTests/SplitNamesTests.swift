import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// Domains whose names the gateway's servers answer (RFC 8598), and IPv6 prefixes for the client's use (RFC 5739).
@Suite struct SplitNamesTests {
    private static func settings(
        _ attributes: [(ConfigurationAttributeType, [UInt8])], families: Set<IPAddress.Family> = [.v4, .v6]
    ) -> HostSettings {
        HostSettings(
            ConfigurationPayload(.reply, attributes.map { ConfigurationAttribute($0.0, $0.1) }), families: families,
            shortestPrefix: 48)
    }

    private static func name(_ text: String) -> (ConfigurationAttributeType, [UInt8]) {
        (.internalDNSDomain, Array(text.utf8))
    }

    private static let server: (ConfigurationAttributeType, [UInt8]) = (.internalIP4DNS, [10, 2, 0, 53])

    @Test func anAnchorBelongsToTheDomainBeforeIt() {
        let found = Self.settings([
            (.internalDNSSECTrustAnchor, [9, 9, 9, 9, 9]), Self.name("a.example"),
            (.internalDNSSECTrustAnchor, [0, 1, 8, 2, 1]), (.internalDNSSECTrustAnchor, [0, 2, 8, 2, 2]),
            Self.name("b.example"), Self.server, (.internalDNSSECTrustAnchor, [0, 3, 8, 2, 3]), Self.name("c.example"),
        ])
        #expect(
            found.domains == [
                HostSettings.Domain(name: "a.example", trustAnchors: [[0, 1, 8, 2, 1], [0, 2, 8, 2, 2]]),
                HostSettings.Domain(name: "b.example", trustAnchors: [[0, 3, 8, 2, 3]]),
                HostSettings.Domain(name: "c.example"),
            ])
    }

    /// An anchor without a digest is none.
    @Test func anchorsThatAreTooShort() {
        let short = (0...4).map {
            (ConfigurationAttributeType.internalDNSSECTrustAnchor, [UInt8](repeating: 1, count: $0))
        }
        let found = Self.settings([Self.server, Self.name("a.example")] + short)
        #expect(found.domains == [HostSettings.Domain(name: "a.example")])
    }

    /// Names to be looked up behind the tunnel, and nobody there to ask: that is for all names or for none.
    @Test func withoutAServerThereAreNoDomains() {
        #expect(Self.settings([Self.name("a.example")]).domains == [])
        #expect(Self.settings([Self.name("a.example"), (.internalIP4DNS, [127, 0, 0, 1])]).domains == [])
        #expect(Self.settings([Self.name("a.example"), Self.server]).domains.count == 1)
    }

    @Test(
        arguments: [
            ("corp.example", "corp.example"), ("corp.example.", "corp.example"), (".", ""), ("", ""),
            ("_msdcs.corp", "_msdcs.corp"), ("xn--bcher-kva.example", "xn--bcher-kva.example"), ("bad name", nil),
            ("a..b", nil), ("..", nil), ("-a.example", nil), ("a;b", nil), ("a\nsearch evil", nil), ("a/../b", nil),
            ("\u{e9}.example", nil), (String(repeating: "a", count: 64) + ".example", nil),
            (String(repeating: "a.", count: 127), nil),
        ] as [(String, String?)])
    func onlyNamesAreTaken(_ text: String, _ expected: String?) {
        let found = Self.settings([Self.server, Self.name(text)]).domains.map(\.name)
        #expect(found == (expected.map { [$0] } ?? []))
    }

    @Test func thereIsAnEndToIt() {
        let names = (0..<100).map { Self.name("d\($0).example") }
        let anchors = (0..<100).map { number -> (ConfigurationAttributeType, [UInt8]) in
            (.internalDNSSECTrustAnchor, [0, UInt8(number), 8, 2, 1])
        }
        let prefixes = (0..<100).map { number -> (ConfigurationAttributeType, [UInt8]) in
            (.internalIP6Prefix, [0xfd, UInt8(number)] + [UInt8](repeating: 0, count: 14) + [64])
        }
        let found = Self.settings([Self.server] + names + anchors + prefixes)
        #expect(found.domains.count == 32)
        #expect(found.domains.last?.trustAnchors.count == 32)
        #expect(found.prefixes.count == 4)
    }

    @Test(
        arguments: [
            ([], nil), ([UInt8](repeating: 0xfd, count: 16), nil), ([UInt8](repeating: 0xfd, count: 16) + [129], nil),
            ([UInt8](repeating: 0xfd, count: 16) + [64, 0], nil),
            ([0x20, 1, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 12) + [48], "2001:db8::/48"),
            ([UInt8](repeating: 0, count: 16) + [0], nil), ([UInt8](repeating: 0, count: 16) + [64], nil),
            ([0x20, 1, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 12) + [47], nil),
        ] as [([UInt8], String?)])
    func prefixes(_ value: [UInt8], _ expected: String?) {
        let found = Self.settings([(.internalIP6Prefix, value)]).prefixes.map(\.description)
        #expect(found == (expected.map { [$0] } ?? []))
    }

    /// What a client asks for on the wire, and what a pool's attributes become there.
    @Test func askedForAndAnswered() throws {
        var left = Pair.connection()
        left.virtualAddresses = [.unspecified(.v6)]
        left.virtualPrefixes = [Pair.prefix("::/64")]
        left.children[0].localSelectors = [.dynamic]
        var right = Pair.connection(isLeft: false)
        right.pools = ["six"]
        right.children[0].remoteSelectors = [.dynamic]
        right.children[0].localSelectors = [SelectorTemplate(Pair.prefix("fd02::/64"))]
        left.children[0].remoteSelectors = [SelectorTemplate(Pair.prefix("fd02::/64"))]
        let pair = Pair(left: left, right: right)
        let address = try #require(IPAddress("fd03::1"))
        let server = try #require(IPAddress("fd02::53"))
        pair.right.lends = [
            .leased(
                Lease(
                    identity: .fqdn("left.example"), loans: [Lease.Loan(pool: "six", address: address)],
                    attributes: [
                        HostAttribute(type: 10, value: server.bytes),
                        HostAttribute(type: 25, value: Array("corp.example".utf8)),
                        HostAttribute(type: 26, value: [0x4f, 0x66, 8, 2, 0xaa]),
                        HostAttribute(type: 18, value: address.bytes + [64]),
                    ]))
        ]
        pair.connect()
        var settings: HostSettings?
        for case .hostConfigured(let found) in pair.left.kinds { settings = found }
        let found = try #require(settings)
        #expect(found.nameServers == [server])
        #expect(found.domains == [HostSettings.Domain(name: "corp.example", trustAnchors: [[0x4f, 0x66, 8, 2, 0xaa]])])
        #expect(found.prefixes.map(\.length) == [64])
        #expect(pair.left.summary?.children.first?.remoteSelectors.map(\.description) == ["fd02::/64"])
    }

    @Test func theRequestNamesDomains() throws {
        let pair = Pair()
        let context = try #require(pair.context(virtual: [.unspecified(.v4), .unspecified(.v6)]))
        let request = try #require(context.configurationRequest)
        #expect(request.type == .request)
        #expect(
            request.attributes.map(\.type) == [
                .internalIP4Address, .internalIP6Address, .internalIP4DNS, .internalIP6DNS, .internalDNSDomain,
            ])
        #expect(request.attributes.allSatisfy { $0.value.isEmpty })
    }
}

extension Pair {
    /// An IKE SA of the left one's that asks for these addresses.
    fileprivate func context(virtual addresses: [IPAddress]) -> SessionContext? {
        connect()
        guard let id = left.summary?.id, let context = left.endpoint.sessions[id]?.context else { return nil }
        context.connection.virtualAddresses = addresses
        return context
    }
}
