import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// Known attacks on parsers and on key exchanges, by their numbers in the project's list.
@Suite struct GrammarAttackTests {
    /// RFC 3526 §3.
    static let prime =
        Hex.decode(
            "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
                + "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
                + "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
                + "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
                + "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
                + "15728E5A8AACAA68FFFFFFFFFFFFFFFF"
        ) ?? []

    private static let path = Path(
        local: Endpoint(Pair.rightAddress, 500), remote: Endpoint(Pair.leftAddress, 500))

    /// A header of IKE_SA_INIT and whatever follows it, with a length that fits.
    private static func message(first: UInt8, _ body: [UInt8]) -> [UInt8] {
        var writer = WireWriter()
        writer.uint64(5)
        writer.uint64(0)
        for octet: UInt8 in [first, 0x20, 34, 8] { writer.uint8(octet) }
        writer.uint32(0)
        writer.uint32(UInt32(28 + body.count))
        writer.append(body)
        return writer.bytes
    }

    private static func request(_ group: String, _ value: [UInt8], method: UInt16) throws -> [UInt8] {
        let proposal = Pair.proposals("aes128gcm16-prfsha256-\(group)", .ike)[0]
        let request = IKESAInit.Request(
            offer: SecurityAssociationPayload([WireProposal(number: 1, proposal, spi: [])]),
            keyExchange: KeyExchangePayload(method: method, data: value),
            nonce: NoncePayload([UInt8](repeating: 1, count: 32)))
        let header = IKEHeader(initiatorSPI: 5, responderSPI: 0, exchange: .ikeSAInit, flags: .initiator, messageID: 0)
        return try Message(header, request.payloads).encoded()
    }

    /// Something that looks like an IKE_AUTH, so that the keys are needed.
    private static func junk(for answer: [UInt8]) throws -> [UInt8] {
        let header = try Message(parsing: answer).header
        var writer = WireWriter()
        writer.uint64(5)
        writer.uint64(header.responderSPI)
        for octet: UInt8 in [46, 0x20, 35, 8] { writer.uint8(octet) }
        writer.uint32(1)
        writer.uint32(28 + 4 + 100)
        writer.uint8(35)
        writer.uint8(0)
        writer.uint16(104)
        writer.zeros(100)
        return writer.bytes
    }

    private static func padded(_ value: UInt8, to count: Int) -> [UInt8] {
        [UInt8](repeating: 0, count: count - 1) + [value]
    }

    private static var badValues: [(String, UInt16, [UInt8])] {
        let one = padded(1, to: 256)
        var lessOne = prime
        if let last = lessOne.indices.last { lessOne[last] &-= 1 }
        return [
            ("modp2048", 14, padded(0, to: 256)), ("modp2048", 14, one), ("modp2048", 14, lessOne),
            ("modp2048", 14, prime), ("modp2048", 14, [UInt8](repeating: 0xff, count: 256)),
            ("modp2048", 14, [2]), ("modp2048", 14, []), ("modp2048", 14, [UInt8](repeating: 2, count: 257)),
            ("ecp256", 19, [UInt8](repeating: 0, count: 64)), ("ecp256", 19, [UInt8](repeating: 1, count: 64)),
            ("ecp256", 19, [UInt8](repeating: 0xff, count: 64)), ("ecp256", 19, [4] + [UInt8](repeating: 1, count: 64)),
            ("x25519", 31, [UInt8](repeating: 0, count: 32)), ("x25519", 31, padded(1, to: 32).reversed()),
            ("x25519", 31, [UInt8](repeating: 9, count: 31)), ("x25519", 1025, [UInt8](repeating: 9, count: 32)),
            ("x25519", 14, [UInt8](repeating: 9, count: 256)), ("x25519", 0, []),
        ]
    }

    @Test("Attack 9: values that are no honest key exchange make no keys")
    func attack9() throws {
        #expect(Self.prime.count == 256)
        for (group, method, value) in Self.badValues {
            var right = Pair.connection(isLeft: false)
            right.proposals = Pair.proposals("aes128gcm16-prfsha256-\(group)", .ike)
            let pair = Pair(right: right)
            let bytes = try Self.request(group, value, method: method)
            pair.right.handle(.datagram(Datagram(bytes, path: Self.path, socket: .plain)))
            if let answer = pair.right.takeOutbox().first, pair.right.endpoint.counts.halfOpen == 1 {
                let junk = try Self.junk(for: answer.bytes)
                pair.right.handle(.datagram(Datagram(junk, path: Self.path, socket: .plain)))
                guard case .badKeyExchange? = pair.right.refusals.last else {
                    Issue.record("\(group) \(method) \(value.prefix(4)): \(pair.right.refusals)")
                    continue
                }
                #expect(pair.right.takeOutbox().isEmpty)
            }
            #expect(pair.right.isEmpty)
        }
    }

    /// Bodies that follow a header, with the type of the first payload.
    private static var chains: [(UInt8, [UInt8])] {
        var chains: [(UInt8, [UInt8])] = []
        for length: UInt8 in [0, 1, 2, 3, 5, 255] { chains.append((40, [0, 0, 0, length])) }
        chains.append((40, [0, 0, 0xff, 0xff] + [UInt8](repeating: 1, count: 40)))
        // Each payload announces another one of its kind; the last one does, too.
        chains.append((43, (0..<5_000).flatMap { _ in [43, 0, 0, 4] as [UInt8] }))
        chains.append((41, (0..<2_000).flatMap { _ in [41, 0, 0, 8, 0, 0, 0x40, 0x04] as [UInt8] }))
        // Proposals and transforms that end too soon, begin too late or come in crowds.
        chains.append((33, [0, 0, 0, 8, 0, 0, 0, 0]))
        chains.append((33, [0, 0, 0, 12, 0, 0, 0, 8, 1, 1, 0, 255]))
        chains.append((33, [0, 0, 0, 12, 0, 0, 0, 200, 1, 1, 0, 1]))
        chains.append((33, [0, 0, 0, 12, 2, 0, 0, 8, 1, 1, 8, 1]))
        let crowd = (0..<255).flatMap { [3, 0, 0, 8, 1, 0, 0, UInt8($0)] as [UInt8] }
        let length = crowd.count + 8
        chains.append(
            (33, [0, 0] + Self.pair(length + 4) + [0, 0] + Self.pair(length) + [1, 1, 0, 255] + crowd))
        // An attribute that is longer than its transform.
        chains.append((33, [0, 0, 0, 24, 0, 0, 0, 20, 1, 1, 0, 1, 0, 0, 0, 12, 1, 0, 0, 12, 0, 14, 0xff, 0xff]))
        chains.append((53, [0, 0, 0, 8, 0, 1, 0, 1]))
        chains.append((46, [33, 0, 0, 4]))
        return chains
    }

    private static func pair(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xff), UInt8(value & 0xff)] }

    @Test("Attack 21: payload chains that lie are dropped or refused, and nothing is remembered")
    func attack21() throws {
        let pair = Pair()
        for (type, body) in Self.chains {
            let bytes = Self.message(first: type, body)
            pair.right.handle(.datagram(Datagram(bytes, path: Self.path, socket: .plain)))
            for answer in pair.right.takeOutbox() {
                let payloads = try Message(parsing: answer.bytes).payloads
                #expect(payloads == [.notify(NotifyPayload(.invalidSyntax))])
                #expect(answer.bytes.count <= 3 * bytes.count)
            }
            #expect(pair.right.isEmpty)
        }
        // The crowds were not looked through to their ends.
        let crowds = Event.DropReason.malformed(GrammarError.tooManyPayloads.description)
        #expect(pair.right.drops.count { $0 == crowds } == 2)
        pair.connect()
        #expect(pair.right.summary?.state == .established)
    }
}
