public import Clockwork
public import NetworkTypes
import WireFormat

/// Requests to RADIUS servers: which server, under which identifier, how often, and whether an answer is believed (RFC
/// 2865 §2.4, RFC 5080 §2.2).
///
/// It owns what is under way and what is known of each server. It never blocks and never opens a socket: datagrams and
/// the time go in, datagrams and outcomes come out. What it holds is bounded.
public struct RADIUSClient: Sendable {
    /// What a request is about: each has a port of the server's of its own.
    public enum Service: Hashable, Sendable {
        /// Whom to let in (RFC 2865).
        case authentication
        /// Who came and went (RFC 2866).
        case accounting

        var index: Int { self == .authentication ? 0 : 1 }
    }

    /// One socket of ours, which speaks with one port of one server and with nobody else.
    public struct Lane: Hashable, Sendable {
        /// The server, by its place in the settings.
        public let server: Int
        /// Which of its ports.
        public let service: Service
        /// Which of our sockets.
        public let socket: Int

        /// A lane.
        public init(server: Int, service: Service, socket: Int) {
            self.server = server
            self.service = service
            self.socket = socket
        }
    }

    /// What comes of all this, in order.
    public enum Effect: Sendable {
        /// Send this to the server's port from this socket.
        case send([UInt8], Lane)
        /// This request has been answered: the packet, and the authenticator of our request.
        case answered(UInt64, RADIUSPacket, requestAuthenticator: [UInt8], server: Int)
        /// This request has come to nothing: one clause.
        case failed(UInt64, String)
        /// A server does not answer any more, or answers again.
        case changed(server: Int, Service, isSilent: Bool)
        /// A datagram was dropped: one clause.
        case dropped(Lane, String)
    }

    /// Requests that are under way or wait; what is asked for beyond them fails at once.
    static let mostRequests = 8192
    /// How long one request may take with all servers together: the engine that asked waits for 30 s.
    static let patience = Interval.seconds(25)

    private struct Pending: Sendable {
        let service: Service
        let attributes: [RADIUSAttribute]
        /// The one server that it is for.
        let only: Int?
        /// When all of it has taken too long.
        let end: Instant
        var tried: [Int] = []
        var server: Int
        var lane: Lane?
        var identifier: UInt8 = 0
        var octets: [UInt8] = []
        var authenticator: [UInt8] = []
        var transmissions = 0
        /// When this server has taken too long.
        var patience: Instant
    }

    private let settings: RADIUSSettings
    private let proofs: [PacketProof]
    /// By service, then by server.
    private var states: [[ServerState]]
    private var pending: [UInt64: Pending] = [:]
    private var timers = DeadlineQueue<UInt64>()

    /// A client of these servers.
    public init(_ settings: RADIUSSettings) {
        self.settings = settings
        proofs = settings.servers.map { PacketProof($0.secret) }
        let row = settings.servers.map { ServerState(sockets: $0.sockets) }
        states = [row, row]
    }

    /// When ``deadlineReached(_:_:_:)`` has something to do.
    public var nextDeadline: Instant? { timers.earliest }

    /// How many requests are under way or wait.
    public var count: Int { pending.count }

    /// What a request says; nil when it is not under way.
    func attributes(of id: UInt64) -> [RADIUSAttribute]? { pending[id]?.attributes }

    /// What decrypts and proves what this server sends.
    func proof(of server: Int) -> PacketProof { proofs[server] }

    // MARK: Asking

    /// Puts a request, whose outcome comes under `id`, a number of the caller's that is not in use. `server` is the one
    /// that has to get it; nil for the best.
    public mutating func submit(
        _ id: UInt64, _ service: Service, _ attributes: [RADIUSAttribute], to server: Int?, _ now: Instant,
        _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        guard pending.count < Self.mostRequests else {
            effects.append(.failed(id, "more than \(Self.mostRequests) requests wait for RADIUS servers"))
            return
        }
        let end = now + (service == .authentication ? Self.patience : .minutes(2))
        let first = Pending(
            service: service, attributes: attributes, only: server, end: end, server: 0, patience: end)
        place(id, first, now, &entropy, &effects)
    }

    /// Nobody waits for this request any more.
    public mutating func cancel(_ id: UInt64) { _ = remove(id) }

    /// Gives a request to the best server that has not had it, or gives it up.
    private mutating func place(
        _ id: UInt64, _ request: Pending, _ now: Instant, _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        var request = request
        guard now < request.end, let choice = choose(request, now) else {
            effects.append(.failed(id, reason(request, now)))
            return
        }
        states[request.service.index][choice].probe(now)
        request.server = choice
        request.tried.append(choice)
        request.lane = nil
        request.transmissions = 0
        let whole = settings.servers[choice].retransmission.total
        // What is left of the time is for those that may still be asked.
        let others = askable(request, now)
        let isOnly = request.only != nil || others.isEmpty
        let share = isOnly ? request.end - now : (request.end - now).scaled(by: 1 / Double(others.count + 1))
        request.patience = now + min(whole, share)
        pending[id] = request
        transmitFirst(id, now, &entropy, &effects)
    }

    /// The server to ask: those that answer before those to be tried again, then the preferred, then the idlest.
    private func choose(_ request: Pending, _ now: Instant) -> Int? {
        if let only = request.only {
            return request.tried.isEmpty && settings.servers.indices.contains(only) ? only : nil
        }
        return askable(request, now).min { left, right in
            rank(left, request.service) < rank(right, request.service)
        }
    }

    /// The servers that have not had a request, and may be asked.
    private func askable(_ request: Pending, _ now: Instant) -> [Int] {
        settings.servers.indices.filter {
            !request.tried.contains($0) && states[request.service.index][$0].mayBeAsked(now)
        }
    }

    private func rank(_ server: Int, _ service: Service) -> (Int, Int, Int, Int) {
        let state = states[service.index][server]
        return (state.silentSince == nil ? 0 : 1, -settings.servers[server].preference, state.load, server)
    }

    private mutating func transmitFirst(
        _ id: UInt64, _ now: Instant, _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        guard var request = pending[id] else { return }
        guard let place = states[request.service.index][request.server].take(for: id) else {
            states[request.service.index][request.server].waiting.append(id)
            timers.set(id, to: request.patience)
            return
        }
        let lane = Lane(server: request.server, service: request.service, socket: place.socket)
        request.lane = lane
        request.identifier = place.identifier
        let server = settings.servers[request.server]
        let attributes = request.attributes + [RADIUSAttribute(.nasIdentifier, text: server.nasIdentifier)]
        let proof = proofs[request.server]
        switch request.service {
        case .authentication:
            request.authenticator = entropy.bytes(RADIUSPacket.authenticatorLength)
            let packet = RADIUSPacket(
                .accessRequest, place.identifier, authenticator: request.authenticator, attributes)
            request.octets = proof.sealedAccessRequest(packet) ?? []
        case .accounting:
            let sealed = proof.sealedAccountingRequest(
                RADIUSPacket(.accountingRequest, place.identifier, attributes))
            request.octets = sealed?.octets ?? []
            request.authenticator = sealed?.authenticator ?? []
        }
        pending[id] = request
        guard !request.octets.isEmpty else {
            _ = remove(id)
            effects.append(.failed(id, "the message is longer than a RADIUS packet can be"))
            return
        }
        transmit(id, now, &entropy, &effects)
    }

    /// Sends a request, once more where it was sent before: the same octets (RFC 5080 §2.2.1).
    private mutating func transmit(
        _ id: UInt64, _ now: Instant, _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        guard var request = pending[id], let lane = request.lane else { return }
        let schedule = settings.servers[request.server].retransmission
        let pause = schedule.pause(after: request.transmissions, &entropy)
        request.transmissions += 1
        pending[id] = request
        effects.append(.send(request.octets, lane))
        timers.set(id, to: min(request.patience, pause.map { now + $0 } ?? request.patience))
    }

    // MARK: Time

    /// Time has passed.
    public mutating func deadlineReached(
        _ now: Instant, _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        while let id = timers.popDue(now) {
            guard let request = pending[id] else { continue }
            let tries = settings.servers[request.server].retransmission.tries
            if now < request.patience, request.transmissions <= tries, request.lane != nil {
                transmit(id, now, &entropy, &effects)
            } else if now < request.patience {
                timers.set(id, to: request.patience)
            } else {
                giveUp(id, now, &entropy, &effects)
            }
        }
    }

    /// A server did not answer in time: it is left alone for a while, and all that can go elsewhere goes there.
    private mutating func giveUp(
        _ id: UInt64, _ now: Instant, _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        guard let request = remove(id) else { return }
        let wasSent = request.lane != nil
        let row = request.service.index
        if wasSent, states[row][request.server].missed(now) {
            effects.append(.changed(server: request.server, request.service, isSilent: true))
        }
        admitWaiting(request.server, request.service, now, &entropy, &effects)
        place(id, request, now, &entropy, &effects)
        guard wasSent, states[row].contains(where: { $0.silentSince == nil }) else { return }
        // In the order in which they were put: numbers only grow.
        let others = pending.filter {
            $0.value.server == request.server && $0.value.only == nil && $0.value.service == request.service
        }.keys.sorted()
        for other in others {
            guard let moved = pending[other], choose(moved, now).map({ states[row][$0].silentSince == nil }) == true,
                let taken = remove(other)
            else { continue }
            place(other, taken, now, &entropy, &effects)
        }
    }

    /// Takes a request out, with its identifier and its timer.
    private mutating func remove(_ id: UInt64) -> Pending? {
        guard let request = pending.removeValue(forKey: id) else { return nil }
        timers.remove(id)
        if let lane = request.lane {
            states[lane.service.index][lane.server].free(lane.socket, request.identifier)
        } else {
            states[request.service.index][request.server].waiting.removeAll { $0 == id }
        }
        return request
    }

    /// Requests that waited for an identifier go out.
    private mutating func admitWaiting(
        _ server: Int, _ service: Service, _ now: Instant, _ entropy: inout some Entropy, _ effects: inout [Effect]
    ) {
        guard let next = states[service.index][server].waiting.first else { return }
        states[service.index][server].waiting.removeFirst()
        transmitFirst(next, now, &entropy, &effects)
    }

    private func reason(_ request: Pending, _ now: Instant) -> String {
        if settings.servers.isEmpty { return "no RADIUS server is configured" }
        let asked = request.only.map { [$0] } ?? Array(settings.servers.indices)
        let each = asked.filter { settings.servers.indices.contains($0) }.map { index in
            let server = settings.servers[index]
            let endpoint = request.service == .authentication ? server.authentication : server.accounting
            let name = "'\(server.name)' (\(endpoint))"
            let state = states[request.service.index][index]
            if let disbelieved = state.disbelieved {
                return "the answer of \(name) is not believed: \(disbelieved)"
            }
            guard let since = state.silentSince else { return "\(name) does not answer" }
            let seconds = (now - since).wholeSeconds
            return "\(name) does not answer" + (seconds > 0 ? " since \(seconds) s" : "")
        }
        return "no RADIUS server answers: " + each.joined(separator: "; ")
    }

    // MARK: Answers

    /// A datagram came in on a socket of ours from `source`.
    public mutating func receive(
        _ octets: [UInt8], from source: Endpoint, over lane: Lane, _ now: Instant, _ entropy: inout some Entropy,
        _ effects: inout [Effect]
    ) {
        guard settings.servers.indices.contains(lane.server) else { return }
        let server = settings.servers[lane.server]
        guard source == (lane.service == .authentication ? server.authentication : server.accounting) else {
            effects.append(.dropped(lane, "it comes from \(source), which is not the server"))
            return
        }
        let packet: RADIUSPacket
        do throws(WireError) { packet = try RADIUSPacket(octets) } catch {
            effects.append(.dropped(lane, "\(error)"))
            return
        }
        guard let id = states[lane.service.index][lane.server].request(lane.socket, packet.identifier),
            let request = pending[id],
            request.lane == lane, request.transmissions > 0
        else {
            effects.append(.dropped(lane, "it answers nothing that was asked"))
            return
        }
        guard lane.service.answers.contains(packet.code) else {
            effects.append(.dropped(lane, "\(packet.code) is no answer to what was asked"))
            return
        }
        do throws(PacketProof.Failure) {
            try proofs[lane.server].check(
                answer: packet, to: request.authenticator,
                needsMessageAuthenticator: lane.service == .authentication)
        } catch {
            states[lane.service.index][lane.server].disbelieved = "\(error)"
            effects.append(.dropped(lane, "\(error)"))
            return
        }
        _ = remove(id)
        if states[lane.service.index][lane.server].heard() {
            effects.append(.changed(server: lane.server, lane.service, isSilent: false))
        }
        effects.append(
            .answered(id, packet, requestAuthenticator: request.authenticator, server: lane.server))
        admitWaiting(lane.server, lane.service, now, &entropy, &effects)
    }
}

extension RADIUSClient.Service {
    /// What a server may answer.
    fileprivate var answers: [RADIUSPacket.Code] {
        self == .authentication ? [.accessAccept, .accessReject, .accessChallenge] : [.accountingResponse]
    }
}
