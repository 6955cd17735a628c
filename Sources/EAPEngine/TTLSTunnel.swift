import GatewayModel
import WireFormat

/// The server inside EAP-TTLS (RFC 5281 §11): another EAP conversation, or a password as it is.
struct TTLSServer: ServerTunnel {
    private let terms: EAPServer.Terms
    private var inner: EAPServer?

    /// With the methods that the terms allow inside.
    init(_ terms: EAPServer.Terms) {
        self.terms = terms.inside
    }

    mutating func open(next: UInt8, _ surroundings: inout EAPSurroundings) -> TunnelStep? { nil }

    mutating func receive(
        _ octets: [UInt8], next: UInt8, _ surroundings: inout EAPSurroundings
    ) -> TunnelStep {
        let attributes: [TunnelAttribute]
        do throws(WireError) { attributes = try TunnelAttribute.list(octets) } catch {
            return .failed(.malformed("TTLS: \(error)"))
        }
        let known = [TunnelAttribute.userName, TunnelAttribute.userPassword, TunnelAttribute.eapMessage]
        guard attributes.allSatisfy({ !$0.isMandatory || ($0.vendor == 0 && known.contains($0.code)) }) else {
            return .failed(.malformed("TTLS: an unknown attribute that must be understood"))
        }
        let message = attributes.joined(TunnelAttribute.eapMessage)
        if !message.isEmpty { return converse(message, &surroundings) }
        let name = attributes.joined(TunnelAttribute.userName)
        let password = attributes.joined(TunnelAttribute.userPassword)
        guard inner == nil, !name.isEmpty, name.count <= 256, !password.isEmpty else {
            return .failed(.malformed("TTLS: neither EAP nor a password"))
        }
        // A password as it is takes what GTC takes: the configuration has to allow that.
        guard terms.rules.methods.contains(.gtc) else {
            return .failed(.noCommonMethod(ours: terms.rules.methods, theirs: []))
        }
        // Zeros fill it up, so that its length does not show.
        let end = password.lastIndex { $0 != 0 } ?? -1
        let problem = PasswordCheck.judge(SecretBytes(Array(password[...end])), of: name, surroundings.secrets)
        return problem.map { .failed($0) } ?? .done(name)
    }

    private mutating func converse(_ message: [UInt8], _ surroundings: inout EAPSurroundings) -> TunnelStep {
        let step: EAPStep
        if inner == nil {
            // The peer begins, with the answer to a question that nobody has to ask.
            var started = EAPServer(terms)
            step = started.welcome(message, &surroundings)
            inner = started
        } else {
            step = inner?.step(message, &surroundings) ?? .failure([], .malformed("TTLS out of turn"))
        }
        switch step {
        case .send(let request): return .send(TunnelAttribute(TunnelAttribute.eapMessage, request).encoded)
        case .success(_, let outcome): return .done(outcome.identity?.eapName ?? [])
        case .failure(_, let problem): return .failed(problem)
        }
    }
}

/// The peer inside EAP-TTLS: another EAP conversation, which it begins.
struct TTLSPeer: PeerTunnel {
    private let name: [UInt8]
    private var inner: EAPPeer
    private var hasSucceeded = false

    /// With these methods, as this name.
    init(_ methods: [EAPMethod], name: [UInt8]) {
        self.name = name
        inner = EAPPeer(EAPRules(methods: methods), name: name)
    }

    var isDone: Bool { hasSucceeded || inner.isReady }

    mutating func open(_ surroundings: inout EAPSurroundings) -> [UInt8]? {
        Self.words(EAPPacket(.response, 0, .identity, name).encoded)
    }

    mutating func receive(
        _ octets: [UInt8], identifier: UInt8, _ surroundings: inout EAPSurroundings
    ) throws(EAPProblem) -> [UInt8] {
        let attributes: [TunnelAttribute]
        do throws(WireError) { attributes = try TunnelAttribute.list(octets) } catch {
            throw .malformed("TTLS: \(error)")
        }
        let message = attributes.joined(TunnelAttribute.eapMessage)
        guard !message.isEmpty else { throw .malformed("TTLS: nothing of EAP") }
        switch inner.step(message, &surroundings) {
        case .send(let response): return Self.words(response)
        case .success:
            hasSucceeded = true
            return []
        case .failure(_, let problem): throw problem
        }
    }

    private static func words(_ message: [UInt8]) -> [UInt8] {
        TunnelAttribute(TunnelAttribute.eapMessage, message).encoded
    }
}

extension [TunnelAttribute] {
    /// What all attributes of this code say, one after the other.
    func joined(_ code: UInt32) -> [UInt8] {
        var octets: [UInt8] = []
        for attribute in self where attribute.code == code && attribute.vendor == 0 { octets += attribute.data }
        return octets
    }
}
