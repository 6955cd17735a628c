import Clockwork
import EAPEngine
import GatewayModel
import IKECore
import NetworkTypes
import WireFormat

/// EAP conversations whose other half is a RADIUS server (RFC 3579 §2).
///
/// It owns, for each conversation that is under way, who is asked and what the server wants to get back. Methods are none
/// of its business: between the peer's identity and the server's verdict it carries messages as they are. It puts no
/// request itself, and believes nobody: whoever owns it does both.
struct EAPRelay: Sendable {
    /// Conversations that are kept; where there are more, the oldest give way.
    static let mostConversations = 8192

    /// What is to be done after a step.
    enum Action: Sendable {
        /// This is the answer.
        case answer(EAPStep)
        /// These attributes go to this server, or to any.
        case request([RADIUSAttribute], server: Int?)
    }

    private struct Conversation: Sendable {
        var station: Station
        /// Who the peer may be.
        var allowed: IdentityPattern?
        /// The peer as EAP knows it; nil until it has said so.
        var name: [UInt8]?
        /// The number of our last EAP request, or the server's.
        var identifier: UInt8
        /// The method that the server speaks.
        var method: UInt8 = 0
        /// What goes back to the server with the next message (RFC 2865 §5.24), and which one that is.
        var state: [RADIUSAttribute] = []
        var server: Int?
        var isAsking = false
    }

    private let settings: RADIUSSettings
    private let sessionPrefix: String
    private var open: [EAPQuestion.Conversation: Conversation] = [:]
    /// In the order in which they began; those that are over stay in it until it is swept.
    private var order: [EAPQuestion.Conversation] = []

    /// Relays to these servers; `sessionPrefix` begins what no other process called a session.
    init(_ settings: RADIUSSettings, sessionPrefix: String) {
        self.settings = settings
        self.sessionPrefix = sessionPrefix
    }

    /// How many are under way.
    var count: Int { open.count }

    /// Nobody will ask for this conversation any more.
    mutating func forget(_ conversation: EAPQuestion.Conversation) { open[conversation] = nil }

    // MARK: The peer's messages

    /// Takes the next step of a conversation.
    mutating func step(_ question: EAPQuestion, _ entropy: inout some Entropy) -> Action {
        let key = question.conversation
        guard question.isAuthenticator else { return .answer(.failure([], .unavailable("only a gateway relays EAP"))) }
        guard let message = question.message else { return begin(question, &entropy) }
        guard var known = open[key], !known.isAsking else {
            return .answer(.failure([], .unavailable("the conversation was forgotten")))
        }
        let packet: EAPPacket
        do throws(WireError) { packet = try EAPPacket(message) } catch {
            return fail(key, .malformed("\(error)"))
        }
        guard packet.code == .response, let kind = packet.kind else {
            return fail(key, .malformed("what is no response"))
        }
        // What stands behind its length is not the server's business (RFC 3748 §4.1).
        var octets = packet.encoded
        if known.name == nil {
            guard kind == .identity else { return fail(key, .malformed("no answer to who it is")) }
            guard known.allowed?.matches(Identity(eapName: packet.data)) ?? true else {
                return fail(key, .forbiddenIdentity(Identity.keyID(Array(packet.data.prefix(256))).description))
            }
            known.name = packet.data
            octets = response(packet.identifier, packet.data)
        }
        known.isAsking = true
        open[key] = known
        return .request(attributes(known, octets), server: known.server)
    }

    private mutating func begin(_ question: EAPQuestion, _ entropy: inout some Entropy) -> Action {
        let key = question.conversation
        let origin = question.conversation.ikeSA
        var fresh = Conversation(
            station: Station(
                origin: origin, sessionID: "\(sessionPrefix)-\(origin)", connection: question.connection,
                path: question.path),
            allowed: question.required.eapIdentity, name: nil, identifier: UInt8(truncatingIfNeeded: entropy.uint32()))
        if open[key] == nil { order.append(key) }
        defer { sweep() }
        var name = question.otherIdentity
        switch question.required.eapIdentity {
        case .exactly(let identity)?: name = identity
        case nil: break
        default:
            open[key] = fresh
            return .answer(.send(EAPPacket(.request, fresh.identifier, .identity).encoded))
        }
        // Who is named need not be asked, except by the server.
        fresh.name = name.eapName
        fresh.isAsking = true
        open[key] = fresh
        let message = settings.beginsWithStart ? [] : response(fresh.identifier, name.eapName)
        return .request(attributes(fresh, message), server: nil)
    }

    private func response(_ identifier: UInt8, _ name: [UInt8]) -> [UInt8] {
        EAPPacket(.response, identifier, .identity, Array(settings.identityPrefix.utf8) + name).encoded
    }

    /// What an Access-Request says; without a message it is an EAP-Start, whose attribute is empty (RFC 3579 §2.1).
    private func attributes(_ conversation: Conversation, _ message: [UInt8]) -> [RADIUSAttribute] {
        let name = Array(settings.identityPrefix.utf8) + (conversation.name ?? [])
        return [RADIUSAttribute(.userName, name)]
            + conversation.station.attributes(withPorts: settings.stationsHavePorts)
            + [RADIUSAttribute(.framedMTU, number: 1400)]
            + (message.isEmpty ? [RADIUSAttribute(.eapMessage, [])] : RADIUSPacket.pieces(ofEAP: message))
            + conversation.state
    }

    // MARK: The server's messages

    /// What the server's answer means; nil when nobody waits for it. An authorization comes with a success.
    mutating func take(
        _ answer: RADIUSPacket, for key: EAPQuestion.Conversation, server: Int, _ proof: PacketProof,
        requestAuthenticator: [UInt8]
    ) -> (step: EAPStep, authorization: Authorization?)? {
        guard var known = open[key], known.isAsking else { return nil }
        known.isAsking = false
        known.server = server
        let message = try? EAPPacket(answer.eapMessage)
        switch answer.code {
        case .accessChallenge:
            guard let message, message.code == .request, let kind = message.kind else {
                return (failed(key, .malformed("a challenge without an EAP request")), nil)
            }
            known.identifier = message.identifier
            if kind.rawValue > 3 { known.method = kind.rawValue }
            known.state = answer.all(.state)
            open[key] = known
            return (.send(answer.eapMessage), nil)
        case .accessAccept:
            return accept(answer, message, known, key, proof, requestAuthenticator)
        default:
            open[key] = nil
            let words = answer.all(.replyMessage).flatMap(\.value).prefix(256)
            let name = Identity.keyID(Array((known.name ?? []).prefix(256))).description
            let problem = EAPProblem.rejected(
                name: name, server: settings.servers[server].name,
                words: words.isEmpty ? nil : Identity.keyID(Array(words)).description)
            let isFailure = message?.code == .failure
            let end = isFailure ? answer.eapMessage : EAPPacket(.failure, known.identifier).encoded
            return (.failure(end, problem), nil)
        }
    }

    private mutating func accept(
        _ answer: RADIUSPacket, _ message: EAPPacket?, _ known: Conversation, _ key: EAPQuestion.Conversation,
        _ proof: PacketProof, _ requestAuthenticator: [UInt8]
    ) -> (step: EAPStep, authorization: Authorization?) {
        // The packet's code decides; an EAP message that says something else is a server at odds with itself (§2.6.3).
        guard let message, message.code == .success else {
            return (failed(key, .malformed("an Access-Accept without EAP-Success")), nil)
        }
        let allowed = Authorization(answer, settings, proof, requestAuthenticator: requestAuthenticator)
        let method = EAPMethod(rawValue: known.method)
        if allowed.key == nil, method?.makesKey ?? false {
            let reason = "the RADIUS server accepted, and sent no key (MS-MPPE-Recv-Key and MS-MPPE-Send-Key)"
            return (failed(key, .unavailable(reason)), nil)
        }
        open[key] = nil
        var outcome = EAPOutcome(
            method: known.method, identity: known.name.map { Identity(eapName: $0) }, key: allowed.key,
            provesServer: method?.provesServer ?? false)
        outcome.groups = allowed.groups
        outcome.addresses = allowed.addresses
        outcome.attributes = allowed.attributes
        outcome.lifetime = allowed.sessionTimeout
        return (.success(answer.eapMessage, outcome), allowed)
    }

    /// No server has an answer.
    mutating func failed(_ key: EAPQuestion.Conversation, _ problem: EAPProblem) -> EAPStep {
        open[key] = nil
        return .failure([], problem)
    }

    private mutating func fail(_ key: EAPQuestion.Conversation, _ problem: EAPProblem) -> Action {
        let end = open[key].map { EAPPacket(.failure, $0.identifier).encoded } ?? []
        open[key] = nil
        return .answer(.failure(end, problem))
    }

    private mutating func sweep() {
        if order.count > 2 * Self.mostConversations { order.removeAll { open[$0] == nil } }
        while open.count > Self.mostConversations, !order.isEmpty { open[order.removeFirst()] = nil }
    }
}
