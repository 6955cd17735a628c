import GatewayModel
import IPsecCrypto
import Testing
import Trust
import WireFormat

@testable import EAPEngine

/// Attacks on TLS inside EAP, by records that no honest end makes.
@Suite struct TLSAttackTests {
    private static func server(_ zoo: Zoo) throws -> TLSSession {
        try #require(TLSSession(isServer: true, own: zoo.server, anchors: [], at: Zoo.now))
    }

    /// An honest client's first record.
    private static func hello(_ zoo: Zoo, _ latest: TLSSession.Version = .tls13) throws -> [UInt8] {
        let client = try #require(
            TLSSession(isServer: false, own: nil, anchors: [zoo.authority], at: Zoo.now, latest: latest))
        _ = client.handshake([])
        let record = client.takeOutput()
        try #require(record.count > 60 && record[0] == 22 && record[5] == 1)
        return record
    }

    /// Where an extension of this type begins, its type first.
    private static func place(of type: UInt8, in hello: [UInt8]) throws -> Int {
        // Record, handshake head, version, chance, session, suites, compression, length of the extensions.
        var place = 5 + 4 + 2 + 32
        place += 1 + Int(hello[place])
        place += 2 + Int(hello[place]) << 8 + Int(hello[place + 1])
        place += 1 + Int(hello[place])
        place += 2
        while place + 4 <= hello.count {
            if hello[place] == 0, hello[place + 1] == type { return place }
            place += 4 + Int(hello[place + 2]) << 8 + Int(hello[place + 3])
        }
        throw EAPProblem.malformed("there is no such extension")
    }

    /// Whether a server breaks off, with an alert if with anything.
    private static func isRefused(_ records: [UInt8], _ zoo: Zoo) throws -> Bool {
        let server = try server(zoo)
        guard case .failed = server.handshake(records) else { return false }
        let said = server.takeOutput()
        return said.isEmpty || said[0] == 21
    }

    @Test("Attack 26: no version, a version list that lies, a share of nothing, another's length")
    func attack26Extensions() throws {
        let zoo = try Zoo()
        let honest = try Self.hello(zoo)
        #expect(try !Self.isRefused(honest, zoo))
        let versions = try Self.place(of: 43, in: honest)
        let share = try Self.place(of: 51, in: honest)
        // supported_versions: an empty list, an odd one, one that goes on behind its end.
        for length in [UInt8(0), 1, 3, 255] {
            var hello = honest
            hello[versions + 4] = length
            #expect(try Self.isRefused(hello, zoo), "a list of \(length) octets")
        }
        // key_share: all zeros, which every private number takes to the same secret.
        var zero = honest
        let length = Int(zero[share + 2]) << 8 + Int(zero[share + 3])
        #expect(zero[(share + 6)..<(share + 10)] == [0, 29, 0, 32])
        for index in (share + 10)..<(share + 4 + length) { zero[index] = 0 }
        #expect(try Self.isRefused(zero, zoo))
        for wrong in [UInt8(0), 31, 33, 255] {
            var hello = honest
            hello[share + 9] = wrong
            #expect(try Self.isRefused(hello, zoo), "a share of \(wrong) octets")
        }
    }

    @Test("Attack 26: a flood of records, and a handshake without end, are bounded")
    func attack26Floods() throws {
        let zoo = try Zoo()
        // Empty records, warnings, and a message that claims sixteen megabytes.
        let empty: [UInt8] = [22, 3, 3, 0, 0]
        let warning: [UInt8] = [21, 3, 3, 0, 2, 1, 90]
        let piece: [UInt8] = [22, 3, 3, 0x40, 0] + [UInt8](repeating: 0, count: 0x4000)
        let claim: [UInt8] = [22, 3, 3, 0, 4, 1, 0xff, 0xff, 0xff]
        let floods: [([UInt8], [UInt8])] = [
            ([], empty), ([], warning), (claim, piece), ([], [23, 3, 3, 0, 1, 0]),
        ]
        for (first, more) in floods {
            let server = try Self.server(zoo)
            var ended = false
            _ = first.isEmpty ? TLSSession.Progress.going : server.handshake(first)
            for _ in 0..<100_000 where !ended {
                if case .failed = server.handshake(more) { ended = true }
            }
            #expect(ended, "\(more.count)")
        }
        // What is fed in at once is bounded as well.
        let server = try Self.server(zoo)
        guard case .failed = server.handshake([UInt8](repeating: 22, count: 1 << 20)) else {
            Issue.record("a megabyte of records is taken")
            return
        }
    }

    @Test("Attack 26: one octet changed anywhere in the first record neither lets anybody in nor hangs")
    func attack26Changes() throws {
        let zoo = try Zoo()
        let honest = try Self.hello(zoo)
        for index in stride(from: 0, to: honest.count, by: 3) {
            var hello = honest
            hello[index] ^= 0x81
            let server = try Self.server(zoo)
            if case .done = server.handshake(hello) { Issue.record("done after octet \(index)") }
        }
    }

    @Test("Attack 13: key transport by RSA is no suite of ours, nor are old versions")
    func attack13() throws {
        let zoo = try Zoo()
        var hello = try Self.hello(zoo, .tls12)
        #expect(try !Self.isRefused(hello, zoo))
        var place = 5 + 4 + 2 + 32
        place += 1 + Int(hello[place])
        let count = Int(hello[place]) << 8 + Int(hello[place + 1])
        // TLS_RSA_WITH_AES_128_CBC_SHA, _256_CBC_SHA, _128_GCM_SHA256, _256_GCM_SHA384, 3DES.
        let transport: [[UInt8]] = [[0, 0x2f], [0, 0x35], [0, 0x9c], [0, 0x9d], [0, 0x0a]]
        for index in stride(from: 0, to: count, by: 2) {
            let suite = transport[index / 2 % transport.count]
            (hello[place + 2 + index], hello[place + 3 + index]) = (suite[0], suite[1])
        }
        #expect(try Self.isRefused(hello, zoo))
        for version in [UInt8(0), 1, 2] {
            var old = try Self.hello(zoo, .tls12)
            old[10] = version
            #expect(try Self.isRefused(old, zoo), "3.\(version)")
        }
    }
}
