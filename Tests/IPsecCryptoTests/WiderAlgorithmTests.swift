import Testing
import WireFormat

@testable import IPsecCrypto

/// The algorithms beyond the common ones, against what others published.
@Suite("Wider algorithms against published vectors")
struct WiderAlgorithmTests {
    struct BlockCase: Decodable, Sendable {
        let keyword: String
        let source: String
        let key: HexBytes
        let iv: HexBytes
        let msg: HexBytes
        let ct: HexBytes
    }

    /// Single blocks and chains; the MAC beside them is of no interest here.
    @Test(arguments: [("block_ciphers", 22), ("libgcrypt_cbc", 33)])
    func blockCiphers(file: String, count: Int) throws {
        let vectors = try VectorFiles.load(file, as: BlockCase.self)
        #expect(vectors.count == count)
        for vector in vectors {
            let encryption = try #require(AlgorithmRegistry.algorithm(named: vector.keyword)).transform
            let keys = PacketKeys(
                encryption: SecretBytes(vector.key.bytes), integrity: SecretBytes([UInt8](repeating: 1, count: 32)))
            let sealer = try PacketCipher(encryption: encryption, integrity: .sha256, keys: keys, direction: .seal)
            var packet = PacketLayout(
                associatedData: [], iv: vector.iv.bytes, text: vector.msg.bytes, icv: [UInt8](repeating: 0, count: 16))
            check(packet.seal(sealer))
            #expect(Array(packet.bytes[packet.text]) == vector.ct.bytes, "\(vector.keyword), \(vector.source)")
            let opener = try PacketCipher(encryption: encryption, integrity: .sha256, keys: keys, direction: .open)
            check(packet.open(opener))
            #expect(Array(packet.bytes[packet.text]) == vector.msg.bytes, "\(vector.keyword), \(vector.source)")
        }
    }

    @Test(arguments: [("wycheproof_camellia_ccm_subset", 25, 4), ("libgcrypt_camellia_ccm", 45, 0)])
    func camelliaCCM(file: String, count: Int, invalid: Int) throws {
        let vectors = try VectorFiles.load(file, as: PacketCipherVectorTests.AEADCase.self)
        #expect(vectors.count == count)
        var refused = 0
        for vector in vectors {
            let specification = AEADSpecification(
                library: "CAMELLIA-\(vector.key.bytes.count * 8)", mode: .composedCCM,
                keyLength: vector.key.bytes.count,
                saltLength: 0, ivLength: vector.iv.bytes.count, icvLength: vector.tagSize / 8)
            func cipher(_ direction: PacketCipher.Direction) throws -> PacketCipher {
                try PacketCipher(
                    try #require(PacketShape(.aead(specification))), nil,
                    keys: PacketKeys(encryption: SecretBytes(vector.key.bytes), integrity: SecretBytes([])),
                    direction: direction, names: (.aes128gcm16, nil))
            }
            var packet = PacketLayout(
                associatedData: vector.aad.bytes, iv: vector.iv.bytes, text: vector.ct.bytes, icv: vector.tag.bytes)
            let opened = packet.open(try cipher(.open))
            #expect(opened == (vector.result == "valid"), "case \(vector.id)")
            if opened {
                #expect(Array(packet.bytes[packet.text]) == vector.msg.bytes, "case \(vector.id)")
            } else {
                refused += 1
                #expect(packet.bytes[packet.text].allSatisfy { $0 == 0 }, "case \(vector.id): plaintext left")
            }
            var sealed = PacketLayout(
                associatedData: vector.aad.bytes, iv: vector.iv.bytes, text: vector.msg.bytes,
                icv: [UInt8](repeating: 0, count: vector.tagSize / 8))
            check(sealed.seal(try cipher(.seal)))
            #expect(Array(sealed.bytes[sealed.text]) == vector.ct.bytes, "case \(vector.id)")
            let sameTag = Array(sealed.bytes[sealed.icv...]) == vector.tag.bytes
            #expect(sameTag == (vector.result == "valid"), "case \(vector.id)")
        }
        #expect(refused == invalid)
    }

    struct MACCase: Decodable {
        let result: String?
        let tagSize: Int?
        let hash: String?
        let key: HexBytes
        let iv: HexBytes?
        let msg: HexBytes
        let tag: HexBytes
    }

    /// GMAC over associated data alone, as AH has it; cases whose nonce is not IKE's 12 octets or whose tag is short
    /// are still libcrypto's to answer.
    @Test func wycheproofGMAC() throws {
        let vectors = try VectorFiles.load("wycheproof_aes_gmac", as: MACCase.self)
        var (run, refused) = (0, 0)
        for vector in vectors {
            let nonce = vector.iv?.bytes ?? []
            let specification = AEADSpecification(
                library: "AES-\(vector.key.bytes.count * 8)-GCM", mode: .gmac, keyLength: vector.key.bytes.count,
                saltLength: nonce.count, ivLength: 0, icvLength: (vector.tagSize ?? 0) / 8)
            let keys = PacketKeys(encryption: SecretBytes(vector.key.bytes + nonce), integrity: SecretBytes([]))
            guard
                let opener = try? PacketCipher(
                    try #require(PacketShape(.aead(specification))), nil, keys: keys, direction: .open,
                    names: (.aes128gcm16, nil))
            else {
                refused += 1
                #expect(vector.result == "invalid" || nonce.count > 16)
                continue
            }
            run += 1
            // Half of the message as associated data and half as text that is not encrypted: it makes no difference.
            let half = vector.msg.bytes.count / 2
            var packet = PacketLayout(
                associatedData: Array(vector.msg.bytes[..<half]), iv: [], text: Array(vector.msg.bytes[half...]),
                icv: vector.tag.bytes)
            let opened = packet.open(opener)
            #expect(opened == (vector.result == "valid"))
            if opened { #expect(Array(packet.bytes[packet.text]) == Array(vector.msg.bytes[half...])) }
        }
        #expect(run + refused == 414)
        #expect(run >= 380, "\(run) \(refused)")
    }

    /// A whole ESP packet with GMAC: the IV is authenticated too, as Linux and others have it (RFC 4543 figure 4).
    @Test func gmacESPPacket() throws {
        struct Vector: Decodable {
            let key: HexBytes
            let salt: HexBytes
            let packet: HexBytes
        }
        let vector = try #require(try VectorFiles.load("odp_aes_gmac_esp", as: Vector.self).first)
        let packet = vector.packet.bytes
        let keys = PacketKeys(encryption: SecretBytes(vector.key.bytes + vector.salt.bytes), integrity: SecretBytes([]))
        let encryption = Transform(.encryption, 21, keyBits: 128)
        var layout = PacketLayout(
            associatedData: Array(packet[..<8]), iv: Array(packet[8..<16]),
            text: Array(packet[16..<(packet.count - 16)]),
            icv: [UInt8](repeating: 0, count: 16))
        check(layout.seal(try PacketCipher(encryption: encryption, integrity: nil, keys: keys, direction: .seal)))
        #expect(layout.bytes == packet)
        check(layout.open(try PacketCipher(encryption: encryption, integrity: nil, keys: keys, direction: .open)))
        #expect(layout.bytes == packet)
    }

    @Test func wycheproofCMAC() throws {
        let vectors = try VectorFiles.load("wycheproof_aes_cmac", as: MACCase.self)
        #expect(vectors.count == 311)
        var run = 0
        for vector in vectors where vector.key.bytes.count == 16 {
            run += 1
            let mac = KeyedHash(.aesCMAC, key: SecretBytes(vector.key.bytes))
            mac.update(vector.msg.bytes.span)
            let tag = mac.finishSecret().exposedBytes().prefix((vector.tagSize ?? 0) / 8)
            #expect((Array(tag) == vector.tag.bytes) == (vector.result == "valid"))
        }
        #expect(run > 100, "\(run)")
    }

    /// RFC 3566 §4.6, RFC 4494 §5: whole and in single octets.
    @Test(arguments: [("rfc3566_aes_xcbc", MACFunction.aesXCBC, 7), ("rfc4494_aes_cmac", .aesCMAC, 4)])
    func macsOverAES(file: String, function: MACFunction, count: Int) throws {
        let vectors = try VectorFiles.load(file, as: MACCase.self)
        #expect(vectors.count == count)
        for vector in vectors {
            let mac = KeyedHash(function, key: SecretBytes(vector.key.bytes))
            // The same object twice, as packets use it.
            for isWhole in [true, false] {
                if isWhole { mac.update(vector.msg.bytes.span) }
                if !isWhole { for octet in vector.msg.bytes { mac.update([octet].span) } }
                let tag = mac.finishSecret().exposedBytes()
                #expect(Array(tag.prefix(vector.tag.bytes.count)) == vector.tag.bytes)
            }
        }
    }

    /// RFC 4434 §2.1, RFC 4615 §4: keys of 10, 16 and 18 octets.
    @Test(arguments: [("rfc4434_prf", UInt16(4)), ("rfc4615_prf", 8)])
    func prfsOverAES(file: String, id: UInt16) throws {
        let prf = try #require(PRF(Transform(.prf, id)))
        #expect(prf.keyLength == 16 && prf.outputLength == 16 && prf.seedNonceLength == 8)
        let vectors = try VectorFiles.load(file, as: MACCase.self)
        #expect(Set(vectors.map(\.key.bytes.count)) == [10, 16, 18])
        for vector in vectors {
            #expect(
                prf.compute(key: SecretBytes(vector.key.bytes), vector.msg.bytes).exposedBytes() == vector.tag.bytes)
        }
    }

    /// RFC 2202 §2 and §3, as digests and as PRFs.
    @Test func rfc2202() throws {
        let vectors = try VectorFiles.load("rfc2202_hmac", as: MACCase.self)
        #expect(vectors.count == 14)
        for vector in vectors {
            let isMD5 = vector.hash == "md5"
            let key = SecretBytes(vector.key.bytes)
            #expect(HMAC.compute(isMD5 ? .md5 : .sha1, key: key, [vector.msg.bytes]) == vector.tag.bytes)
            let prf = try #require(PRF(Transform(.prf, isMD5 ? 1 : 2)))
            #expect(prf.seedNonceLength == nil)
            #expect(prf.compute(key: key, vector.msg.bytes).exposedBytes() == vector.tag.bytes)
        }
    }

    struct GroupCase: Decodable {
        let group: String
        let a: HexBytes
        let ga: HexBytes
        let b: HexBytes
        let gb: HexBytes
        let shared: HexBytes
    }

    /// RFC 5114 appendix A, RFC 6932 appendix A: both public values and the shared secret.
    @Test(arguments: [
        ("rfc5114_groups", ["modp1024s160", "modp2048s224", "modp2048s256", "ecp192", "ecp224"]),
        ("rfc6932_brainpool", ["ecp224bp", "ecp256bp", "ecp384bp", "ecp512bp"]),
    ])
    func groups(file: String, names: [String]) throws {
        let vectors = try VectorFiles.load(file, as: GroupCase.self)
        #expect(vectors.map(\.group) == names)
        for vector in vectors {
            let group = try #require(AlgorithmRegistry.algorithm(named: vector.group)).transform
            let left = try KeyAgreement(group: group, privateValue: SecretBytes(vector.a.bytes))
            let right = try KeyAgreement(group: group, privateValue: SecretBytes(vector.b.bytes))
            #expect(left.publicValue == vector.ga.bytes, "\(vector.group)")
            #expect(right.publicValue == vector.gb.bytes, "\(vector.group)")
            #expect(try left.sharedSecret(with: vector.gb.bytes).exposedBytes() == vector.shared.bytes)
            #expect(try right.sharedSecret(with: vector.ga.bytes).exposedBytes() == vector.shared.bytes)
        }
    }

    /// A value outside of the subgroup would tell the exponent modulo a small factor (RFC 6989 §2.2). 2 is none of its
    /// members, nor is anything that is not a power of the generator.
    @Test(arguments: [UInt16(22), 23, 24])
    func refusesValuesOutsideOfTheSubgroup(id: UInt16) throws {
        let group = Transform(.keyExchange, id)
        let order = id == 22 ? 20 : id == 23 ? 28 : 32
        let agreement = try KeyAgreement(
            group: group, privateValue: SecretBytes([UInt8](repeating: 0x11, count: order)))
        let length = agreement.publicValue.count
        for value: UInt8 in [0, 1, 2, 3] {
            let peer = [UInt8](repeating: 0, count: length - 1) + [value]
            #expect(throws: KeyAgreementError.publicValueRefused(group)) { try agreement.sharedSecret(with: peer) }
        }
        #expect(throws: KeyAgreementError.publicValueRefused(group)) {
            try agreement.sharedSecret(with: [UInt8](repeating: 0xff, count: length))
        }
        #expect(throws: KeyAgreementError.publicValueRefused(group), "an exponent beyond the order") {
            try KeyAgreement(group: group, privateValue: SecretBytes([UInt8](repeating: 0xff, count: order)))
        }
        #expect(try agreement.sharedSecret(with: agreement.publicValue).count == length)
    }

    /// The whole sequence number is the nonce's end, and nothing of it travels twice (RFC 8750 §4): the same packet as
    /// with an explicit IV of that value.
    @Test(
        arguments: [
            ("aes256gcm16iiv", "aes256gcm16"), ("aes128ccm8iiv", "aes128ccm8"),
            ("chacha20poly1305iiv", "chacha20poly1305"),
        ],
        [nil, UInt32(0x0102_0304)])
    func implicitIVs(names: (implicit: String, explicit: String), high: UInt32?) throws {
        let implicit = try #require(AlgorithmRegistry.algorithm(named: names.implicit)).transform
        let explicit = try #require(AlgorithmRegistry.algorithm(named: names.explicit)).transform
        let length = try #require(PacketCipher.keyMaterialLength(encryption: implicit, integrity: nil)).encryption
        let keys = PacketKeys(
            encryption: SecretBytes((0..<length).map { UInt8($0 + 7) }), integrity: SecretBytes([]))
        let header: [UInt8] = [0xde, 0xad, 0xbe, 0xef, 5, 6, 7, 8]
        let text = (0..<40).map { UInt8($0) }
        let sealer = try PacketCipher(encryption: implicit, integrity: nil, keys: keys, direction: .seal)
        var short = PacketLayout(
            associatedData: header, iv: [], text: text, icv: [UInt8](repeating: 0, count: sealer.icvLength))
        check(short.seal(sealer, high: high))
        let highOctets: [UInt8] = high == nil ? [0, 0, 0, 0] : [1, 2, 3, 4]
        let other = try PacketCipher(encryption: explicit, integrity: nil, keys: keys, direction: .seal)
        var long = PacketLayout(
            associatedData: header, iv: highOctets + header[4...], text: text,
            icv: [UInt8](repeating: 0, count: sealer.icvLength))
        check(long.seal(other, high: high))
        #expect(Array(short.bytes[8...]) == Array(long.bytes[16...]))
        var opened = short
        check(
            opened.open(
                try PacketCipher(encryption: implicit, integrity: nil, keys: keys, direction: .open), high: high))
        #expect(Array(opened.bytes[opened.text]) == text)
    }
}
