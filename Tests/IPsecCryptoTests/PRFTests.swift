import Foundation
import Testing
import WireFormat

@testable import IPsecCrypto

/// The file of all 450 cases, where this machine has it.
private let wholeFile: URL? = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    let folders = [
        ProcessInfo.processInfo.environment["MARTLET_VECTORS"].map { URL(fileURLWithPath: $0) },
        root.deletingLastPathComponent().appendingPathComponent("shared/vectors"),
    ]
    return folders.compactMap { $0?.appendingPathComponent("cavp-ike/ikev2.fax") }.first {
        FileManager.default.isReadableFile(atPath: $0.path)
    }
}()

@Suite("PRF")
struct PRFTests {
    @Test func derivesIKEKeysOfTheCommittedCases() throws {
        let text = String(decoding: try VectorFiles.data("cavs_ikev2_subset.fax"), as: UTF8.self)
        let counts = try check(text)
        #expect(counts == ["SHA-1": 33, "SHA-256": 22, "SHA-384": 22, "SHA-512": 22])
    }

    @Test(.enabled(if: wholeFile != nil, "vectors/cavp-ike/ikev2.fax is not on this machine"))
    func derivesIKEKeysOfAllCases() throws {
        let file = try #require(wholeFile)
        let text = String(decoding: try Data(contentsOf: file), as: UTF8.self)
        let counts = try check(text)
        #expect(counts == ["SHA-1": 150, "SHA-256": 100, "SHA-384": 100, "SHA-512": 100])
    }

    /// Carries out every case of a CAVS response file; how many there were by hash.
    private func check(_ text: String) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        var hash = ""
        var fields: [String: [UInt8]] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("[SHA") { hash = String(line.dropFirst().dropLast()) }
            let parts = line.components(separatedBy: " = ")
            guard parts.count == 2, !line.hasPrefix("[") else { continue }
            if parts[0] == "COUNT" {
                fields = [:]
                continue
            }
            let octets: [UInt8] = try #require(Hex.decode(parts[1]), "\(line)")
            fields[parts[0]] = octets
            if parts[0] == "SKEYSEED(Rekey)" {
                try check(fields, hash)
                counts[hash, default: 0] += 1
            }
        }
        return counts
    }

    /// RFC 7296 §2.14, §2.17 and §2.18, composed of `prf` and `prf+` alone.
    private func check(_ fields: [String: [UInt8]], _ hash: String) throws {
        let transforms: [String: Transform] = [
            "SHA-1": .prfsha1, "SHA-256": .prfsha256, "SHA-384": .prfsha384, "SHA-512": .prfsha512,
        ]
        let prf = try #require(transforms[hash].flatMap { PRF($0) })
        func field(_ name: String) throws -> [UInt8] { try #require(fields[name], "\(name)") }
        let (ni, nr) = (try field("Ni"), try field("Nr"))
        let shared = SecretBytes(try field("g^ir"))
        let newShared = SecretBytes(try field("g^ir (new)"))

        let seed = prf.compute(key: SecretBytes(ni + nr), secret: shared)
        #expect(try seed.exposedBytes() == field("SKEYSEED"))
        let material = try field("DKM")
        let derived = prf.plus(
            key: seed, seed: ni + nr + (try field("SPIi")) + (try field("SPIr")), count: material.count)
        #expect(derived.exposedBytes() == material)
        let childKey = try #require(derived.slice(0..<prf.keyLength))
        let child = try field("DKM(Child SA)")
        #expect(prf.plus(key: childKey, seed: ni + nr, count: child.count).exposedBytes() == child)
        let forward = try field("DKM(Child SA D-H)")
        #expect(
            prf.plus(key: childKey, secret: newShared, seed: ni + nr, count: forward.count).exposedBytes() == forward)
        #expect(
            try prf.compute(key: childKey, secret: newShared, parts: [ni, nr]).exposedBytes()
                == field("SKEYSEED(Rekey)"))
    }

    @Test func endsAfter255Blocks() throws {
        let prf = try #require(PRF(.prfsha256))
        let key = SecretBytes([1])
        let all = prf.plus(key: key, seed: [2], count: 255 * 32)
        #expect(all.count == 255 * 32)
        #expect(prf.plus(key: key, seed: [2], count: 1_000_000) == all)
        #expect(prf.plus(key: key, seed: [2], count: 33).exposedBytes() == Array(all.exposedBytes().prefix(33)))
        #expect(prf.plus(key: key, seed: [2], count: 0).isEmpty)
        #expect(prf.plus(key: key, seed: [2], count: -1).isEmpty)
    }

    @Test func isMadeOfPRFsOnly() {
        #expect(PRF(.sha256) == nil)
        #expect(PRF(Transform(.prf, 3)) == nil)
        #expect(PRF(.prfsha512)?.outputLength == 64)
        #expect(PRF(.prfsha1)?.keyLength == 20)
    }

    @Test func partsAreConcatenated() throws {
        let prf = try #require(PRF(.prfsha384))
        let key = SecretBytes([])
        #expect(prf.compute(key: key, parts: [[1, 2], [], [3]]) == prf.compute(key: key, [1, 2, 3]))
        #expect(prf.compute(key: key, secret: SecretBytes([1]), parts: [[2, 3]]) == prf.compute(key: key, [1, 2, 3]))
        #expect(prf.compute(key: key, [1]) != prf.compute(key: key, [2]))
    }
}
