import Clockwork
import EAPEngine
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import RADIUS

/// A NAS, and what came of it.
struct NASBench {
    static let secret = SecretBytes(Array("a secret of two ends".utf8))
    static let server = IPAddress(v4: 0x0a00_0001)
    static let path = Path(
        local: Endpoint(IPAddress(v4: 0xc000_0201), 4500), remote: Endpoint(IPAddress(v4: 0xc633_6402), 4500))

    static var settings: RADIUSSettings {
        var settings = RADIUSSettings()
        var main = RADIUSSettings.Server(
            name: "main", authentication: Endpoint(server, 1812), accounting: Endpoint(server, 1813), secret: secret)
        main.retransmission = RetransmissionSchedule(tries: 1, timeout: .seconds(1), base: 1)
        settings.servers = [main]
        settings.accounts = true
        settings.classNamesGroups = true
        settings.dynamicAuthorization = .init(secret: secret)
        return settings
    }

    static let key = (0..<64).map { UInt8($0) }

    var nas: NetworkAccessServer
    var entropy = SeededEntropy(seed: 5)
    var now = Instant.zero
    var effects: [NetworkAccessServer.Effect] = []
    var counters: [UInt32: SACounters] = [:]
    var connection = Connection(name: "remote-access")

    init(_ settings: RADIUSSettings = NASBench.settings) {
        nas = NetworkAccessServer(settings, unixTime: { 1_700_000_000 })
        connection.remote.method = .eap
        connection.remote.eap = EAPRules(isRelayed: true)
        connection.remote.eapIdentity = .any
    }

    mutating func ask(_ message: [UInt8]?, ticket: UInt64, sa: UInt32 = 9) {
        let question = EAPQuestion(
            conversation: .init(ikeSA: IKESAID(rawValue: sa), number: 0), connection: connection,
            isAuthenticator: true, ownIdentity: .fqdn("gw.example"), otherIdentity: .fqdn("phone.example"),
            path: NASBench.path, message: message)
        nas.ask(question, Ticket(rawValue: ticket), now, &entropy, &effects)
    }

    var sent: [(octets: [UInt8], lane: RADIUSClient.Lane)] {
        effects.compactMap { if case .send(let octets, let lane) = $0 { (octets, lane) } else { nil } }
    }
    var steps: [EAPStep] { effects.compactMap { if case .answer(_, let step) = $0 { step } else { nil } } }
    var terminated: [IKESAID] { effects.compactMap { if case .terminate(let id) = $0 { id } else { nil } } }
    var replies: [RADIUSPacket] {
        effects.compactMap { if case .reply(let octets, _) = $0 { try? RADIUSPacket(octets) } else { nil } }
    }
    var notes: [String] { effects.compactMap { if case .note(let text) = $0 { text } else { nil } } }

    func meter(_ direction: SecurityAssociation.Direction, _ spi: UInt32) -> SACounters? { counters[spi] }

    /// The server answers what was sent last.
    mutating func serve(_ code: RADIUSPacket.Code, _ attributes: (RADIUSPacket) -> [RADIUSAttribute]) throws {
        let last = try #require(sent.last)
        let request = try RADIUSPacket(last.octets)
        let answer = RADIUSPacket(code, 0, attributes(request))
        let octets = try #require(
            PacketProof(NASBench.secret).sealedAnswer(answer, to: request))
        let port: UInt16 = last.lane.service == .authentication ? 1812 : 1813
        nas.receive(
            octets, from: Endpoint(NASBench.server, port), over: last.lane, now, &entropy, &effects)
    }

    /// Somebody called `carol` gets in by MSCHAPv2.
    mutating func letIn(_ sa: UInt32 = 9, more: [RADIUSAttribute] = []) throws {
        ask(nil, ticket: 1, sa: sa)
        ask(EAPPacket(.response, 0, .identity, Array("carol".utf8)).encoded, ticket: 2, sa: sa)
        try serve(.accessChallenge) { _ in
            [RADIUSAttribute(.state, [1, 2, 3])]
                + RADIUSPacket.pieces(ofEAP: EAPPacket(.request, 4, .init(rawValue: 26), [1]).encoded)
        }
        ask(EAPPacket(.response, 4, .init(rawValue: 26), [2]).encoded, ticket: 3, sa: sa)
        try serve(.accessAccept) { request in
            Forge.keys(NASBench.key, NASBench.secret, request.authenticator)
                + RADIUSPacket.pieces(ofEAP: EAPPacket(.success, 4).encoded) + more
        }
    }

    mutating func establish(_ sa: UInt32 = 9, addresses: [IPAddress] = []) {
        var summary = IKESASummary(
            id: IKESAID(rawValue: sa), connection: "remote-access", state: .established, isInitiator: false,
            initiatorSPI: 1, responderSPI: 2, path: NASBench.path)
        summary.remoteEAPIdentity = .fqdn("carol")
        summary.remoteVirtualAddresses = addresses
        nas.established(summary, meter, now, &entropy, &effects)
    }

    mutating func close(_ sa: UInt32 = 9, _ reason: Event.CloseReason = .byPeer) {
        nas.closed(IKESAID(rawValue: sa), reason, meter, now, &entropy, &effects)
    }

    mutating func wait(_ time: Interval) {
        let end = now + time
        while let next = nas.nextDeadline, next <= end {
            now = next
            nas.deadlineReached(now, meter, &entropy, &effects)
        }
        now = end
    }

    mutating func request(
        _ code: RADIUSPacket.Code, _ attributes: [RADIUSAttribute], identifier: UInt8 = 1,
        from source: IPAddress = NASBench.server,
        secret: SecretBytes = NASBench.secret
    ) throws {
        let sealed = try #require(
            PacketProof(secret).sealedAccountingRequest(RADIUSPacket(code, identifier, attributes)))
        let path = Path(
            local: Endpoint(IPAddress(v4: 0xc000_0201), 3799), remote: Endpoint(source, 40_000))
        nas.receiveRequest(sealed.octets, along: path, now, &effects)
    }
}
