import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

@Suite("Identities in a handshake")
struct IdentityTests {
    static let identities: [(Identity, Identity)] = [
        (Identity(Pair.leftAddress), Identity(Pair.rightAddress)),
        (Identity(.ipv6Address, [0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 7, count: 12)), .fqdn("right.example")),
        (.fqdn("left.example"), .fqdn("right.example")), (.rfc822("left@example.net"), .rfc822("right@example.net")),
        (name("C=CH, O=lab, CN=left.example"), name("C=CH, O=lab, CN=right.example")),
        (.keyID(Array("left".utf8)), .keyID([0, 1, 2, 0xff])),
    ]

    private static func name(_ text: String) -> Identity {
        DistinguishedName(text: text).map { Identity($0) } ?? .keyID([])
    }

    /// Each kind travels, is believed because the key is right, and is the one under which the key is looked up.
    @Test(arguments: identities)
    func everyIdentityType(ours: Identity, theirs: Identity) throws {
        var (left, right) = (Pair.connection(), Pair.connection(isLeft: false))
        (left.local.identity, right.remote.identity) = (ours, .exactly(ours))
        (left.remote.identity, right.local.identity) = (.exactly(theirs), theirs)
        let pair = Pair(left: left, right: right)
        pair.left.secrets = [(ours, theirs, Array("only between these two".utf8))]
        pair.right.secrets = [(theirs, ours, Array("only between these two".utf8))]
        pair.connect()
        for (gateway, own, other) in [(pair.left, ours, theirs), (pair.right, theirs, ours)] {
            let summary = try #require(gateway.summary, "\(gateway.name): \(gateway.kinds)")
            #expect(summary.localIdentity == own)
            #expect(summary.remoteIdentity == other)
            #expect(gateway.installed.count == 2)
        }
    }

    /// A name that is written otherwise is the same name; another name is not.
    @Test(arguments: [
        ("C=CH, O=LAB, CN=Left.Example", true), ("C=CH, O=lab, CN=*", true), ("C=CH, O=lab, CN=third", false),
    ])
    func distinguishedNamesAreCompared(expected: String, accepted: Bool) throws {
        var (left, right) = (Pair.connection(), Pair.connection(isLeft: false))
        left.local.identity = Self.name("C=CH, O=lab, CN=left.example")
        let wanted = try #require(DistinguishedName(text: expected))
        right.remote.identity = wanted.hasWildcards ? .distinguishedName(wanted) : .exactly(Identity(wanted))
        let pair = Pair(left: left, right: right)
        pair.connect()
        #expect((pair.right.summary != nil && pair.right.installed.count == 2) == accepted)
    }
}
