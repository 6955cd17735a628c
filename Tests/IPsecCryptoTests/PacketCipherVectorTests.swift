import Foundation
import Testing
import WireFormat

@testable import IPsecCrypto

@Suite("PacketCipher against published vectors")
struct PacketCipherVectorTests {
    struct AEADCase: Decodable {
        let id: Int
        let result: String
        let tagSize: Int
        let key: HexBytes
        let iv: HexBytes
        let aad: HexBytes
        let msg: HexBytes
        let ct: HexBytes
        let tag: HexBytes
    }

    struct CBCCase: Decodable {
        let id: Int
        let result: String
        let key: HexBytes
        let iv: HexBytes
        let msg: HexBytes
        let ct: HexBytes
    }

    struct PlainCase: Decodable {
        let key: HexBytes
        let iv: HexBytes
        let nonce: HexBytes?
        let msg: HexBytes
        let ct: HexBytes
    }

    /// How many cases could be carried out, and how many have a nonce that no packet cipher takes.
    @Test(
        arguments: [
            ("wycheproof_aes_gcm", "GCM", 316 - 21, 21),
            ("wycheproof_aes_ccm", "CCM", 552 - 66, 66),
            ("wycheproof_chacha20_poly1305", "", 325 - 9, 9),
        ])
    func wycheproofAEAD(file: String, mode: String, expectedRun: Int, expectedRefused: Int) throws {
        var run = 0
        var refused = 0
        for vector in try VectorFiles.load(file, as: AEADCase.self) {
            let library = mode.isEmpty ? "ChaCha20-Poly1305" : "AES-\(vector.key.bytes.count * 8)-\(mode)"
            let made = [PacketCipher.Direction.seal, .open].map { direction in
                try? PacketCipher.rawAEAD(
                    library, key: vector.key.bytes, nonceLength: vector.iv.bytes.count, tagLength: vector.tagSize / 8,
                    direction)
            }
            guard let sealer = made[0], let opener = made[1] else {
                // A nonce longer than 16 octets, or lengths that the algorithm does not have.
                let beyondUs = vector.iv.bytes.count > 16
                #expect(vector.result == "invalid" || beyondUs, "\(file) \(vector.id)")
                refused += 1
                continue
            }
            run += 1
            var packet = PacketLayout(
                associatedData: vector.aad.bytes, iv: vector.iv.bytes, text: vector.ct.bytes, icv: vector.tag.bytes)
            let opened = packet.open(opener)
            #expect(opened == (vector.result == "valid"), "\(file) \(vector.id)")
            if opened {
                #expect(Array(packet.bytes[packet.text]) == vector.msg.bytes, "\(file) \(vector.id)")
            } else {
                #expect(packet.bytes[packet.text].allSatisfy { $0 == 0 }, "\(file) \(vector.id): plaintext left")
            }
            var sealed = PacketLayout(
                associatedData: vector.aad.bytes, iv: vector.iv.bytes, text: vector.msg.bytes,
                icv: [UInt8](repeating: 0, count: vector.tagSize / 8))
            check(sealed.seal(sealer))
            let same = Array(sealed.bytes[sealed.text.lowerBound...]) == vector.ct.bytes + vector.tag.bytes
            #expect(same == (vector.result == "valid"), "\(file) \(vector.id)")
        }
        #expect(run == expectedRun)
        #expect(refused == expectedRefused)
    }

    /// Raw CBC; the padding of PKCS #5 is put on and taken off here.
    @Test(arguments: [("wycheproof_aes_cbc_pkcs5", UInt16(12)), ("wycheproof_camellia_cbc_pkcs5", 23)])
    func wycheproofCBC(file: String, id: UInt16) throws {
        let macKey = SecretBytes([UInt8](repeating: 7, count: 32))
        let vectors = try VectorFiles.load(file, as: CBCCase.self)
        for vector in vectors {
            let encryption = Transform(.encryption, id, keyBits: UInt16(vector.key.bytes.count * 8))
            let keys = PacketKeys(encryption: SecretBytes(vector.key.bytes), integrity: macKey)
            let opener = try PacketCipher(encryption: encryption, integrity: .sha256, keys: keys, direction: .open)
            let icv = HMAC.sha256(key: macKey, [vector.iv.bytes, vector.ct.bytes]).prefix(16)
            var packet = PacketLayout(
                associatedData: [], iv: vector.iv.bytes, text: vector.ct.bytes, icv: Array(icv))
            let message = packet.open(opener) ? unpad(Array(packet.bytes[packet.text])) : nil
            #expect((message != nil) == (vector.result == "valid"), "case \(vector.id)")
            guard vector.result == "valid" else { continue }
            #expect(message == vector.msg.bytes, "case \(vector.id)")
            let sealer = try PacketCipher(encryption: encryption, integrity: .sha256, keys: keys, direction: .seal)
            let padding = 16 - vector.msg.bytes.count % 16
            var sealed = PacketLayout(
                associatedData: [], iv: vector.iv.bytes,
                text: vector.msg.bytes + [UInt8](repeating: UInt8(padding), count: padding),
                icv: [UInt8](repeating: 0, count: 16))
            check(sealed.seal(sealer))
            #expect(sealed.bytes == vector.iv.bytes + vector.ct.bytes + icv, "case \(vector.id)")
        }
        #expect(vectors.count == 216)
    }

    private func unpad(_ text: [UInt8]) -> [UInt8]? {
        guard let last = text.last, (1...16).contains(last), text.count >= Int(last),
            text.suffix(Int(last)).allSatisfy({ $0 == last })
        else { return nil }
        return Array(text.dropLast(Int(last)))
    }

    /// RFC 3602 §4, RFC 3686 §6 and RFC 5528 §4.1: what the algorithm makes of a text, whichever MAC stands beside it.
    @Test(
        arguments: [
            ("rfc3602_aes_cbc", UInt16(12), 8), ("rfc3686_aes_ctr", UInt16(13), 9),
            ("rfc5528_camellia_ctr", UInt16(24), 9),
        ],
        [Transform.sha1, .sha256, .sha384, .sha512])
    func withoutIntegrity(file: (name: String, id: UInt16, count: Int), integrity: Transform) throws {
        let vectors = try VectorFiles.load(file.name, as: PlainCase.self)
        #expect(vectors.count == file.count)
        for vector in vectors {
            let encryption = Transform(.encryption, file.id, keyBits: UInt16(vector.key.bytes.count * 8))
            let lengths = try #require(PacketCipher.keyMaterialLength(encryption: encryption, integrity: integrity))
            let keys = PacketKeys(
                encryption: SecretBytes(vector.key.bytes + (vector.nonce?.bytes ?? [])),
                integrity: SecretBytes([UInt8](repeating: 1, count: lengths.integrity)))
            let sealer = try PacketCipher(encryption: encryption, integrity: integrity, keys: keys, direction: .seal)
            var packet = PacketLayout(
                associatedData: [0, 0, 0x43, 0x21, 0, 0, 0, 1], iv: vector.iv.bytes, text: vector.msg.bytes,
                icv: [UInt8](repeating: 0, count: sealer.icvLength))
            check(packet.seal(sealer))
            #expect(Array(packet.bytes[packet.text]) == vector.ct.bytes)
            let opener = try PacketCipher(encryption: encryption, integrity: integrity, keys: keys, direction: .open)
            check(packet.open(opener))
            #expect(Array(packet.bytes[packet.text]) == vector.msg.bytes)
        }
    }

    /// RFC 7634, appendix A (an ESP packet) and B (an IKE message).
    @Test func chacha20Packets() throws {
        struct Vector: Decodable {
            let name: String
            let keymat: HexBytes
            let packet: HexBytes
            let aadLength: Int
            let msg: HexBytes
        }
        let vectors = try VectorFiles.load("rfc7634_chacha20", as: Vector.self)
        #expect(vectors.map(\.name) == ["ESP", "IKE"])
        for vector in vectors {
            let packet = vector.packet.bytes
            let length = vector.aadLength
            #expect(packet.count == length + 8 + vector.msg.bytes.count + 16)
            let keys = PacketKeys(encryption: SecretBytes(vector.keymat.bytes), integrity: SecretBytes([]))
            var layout = PacketLayout(
                associatedData: Array(packet[..<length]), iv: Array(packet[length..<(length + 8)]),
                text: vector.msg.bytes, icv: [UInt8](repeating: 0, count: 16))
            let sealer = try PacketCipher(
                encryption: .chacha20poly1305, integrity: nil, keys: keys, direction: .seal)
            check(layout.seal(sealer))
            #expect(layout.bytes == packet, "\(vector.name)")
            let opener = try PacketCipher(
                encryption: .chacha20poly1305, integrity: nil, keys: keys, direction: .open)
            check(layout.open(opener))
            #expect(Array(layout.bytes[layout.text]) == vector.msg.bytes)
        }
    }

    /// Whole ESP packets with AES-GCM, most of them with extended sequence numbers.
    @Test func gcmESPPackets() throws {
        struct File: Decodable {
            struct Vector: Decodable {
                let `case`: Int
                let key: HexBytes
                let salt: HexBytes
                let iv: HexBytes
                let esn: Bool
                let seq: HexBytes
                let plaintext: HexBytes
                let packet: HexBytes
            }
            let vectors: [Vector]
        }
        let vectors = try JSONDecoder().decode(File.self, from: VectorFiles.data("mcgrew_aes_gcm_esp.json")).vectors
        #expect(vectors.count == 13)
        #expect(vectors.filter(\.esn).count == 8)
        for vector in vectors {
            let encryption = Transform(.encryption, 20, keyBits: UInt16(vector.key.bytes.count * 8))
            let keys = PacketKeys(
                encryption: SecretBytes(vector.key.bytes + vector.salt.bytes), integrity: SecretBytes([]))
            let high = vector.esn ? vector.seq.bytes.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) } : nil
            var layout = PacketLayout(
                associatedData: Array(vector.packet.bytes.prefix(8)), iv: vector.iv.bytes,
                text: vector.plaintext.bytes, icv: [UInt8](repeating: 0, count: 16))
            let sealer = try PacketCipher(encryption: encryption, integrity: nil, keys: keys, direction: .seal)
            check(layout.seal(sealer, high: high))
            #expect(layout.bytes == vector.packet.bytes, "case \(vector.case)")
            let opener = try PacketCipher(encryption: encryption, integrity: nil, keys: keys, direction: .open)
            var wrong = layout
            check(!wrong.open(opener, high: (high ?? 0) ^ 1), "case \(vector.case): another high half")
            check(layout.open(opener, high: high))
            #expect(Array(layout.bytes[layout.text]) == vector.plaintext.bytes)
        }
    }
}
