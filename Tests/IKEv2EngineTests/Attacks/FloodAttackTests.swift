import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// Known attacks on what a gateway spends, remembers and sends, by their numbers in the project's list.
@Suite struct FloodAttackTests {
    static func request(spi: UInt64, nonce: UInt8 = 1, notifies: [NotifyPayload] = []) throws -> [UInt8] {
        let header = IKEHeader(
            initiatorSPI: spi, responderSPI: 0, exchange: .ikeSAInit, flags: .initiator, messageID: 0)
        let offer = SecurityAssociationPayload([
            WireProposal(number: 1, Pair.proposals("aes128gcm16-prfsha256-x25519", .ike)[0], spi: [])
        ])
        let request = IKESAInit.Request(
            offer: offer, keyExchange: KeyExchangePayload(method: 31, data: [UInt8](repeating: 9, count: 32)),
            nonce: NoncePayload([UInt8](repeating: nonce, count: 32)), notifies: notifies)
        return try Message(header, request.payloads).encoded()
    }

    private static func path(_ address: UInt32, port: UInt16 = 500) -> Path {
        Path(local: Endpoint(Pair.rightAddress, 500), remote: Endpoint(IPAddress(v4: address), port))
    }

    private static func open() -> Pair {
        var right = Pair.connection(isLeft: false)
        right.remoteAddresses = []
        return Pair(right: right)
    }

    static func cookie(_ bytes: [UInt8]) throws -> [UInt8]? {
        let payloads = try Message(parsing: bytes).payloads
        return payloads.lazy.compactMap { payload -> [UInt8]? in
            if case .notify(let notify) = payload, notify.type == .cookie { notify.data } else { nil }
        }.first
    }

    /// Whether the right gateway lets this request in.
    private func admits(_ pair: Pair, _ bytes: [UInt8], _ path: Path) throws -> Bool {
        pair.right.handle(.datagram(Datagram(bytes, path: path, socket: .plain)))
        guard let answer = pair.right.takeOutbox().first else { return false }
        return try Self.cookie(answer.bytes) == nil
    }

    @Test("Attack 29: a flood of IKE_SA_INIT leaves a bounded table, and an honest peer gets in")
    func attack29() throws {
        let pair = Self.open()
        for index in 0..<3_000 {
            let bytes = try Self.request(spi: UInt64(index + 1))
            let path = Self.path(0x0a00_0000 + UInt32(index))
            pair.right.handle(.datagram(Datagram(bytes, path: path, socket: .plain)))
            #expect(pair.right.takeOutbox().count == 1)
        }
        #expect(pair.right.endpoint.counts.halfOpen == Limits().cookieThreshold)
        #expect(pair.right.endpoint.counts.ikeSAs == Limits().cookieThreshold)
        pair.connect()
        #expect(pair.left.summary?.state == .established)
        #expect(pair.left.kinds.contains(.cookieDemanded(byUs: false)))
    }

    @Test("Attack 29: who is connected goes on during a flood, and when it is over nobody is asked for a cookie")
    func attack29Before() throws {
        let pair = Self.open()
        pair.connect()
        let before = try #require(pair.left.summary)
        for index in 0..<1_000 {
            let bytes = try Self.request(spi: UInt64(index + 1))
            let path = Self.path(0x0a00_0000 + UInt32(index))
            pair.right.handle(.datagram(Datagram(bytes, path: path, socket: .plain)))
            _ = pair.right.takeOutbox()
            guard index % 200 == 100 else { continue }
            for gateway in [pair.left, pair.right] {
                gateway.handle(.command(.rekey(.child("net", connection: nil))))
                pair.run()
            }
        }
        pair.left.handle(.command(.rekey(.connection("net"))))
        pair.run()
        let after = try #require(pair.left.summary)
        #expect(after.initiatorSPI != before.initiatorSPI && after.state == .established)
        #expect(after.children.count == 1 && after.children.map(\.id) != before.children.map(\.id))
        #expect(pair.left.closeReasons == [.replaced] && pair.left.refusals == [])
        let bytes = try Self.request(spi: 5_000)
        #expect(try !admits(pair, bytes, Self.path(0x0a01_0000)))
        pair.advance(.seconds(31))
        #expect(pair.right.endpoint.counts.halfOpen == 0)
        #expect(try admits(pair, bytes, Self.path(0x0a01_0000)))
    }

    @Test("Attack 30: a cookie is good for its own request, its own address and a short time")
    func attack30() throws {
        let pair = Self.open()
        for index in 0..<Limits().cookieThreshold {
            let bytes = try Self.request(spi: UInt64(index + 1_000))
            #expect(try admits(pair, bytes, Self.path(0x0a00_0000 + UInt32(index))))
        }
        let path = Self.path(0x0a01_0001)
        pair.right.handle(.datagram(Datagram(try Self.request(spi: 7), path: path, socket: .plain)))
        let answer = try #require(pair.right.takeOutbox().first)
        let ticket = try #require(try Self.cookie(answer.bytes))
        let shown = [NotifyPayload(.cookie, ticket)]
        #expect(try !admits(pair, Self.request(spi: 7, notifies: shown), Self.path(0x0a01_0002)))
        #expect(try !admits(pair, Self.request(spi: 8, notifies: shown), path))
        #expect(try !admits(pair, Self.request(spi: 7, nonce: 2, notifies: shown), path))
        #expect(try !admits(pair, Self.request(spi: 7, notifies: [NotifyPayload(.cookie, [])]), path))
        let held = pair.right.environment
        pair.right.environment.now = held.now + CookieJar.rotation + CookieJar.rotation + .seconds(1)
        #expect(try !admits(pair, Self.request(spi: 7, notifies: shown), path))
        pair.right.environment.now = held.now
        #expect(try admits(pair, Self.request(spi: 7, notifies: shown), path))
    }

    @Test("Attack 30: 500 clients behind one address all connect")
    func attack30SharedAddress() throws {
        let pair = Self.open()
        for index in 0..<500 {
            let left = Pair(seed: UInt64(index + 10)).left
            left.path = Path(
                local: Endpoint(Pair.leftAddress, 0), remote: Endpoint(Pair.rightAddress, 0))
            left.handle(.command(.initiate(connection: "net", child: nil)))
            for _ in 0..<6 {
                for datagram in left.takeOutbox() {
                    // The NAT gives every client a port of its own.
                    let path = Path(
                        local: datagram.path.remote, remote: Endpoint(Pair.leftAddress, 2_000 + UInt16(index)))
                    pair.right.handle(.datagram(Datagram(datagram.bytes, path: path, socket: datagram.socket)))
                }
                for datagram in pair.right.takeOutbox() where datagram.path.remote.port == 2_000 + UInt16(index) {
                    let path = Path(local: left.path?.local ?? datagram.path.remote, remote: datagram.path.local)
                    left.handle(.datagram(Datagram(datagram.bytes, path: path, socket: datagram.socket)))
                }
            }
            #expect(left.summary?.state == .established)
        }
        #expect(pair.right.endpoint.counts.halfOpen == 0)
    }

    @Test("Attack 31: junk after IKE_SA_INIT costs one key agreement for each half-open IKE SA, and no IKE SA")
    func attack31() throws {
        let pair = Self.open()
        for index in 0..<20 {
            let path = Self.path(0x0a00_0000 + UInt32(index))
            pair.right.handle(.datagram(Datagram(try Self.request(spi: UInt64(index + 1)), path: path, socket: .plain)))
            let reply = try #require(pair.right.takeOutbox().first)
            let answer = try Message(parsing: reply.bytes)
            for id: UInt32 in [1, 1, 1, 2, 9] {
                var writer = WireWriter()
                writer.uint64(UInt64(index + 1))
                writer.uint64(answer.header.responderSPI)
                for octet: UInt8 in [46, 0x20, 35, 8] { writer.uint8(octet) }
                writer.uint32(id)
                writer.uint32(28 + 4 + 100)
                writer.uint8(35)
                writer.uint8(0)
                writer.uint16(104)
                writer.zeros(100)
                pair.right.handle(.datagram(Datagram(writer.bytes, path: path, socket: .plain)))
                #expect(pair.right.takeOutbox().isEmpty)
            }
        }
        #expect(pair.right.drops.filter { $0 == .forged }.count == 60)
        pair.right.environment.now = pair.right.environment.now + .seconds(60)
        pair.right.handle(.deadline)
        #expect(pair.right.isEmpty)
    }

    @Test("Attack 32: a peer that proved itself still gets a bounded number of Child SAs")
    func attack32() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.authenticate()
        var refusals = 0
        for index in 0..<(ChildTable.capacity + 40) {
            let request = CreateChildSA.Request.child(
                CreateChildSA.Child(
                    negotiation: RoguePeer.child(spi: 0x1000_0000 + UInt32(index)),
                    nonce: NoncePayload([UInt8](repeating: 7, count: 32))))
            let answer = rogue.ask(.createChildSA, UInt32(index + 2), request.payloads).first
            if answer?.payloads == [.notify(NotifyPayload(.noAdditionalSAs))] { refusals += 1 }
        }
        #expect(pair.right.endpoint.counts.childSAs == ChildTable.capacity)
        #expect(refusals == 41)
    }

    @Test("Attack 33: nobody is answered with three times what they sent, nor again without asking again")
    func attack33() throws {
        let pair = Self.open()
        for index in 0..<200 {
            let bytes = try Self.request(spi: UInt64(index + 1))
            let path = Self.path(0x0a00_0000 + UInt32(index))
            pair.right.handle(.datagram(Datagram(bytes, path: path, socket: .plain)))
            let answers = pair.right.takeOutbox()
            #expect(answers.count == 1)
            #expect(answers.reduce(0) { $0 + $1.bytes.count } <= 3 * bytes.count)
        }
        pair.advance(.seconds(60))
        #expect(pair.right.takeOutbox().isEmpty)
        // A version of the future, and SPIs that nobody knows: few answers, however many ask.
        var answers = 0
        for index in 0..<2_000 {
            var bytes = try Self.request(spi: UInt64(index + 5_000))
            bytes[17] = 0x30
            pair.right.handle(
                .datagram(Datagram(bytes, path: Self.path(0x0a02_0000 + UInt32(index)), socket: .plain)))
            bytes[17] = 0x20
            bytes[18] = 37
            bytes[15] = 1
            pair.right.handle(
                .datagram(Datagram(bytes, path: Self.path(0x0a02_0000 + UInt32(index)), socket: .plain)))
            answers += pair.right.takeOutbox().count
        }
        #expect(answers <= 100)
    }
}
