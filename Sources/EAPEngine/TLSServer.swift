import GatewayModel
import Trust
import WireFormat

/// What goes on inside a tunnel, at the server's end.
protocol ServerTunnel: Sendable {
    /// The tunnel is there; what the server says first, nil where the peer begins.
    mutating func open(next: UInt8, _ surroundings: inout EAPSurroundings) -> TunnelStep?
    /// What the peer said inside.
    mutating func receive(_ octets: [UInt8], next: UInt8, _ surroundings: inout EAPSurroundings) -> TunnelStep
}

/// What comes of a message inside a tunnel.
enum TunnelStep: Sendable {
    /// Say this inside.
    case send([UInt8])
    /// The peer has proved itself as this name.
    case done([UInt8])
    /// It has not.
    case failed(EAPProblem)
}

/// The server of EAP-TLS (RFC 5216, RFC 9190), EAP-TTLS and PEAP.
///
/// It owns the TLS session and the order of things around it. In EAP-TLS the client's certificate is judged before
/// anything else happens; in the others nothing inside the tunnel is looked at before the handshake is done.
struct TLSServer: EAPServerMethod {
    let method: EAPMethod
    private let name: [UInt8]
    private let session: TLSSession
    private var framing = TLSFraming()
    private var tunnel: (any ServerTunnel)?
    private var stage = Stage.handshake

    private enum Stage {
        case handshake
        case tunnel
        /// The last message is out: it succeeds with the peer's acknowledgement.
        case finishing(MethodResult)
        /// An alert is out.
        case failing(EAPProblem)
    }

    /// For the peer of this name; nothing is inside of EAP-TLS.
    init(_ method: EAPMethod, _ session: TLSSession, name: [UInt8], tunnel: (any ServerTunnel)?) {
        self.method = method
        self.session = session
        self.name = name
        self.tunnel = tunnel
    }

    mutating func begin(identifier: UInt8, _ surroundings: inout EAPSurroundings) -> ServerStep { .request([0x20]) }

    mutating func answer(
        _ data: [UInt8], identifier: UInt8, next: UInt8, _ surroundings: inout EAPSurroundings
    ) -> ServerStep {
        let arrival: TLSFraming.Arrival
        do throws(EAPProblem) { arrival = try framing.take(data) } catch { return .failed(error) }
        switch (arrival, stage) {
        case (.part, _): return .request([0])
        case (.acknowledgement, _) where framing.hasMore: return .request(framing.next())
        case (.acknowledgement, .finishing(let result)): return .done(result)
        case (_, .failing(let problem)): return .failed(problem)
        case (.acknowledgement, .tunnel):
            // The peer is through with the handshake, and it is our turn inside.
            guard let step = tunnel?.open(next: next, &surroundings) else {
                return .failed(.malformed("nothing inside the tunnel"))
            }
            return inside(step)
        case (.whole(let records), .handshake): return handshake(records, next, &surroundings)
        case (.whole(let records), .tunnel):
            guard let octets = session.opened(records) else { return .failed(.tls("a record that is not the peer's")) }
            return inside(octets, next, &surroundings)
        case (.acknowledgement, .handshake), (.whole, .finishing):
            return .failed(.malformed("a TLS message out of turn"))
        }
    }

    private mutating func handshake(
        _ records: [UInt8], _ next: UInt8, _ surroundings: inout EAPSurroundings
    ) -> ServerStep {
        let progress = session.handshake(records)
        let output = session.takeOutput()
        switch progress {
        case .going: return output.isEmpty ? .failed(.tls("a record that leads nowhere")) : send(output)
        case .failed(let reason):
            guard !output.isEmpty else { return .failed(.tls(reason)) }
            stage = .failing(.tls(reason))
            return send(output)
        case .done: break
        }
        if method == .tls { return conclude(output, &surroundings) }
        stage = .tunnel
        // With TLS 1.3 the peer's first words inside may have come with the end of its handshake.
        guard let early = session.opened([]) else { return .failed(.tls("a record that is not the peer's")) }
        if !early.isEmpty { return inside(early, next, &surroundings) }
        if !output.isEmpty { return send(output) }
        guard let step = tunnel?.open(next: next, &surroundings) else { return .request([0]) }
        return inside(step)
    }

    /// The client's certificate decides.
    private mutating func conclude(_ output: [UInt8], _ surroundings: inout EAPSurroundings) -> ServerStep {
        var result = MethodResult()
        do throws(CertificateProblem) {
            guard let certificates = surroundings.certificates else { throw .none }
            result.certificate = try certificates.judge(session.peerChain, name: name)
        } catch {
            return .failed(.untrusted(error))
        }
        guard let key = TLSKeys.sessionKey(method, session) else { return .failed(.tls("there is no key")) }
        result.key = key
        var last = output
        if session.version == .tls13 {
            // A zero octet says under the session's keys that nothing goes wrong any more (RFC 9190 §2.5).
            guard let promise = session.sealed([0]) else { return .failed(.tls("the session is broken")) }
            last += promise
        }
        stage = .finishing(result)
        return send(last)
    }

    private mutating func inside(
        _ octets: [UInt8], _ next: UInt8, _ surroundings: inout EAPSurroundings
    ) -> ServerStep {
        guard !octets.isEmpty, let step = tunnel?.receive(octets, next: next, &surroundings) else {
            return .failed(.malformed("nothing inside the tunnel"))
        }
        return inside(step)
    }

    private mutating func inside(_ step: TunnelStep) -> ServerStep {
        switch step {
        case .failed(let problem): return .failed(problem)
        case .send(let octets):
            guard let records = session.sealed(octets) else { return .failed(.tls("the session is broken")) }
            return send(records)
        case .done(let name):
            guard let key = TLSKeys.sessionKey(method, session) else { return .failed(.tls("there is no key")) }
            return .done(MethodResult(key: key, name: name))
        }
    }

    private mutating func send(_ records: [UInt8]) -> ServerStep {
        framing.load(records)
        return .request(framing.next())
    }
}
