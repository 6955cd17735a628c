import Testing
import WireFormat

@testable import IPsecCrypto

@Suite("PacketAuthenticator")
struct PacketAuthenticatorTests {
    static let algorithms = AlgorithmRegistry.algorithms.filter {
        $0.transform.type == .integrity && $0.uses.contains(.ah)
    }.map(\.transform)

    private func authenticator(_ integrity: Transform, _ fill: UInt8 = 3) throws -> PacketAuthenticator {
        let length = try #require(PacketAuthenticator.keyLength(of: integrity))
        return try PacketAuthenticator(
            integrity: integrity, key: SecretBytes((0..<length).map { UInt8($0) &+ fill }))
    }

    private func run(
        _ bytes: inout [UInt8], _ operation: (inout MutableRawSpan) -> Bool
    ) -> Bool {
        var span = bytes.mutableSpan
        var raw = MutableRawSpan(_elements: &span)
        return operation(&raw)
    }

    /// 12 octets of header, the ICV (for GMAC with an IV in front), 20 octets of payload.
    private func packet(_ authenticator: PacketAuthenticator) -> [UInt8] {
        var bytes = (0..<(32 + authenticator.icvLength)).map { UInt8($0) }
        for index in 0..<authenticator.ivLength { bytes[12 + index] = UInt8(index + 100) }
        return bytes
    }

    @Test func coversWhatAHNegotiates() {
        #expect(
            Self.algorithms.map(\.description) == [
                "sha1", "sha256", "sha384", "sha512", "sha1_160", "aesxcbc", "aescmac", "md5", "md5_128", "sha256_96",
                "aes128gmac_ah", "aes192gmac_ah", "aes256gmac_ah",
            ])
    }

    @Test(arguments: algorithms)
    func verifiesWhatItSealedAndNothingElse(integrity: Transform) throws {
        let sealer = try authenticator(integrity)
        let opener = try authenticator(integrity)
        var sealed = packet(sealer)
        #expect(run(&sealed) { sealer.seal(&$0, icv: 12, extraAuthenticatedData: 9) })
        var fresh = sealed
        #expect(run(&fresh) { opener.verify(&$0, icv: 12, extraAuthenticatedData: 9) })
        for high: UInt32? in [nil, 8] {
            var other = sealed
            #expect(!run(&other) { opener.verify(&$0, icv: 12, extraAuthenticatedData: high) })
        }
        let stranger = try authenticator(integrity, 4)
        var forKey = sealed
        #expect(!run(&forKey) { stranger.verify(&$0, icv: 12, extraAuthenticatedData: 9) })
        for bit in 0..<(sealed.count * 8) {
            var forged = sealed
            forged[bit / 8] ^= 1 << (bit % 8)
            #expect(!run(&forged) { opener.verify(&$0, icv: 12, extraAuthenticatedData: 9) }, "bit \(bit)")
        }
    }

    /// The tag in another way: over the packet with its own field zeroed, then the high half.
    @Test(arguments: algorithms.filter { $0.id < 9 || $0.id > 11 })
    func computesTheICVOverTheWholePacket(integrity: Transform) throws {
        guard case .integrity(let specification) = AlgorithmRegistry.specification(of: integrity) else { return }
        let sealer = try authenticator(integrity)
        var sealed = packet(sealer)
        var zeroed = sealed
        for index in 0..<sealer.icvLength { zeroed[12 + index] = 0 }
        #expect(run(&sealed) { sealer.seal(&$0, icv: 12, extraAuthenticatedData: 0x0102_0304) })
        let mac = KeyedHash(
            specification.function, key: SecretBytes((0..<specification.keyLength).map { UInt8($0) &+ 3 }))
        mac.update((zeroed + [1, 2, 3, 4]).span)
        #expect(
            Array(sealed[12..<(12 + sealer.icvLength)])
                == Array(mac.finishSecret().exposedBytes().prefix(sealer.icvLength)))
    }

    /// GMAC's tag is that of the ESP transform over the same octets: IV in place, tag zeroed (RFC 4543 §4).
    @Test func gmacIsTheSameFunctionAsInESP() throws {
        let key = SecretBytes((0..<20).map { UInt8($0) &+ 3 })
        let sealer = try authenticator(Transform(.integrity, 9))
        var sealed = packet(sealer)
        var zeroed = sealed
        for index in 0..<16 { zeroed[20 + index] = 0 }
        #expect(run(&sealed) { sealer.seal(&$0, icv: 12, extraAuthenticatedData: nil) })
        let specification = AEADSpecification(
            library: "AES-128-GCM", mode: .gmac, keyLength: 16, saltLength: 12, ivLength: 0, icvLength: 16)
        let keys = PacketKeys(
            encryption: SecretBytes(key.exposedBytes() + Array(zeroed[12..<20])), integrity: SecretBytes([]))
        let reference = try PacketCipher(
            try #require(PacketShape(.aead(specification))), nil, keys: keys, direction: .seal,
            names: (.aes128gcm16, nil))
        var layout = PacketLayout(
            associatedData: zeroed, iv: [], text: [], icv: [UInt8](repeating: 0, count: 16))
        check(layout.seal(reference))
        #expect(Array(sealed[20..<36]) == Array(layout.bytes.suffix(16)))
    }

    @Test(arguments: algorithms)
    func refusesFieldsThatDoNotFit(integrity: Transform) throws {
        let sealer = try authenticator(integrity)
        let bytes = packet(sealer)
        for icv in [-1, Int.min, Int.max, bytes.count, bytes.count - sealer.icvLength + 1] {
            var copy = bytes
            #expect(!run(&copy) { sealer.seal(&$0, icv: icv, extraAuthenticatedData: nil) })
            #expect(!run(&copy) { sealer.verify(&$0, icv: icv, extraAuthenticatedData: nil) })
            #expect(copy == bytes)
        }
    }

    @Test func saysWhyItCannotBeMade() {
        #expect(throws: CryptoError.unknownAlgorithm(.aes128)) {
            try PacketAuthenticator(integrity: .aes128, key: SecretBytes([1]))
        }
        #expect(throws: CryptoError.keyLength(.sha256, expected: 32, had: 1)) {
            try PacketAuthenticator(integrity: .sha256, key: SecretBytes([1]))
        }
        #expect(PacketAuthenticator.keyLength(of: Transform(.integrity, 11)) == 36)
        #expect(PacketAuthenticator.keyLength(of: .x25519) == nil)
    }
}
