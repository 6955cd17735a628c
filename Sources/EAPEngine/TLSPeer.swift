import GatewayModel
import Trust
import WireFormat

/// What goes on inside a tunnel, at the peer's end.
protocol PeerTunnel: Sendable {
    /// Whether the server may end it with success now.
    var isDone: Bool { get }
    /// The tunnel is there; what the peer says first, nil where the server begins.
    mutating func open(_ surroundings: inout EAPSurroundings) -> [UInt8]?
    /// What the server said inside, and what is said to that: nothing when it is empty.
    mutating func receive(
        _ octets: [UInt8], identifier: UInt8, _ surroundings: inout EAPSurroundings
    ) throws(EAPProblem) -> [UInt8]
}

/// The peer of EAP-TLS (RFC 5216, RFC 9190), EAP-TTLS and PEAP.
///
/// It owns the TLS session and the order of things around it. The server's certificate is judged before anything goes out
/// that the server could use: not even our name inside a tunnel. With TLS 1.3 success needs the server's promise under the
/// session's keys; with a tunnel, what is inside must be done.
struct TLSPeer: EAPPeerMethod {
    let method: EAPMethod
    private let session: TLSSession
    private var framing = TLSFraming()
    private var tunnel: (any PeerTunnel)?
    private var stage = Stage.new
    private var certificate: PeerCertificate?

    private enum Stage {
        case new
        case handshake
        /// EAP-TLS with TLS 1.3: the server's promise is due.
        case promised
        case tunnel
        case done
        /// The server has objected by an alert: it says so in EAP next.
        case refused
    }

    /// Nothing is inside of EAP-TLS.
    init(_ method: EAPMethod, _ session: TLSSession, tunnel: (any PeerTunnel)?) {
        self.method = method
        self.session = session
        self.tunnel = tunnel
    }

    var result: MethodResult? {
        switch stage {
        case .done: break
        case .tunnel where tunnel?.isDone == true: break
        default: return nil
        }
        guard let key = TLSKeys.sessionKey(method, session) else { return nil }
        return MethodResult(key: key, name: nil, certificate: certificate)
    }

    mutating func request(
        _ data: [UInt8], identifier: UInt8, _ surroundings: inout EAPSurroundings
    ) -> PeerStep {
        if case .new = stage {
            guard let flags = data.first, flags & 0x20 != 0 else { return .failed(.malformed("TLS does not begin")) }
            stage = .handshake
            return handshake([], &surroundings)
        }
        let arrival: TLSFraming.Arrival
        do throws(EAPProblem) { arrival = try framing.take(data) } catch { return .failed(error) }
        switch (arrival, stage) {
        case (.part, _): return .response([0])
        case (.acknowledgement, _) where framing.hasMore: return .response(framing.next())
        case (.whole(let records), .handshake): return handshake(records, &surroundings)
        case (.whole(let records), .promised):
            guard let octets = session.opened(records) else {
                stage = .refused
                return .response([0])
            }
            guard octets == [0] else {
                return .failed(.tls("the server does not confirm its success"))
            }
            stage = .done
            return .response([0])
        case (.whole(let records), .tunnel):
            guard let octets = session.opened(records) else {
                return .failed(.tls("a record that is not the server's"))
            }
            return inside(octets, identifier, &surroundings)
        case (.acknowledgement, .tunnel): return .response([0])
        default: return .failed(.malformed("a TLS message out of turn"))
        }
    }

    private mutating func handshake(_ records: [UInt8], _ surroundings: inout EAPSurroundings) -> PeerStep {
        let progress = session.handshake(records)
        var output = session.takeOutput()
        switch progress {
        case .going: return output.isEmpty ? .failed(.tls("a record that leads nowhere")) : send(output)
        case .failed(let reason):
            // Who has an alert of its own to send objects itself; else the server did, and says so in EAP next.
            guard output.isEmpty else { return .failed(.tls(reason)) }
            stage = .refused
            return .response([0])
        case .done: break
        }
        do throws(CertificateProblem) {
            guard let certificates = surroundings.certificates else { throw .none }
            certificate = try certificates.judge(session.peerChain, name: nil)
        } catch {
            return .failed(.untrusted(error))
        }
        guard method.isTunnel else {
            stage = session.version == .tls13 ? .promised : .done
            return send(output)
        }
        stage = .tunnel
        if let words = tunnel?.open(&surroundings) {
            guard let records = session.sealed(words) else { return .failed(.tls("the session is broken")) }
            output += records
        }
        return send(output)
    }

    private mutating func inside(
        _ octets: [UInt8], _ identifier: UInt8, _ surroundings: inout EAPSurroundings
    ) -> PeerStep {
        guard !octets.isEmpty else { return .response([0]) }
        do throws(EAPProblem) {
            let words = try tunnel?.receive(octets, identifier: identifier, &surroundings) ?? []
            guard !words.isEmpty else { return .response([0]) }
            guard let records = session.sealed(words) else { return .failed(.tls("the session is broken")) }
            return send(records)
        } catch {
            return .failed(error)
        }
    }

    private mutating func send(_ records: [UInt8]) -> PeerStep {
        framing.load(records)
        return .response(framing.next())
    }
}
