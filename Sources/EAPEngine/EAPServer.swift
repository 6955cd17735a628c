import Clockwork
public import GatewayModel
import WireFormat

/// The authenticator's half of an EAP conversation, with methods of our own (RFC 3748 §2): who are you, which method, the
/// method, the end.
///
/// It owns the order of things and what was agreed on. A peer may refuse a method once, in its first answer to it, and
/// gets one of the configured methods that it asks for, or none. It never holds a password, and never sends anything
/// itself: each step's message goes to whoever carries it.
public struct EAPServer: Sendable {
    /// Messages of the peer's after which nobody goes on.
    public static let mostRounds = 100

    /// What a conversation is about.
    public struct Terms: Sendable {
        /// The methods.
        public var rules: EAPRules
        /// Who may take part, where the peer is asked who it is; nil where it is not asked.
        public var asked: IdentityPattern?
        /// The peer's name where it is not asked.
        public var name: [UInt8]
        /// Our own name, which some methods show.
        public var ownName: [UInt8]

        /// What it is about.
        public init(rules: EAPRules, asked: IdentityPattern?, name: [UInt8], ownName: [UInt8]) {
            self.rules = rules
            self.asked = asked
            self.name = name
            self.ownName = ownName
        }

        /// What a conversation inside a tunnel is about: who the peer really is, by the methods that are for the inside.
        var inside: Terms {
            var terms = self
            terms.rules = EAPRules(methods: rules.inner)
            terms.asked = asked ?? .exactly(Identity(eapName: name))
            return terms
        }
    }

    private let terms: Terms
    private var name: [UInt8]
    /// The number of the last request.
    var identifier: UInt8 = 0
    /// The number of the next one, where a tunnel sets it; else it follows the last.
    var nextIdentifier: UInt8?
    private var stage = Stage.new
    private var rounds = 0
    /// Methods that were tried, and refused by the peer.
    private var refused: [EAPMethod] = []

    private enum Stage {
        case new
        case identifying
        /// A method, and whether its first request is the last that went out: then it may be refused.
        case method(any EAPServerMethod, isFirst: Bool)
        case over
    }

    /// A conversation that has not begun.
    public init(_ terms: Terms) {
        self.terms = terms
        name = terms.name
    }

    /// The next step: without a message to begin, then with each of the peer's.
    public mutating func step(_ message: [UInt8]?, _ surroundings: inout EAPSurroundings) -> EAPStep {
        guard let message else {
            guard case .new = stage else { return fail(.malformed("the conversation has begun already")) }
            identifier = surroundings.entropy.bytes(1).first ?? 0
            if terms.asked != nil {
                stage = .identifying
                return send(.identity, [])
            }
            return begin(terms.rules.methods, theirs: [], &surroundings)
        }
        rounds += 1
        guard rounds <= Self.mostRounds else { return fail(.tooManyRounds(rounds)) }
        let packet: EAPPacket
        do throws(WireError) { packet = try EAPPacket(message) } catch {
            return fail(.malformed(error.description))
        }
        guard packet.code == .response, packet.identifier == identifier, let kind = packet.kind else {
            return fail(.malformed("a packet that answers no request"))
        }
        return answer(kind, packet.data, &surroundings)
    }

    /// The first step where the peer says who it is without being asked.
    mutating func welcome(_ message: [UInt8], _ surroundings: inout EAPSurroundings) -> EAPStep {
        guard case .new = stage, let packet = try? EAPPacket(message), packet.code == .response,
            packet.kind == .identity
        else { return fail(.malformed("no answer to who it is")) }
        identifier = packet.identifier
        return identified(packet.data, &surroundings)
    }

    private mutating func answer(
        _ kind: EAPPacket.Kind, _ data: [UInt8], _ surroundings: inout EAPSurroundings
    ) -> EAPStep {
        switch stage {
        case .identifying:
            guard kind == .identity else { return fail(.malformed("no answer to who it is")) }
            return identified(data, &surroundings)
        case .method(var method, let isFirst):
            if kind == .nak {
                guard isFirst else { return fail(.malformed("a method is refused in the middle of it")) }
                return negotiate(method.method, data, &surroundings)
            }
            guard kind.rawValue == method.method.rawValue else { return fail(.malformed("another method's answer")) }
            let step = method.answer(data, identifier: identifier, next: next, &surroundings)
            return take(step, method)
        case .new, .over: return fail(.malformed("an answer to nothing"))
        }
    }

    /// The peer says who it is. The name may end in a zero octet, behind which are options (RFC 3748 §5.1).
    private mutating func identified(_ data: [UInt8], _ surroundings: inout EAPSurroundings) -> EAPStep {
        let said = Array(data.prefix { $0 != 0 })
        guard !said.isEmpty, said.count <= 256 else { return fail(.malformed("a name of \(said.count) octets")) }
        name = said
        guard terms.asked?.matches(Identity(eapName: said)) ?? false else {
            return fail(.forbiddenIdentity(EAPText.name(said)))
        }
        return begin(terms.rules.methods, theirs: [], &surroundings)
    }

    /// The peer would rather have one of these.
    private mutating func negotiate(
        _ method: EAPMethod, _ wishes: [UInt8], _ surroundings: inout EAPSurroundings
    ) -> EAPStep {
        refused.append(method)
        let left = terms.rules.methods.filter { wishes.contains($0.rawValue) && !refused.contains($0) }
        return begin(left, theirs: wishes, &surroundings)
    }

    private mutating func begin(
        _ methods: [EAPMethod], theirs: [UInt8], _ surroundings: inout EAPSurroundings
    ) -> EAPStep {
        guard !methods.isEmpty else { return fail(.noCommonMethod(ours: terms.rules.methods, theirs: theirs)) }
        for method in methods {
            guard var started = make(method, surroundings) else {
                refused.append(method)
                continue
            }
            let step = started.begin(identifier: next, &surroundings)
            return take(step, started, isFirst: true)
        }
        let names = methods.map(\.description).joined(separator: ", ")
        return fail(.unavailable("there is no certificate of ours or no authority for \(names)"))
    }

    /// A method that can be had; nil for one that lacks a certificate, and for a tunnel inside a tunnel.
    private func make(_ method: EAPMethod, _ surroundings: EAPSurroundings) -> (any EAPServerMethod)? {
        if method.provesServer {
            let session = surroundings.certificates?.session(isServer: true, mutual: method == .tls)
            guard let session else { return nil }
            let tunnel: (any ServerTunnel)? =
                switch method {
                case .ttls: TTLSServer(terms)
                case .peap: PEAPServer(terms)
                default: nil
                }
            return TLSServer(method, session, name: name, tunnel: tunnel)
        }
        return simple(method)
    }

    private func simple(_ method: EAPMethod) -> (any EAPServerMethod)? {
        switch method {
        case .md5: MD5Server(name: name)
        case .gtc: TokenServer(name: name)
        case .mschapv2: MSCHAPv2Server(name: name, ownName: terms.ownName)
        case .tls, .ttls, .peap: nil
        }
    }

    private mutating func take(
        _ step: ServerStep, _ method: any EAPServerMethod, isFirst: Bool = false
    ) -> EAPStep {
        switch step {
        case .request(let data):
            stage = .method(method, isFirst: isFirst)
            return send(EAPPacket.Kind(rawValue: method.method.rawValue), data)
        case .failed(let problem): return fail(problem)
        case .done(let result):
            let name = result.name ?? name
            let identity = Identity(eapName: name)
            // What a tunnel hides has to be allowed as well.
            if let asked = terms.asked, !asked.matches(identity) {
                return fail(.forbiddenIdentity(EAPText.name(name)))
            }
            stage = .over
            var outcome = EAPOutcome(
                method: method.method.rawValue, identity: identity, key: result.key,
                provesServer: method.method.provesServer)
            outcome.certificate = result.certificate
            return .success(EAPPacket(.success, identifier).encoded, outcome)
        }
    }

    private var next: UInt8 { nextIdentifier ?? identifier &+ 1 }

    private mutating func send(_ kind: EAPPacket.Kind, _ data: [UInt8]) -> EAPStep {
        identifier = next
        nextIdentifier = nil
        return .send(EAPPacket(.request, identifier, kind, data).encoded)
    }

    private mutating func fail(_ problem: EAPProblem) -> EAPStep {
        stage = .over
        return .failure(EAPPacket(.failure, identifier).encoded, problem)
    }
}
