import EAPEngine
import GatewayModel
import IKECore
import IPsecCrypto
import Synchronization

/// The EAP conversations of one gateway that are under way, whichever configuration they began with.
///
/// It owns their states, each until it is over or forgotten, and a bound on their number. It never keeps a password:
/// every step gets those of the configuration that is in force.
final class EAPStore: Sendable {
    /// Conversations that are kept; where there are more, the oldest give way.
    static let mostConversations = 8192

    private typealias Conversation = EAPQuestion.Conversation

    /// Either half of a conversation.
    private enum Half: Sendable {
        case server(EAPServer)
        case peer(EAPPeer)
    }

    private struct Papers: Sendable {
        var open: [Conversation: Half] = [:]
        /// In the order in which they began; those that are over stay in it until it is swept.
        var order: [Conversation] = []
        /// Conversations whose next step is being taken, and whether they are to be forgotten after it.
        var busy: [Conversation: Bool] = [:]
        /// What is known of certificates that were shown in conversations that go on.
        var certified: [Conversation: PeerCertificate] = [:]
    }

    private let papers = Mutex(Papers())

    /// Takes the next step of a conversation. May take milliseconds.
    func answer(_ question: EAPQuestion, _ secrets: EAPPasswords, _ certificates: any EAPCertificates) -> EAPStep {
        let key = question.conversation
        let known = papers.withLock { papers in
            papers.busy[key] = false
            return papers.open.removeValue(forKey: key)
        }
        var (next, step) = take(known, question, secrets, certificates)
        papers.withLock { papers in
            let isForgotten = papers.busy.removeValue(forKey: key) ?? false
            guard let next, !isForgotten else {
                if let facts = papers.certified.removeValue(forKey: key) { step = step.with(facts) }
                return
            }
            if known == nil { papers.order.append(key) }
            papers.open[key] = next
            Self.sweep(&papers)
        }
        return step
    }

    /// The certificate that was shown is not revoked: a success knows it, now or in a later step.
    func certified(_ step: EAPStep, _ conversation: EAPQuestion.Conversation, _ facts: PeerCertificate) -> EAPStep {
        papers.withLock { if $0.open[conversation] != nil { $0.certified[conversation] = facts } }
        return step.with(facts)
    }

    /// The end of a conversation in place of a step that must not be taken. The peer's last response gets its answer.
    static func failure(instead step: EAPStep, _ problem: EAPProblem) -> EAPStep {
        let message: [UInt8]
        switch step {
        case .send(let octets), .success(let octets, _), .failure(let octets, _): message = octets
        }
        guard let packet = try? EAPPacket(message), packet.code != .response else { return .failure([], problem) }
        // A request bears the number after that of the response that it follows.
        let identifier = packet.code == .request ? packet.identifier &- 1 : packet.identifier
        return .failure(EAPPacket(.failure, identifier).encoded, problem)
    }

    /// Nobody will ask for this conversation any more.
    func forget(_ conversation: EAPQuestion.Conversation) {
        papers.withLock { papers in
            papers.open[conversation] = nil
            papers.certified[conversation] = nil
            if papers.busy[conversation] != nil { papers.busy[conversation] = true }
        }
    }

    /// How many are under way.
    var count: Int { papers.withLock { $0.open.count } }

    private static func sweep(_ papers: inout Papers) {
        if papers.order.count > 2 * mostConversations {
            papers.order.removeAll { papers.open[$0] == nil }
        }
        while papers.open.count > mostConversations, !papers.order.isEmpty {
            let oldest = papers.order.removeFirst()
            papers.open[oldest] = nil
            papers.certified[oldest] = nil
        }
    }

    private func take(
        _ known: Half?, _ question: EAPQuestion, _ secrets: EAPPasswords, _ certificates: any EAPCertificates
    ) -> (next: Half?, step: EAPStep) {
        var surroundings = EAPSurroundings(
            entropy: SystemEntropy(), secrets: secrets, certificates: certificates)
        var half: Half
        switch (known, question.message) {
        case (let known?, .some): half = known
        case (nil, nil) where question.isAuthenticator: half = .server(EAPServer(Self.terms(question)))
        case (nil, .some) where !question.isAuthenticator: half = .peer(Self.peer(question))
        default: return (nil, .failure([], .unavailable("the conversation was forgotten")))
        }
        let step: EAPStep
        switch half {
        case .server(var server):
            step = server.step(question.message, &surroundings)
            half = .server(server)
        case .peer(var peer):
            step = peer.step(question.message ?? [], &surroundings)
            half = .peer(peer)
        }
        if case .send = step { return (half, step) }
        return (nil, step)
    }

    private static func terms(_ question: EAPQuestion) -> EAPServer.Terms {
        let required = question.required
        var name = question.otherIdentity
        var asked = required.eapIdentity
        // Who is named by the configuration need not be asked.
        if case .exactly(let identity)? = asked { (name, asked) = (identity, nil) }
        return EAPServer.Terms(
            rules: required.eap, asked: asked, name: name.eapName, ownName: question.ownIdentity.eapName)
    }

    private static func peer(_ question: EAPQuestion) -> EAPPeer {
        EAPPeer(question.own.eap, name: (question.own.eapIdentity ?? question.ownIdentity).eapName)
    }
}

extension EAPStep {
    /// The same, with a success that knows more about the other end's certificate.
    fileprivate func with(_ facts: PeerCertificate) -> EAPStep {
        guard case .success(let message, var outcome) = self, outcome.certificate != nil else { return self }
        outcome.certificate = facts
        return .success(message, outcome)
    }
}
