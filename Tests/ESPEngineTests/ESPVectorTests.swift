import Clockwork
import Foundation
import GatewayModel
import IPPackets
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import ESPEngine

/// Published ESP packets, sealed and opened by the same code that carries traffic.
struct ESPVectorTests {
    struct Vector: Decodable, CustomTestStringConvertible, Sendable {
        let `case`: Int
        let key, salt, iv, spi, seq, plaintext, packet: String
        let esn: Bool
        var testDescription: String { "case \(self.case)" }
    }

    struct File: Decodable { let vectors: [Vector] }

    static let vectors: [Vector] = {
        guard let url = Bundle.module.url(forResource: "Vectors/aes-gcm-esp-mcgrew", withExtension: "json"),
            let data = try? Data(contentsOf: url), let file = try? JSONDecoder().decode(File.self, from: data)
        else { return [] }
        return file.vectors
    }()

    private func association(_ vector: Vector, _ direction: SecurityAssociation.Direction) throws -> SecurityAssociation
    {
        let key = try #require(Hex.decode(vector.key + vector.salt))
        var association = try Fixtures.association(direction, spi: try #require(UInt32(vector.spi, radix: 16)))
        association.encryption = Transform(.encryption, 20, keyBits: UInt16(key.count - 4) * 8)
        association.encryptionKey = SecretBytes(key)
        association.usesExtendedSequenceNumbers = vector.esn
        return association
    }

    @Test func allThirteenAreThere() { #expect(Self.vectors.count == 13) }

    @Test(arguments: vectors) func seals(_ vector: Vector) throws {
        let text = try #require(Hex.decode(vector.plaintext))
        let sequence = try #require(UInt64(vector.seq, radix: 16))
        let iv = try #require(UInt64(vector.iv, radix: 16))
        let padding = Int(text[text.count - 2])
        let payload = Array(text.dropLast(2 + padding))
        let sender = try OutboundSA(
            try association(vector, .outbound), serial: 1, ivStart: iv &- sequence, lastSequence: sequence - 1)
        var random = UnpredictableOctets(SeededEntropy(seed: 1))

        var buffer = [UInt8](repeating: 0, count: 16) + payload + [UInt8](repeating: 0, count: 32)
        var span = buffer.mutableSpan
        var raw = unsafe span.mutableBytes
        let range = try unsafe sender.encapsulator.pointee.seal(
            &raw, payload: 16..<(16 + payload.count),
            nextHeader: IPProtocolNumber(rawValue: text[text.count - 1]), random: &random)
        #expect(Hex.encode(buffer[range]) == vector.packet)
    }

    @Test(arguments: vectors) func opens(_ vector: Vector) throws {
        let text = try #require(Hex.decode(vector.plaintext))
        let sequence = try #require(UInt64(vector.seq, radix: 16))
        let receiver = try InboundSA(try association(vector, .inbound), highestSequence: sequence - 1)
        var buffer = try #require(Hex.decode(vector.packet))
        let count = buffer.count
        var span = buffer.mutableSpan
        var raw = unsafe span.mutableBytes
        let payload = try unsafe receiver.decapsulator.pointee.open(&raw, packet: 0..<count)
        #expect(payload.nextHeader.rawValue == text.last)
        #expect(Array(buffer[payload.range]) == Array(text.dropLast(2 + Int(text[text.count - 2]))))
        #expect(unsafe receiver.decapsulator.pointee.highestSequence == sequence)
    }
}
