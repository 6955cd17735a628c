import Clockwork
import Testing
import WireFormat

@testable import IPsecCrypto

/// ipsec-mb and libcrypto put out the same octets, and each opens and refuses what the other has sealed. Where ipsec-mb is
/// not to be had both ciphers are libcrypto's, and the test shows that this is silent.
@Suite("Packet ciphers by two libraries")
struct PacketAccelerationTests {
    static let algorithms: [Transform] = AlgorithmRegistry.algorithms.filter {
        guard case .aead(let aead) = $0.specification else { return false }
        return aead.mode == .stream && aead.library.hasSuffix("-GCM")
    }.map(\.transform)

    /// Around the sizes at which a library changes its way to work, and packets.
    static let sizes = Array(0...272) + [511, 512, 513, 767, 768, 769, 1023, 1024, 1360, 1420, 1500, 8999, 65_000]

    private static func cipher(
        _ algorithm: Transform, _ keys: PacketKeys, _ direction: PacketCipher.Direction, accelerated: Bool
    ) throws -> PacketCipher {
        try PacketCipher(
            encryption: algorithm, integrity: nil, keys: keys, direction: direction, accelerated: accelerated)
    }

    @Test(arguments: algorithms)
    func bothPutOutTheSame(_ algorithm: Transform) throws {
        var chance = SeededEntropy(seed: 0x6763_6d00 + UInt64(algorithm.id))
        let length = try #require(PacketCipher.keyMaterialLength(encryption: algorithm, integrity: nil))
        let keys = PacketKeys(encryption: SecretBytes(chance.bytes(length.encryption)), integrity: SecretBytes([]))
        let sealers = try [true, false].map { try Self.cipher(algorithm, keys, .seal, accelerated: $0) }
        let openers = try [true, false].map { try Self.cipher(algorithm, keys, .open, accelerated: $0) }
        for size in Self.sizes {
            // Without and with an extended sequence number: 8 and 12 octets of associated data.
            for high in [nil, UInt32(truncatingIfNeeded: size) &* 77] {
                let plain = PacketLayout(
                    associatedData: chance.bytes(8), iv: chance.bytes(sealers[0].ivLength), text: chance.bytes(size),
                    icv: [UInt8](repeating: 0, count: sealers[0].icvLength))
                var sealed = [plain, plain]
                for index in sealed.indices { check(sealed[index].seal(sealers[index], high: high)) }
                #expect(sealed[0].bytes == sealed[1].bytes, "\(size) octets")
                for opener in openers {
                    var packet = sealed[0]
                    check(packet.open(opener, high: high))
                    #expect(packet.bytes[..<packet.icv] == plain.bytes[..<plain.icv])
                    var forged = sealed[0]
                    let bit = Int(chance.below(UInt64(forged.bytes.count * 8)))
                    forged.bytes[bit / 8] ^= 1 << (bit % 8)
                    check(!forged.open(opener, high: high), "bit \(bit) of \(size) octets")
                    #expect(forged.bytes[forged.text].allSatisfy { $0 == 0 }, "unverified plaintext is left")
                }
            }
        }
    }

    static let blockSuites: [Suite] = Suite.all.filter {
        guard let integrity = $0.integrity, case .cipher = AlgorithmRegistry.specification(of: $0.encryption),
            case .integrity = AlgorithmRegistry.specification(of: integrity)
        else { return false }
        return true
    }

    /// What a batch seals is what is sealed one by one: every cipher with a MAC, whether or not it takes batches, in
    /// batches of one to more than the library's queue holds.
    @Test(arguments: blockSuites)
    func aBatchPutsOutTheSame(_ suite: Suite) throws {
        guard let owner = PacketBatch() else { return }
        defer { withExtendedLifetime(owner) {} }
        let batch = unsafe owner.lent
        var chance = SeededEntropy(seed: 0x6261_7463)
        let single = try PacketCipher(
            encryption: suite.encryption, integrity: suite.integrity, keys: suite.keys(), direction: .seal,
            accelerated: false)
        let many = try suite.cipher(.seal)
        for count in [1, 2, 3, 7, 16, 44, 130, 300] {
            for high in [nil, UInt32(0x0102_0304)] {
                let plain = (0..<count).map { index in
                    PacketLayout(
                        associatedData: chance.bytes(8), iv: chance.bytes(single.ivLength),
                        text: chance.bytes(single.blockLength * (1 + (index * 37) % 90)),
                        icv: [UInt8](repeating: 0xee, count: single.icvLength))
                }
                var expected = plain
                for index in expected.indices { check(expected[index].seal(single, high: high)) }
                // Memory that stays where it is until the batch is finished; packets may be as long as a page.
                let pitch = 4096
                let arena = UnsafeMutableRawBufferPointer.allocate(byteCount: count * pitch, alignment: 64)
                defer { unsafe arena.deallocate() }
                for index in plain.indices {
                    let slot = unsafe UnsafeMutableRawBufferPointer(
                        rebasing: arena[(index * pitch)..<(index * pitch + plain[index].bytes.count)])
                    unsafe slot.copyBytes(from: plain[index].bytes)
                    var span = unsafe MutableRawSpan(_unsafeBytes: slot)
                    let isTaken = unsafe many.seal(
                        &span, associatedData: plain[index].associatedData, extraAssociatedData: high,
                        iv: plain[index].iv, text: plain[index].text, in: batch)
                    check(isTaken)
                }
                #expect(batch.finish())
                for index in plain.indices {
                    let place = (index * pitch)..<(index * pitch + plain[index].bytes.count)
                    let sealed = unsafe Array(arena[place])
                    #expect(sealed == expected[index].bytes, "\(index) of \(count)")
                }
            }
        }
    }

    /// Where ipsec-mb is to be had, the ciphers of the field do take batches.
    @Test func theUsualCiphersTakeBatches() throws {
        guard PacketAcceleration.isAvailable else { return }
        for encryption in [Transform.aes128, .aes256] {
            #expect(try Suite(encryption: encryption, integrity: .sha256).cipher(.seal).takesBatches)
            #expect(try !Suite(encryption: encryption, integrity: .sha256).cipher(.open).takesBatches)
        }
    }
}
