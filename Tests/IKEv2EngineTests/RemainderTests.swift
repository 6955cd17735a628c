import GatewayModel
import IPsecCrypto
import NetworkTypes
import StateRecords
import Testing
import WireFormat

@testable import IKEv2Engine

/// What is left of an exchange means the same to the process that takes it over.
@Suite("Remainder of an exchange")
struct RemainderTests {
    private static let child = ChildSAID(rawValue: 7)

    static let intents: [Intent] = [
        .deleteIKESA(.asked), .deleteIKESA(.byPeer), .deleteIKESA(.peerDead), .deleteIKESA(.ikeSAEnded),
        .deleteIKESA(.expired), .deleteIKESA(.replaced), .deleteIKESA(.shutdown), .deleteIKESA(.inactive),
        .deleteChild(child, .inactive), .deleteOrphan(0x0102_0304, .ah), .createChild("net"), .createBeside(child),
        .rekeyIKESA, .rekeyChild(child), .probe, .updateAddresses, .checkRoute, .announceAddresses,
        .redirect(.name("other.example.org")),
    ]

    private static func again(_ remainder: Remainder) throws -> Remainder {
        let writer = RecordWriter(capacity: 64)
        writer.put(remainder)
        var reader = RecordReader(writer.buffer.withSpan { SecretBytes(copying: $0) }, version: 1)
        return try reader.value()
    }

    @Test("Every intent is read as it was written, with its answer and without", arguments: intents)
    func returns(_ intent: Intent) throws {
        #expect(try Self.again(.intent(intent)) == .intent(intent))
        #expect(try Self.again(.again(intent)) == .again(intent))
    }

    @Test func aProbeStaysOne() throws { #expect(try Self.again(.probe) == .probe) }

    @Test("Why something failed has been told already: what remains is that somebody asked")
    func failures() throws {
        let failed = Remainder.intent(.deleteIKESA(.failed(.notUs(asked: .fqdn("a"), ours: []))))
        #expect(try Self.again(failed) == .intent(.deleteIKESA(.asked)))
    }
}
