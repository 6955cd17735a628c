public import GatewayModel
import WireFormat

/// The peer's half of an EAP conversation (RFC 3748 §2).
///
/// It owns which methods may be used, and when the server may say that it is over: never before a method is done. It
/// begins one method at most, never holds a password, and never sends anything itself.
public struct EAPPeer: Sendable {
    /// Messages of the server's after which nobody goes on.
    public static let mostRounds = 100
    /// Methods that the server may propose in vain.
    private static let mostRefusals = 8

    private let rules: EAPRules
    private let name: [UInt8]
    private var stage = Stage.open
    private var rounds = 0
    private var refusals = 0
    private var offered: [UInt8] = []

    private enum Stage {
        /// No method has begun.
        case open
        case method(any EAPPeerMethod)
        case over
    }

    /// A conversation that has not begun, as `name`.
    public init(_ rules: EAPRules, name: [UInt8]) {
        self.rules = rules
        self.name = name
    }

    /// The next step, with a message of the server's.
    public mutating func step(_ message: [UInt8], _ surroundings: inout EAPSurroundings) -> EAPStep {
        rounds += 1
        guard rounds <= Self.mostRounds else { return fail(.tooManyRounds(rounds)) }
        let packet: EAPPacket
        do throws(WireError) { packet = try EAPPacket(message) } catch {
            return fail(.malformed(error.description))
        }
        switch (packet.code, stage) {
        case (_, .over): return fail(.malformed("a message after the end"))
        case (.response, _): return fail(.malformed("a response where a request was due"))
        case (.failure, .open): return fail(.refused(method: nil))
        case (.failure, .method(let method)): return fail(.refused(method: method.method.rawValue))
        case (.success, .open): return fail(.malformed("EAP-Success before any method"))
        case (.success, .method(let method)): return succeed(method)
        case (.request, _): return request(packet, &surroundings)
        }
    }

    /// Whether the server may say now that it succeeded.
    var isReady: Bool {
        if case .method(let method) = stage { method.result != nil } else { false }
    }

    private mutating func succeed(_ method: any EAPPeerMethod) -> EAPStep {
        guard let result = method.result else {
            return fail(.malformed("EAP-Success before \(method.method) was done"))
        }
        stage = .over
        var outcome = EAPOutcome(
            method: method.method.rawValue, identity: Identity(eapName: name), key: result.key,
            provesServer: method.method.provesServer)
        outcome.certificate = result.certificate
        return .success([], outcome)
    }

    private mutating func request(
        _ packet: EAPPacket, _ surroundings: inout EAPSurroundings
    ) -> EAPStep {
        guard let kind = packet.kind else { return fail(.malformed("a request without a type")) }
        if kind == .notification { return respond(packet, []) }
        guard kind != .nak else { return fail(.malformed("a NAK as a request")) }
        if case .method(var method) = stage {
            guard kind.rawValue == method.method.rawValue else {
                return fail(.malformed("the server leaves \(method.method) in the middle"))
            }
            return take(
                method.request(packet.data, identifier: packet.identifier, &surroundings), method, packet)
        }
        if kind == .identity { return respond(packet, name) }
        guard let wanted = EAPMethod(rawValue: kind.rawValue), rules.methods.contains(wanted),
            var method = make(wanted, surroundings)
        else { return refuse(packet) }
        return take(method.request(packet.data, identifier: packet.identifier, &surroundings), method, packet)
    }

    /// Rather one of these (RFC 3748 §5.3.1).
    private mutating func refuse(_ packet: EAPPacket) -> EAPStep {
        refusals += 1
        offered.append(packet.kind?.rawValue ?? 0)
        let wishes = rules.methods.map(\.rawValue).filter { !offered.contains($0) }
        guard refusals <= Self.mostRefusals else { return fail(.noCommonMethod(ours: rules.methods, theirs: offered)) }
        return .send(
            EAPPacket(.response, packet.identifier, .nak, wishes.isEmpty ? [0] : wishes).encoded)
    }

    /// A method that can be had; nil for one that lacks a certificate, and for a tunnel inside a tunnel.
    private func make(_ method: EAPMethod, _ surroundings: EAPSurroundings) -> (any EAPPeerMethod)? {
        if method.provesServer {
            let session = surroundings.certificates?.session(isServer: false, mutual: method == .tls)
            guard let session else { return nil }
            let tunnel: (any PeerTunnel)? =
                switch method {
                case .ttls: TTLSPeer(rules.inner, name: name)
                case .peap: PEAPPeer(rules.inner, name: name)
                default: nil
                }
            return TLSPeer(method, session, tunnel: tunnel)
        }
        return simple(method)
    }

    private func simple(_ method: EAPMethod) -> (any EAPPeerMethod)? {
        switch method {
        case .md5: MD5Peer(name: name)
        case .gtc: TokenPeer(name: name)
        case .mschapv2: MSCHAPv2Peer(name: name)
        case .tls, .ttls, .peap: nil
        }
    }

    private mutating func take(_ step: PeerStep, _ method: any EAPPeerMethod, _ packet: EAPPacket) -> EAPStep {
        switch step {
        case .response(let data):
            stage = .method(method)
            return respond(packet, data)
        case .failed(let problem): return fail(problem)
        }
    }

    private func respond(_ packet: EAPPacket, _ data: [UInt8]) -> EAPStep {
        .send(EAPPacket(.response, packet.identifier, packet.kind ?? .nak, data).encoded)
    }

    private mutating func fail(_ problem: EAPProblem) -> EAPStep {
        stage = .over
        // A NAK and nothing after it: what the server proposed says more than that it gave up.
        if case .refused(nil) = problem, !offered.isEmpty {
            return .failure([], .noCommonMethod(ours: rules.methods, theirs: offered))
        }
        return .failure([], problem)
    }
}
