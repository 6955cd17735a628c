import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import SimulatedNetwork
import WireFormat

/// A gateway that speaks a toy protocol with IKE's rhythm: four messages, windows of one, repetition, dead-peer
/// detection, deletion. It lets the simulator be tested without the engine that the simulator is to test.
final class ToyEngine: SimulatedEngine {
    final class SA {
        let id: IKESAID
        let connection: Connection
        let isInitiator: Bool
        var spis: (UInt64, UInt64)
        var path: Path
        var socket: IKESocket
        var nonces: (UInt64, UInt64)
        var key: UInt64 = 0
        var state = IKESAState.connecting
        var peerIdentity: Identity?
        var algorithms: Proposal?
        var child: ChildSASummary?
        var ownSPI: UInt32 = 0
        var wanted = "net"
        // The window of our requests.
        var nextID: UInt32 = 0
        var request: (bytes: [UInt8], id: UInt32, attempt: Int)?
        var resendAt: Instant?
        // The window of the peer's requests.
        var answered: (id: UInt32, bytes: [UInt8])?
        var pending: ToyMessage?
        var ticketPurpose: [Ticket: Purpose] = [:]
        var giveUpAt: Instant?
        var probeAt: Instant?
        var isDeleteWanted = false
        var isKeptAlive = false

        init(
            _ id: IKESAID, _ connection: Connection, isInitiator: Bool, spis: (UInt64, UInt64), path: Path,
            socket: IKESocket, nonces: (UInt64, UInt64)
        ) {
            self.id = id
            self.connection = connection
            self.isInitiator = isInitiator
            self.spis = spis
            self.path = path
            self.socket = socket
            self.nonces = nonces
        }

        func deriveKey() {
            var digest = TraceDigest()
            digest.absorb(nonces.0)
            digest.absorb(nonces.1)
            key = digest.value
        }
    }

    enum Purpose { case path, prove, verify }

    let configuration: Configuration
    var sas: [SA] = []
    var nextSA: UInt32 = 1
    var nextTicket: UInt64 = 1
    /// When packets last started a connection.
    var acquired: [String: Instant] = [:]

    init(_ configuration: Configuration) { self.configuration = configuration }

    var nextDeadline: Instant? {
        sas.flatMap { [$0.resendAt, $0.giveUpAt, $0.probeAt].compactMap { $0 } }.min()
    }

    var census: Census {
        Census(
            ikeSAs: sas.count, halfOpen: sas.filter { $0.state != .established }.count,
            childSAs: sas.filter { $0.child != nil }.count,
            deadlines: sas.reduce(0) { $0 + [$1.resendAt, $1.giveUpAt, $1.probeAt].compactMap { $0 }.count },
            openTickets: sas.reduce(0) { $0 + $1.ticketPurpose.count }, spis: sas.filter { $0.ownSPI != 0 }.count)
    }

    func summaries() -> [IKESASummary] {
        sas.map { sa in
            var summary = IKESASummary(
                id: sa.id, connection: sa.connection.name, state: sa.state, isInitiator: sa.isInitiator,
                initiatorSPI: sa.spis.0, responderSPI: sa.spis.1, path: sa.path)
            summary.algorithms = sa.algorithms
            summary.children = sa.child.map { [$0] } ?? []
            return summary
        }
    }

    func handle(_ input: Input, _ environment: inout Environment, _ effects: inout Effects) {
        switch input {
        case .datagram(let datagram): receive(datagram, &environment, &effects)
        case .deadline: deadline(&environment, &effects)
        case .answer(let ticket, let answer):
            guard let sa = sas.first(where: { $0.ticketPurpose[ticket] != nil }),
                let purpose = sa.ticketPurpose.removeValue(forKey: ticket)
            else { return }
            self.answer(sa, purpose, answer, &environment, &effects)
        case .command(.initiate(let name, let child)): initiate(name, child, &environment, &effects)
        case .plane(.acquire(let name, let child)):
            if let last = acquired[name], environment.now - last < .seconds(5) { break }
            acquired[name] = environment.now
            initiate(name, child, &environment, &effects)
        case .command(.terminate(let target)):
            for sa in sas where Self.matches(target, sa) { delete(sa, &environment, &effects) }
        case .command(.shutdown), .command(.abandon), .command(.rekey), .command(.reauthenticate), .command(.redirect),
            .plane,
            .configuration,
            .localAddresses:
            break
        }
    }

    private static func matches(_ target: Command.Target, _ sa: SA) -> Bool {
        switch target {
        case .connection(let name): sa.connection.name == name
        case .child(let name, let connection):
            sa.child?.name == name && (connection == nil || connection == sa.connection.name)
        case .ikeSA(let id): sa.id == id
        case .childSA(let id): sa.child?.id == id
        }
    }

    func publish(_ sa: SA, _ kind: Event.Kind, _ environment: Environment, _ effects: inout Effects) {
        effects.append(
            .publish(Event(time: environment.now, ikeSA: sa.id, connection: sa.connection.name, kind: kind)))
    }

    private func initiate(
        _ name: String, _ child: String?, _ environment: inout Environment, _ effects: inout Effects
    ) {
        if let sa = sas.first(where: { $0.connection.name == name && $0.state == .established }) {
            // The toy has one child for each IKE SA: a second one is refused.
            if sa.child == nil {
                let refusal = Refusal.noInternalAnswer(question: "another child")
                publish(sa, .refused(refusal, child: child), environment, &effects)
            }
            return
        }
        guard let connection = configuration.connection(named: name),
            let remote = connection.remoteAddresses.first?.single
        else { return }
        let spi = environment.entropy.uint64() | 1
        let sa = SA(
            IKESAID(rawValue: nextSA), connection, isInitiator: true, spis: (spi, 0),
            path: Path(local: Endpoint(remote, 0), remote: Endpoint(remote, 0)),
            socket: connection.localPort == 500 ? .plain : .natTraversal,
            nonces: (environment.entropy.uint64(), 0))
        sa.wanted = child ?? "net"
        sa.giveUpAt = environment.now + configuration.limits.answerTimeout
        nextSA += 1
        sas.append(sa)
        ask(sa, .path, .path(connection), &effects)
    }

    func ask(_ sa: SA, _ purpose: Purpose, _ query: Query, _ effects: inout Effects) {
        let ticket = Ticket(rawValue: nextTicket)
        nextTicket += 1
        sa.ticketPurpose[ticket] = purpose
        effects.append(.ask(ticket, query))
    }

    private func answer(
        _ sa: SA, _ purpose: Purpose, _ answer: Answer, _ environment: inout Environment, _ effects: inout Effects
    ) {
        switch (purpose, answer) {
        case (.path, .path(let path)):
            sa.path = path
            sa.giveUpAt = nil
            let words = ["N", String(sa.nonces.0), ToyWords.text(sa.connection.proposals)]
            send(sa, 34, words, &environment, &effects)
        case (.prove, .proof(let octets)): proved(sa, Hex.encode(octets), &environment, &effects)
        case (.verify, .verified): verified(sa, &environment, &effects)
        case (.verify, _):
            let refusal = Refusal.wrongProof(
                local: sa.connection.local.identity ?? .fqdn(""), remote: sa.peerIdentity ?? .fqdn(""),
                method: .sharedKey)
            if !sa.isInitiator { respond(sa, ["E", "AUTH"], &effects) }
            close(sa, .failed(refusal), refusal, &environment, &effects)
        default: close(sa, .asked, .noInternalAnswer(question: "\(purpose)"), &environment, &effects)
        }
    }

    // MARK: Windows

    func send(
        _ sa: SA, _ exchange: UInt8, _ words: [String], _ environment: inout Environment, _ effects: inout Effects
    ) {
        let message = ToyMessage(
            initiatorSPI: sa.spis.0, responderSPI: sa.spis.1, exchange: exchange, isFromInitiator: sa.isInitiator,
            isResponse: false, messageID: sa.nextID, words: words)
        let bytes = message.encoded(key: exchange == 34 ? 0 : sa.key)
        sa.request = (bytes, sa.nextID, 0)
        sa.nextID += 1
        sa.resendAt = sa.connection.retransmission.pause(after: 0, &environment.entropy).map { environment.now + $0 }
        effects.append(.send(Datagram(bytes, path: sa.path, socket: sa.socket)))
    }

    func respond(_ sa: SA, _ words: [String], _ effects: inout Effects) {
        guard let request = sa.pending else { return }
        let message = ToyMessage(
            initiatorSPI: sa.spis.0, responderSPI: sa.spis.1, exchange: request.exchange,
            isFromInitiator: sa.isInitiator, isResponse: true, messageID: request.messageID, words: words)
        let bytes = message.encoded(key: request.exchange == 34 ? 0 : sa.key)
        sa.answered = (request.messageID, bytes)
        sa.pending = nil
        effects.append(.send(Datagram(bytes, path: sa.path, socket: sa.socket)))
    }

    private func deadline(_ environment: inout Environment, _ effects: inout Effects) {
        for sa in sas {
            if let due = sa.giveUpAt, due <= environment.now {
                close(sa, .asked, .noInternalAnswer(question: "toy"), &environment, &effects)
                continue
            }
            if let due = sa.resendAt, due <= environment.now, let request = sa.request {
                let attempt = request.attempt + 1
                sa.request?.attempt = attempt
                if attempt <= sa.connection.retransmission.tries,
                    let pause = sa.connection.retransmission.pause(after: attempt, &environment.entropy)
                {
                    sa.resendAt = environment.now + pause
                    effects.append(.send(Datagram(request.bytes, path: sa.path, socket: sa.socket)))
                } else {
                    let refusal = Refusal.noAnswer(
                        exchange: "toy", path: sa.path, tries: attempt, waited: .zero)
                    close(sa, .peerDead, refusal, &environment, &effects)
                }
                continue
            }
            if let due = sa.probeAt, due <= environment.now {
                sa.probeAt = nil
                if sa.request == nil { send(sa, 37, [""], &environment, &effects) }
            }
        }
    }

    func touch(_ sa: SA, _ environment: Environment) {
        guard sa.state == .established, sa.connection.dpdDelay > .zero else { return }
        sa.probeAt = environment.now + sa.connection.dpdDelay
    }

    private func delete(_ sa: SA, _ environment: inout Environment, _ effects: inout Effects) {
        guard sa.state == .established else {
            if sa.state != .deleting { close(sa, .asked, nil, &environment, &effects) }
            return
        }
        sa.isDeleteWanted = true
        if sa.request == nil { sendDelete(sa, &environment, &effects) }
    }

    func sendDelete(_ sa: SA, _ environment: inout Environment, _ effects: inout Effects) {
        sa.state = .deleting
        sa.probeAt = nil
        send(sa, 37, ["D"], &environment, &effects)
    }

    func close(
        _ sa: SA, _ reason: Event.CloseReason, _ refusal: Refusal?, _ environment: inout Environment,
        _ effects: inout Effects
    ) {
        if let child = sa.child {
            effects.append(.plane(.remove(.outbound, spi: child.outboundSPI, of: child.id)))
            effects.append(.plane(.remove(.inbound, spi: child.inboundSPI, of: child.id)))
            effects.append(.plane(.unprotect(child.id, staysBlocked: false)))
        }
        sas.removeAll { $0 === sa }
        if sa.isKeptAlive, !sas.contains(where: { $0.isKeptAlive && $0.path == sa.path }) {
            effects.append(.plane(.keepAlive(sa.path, every: .zero)))
        }
        if let refusal { publish(sa, .refused(refusal, child: nil), environment, &effects) }
        publish(sa, .ikeClosed(reason), environment, &effects)
    }
}
