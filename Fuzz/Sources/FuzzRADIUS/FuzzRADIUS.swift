// RADIUS as it comes from the network: packets, answers of a server to a gateway, requests from outside, and what a
// client says by EAP meanwhile. Nobody who lacks the secret gets in or ends a session; who has it breaks nothing.
import Clockwork
import FuzzSupport
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import RADIUS
import WireFormat

/// By chance: it can't be found by trying.
private let hidden: SecretBytes = {
    var entropy = SystemEntropy()
    return SecretBytes(entropy.bytes(24))
}()
private let known = SecretBytes([1, 2, 3, 4])
private let server = Endpoint(IPAddress(v4: 0x0a00_0001), 1812)
private let path = Path(local: Endpoint(IPAddress(v4: 0x0a00_0009), 4500), remote: Endpoint(IPAddress(v4: 1), 4500))

private func settings(_ secret: SecretBytes) -> RADIUSSettings {
    var settings = RADIUSSettings()
    var main = RADIUSSettings.Server(
        name: "main", authentication: server, accounting: Endpoint(server.address, 1813), secret: secret)
    main.retransmission = RetransmissionSchedule(tries: 1, timeout: .seconds(1), base: 1)
    settings.servers = [main]
    settings.accounts = true
    settings.classNamesGroups = true
    settings.filterNamesGroups = true
    settings.dynamicAuthorization = .init(secret: secret)
    return settings
}

private func noTraffic(_ direction: SecurityAssociation.Direction, _ spi: UInt32) -> SACounters? { nil }

/// The first octet says whether the sender has the secret; then come messages, each behind its kind and its length.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRADIUS(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = unsafe Fuzz.octets(start, count)
    guard let first = input.first else { return 0 }
    let knows = first & 1 == 1
    let proof = PacketProof(known)
    var nas = NetworkAccessServer(settings(knows ? known : hidden), unixTime: { 1_700_000_000 })
    var entropy = SeededEntropy(seed: 1)
    var effects: [NetworkAccessServer.Effect] = []
    var now = Instant.zero
    var connection = Connection(name: "c")
    connection.remote.eap = EAPRules(isRelayed: true)
    connection.remote.eapIdentity = first & 2 == 0 ? .any : nil
    let question = { (message: [UInt8]?) in
        EAPQuestion(
            conversation: .init(ikeSA: IKESAID(rawValue: 1), number: 0), connection: connection, isAuthenticator: true,
            ownIdentity: .fqdn("a"), otherIdentity: .fqdn("b"), path: path, message: message)
    }
    nas.ask(question(nil), Ticket(rawValue: 1), now, &entropy, &effects)
    var isIn = false
    var sent: (octets: [UInt8], lane: RADIUSClient.Lane)?
    for effect in effects { if case .send(let octets, let lane) = effect { sent = (octets, lane) } }
    effects = []
    var place = 1
    while place + 2 <= input.count {
        let kind = input[place]
        let length = min(Int(input[place + 1]), input.count - place - 2)
        let message = Array(input[(place + 2)..<(place + 2 + length)])
        place += 2 + length
        if let packet = try? RADIUSPacket(message) {
            Fuzz.require((try? RADIUSPacket(packet.encoded ?? [])) == packet, "a packet is written as it was read")
        }
        switch kind & 7 {
        case 0: nas.ask(question(message), Ticket(rawValue: 2), now, &entropy, &effects)
        case 1:
            // As it is.
            guard let sent else { break }
            nas.receive(message, from: server, over: sent.lane, now, &entropy, &effects)
        case 2:
            // An answer that is proved with the secret that the sender has.
            guard let sent, let request = try? RADIUSPacket(sent.octets), let code = message.first else { break }
            let body = [code, 0, 0, UInt8(20 + min(message.count - 1, 200))] + [UInt8](repeating: 0, count: 16)
            guard let answer = try? RADIUSPacket(body + message.dropFirst().prefix(200)),
                let octets = proof.sealedAnswer(answer, to: request)
            else { break }
            let port: UInt16 = sent.lane.service == .authentication ? 1812 : 1813
            nas.receive(octets, from: Endpoint(server.address, port), over: sent.lane, now, &entropy, &effects)
        case 3:
            guard let code = message.first else { break }
            let body = [code, 0, 0, UInt8(20 + min(message.count - 1, 200))] + [UInt8](repeating: 0, count: 16)
            guard let asked = try? RADIUSPacket(body + message.dropFirst().prefix(200)),
                let octets = proof.sealedAccountingRequest(asked)?.octets
            else { break }
            nas.receiveRequest(octets, along: path.reversed, now, &effects)
            nas.receiveRequest(
                octets, along: Path(local: path.local, remote: Endpoint(server.address, 4000)), now, &effects)
        case 4:
            guard isIn || first & 4 == 4 else { break }
            var summary = IKESASummary(
                id: IKESAID(rawValue: 1), connection: "c", state: .established, isInitiator: false, initiatorSPI: 1,
                responderSPI: 2, path: path)
            summary.remoteEAPIdentity = .fqdn("b")
            nas.established(summary, noTraffic, now, &entropy, &effects)
        case 5:
            now = now + .seconds(Int64(message.count))
            nas.deadlineReached(now, noTraffic, &entropy, &effects)
        case 6: nas.closed(IKESAID(rawValue: 1), .byPeer, noTraffic, now, &entropy, &effects)
        default: nas.receiveRequest(message, along: path, now, &effects)
        }
        for effect in effects {
            switch effect {
            case .send(let octets, let lane):
                Fuzz.require(octets.count <= RADIUSPacket.longest, "a packet is never longer than it may be")
                sent = (octets, lane)
            case .answer(_, .success(_, let outcome)):
                Fuzz.require(knows, "somebody without the secret gets in")
                Fuzz.require(outcome.addresses.count <= 2, "one address of each family at most")
                isIn = true
            case .terminate: Fuzz.require(knows || kind & 7 == 5, "somebody without the secret ends a session")
            default: _ = Fuzz.observe("\(effect)")
            }
        }
        effects = []
    }
    return 0
}
