import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// Attacks on what a gateway remembers and says of strangers, by somebody who receives the answers: cookies do not hold
/// him up. By their numbers in the project's list.
@Suite struct CrowdAttackTests {
    private static let attacker = IPAddress(v4: 0x0a09_0901)

    /// The right gateway is open to everybody, with a table that is soon full.
    private static func open(limit: Int = 200, perAddress: Int = 0) -> Pair {
        var right = Pair.connection(isLeft: false)
        right.remoteAddresses = []
        // All clients of a test are the same to the gateway.
        right.uniqueness = .never
        var limits = Limits()
        limits.halfOpenTotal = limit
        limits.halfOpenPerAddress = perAddress
        return Pair(right: right, limits: limits)
    }

    private static func path(_ address: IPAddress, port: UInt16 = 500) -> Path {
        Path(local: Endpoint(Pair.rightAddress, 500), remote: Endpoint(address, port))
    }

    /// Asks for one more IKE SA, and again with the cookie when there is one.
    /// - Returns: Whether it was accepted.
    @discardableResult
    private static func press(
        _ pair: Pair, _ spi: UInt64, from address: IPAddress = attacker, returnsCookie: Bool = true
    ) throws -> Bool {
        var notifies: [NotifyPayload] = []
        while true {
            let bytes = try FloodAttackTests.request(spi: spi, notifies: notifies)
            pair.right.handle(.datagram(Datagram(bytes, path: path(address, port: 4444), socket: .plain)))
            guard let answer = pair.right.takeOutbox().first else { return false }
            guard let cookie = try FloodAttackTests.cookie(answer.bytes) else { return true }
            guard returnsCookie, notifies.isEmpty else { return false }
            notifies = [NotifyPayload(.cookie, cookie)]
        }
    }

    @Test("Attack 29: who returns cookies and fills the table pushes out himself, and an honest peer gets in")
    func attack29FullTable() throws {
        let pair = Self.open()
        for spi in 1...1_000 { try #expect(Self.press(pair, UInt64(spi))) }
        #expect(pair.right.endpoint.counts.halfOpen == 200)
        #expect(pair.right.endpoint.counts.ikeSAs == 200)
        // He goes on between any two messages of the honest peer's.
        var spi: UInt64 = 5_000
        pair.wire = { datagram, fromLeft in
            for _ in 0..<50 where fromLeft {
                spi += 1
                _ = try? Self.press(pair, spi)
            }
            return [datagram]
        }
        pair.connect()
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.endpoint.counts.halfOpen <= 200)
        pair.wire = { datagram, _ in [datagram] }
        pair.advance(.seconds(60))
        #expect(pair.right.endpoint.counts.halfOpen == 0)
        #expect(pair.right.endpoint.counts.ikeSAs == 1)
    }

    @Test("Attack 29: a host with a whole IPv6 network is one address")
    func attack29Prefix() throws {
        var right = Pair.connection(isLeft: false)
        right.remoteAddresses = []
        right.localAddresses = []
        var limits = Limits()
        limits.halfOpenTotal = 50
        let pair = Pair(right: right, limits: limits)
        for spi in 1...200 {
            try Self.press(pair, UInt64(spi), from: IPAddress(.v6, bits: 0x2001_0db8 << 96 | UInt128(spi)))
        }
        #expect(pair.right.endpoint.counts.halfOpen == 50)
        let honest = IPAddress(.v6, bits: 0x2001_0db8_0000_0001 << 64 | 1)
        try #expect(Self.press(pair, 9_000, from: honest))
        for spi in 10_000..<10_200 {
            try Self.press(pair, UInt64(spi), from: IPAddress(.v6, bits: 0x2001_0db8 << 96 | UInt128(spi)))
        }
        let addresses = pair.right.endpoint.summaries().map(\.path.remote.address)
        #expect(addresses.contains(honest))
    }

    /// The clients' exchanges overlap: all of them are half open at once.
    @Test("Attack 30: 500 clients behind one address all connect at once while a full table is fought over")
    func attack30AtOnce() throws {
        let pair = Self.open(limit: 1_200)
        for spi in 1...1_500 { try Self.press(pair, UInt64(spi)) }
        let clients = (0..<500).map { index in
            let client = Pair(seed: UInt64(index + 10)).left
            client.path = Path(local: Endpoint(Pair.leftAddress, 0), remote: Endpoint(Pair.rightAddress, 0))
            client.handle(.command(.initiate(connection: "net", child: nil)))
            return client
        }
        var spi: UInt64 = 10_000
        for _ in 0..<6 {
            for (index, client) in clients.enumerated() {
                for datagram in client.takeOutbox() {
                    let path = Path(
                        local: datagram.path.remote, remote: Endpoint(Pair.leftAddress, 2_000 + UInt16(index)))
                    pair.right.handle(.datagram(Datagram(datagram.bytes, path: path, socket: datagram.socket)))
                }
            }
            let answers = pair.right.takeOutbox()
            for _ in 0..<500 {
                spi += 1
                try Self.press(pair, spi)
            }
            for datagram in answers {
                guard datagram.path.remote.address == Pair.leftAddress else { continue }
                let client = clients[Int(datagram.path.remote.port) - 2_000]
                let path = Path(local: client.path?.local ?? datagram.path.remote, remote: datagram.path.local)
                client.handle(.datagram(Datagram(datagram.bytes, path: path, socket: datagram.socket)))
            }
        }
        #expect(clients.count { $0.summary?.state == .established } == 500)
        #expect(pair.right.endpoint.counts.halfOpen <= 1_200)
    }

    @Test("Attack 29: forged requests in the name of a site do not lock it out where addresses have a limit")
    func attack29Spoofed() throws {
        let pair = Self.open(perAddress: 5)
        for spi in 1...50 { try Self.press(pair, UInt64(spi), from: Pair.leftAddress, returnsCookie: false) }
        #expect(pair.right.endpoint.counts.halfOpen == 5)
        #expect(!pair.right.drops.contains(.tooManyHalfOpen))
        pair.connect()
        #expect(pair.left.summary?.state == .established)
    }

    @Test("Attack 30: who has shown that an address is his gets no more than its limit")
    func attack30PerAddress() throws {
        let pair = Self.open(perAddress: 5)
        for spi in 1...100 { try Self.press(pair, UInt64(spi)) }
        #expect(pair.right.endpoint.counts.halfOpen == 10, "5 before anybody asked for a cookie, 5 with one")
        #expect(pair.right.refusals.last == .tooManyHalfOpen(Self.path(Self.attacker, port: 4444), ofAddress: true))
        try #expect(Self.press(pair, 1_000, from: Pair.leftAddress))
    }

    @Test(
        "Attack 29: what strangers cause is counted, but told only so often, and a wrong peer is told of all the same")
    func attack29Words() throws {
        let pair = Self.open()
        func told() -> [Event] { pair.right.events.filter { !$0.isForCountersOnly && $0.kind.isTold } }
        for spi in 1...3_000 {
            try Self.press(pair, UInt64(spi), from: IPAddress(v4: 0x0a00_0000 + UInt32(spi)))
            var junk = try FloodAttackTests.request(spi: UInt64(spi))
            junk.removeLast(8)
            junk[27] &-= 8
            let path = Self.path(Self.attacker)
            pair.right.handle(.datagram(Datagram(junk, path: path, socket: .plain)))
            if spi % 30 == 0 { pair.advance(.milliseconds(100)) }
        }
        #expect(pair.right.refusals.count > 3_000)
        #expect(told().count < 300)
        // An honest peer with another group is told of at once.
        let wrong = Pair(left: Pair.connection(ike: "aes128gcm16-prfsha256-ecp256")).left
        wrong.handle(.command(.initiate(connection: "net", child: nil)))
        for _ in 0..<2 {
            for datagram in wrong.takeOutbox() {
                pair.right.handle(
                    .datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: datagram.socket)))
            }
            for datagram in pair.right.takeOutbox() {
                wrong.handle(.datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: .plain)))
            }
        }
        guard case .refused(.noIKEProposal, _)? = told().last?.kind else {
            Issue.record("the peer with the wrong proposal is not told of")
            return
        }
        pair.advance(.seconds(60))
        let leftOut = pair.right.kinds.compactMap { if case .leftOut(let count) = $0 { count } else { nil } }
        let hidden = pair.right.events.count { $0.isForCountersOnly }
        #expect(leftOut.reduce(0, +) == hidden && hidden > 3_000)
        #expect(pair.right.endpoint.nextDeadline == nil)
    }
}
