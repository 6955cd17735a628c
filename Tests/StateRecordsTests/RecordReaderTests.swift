import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
import StateRecords
import Testing
import WireFormat

struct RecordReaderTests {
    private static func octets(_ writer: RecordWriter) -> [UInt8] {
        writer.buffer.withSpan { span in
            var octets: [UInt8] = []
            for index in span.indices { octets.append(span[index]) }
            return octets
        }
    }

    private static func association() throws -> SecurityAssociation {
        let local = try #require(IPAddress("192.0.2.1"))
        let remote = try #require(IPAddress("198.51.100.7"))
        let range = try #require(IPPrefix("10.1.0.0/16")).range
        var made = SecurityAssociation(
            direction: .outbound, spi: 0xc0ff_ee01, child: ChildSAID(rawValue: 7), mode: .tunnel,
            encryption: Transform(.encryption, 20, keyBits: 256), integrity: nil, usesExtendedSequenceNumbers: true,
            encryptionKey: SecretBytes((0..<36).map { UInt8($0) }), integrityKey: SecretBytes([]),
            path: Path(local: Endpoint(local, 4500), remote: Endpoint(remote, 31_337)), encapsulation: .udp,
            replayWindow: 2048,
            localSelectors: [TrafficSelector(range, ipProtocol: .tcp, ports: .range(80...443))],
            remoteSelectors: [TrafficSelector(range, ports: .opaque)])
        made.tunnel.padding = .octets(512)
        made.tunnel.segmentSize = .octets(1300)
        made.tunnel.mtu = 1400
        made.limits.softBytes = 1 << 40
        made.policyPriority = 17
        made.interface = "hq/net"
        made.compressionIndex = 0x1234
        made.resource = 3
        return made
    }

    @Test("An SA is read as it was written, keys and all")
    func associationReturns() throws {
        let made = try Self.association()
        let writer = RecordWriter()
        writer.put(made)
        let octets = Self.octets(writer)
        var reader = RecordReader(SecretBytes(octets), version: 1)
        let read = try reader.value(SecurityAssociation.self)
        #expect(reader.isAtEnd)
        #expect(read.encryptionKey == made.encryptionKey)
        #expect(read.path == made.path)
        #expect(read.localSelectors == made.localSelectors && read.remoteSelectors == made.remoteSelectors)
        #expect(read.tunnel == made.tunnel && read.limits == made.limits)
        #expect(read.interface == made.interface && read.compressionIndex == 0x1234 && read.resource == 3)
        let again = RecordWriter()
        again.put(read)
        #expect(Self.octets(again) == octets)
    }

    @Test("What is cut off anywhere is an error, and no end of the process")
    func cutOff() throws {
        let writer = RecordWriter()
        writer.put(try Self.association())
        let octets = Self.octets(writer)
        for length in 0..<octets.count {
            var reader = RecordReader(SecretBytes(Array(octets.prefix(length))), version: 1)
            #expect(throws: RecordError.self) { _ = try reader.value(SecurityAssociation.self) }
        }
    }

    @Test("Damage is read or refused, whatever it is")
    func damage() throws {
        let writer = RecordWriter()
        writer.put(try Self.association())
        writer.put(SACounters(packets: 5, bytes: 6, lastUse: Instant(nanoseconds: 9)))
        let octets = Self.octets(writer)
        var refused = 0
        for place in octets.indices {
            for value: UInt8 in [0, 1, 2, 0x7f, 0xff] {
                var damaged = octets
                damaged[place] = value
                var reader = RecordReader(SecretBytes(damaged), version: 1)
                do {
                    _ = try reader.value(SecurityAssociation.self)
                    _ = try reader.value(SACounters.self)
                } catch { refused += 1 }
            }
        }
        #expect(refused > octets.count / 2)
    }

    @Test("A list that claims more elements than there are octets takes no memory")
    func longList() {
        var reader = RecordReader(SecretBytes([0xff, 0xff, 0xff, 0xff, 1, 2, 3]), version: 1)
        #expect(throws: RecordError.self) {
            _ = try reader.list("list") { reader throws(RecordError) in try reader.uint8("element") }
        }
    }

    @Test("What a later version has added to the end of a record is passed over")
    func laterFields() throws {
        let writer = RecordWriter()
        writer.nested {
            writer.uint8(1)
            writer.text("later")
        }
        writer.uint8(2)
        var reader = RecordReader(SecretBytes(Self.octets(writer)), version: 1)
        var record = try reader.nested("record")
        #expect(try record.uint8("first") == 1)
        #expect(try reader.uint8("second") == 2)
    }
}
