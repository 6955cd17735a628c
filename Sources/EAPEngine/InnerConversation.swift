public import GatewayModel

/// What goes on inside TTLS or PEAP at one end, without the tunnel around it: what a proof of the methods drives with
/// octets of its own.
///
/// It owns one end's state. It is the same code that runs inside a tunnel, and nothing that runs there needs it.
public struct InnerConversation {
    private enum End {
        case server(any ServerTunnel)
        case peer(any PeerTunnel)
    }

    private var end: End
    private var identifier: UInt8 = 0

    /// The server's end of a tunnel of this kind, with these methods inside; nil where nothing is inside.
    public init?(server method: EAPMethod, _ terms: EAPServer.Terms) {
        switch method {
        case .ttls: end = .server(TTLSServer(terms))
        case .peap: end = .server(PEAPServer(terms))
        default: return nil
        }
    }

    /// The peer's end, as this name.
    public init?(peer method: EAPMethod, _ methods: [EAPMethod], name: [UInt8]) {
        switch method {
        case .ttls: end = .peer(TTLSPeer(methods, name: name))
        case .peap: end = .peer(PEAPPeer(methods, name: name))
        default: return nil
        }
    }

    /// What one message came to.
    public enum Outcome: Hashable, Sendable {
        /// These octets are said.
        case said([UInt8])
        /// As the server: the peer has proved itself. As the peer: the server may say so now.
        case done
        /// It is over.
        case failed(EAPProblem)
    }

    /// Takes what the other end said; nothing where it only let us begin.
    public mutating func receive(_ octets: [UInt8], _ surroundings: inout EAPSurroundings) -> Outcome {
        identifier &+= 1
        switch end {
        case .server(var tunnel):
            defer { end = .server(tunnel) }
            let opened = octets.isEmpty ? tunnel.open(next: identifier, &surroundings) : nil
            switch opened ?? tunnel.receive(octets, next: identifier, &surroundings) {
            case .send(let words): return .said(words)
            case .done: return .done
            case .failed(let problem): return .failed(problem)
            }
        case .peer(var tunnel):
            defer { end = .peer(tunnel) }
            do throws(EAPProblem) {
                if octets.isEmpty { return .said(tunnel.open(&surroundings) ?? []) }
                let words = try tunnel.receive(octets, identifier: identifier, &surroundings)
                return tunnel.isDone ? .done : .said(words)
            } catch {
                return .failed(error)
            }
        }
    }
}
