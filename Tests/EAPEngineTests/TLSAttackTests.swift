import GatewayModel
import IPsecCrypto
import Testing
import WireFormat

@testable import EAPEngine
@testable import Trust

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

    /// Two ends that are through with their handshake, the client's first.
    private static func pair(
        _ zoo: Zoo, _ latest: TLSSession.Version
    ) throws -> (client: TLSSession, server: TLSSession) {
        let server = try #require(
            TLSSession(isServer: true, own: zoo.server, anchors: [], at: Zoo.now, latest: latest))
        let client = try #require(
            TLSSession(isServer: false, own: nil, anchors: [zoo.authority], at: Zoo.now, latest: latest))
        var records: [UInt8] = []
        for _ in 0..<6 {
            _ = client.handshake(records)
            _ = server.handshake(client.takeOutput())
            records = server.takeOutput()
        }
        try #require(client.handshake([]) == .done && server.handshake([]) == .done)
        return (client, server)
    }

    @Test("Attack 26: a second handshake within a session is not begun, by either end (renegotiation)")
    func attack26Renegotiation() throws {
        let zoo = try Zoo()
        for isServers in [false, true] {
            let (client, server) = try Self.pair(zoo, .tls12)
            let (attacker, honest) = isServers ? (server, client) : (client, server)
            let key = try #require(honest.exported("a test", context: nil, count: 32))
            let hostile = attacker.hostileRecords()
            // A handshake record, sealed with the session's keys.
            #expect(hostile.first == 22 && hostile.count > 20)
            let heard = honest.opened(hostile)
            #expect(heard == nil || heard == [])
            // An alert at most: no ServerHello, no ClientHello; and the session's key stays what it was.
            let said = honest.takeOutput()
            #expect(said.isEmpty || said.first == 21, "\(said.prefix(1))")
            #expect(honest.exported("a test", context: nil, count: 32) == key)
        }
    }

    @Test("Attack 26: who renegotiates in a tunnel, or says nothing in it, is refused")
    func attack26RenegotiationInATunnel() throws {
        let zoo = try Zoo()
        for version in [TLSSession.Version.tls12, .tls13] {
            let session = try #require(
                TLSSession(isServer: true, own: zoo.server, anchors: [], at: Zoo.now, latest: version))
            let client = try #require(
                TLSSession(isServer: false, own: nil, anchors: [zoo.authority], at: Zoo.now, latest: version))
            let terms = EAPServer.Terms(
                rules: EAPRules(methods: [.ttls], inner: [.gtc]), asked: .any, name: [99], ownName: [1])
            var server = TLSServer(.ttls, session, name: [99], tunnel: TTLSServer(terms))
            var side = EAPSurroundings(entropy: SystemEntropy(), secrets: Passwords())
            guard case .request = server.begin(identifier: 1, &side) else { throw EAPProblem.malformed("no start") }
            // What both say until the client is done, in pieces of one message each way.
            var (out, into) = (TLSFraming(), TLSFraming())
            var progress = client.handshake([])
            out.load(client.takeOutput())
            var turns = 0
            handshake: while turns < 40 {
                turns += 1
                guard case .request(let data) = server.answer(out.next(), identifier: 1, next: 2, &side) else { break }
                switch try into.take(data) {
                case .whole(let records):
                    progress = client.handshake(records)
                    let output = client.takeOutput()
                    if progress == .done, output.isEmpty { break handshake }
                    out.load(output)
                case .part: out.load([])
                case .acknowledgement: if progress == .done { break handshake }
                }
            }
            try #require(progress == .done)
            out.load(client.hostileRecords())
            var step = server.answer(out.next(), identifier: 3, next: 4, &side)
            while out.hasMore { step = server.answer(out.next(), identifier: 3, next: 4, &side) }
            guard case .failed = step else {
                Issue.record("\(version): the server goes on")
                continue
            }
        }
    }

    @Test("Attack 26: changes of keys without end (TLS 1.3) are bounded by what one message may hold")
    func attack26KeyUpdates() throws {
        let (client, server) = try Self.pair(try Zoo(), .tls13)
        var flood: [UInt8] = []
        while flood.count < 60_000 {
            let more = client.hostileRecords()
            if more.isEmpty { break }
            flood += more
        }
        let heard = server.opened(flood)
        #expect(heard == nil || heard == [])
        // What we answer is no more than what came.
        #expect(server.takeOutput().count <= flood.count + 64)
    }

    @Test("Attack 26: a handshake of more than 64 kB is refused before it is put together")
    func attack26LongHandshakes() throws {
        let zoo = try Zoo()
        var names = CertificateProfile(.client)
        names.emails = (0..<120).map { "a-very-long-name-of-somebody-number-\($0)@example.org" }
        let key = try PrivateKey(generating: .p256)
        let subject = try #require(DistinguishedName(text: "CN=long"))
        let one = try #require(
            CertificateIssuer(zoo.authority, key).issue(
                subject, key.publicKey, names, serial: [9], validity: 0...4_000_000_000))
        let more = [Certificate](repeating: one, count: 70_000 / one.der.count + 1)
        for latest in [TLSSession.Version.tls12, .tls13] {
            let server = try #require(
                TLSSession(isServer: true, own: zoo.server, anchors: [zoo.authority], at: Zoo.now, latest: latest))
            let own = TLSSession.Credential(key: zoo.client.key, chain: zoo.client.chain + more)
            let client = try #require(
                TLSSession(isServer: false, own: own, anchors: [zoo.authority], at: Zoo.now, latest: latest))
            var (records, longest, isRefused) = ([UInt8](), 0, false)
            for _ in 0..<6 where !isRefused {
                _ = client.handshake(records)
                let flight = client.takeOutput()
                longest = max(longest, flight.count)
                if case .failed = server.handshake(flight) { isRefused = true }
                records = server.takeOutput()
            }
            #expect(longest > 65_536 && isRefused, "\(latest): \(longest)")
            // In EAP it does not even get there.
            var framing = TLSFraming()
            #expect(throws: EAPProblem.self) {
                try framing.take([0x80, 0, 1, 0, 1] + [UInt8](repeating: 22, count: 100))
            }
        }
    }

    @Test("Attack 26: a share that makes the same secret for everybody is refused by both ends")
    func attack26Shares() throws {
        let zoo = try Zoo()
        // TLS 1.2: the client's own share travels in clear, behind its type and three octets of length.
        let server = try #require(
            TLSSession(isServer: true, own: zoo.server, anchors: [], at: Zoo.now, latest: .tls12))
        let client = try #require(
            TLSSession(isServer: false, own: nil, anchors: [zoo.authority], at: Zoo.now, latest: .tls12))
        _ = client.handshake([])
        _ = server.handshake(client.takeOutput())
        _ = client.handshake(server.takeOutput())
        let flight = client.takeOutput()
        #expect(flight[0] == 22 && flight[5] == 16)
        let length = Int(flight[9])
        for wrong in [UInt8(0), 1, 0xff] {
            let other = try #require(
                TLSSession(isServer: true, own: zoo.server, anchors: [], at: Zoo.now, latest: .tls12))
            let second = try #require(
                TLSSession(isServer: false, own: nil, anchors: [zoo.authority], at: Zoo.now, latest: .tls12))
            _ = second.handshake([])
            _ = other.handshake(second.takeOutput())
            _ = second.handshake(other.takeOutput())
            var forged = second.takeOutput()
            for index in 10..<(10 + length) { forged[index] = wrong }
            guard case .failed = other.handshake(forged) else {
                Issue.record("a share of \(wrong) is taken by the server")
                continue
            }
        }
        // TLS 1.3: the server's share is the last extension but one of its ServerHello, or the last.
        let (third, fourth) = (
            try Self.server(zoo),
            try #require(
                TLSSession(isServer: false, own: nil, anchors: [zoo.authority], at: Zoo.now))
        )
        _ = fourth.handshake([])
        _ = third.handshake(fourth.takeOutput())
        var answer = third.takeOutput()
        let pattern: [UInt8] = [0, 51, 0, 36, 0, 29, 0, 32]
        let place = try #require(answer.indices.first { answer[$0...].starts(with: pattern) })
        for index in (place + 8)..<(place + 40) { answer[index] = 0 }
        guard case .failed = fourth.handshake(answer) else {
            Issue.record("a share of zeros is taken by the client")
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
