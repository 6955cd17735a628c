import Testing
import WireFormat

@testable import IPsecCrypto

/// An encryption algorithm and the integrity algorithm that it needs.
struct Suite: CustomTestStringConvertible, Sendable {
    let encryption: Transform
    let integrity: Transform?
    var testDescription: String { "\(encryption)" + (integrity.map { "-\($0)" } ?? "") }

    /// Every AEAD; every other cipher with SHA-256; AES-CBC and no encryption with every integrity algorithm.
    static let all: [Suite] = AlgorithmRegistry.algorithms.filter { $0.transform.type == .encryption }.flatMap {
        algorithm in
        if AlgorithmRegistry.isAEAD(algorithm.transform) {
            return [Suite(encryption: algorithm.transform, integrity: nil)]
        }
        let isPlain = algorithm.transform == .aes128 || algorithm.transform == .nullEncryption
        return AlgorithmRegistry.algorithms.filter { $0.transform.type == .integrity && $0.uses.contains(.esp) }
            .filter { isPlain || $0.transform == .sha256 }.map {
                Suite(encryption: algorithm.transform, integrity: $0.transform)
            }
    }

    /// Whether the text stays as it is.
    var isClear: Bool { encryption == .nullEncryption || encryption.id == 21 }

    /// Whether the sequence number is the IV (RFC 8750), so that the header can only be ESP's.
    var hasImplicitIV: Bool { (29...31).contains(encryption.id) }

    func keys(_ fill: UInt8 = 1) throws -> PacketKeys {
        let lengths = try #require(PacketCipher.keyMaterialLength(encryption: encryption, integrity: integrity))
        return PacketKeys(
            encryption: SecretBytes((0..<lengths.encryption).map { UInt8(truncatingIfNeeded: $0) &+ fill }),
            integrity: SecretBytes((0..<lengths.integrity).map { UInt8(truncatingIfNeeded: $0 * 3) &+ fill }))
    }

    func cipher(_ direction: PacketCipher.Direction, _ fill: UInt8 = 1) throws -> PacketCipher {
        try PacketCipher(encryption: encryption, integrity: integrity, keys: keys(fill), direction: direction)
    }

    /// A packet with 8 octets of associated data and 32 octets of text, not yet sealed.
    func packet(for cipher: PacketCipher, header: Int = 8) -> PacketLayout {
        PacketLayout(
            associatedData: (0..<header).map { UInt8(truncatingIfNeeded: $0 + 100) },
            iv: (0..<cipher.ivLength).map { UInt8($0 + 50) }, text: (0..<32).map { UInt8($0) },
            icv: [UInt8](repeating: 0, count: cipher.icvLength))
    }
}

@Suite("PacketCipher")
struct PacketCipherTests {
    @Test(arguments: Suite.all)
    func opensWhatItSealed(suite: Suite) throws {
        let sealer = try suite.cipher(.seal)
        let opener = try suite.cipher(.open)
        // ESP's 8 octets; IKE's message header with the Encrypted payload's header; the same with a payload before it.
        for header in suite.hasImplicitIV ? [8] : [8, 32, 77] {
            for _ in 0..<3 {
                let plain = suite.packet(for: sealer, header: header)
                var packet = plain
                check(packet.seal(sealer))
                #expect((packet.bytes[packet.text] == plain.bytes[plain.text]) == suite.isClear)
                #expect(packet.bytes.prefix(header) == plain.bytes.prefix(header))
                check(packet.open(opener))
                #expect(packet.bytes[..<packet.icv] == plain.bytes[..<plain.icv])
            }
        }
    }

    @Test(arguments: Suite.all)
    func refusesEverySingleBitFlip(suite: Suite) throws {
        let sealer = try suite.cipher(.seal)
        let opener = try suite.cipher(.open)
        var sealed = suite.packet(for: sealer)
        check(sealed.seal(sealer, high: 7))
        var opened = 0
        for bit in 0..<(sealed.bytes.count * 8) {
            var packet = sealed
            packet.bytes[bit / 8] ^= 1 << (bit % 8)
            let before = packet.bytes[packet.text]
            if packet.open(opener, high: 7) { opened += 1 }
            let text = packet.bytes[packet.text]
            #expect(text == before || text.allSatisfy { $0 == 0 }, "unverified plaintext is left")
        }
        #expect(opened == 0)
        var untouched = sealed
        check(untouched.open(opener, high: 7), "the opener must survive forgeries")
    }

    @Test(arguments: Suite.all)
    func authenticatesTheHighHalfOfTheSequenceNumber(suite: Suite) throws {
        let sealer = try suite.cipher(.seal)
        let opener = try suite.cipher(.open)
        var sealed = suite.packet(for: sealer)
        check(sealed.seal(sealer, high: 0x0102_0304))
        for wrong: UInt32? in [nil, 0, 0x0102_0305, 0x0403_0201] {
            var packet = sealed
            check(!packet.open(opener, high: wrong))
        }
        var packet = sealed
        check(packet.open(opener, high: 0x0102_0304))
    }

    @Test(arguments: Suite.all)
    func refusesAnotherKey(suite: Suite) throws {
        let sealer = try suite.cipher(.seal)
        let stranger = try suite.cipher(.open, 2)
        var sealed = suite.packet(for: sealer)
        check(sealed.seal(sealer))
        check(!sealed.open(stranger))
    }

    /// The MAC of a cipher that has none covers SPI, sequence number, IV, text and the high half, in this order
    /// (RFC 4303 §2.8): computed here in another way.
    @Test(arguments: Suite.all.filter { $0.integrity != nil })
    func computesTheICVOverTheWholePacket(suite: Suite) throws {
        let sealer = try suite.cipher(.seal)
        let integrity = try #require(suite.integrity)
        guard case .integrity(let mac) = AlgorithmRegistry.specification(of: integrity) else {
            Issue.record("\(integrity) is not an integrity algorithm")
            return
        }
        var packet = suite.packet(for: sealer)
        check(packet.seal(sealer, high: 0xa1b2_c3d4))
        let covered = Array(packet.bytes[..<packet.icv])
        let function = KeyedHash(mac.function, key: try suite.keys().integrity)
        for octet in covered { function.update([octet].span) }
        function.update([0xa1, 0xb2, 0xc3, 0xd4].span)
        let tag = function.finishSecret().exposedBytes()
        #expect(Array(packet.bytes[packet.icv...]) == Array(tag.prefix(mac.icvLength)))
    }

    /// Associated data, IV and text need not follow one another.
    @Test(arguments: Suite.all)
    func takesScatteredRanges(suite: Suite) throws {
        let sealer = try suite.cipher(.seal)
        let opener = try suite.cipher(.open)
        var reference = suite.packet(for: sealer)
        let (iv, text) = (reference.iv, reference.text)
        let gap: [UInt8] = [9, 9, 9]
        var bytes =
            Array(reference.bytes[text]) + gap + Array(reference.bytes[iv]) + gap + Array(reference.bytes[..<8]) + gap
        let icv = bytes.count
        bytes += [UInt8](repeating: 0, count: sealer.icvLength)
        let scatteredIV = 35..<(35 + iv.count)
        let data = (38 + iv.count)..<(46 + iv.count)
        check(reference.seal(sealer))
        check(sealer.seal(&bytes, associatedData: data, iv: scatteredIV, text: 0..<32, icv: icv))
        #expect(Array(bytes[icv...]) == Array(reference.bytes[reference.icv...]))
        check(opener.open(&bytes, associatedData: data, iv: scatteredIV, text: 0..<32, icv: icv))
    }

    @Test(arguments: Suite.all)
    func refusesRangesThatDoNotFit(suite: Suite) throws {
        let sealer = try suite.cipher(.seal)
        let opener = try suite.cipher(.open)
        let packet = suite.packet(for: sealer)
        let end = packet.bytes.count
        let (data, iv, text, icv) = (packet.associatedData, packet.iv, packet.text, packet.icv)
        let ranges: [(Range<Int>, Range<Int>, Range<Int>, Int)] = [
            (-1..<7, iv, text, icv), (data, iv, text, icv + 1), (data, iv, text, -1), (data, iv, text, Int.max),
            (data, iv, text.lowerBound..<(end + 16), icv), (data, iv, -16..<16, icv),
            (0..<(end + 1), iv, text, icv), (data, iv.lowerBound..<(iv.upperBound + 1), text, icv),
            (data, (end + 1)..<(end + 1 + iv.count), text, icv), (data, iv, text, end),
            (Int.min..<0, iv, text, icv),
        ]
        for (data, iv, text, icv) in ranges {
            var bytes = packet.bytes
            let sealed = sealer.seal(
                &bytes, associatedData: data, iv: iv, text: text, icv: icv)
            #expect(!sealed, "\(data) \(iv) \(text) \(icv)")
            let opened = opener.open(
                &bytes, associatedData: data, iv: iv, text: text, icv: icv)
            #expect(!opened, "\(data) \(iv) \(text) \(icv)")
        }
        var wrongWay = packet
        check(!wrongWay.seal(opener))
        check(!wrongWay.open(sealer))
    }

    @Test func refusesTextThatIsNotWholeBlocks() throws {
        let suite = Suite(encryption: .aes128, integrity: .sha256)
        let sealer = try suite.cipher(.seal)
        var packet = PacketLayout(
            associatedData: [], iv: [UInt8](repeating: 0, count: 16), text: [1, 2, 3],
            icv: [UInt8](repeating: 0, count: 16))
        check(!packet.seal(sealer))
        #expect(sealer.blockLength == 16)
    }

    /// The keying material that RFC 4106 §8.1, RFC 4309 §7.1, RFC 7634 §2, RFC 3686 §5.1 and RFC 2404 ask for.
    @Test(
        arguments: [
            ("aes128gcm16", nil, 20, 0, 8, 16), ("aes256gcm8", nil, 36, 0, 8, 8), ("aes128ccm8", nil, 19, 0, 8, 8),
            ("aes256ccm12", nil, 35, 0, 8, 12), ("chacha20poly1305", nil, 36, 0, 8, 16),
            ("aes192ctr", "sha1", 28, 20, 8, 12), ("aes256", "sha384", 32, 48, 16, 24),
            ("aes128", "sha512", 16, 64, 16, 32), ("null", "sha256", 0, 32, 0, 16),
            ("aes128gcm16", "sha256", 20, 0, 8, 16), ("3des", "md5", 24, 16, 8, 12), ("des", "md5_128", 8, 16, 8, 16),
            ("cast128", "sha1_160", 16, 20, 8, 20), ("blowfish", "aesxcbc", 16, 16, 8, 12),
            ("blowfish256", "aescmac", 32, 16, 8, 12), ("camellia192", "sha256_96", 24, 32, 16, 12),
            ("camellia256ctr", "sha1", 36, 20, 8, 12), ("camellia128ccm8", nil, 19, 0, 8, 8),
            ("camellia256ccm", nil, 35, 0, 8, 16), ("aes256gmac", nil, 36, 0, 8, 16),
            ("aes192gcm16iiv", nil, 28, 0, 0, 16), ("aes128ccm8iiv", nil, 19, 0, 0, 8),
            ("chacha20poly1305iiv", nil, 36, 0, 0, 16), ("serpent256", "sha512", 32, 64, 16, 32),
            ("twofish", "sha256", 16, 32, 16, 16),
        ] as [(String, String?, Int, Int, Int, Int)])
    func cutsKeysAsTheRFCsSay(
        encryption: String, integrity: String?, encryptionLength: Int, integrityLength: Int, ivLength: Int,
        icvLength: Int
    ) throws {
        let suite = Suite(
            encryption: try #require(AlgorithmRegistry.algorithm(named: encryption)).transform,
            integrity: integrity.flatMap { AlgorithmRegistry.algorithm(named: $0)?.transform })
        let lengths = try #require(
            PacketCipher.keyMaterialLength(encryption: suite.encryption, integrity: suite.integrity))
        #expect(lengths == KeyMaterialLength(encryption: encryptionLength, integrity: integrityLength))
        #expect(lengths.total == encryptionLength + integrityLength)
        let cipher = try suite.cipher(.seal)
        #expect(cipher.ivLength == ivLength)
        #expect(cipher.icvLength == icvLength)
        #expect(cipher.isAEAD == (integrityLength == 0))
    }

    @Test func saysWhyItCannotBeMade() {
        let empty = SecretBytes([])
        func failure(_ encryption: Transform, _ integrity: Transform?, _ key: Int, _ mac: Int) -> CryptoError? {
            do throws(CryptoError) {
                let keys = PacketKeys(
                    encryption: SecretBytes([UInt8](repeating: 0, count: key)),
                    integrity: SecretBytes([UInt8](repeating: 0, count: mac)))
                _ = try PacketCipher(encryption: encryption, integrity: integrity, keys: keys, direction: .seal)
                return nil
            } catch { return error }
        }
        #expect(empty.isEmpty)
        #expect(failure(Transform(.encryption, 5), nil, 8, 0) == .unknownAlgorithm(Transform(.encryption, 5)))
        #expect(failure(.aes128, Transform(.integrity, 9), 16, 20) == .unknownAlgorithm(Transform(.integrity, 9)))
        #expect(failure(.prfsha256, nil, 8, 0) == .unknownAlgorithm(.prfsha256))
        #expect(failure(.aes128, nil, 16, 0) == .integrityMissing(.aes128))
        #expect(failure(.aes128, .prfsha256, 16, 32) == .unknownAlgorithm(.prfsha256))
        #expect(failure(.aes128, .sha256, 15, 32) == .keyLength(.aes128, expected: 16, had: 15))
        #expect(failure(.aes128, .sha256, 16, 20) == .keyLength(.sha256, expected: 32, had: 20))
        #expect(failure(.aes128gcm16, nil, 16, 0) == .keyLength(.aes128gcm16, expected: 20, had: 16))
        #expect(failure(.aes128gcm16, nil, 20, 0) == nil)
    }
}
