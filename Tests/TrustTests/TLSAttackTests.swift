import Testing
import WireFormat

@testable import Trust

/// Attacks on TLS inside EAP, by their numbers in the project's list.
@Suite struct TLSAttackTests {
    /// A ClientHello of TLS 1.2 with these suites, and elliptic curves as every client has them.
    private static func hello(_ suites: [UInt16]) -> [UInt8] {
        func pair(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xff), UInt8(value & 0xff)] }
        let extensions: [UInt8] =
            [0, 10, 0, 4, 0, 2, 0, 23]  // supported_groups: secp256r1
            + [0, 11, 0, 2, 1, 0]  // ec_point_formats: uncompressed
            + [0, 13, 0, 6, 0, 4, 4, 1, 8, 4]  // signature_algorithms: PKCS #1 and PSS with SHA-256
            + [0xff, 1, 0, 1, 0]  // renegotiation_info
        let body =
            [3, 3] + [UInt8](repeating: 7, count: 32) + [0] + pair(2 * suites.count)
            + suites.flatMap { pair(Int($0)) } + [1, 0] + pair(extensions.count) + extensions
        return [22, 3, 1] + pair(body.count + 4) + [1, 0] + pair(body.count) + body
    }

    private static func server() throws -> TLSSession {
        let own = try Lab.issue("CN=server", .rsa(bits: 2048), by: nil, Lab.peer("DNS:server.lab"))
        return try #require(
            TLSSession(
                isServer: true, own: TLSSession.Credential(key: own.key, chain: [own.certificate]), anchors: [],
                at: Lab.now, latest: .tls12))
    }

    /// RSA key transport, whose padding answers questions about other people's sessions.
    private static let transports: [UInt16] = [
        0x002f, 0x0035, 0x000a, 0x003c, 0x003d, 0x009c, 0x009d, 0xc09c, 0xc0a0, 0x0005, 0x0004,
    ]

    @Test(
        "Attack 13: nobody gets a server of ours to decrypt by RSA", arguments: transports.map { [$0] } + [transports])
    func attack13(_ suites: [UInt16]) throws {
        let server = try Self.server()
        guard case .failed = server.handshake(Self.hello(suites)) else {
            Issue.record("the server goes on")
            return
        }
        // A fatal alert of handshake_failure, the same for each, and nothing before it.
        #expect(server.takeOutput() == [21, 3, 3, 0, 2, 2, 40])
    }

    @Test("Attack 13: with an ephemeral key beside them, that is what is used")
    func attack13Beside() throws {
        let server = try Self.server()
        #expect(server.handshake(Self.hello(Self.transports + [0xc02f])) == .going)
        let answer = server.takeOutput()
        // A handshake record with a ServerHello; version, random and the session's empty or short name, then the suite.
        #expect(Array(answer.prefix(2)) == [22, 3] && answer[5] == 2)
        let name = Int(answer[43])
        #expect(Array(answer[(44 + name)..<(46 + name)]) == [0xc0, 0x2f])
    }
}
