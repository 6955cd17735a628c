import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// How often packets for Child SAs that are not there lead to anything, whoever sends them or tells of them.
///
/// It owns two measures for the whole gateway and the few IKE SAs that had something to do with it lately.
struct StrayPackets {
    /// For how long an IKE SA is left in peace afterwards. No younger Child SA is believed to be missing.
    static let pause = Interval.seconds(10)

    /// What we tell peers.
    var reports = TokenBucket(rate: 2, burst: 10, now: .zero)
    /// What somebody tells us in clear.
    var hints = TokenBucket(rate: 2, burst: 10, now: .zero)
    private var lately: [IKESAID: Instant] = [:]

    /// None came yet.
    init() {}

    /// Whether an IKE SA is left in peace for now.
    func rests(_ id: IKESAID, now: Instant) -> Bool { lately[id].map { now - $0 < Self.pause } ?? false }

    /// Whether an IKE SA has had its pause. What is kept is bounded by the two measures.
    mutating func admits(_ id: IKESAID, now: Instant) -> Bool {
        if rests(id, now: now) { return false }
        lately = lately.filter { now - $0.value < Self.pause }
        lately[id] = now
        return true
    }
}

/// Tells the peer that it sends packets for a Child SA that is not there (RFC 7296 §1.5).
struct ReportSPI: Exchange {
    private let spi: UInt32

    /// The SPI of such a packet; nil when it has come to be meanwhile: the packet had overtaken its message.
    init?(_ spi: UInt32, _ context: SessionContext) {
        let isKnown =
            context.children.all.contains { $0.agreement.inboundSPI == spi } || context.heldSPIs.contains(spi)
            || context.pendingSPI == spi
        if isKnown { return nil }
        self.spi = spi
    }

    var type: ExchangeType { .informational }
    var activity: Activity { .none }
    var remainder: Remainder? { .probe }
    var payloads: [Payload] { [.notify(NotifyPayload(.invalidSPI, WireProposal.octets(spi)))] }

    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep { .done }
}

extension SessionContext {
    /// The peer says that a Child SA is not there at its end. Whether that is so shows when it is replaced: a peer that
    /// has it replaces it, one that does not says so, and it is made anew. One that has only just been made may have been
    /// overtaken by its first packets.
    func heedInvalidSPI(_ notifies: [NotifyPayload], _ turn: inout Turn) {
        guard let spi = notifies.first(.invalidSPI)?.spiInData, let child = missed(spi),
            turn.now - child.installed >= StrayPackets.pause
        else { return }
        agenda.add(.rekeyChild(child.id))
    }

    /// The Child SA in use whose packets to the peer carry this SPI.
    func missed(_ spi: UInt32) -> ChildSA? {
        children.all.first { $0.agreement.outboundSPI == spi && $0.state == .installed }
    }
}

extension NotifyPayload {
    /// The SPI that INVALID_SPI tells.
    fileprivate var spiInData: UInt32? {
        data.count == 4 ? data.reduce(0) { $0 << 8 | UInt32($1) } : nil
    }
}

extension IKEv2Endpoint {
    /// A packet came for a Child SA that is not there. A peer that has an IKE SA with us is told on it; nobody else is: an
    /// answer in clear proves nothing to an honest peer, and anybody could have it sent to anybody. What is nobody's, or a
    /// peer's that was told just now, does not count towards what is told in all: the data plane bounds how often it is
    /// looked for.
    func reportStray(_ spi: UInt32, _ path: Path, _ turn: inout Turn) {
        guard let session = session(at: path), !tables.strayPackets.rests(session.context.id, now: turn.now),
            tables.strayPackets.reports.take(now: turn.now),
            tables.strayPackets.admits(session.context.id, now: turn.now)
        else { return }
        session.intend(.reportSPI(spi), &turn)
        after(session, &turn)
    }

    /// Takes INVALID_SPI in clear for what it is: a hint that anybody can give. It is never answered; when it names a
    /// Child SA that is there, its peer is asked whether it lives, if nothing was heard of it for a while.
    /// - Returns: Whether the message was one.
    func heedHint(_ header: IKEHeader, _ arrival: Arrival, _ turn: inout Turn) -> Bool {
        guard header.exchange == .informational, !header.isResponse,
            case .clear(let message)? = try? ReceivedMessage(parsing: arrival.bytes),
            let spi = (try? UnprotectedNotification(message))?.notifies.first(.invalidSPI)?.spiInData
        else { return false }
        turn.publish(.dropped(.unexpected("INVALID_SPI in clear"), arrival.path), ofStranger: true)
        guard tables.strayPackets.hints.take(now: turn.now), let session = session(at: arrival.path),
            session.context.missed(spi) != nil, turn.now - session.context.lastHeard >= StrayPackets.pause,
            tables.strayPackets.admits(session.context.id, now: turn.now)
        else { return true }
        session.intend(.probe, &turn)
        after(session, &turn)
        return true
    }

    /// The IKE SA that is established on this path, the youngest of several; where none is, the only one between the two
    /// addresses: packets that are not in UDP have no ports.
    private func session(at path: Path) -> IKESession? {
        // The order in which they are asked does not matter.
        let near = sessions.values.filter {
            $0.isEstablished && !$0.context.isReplaced && $0.context.path.local.address == path.local.address
                && $0.context.path.remote.address == path.remote.address
        }
        let exact = near.filter { $0.context.path.remote.port == path.remote.port }
        return exact.max { $0.context.id < $1.context.id } ?? (near.count == 1 ? near.first : nil)
    }

    /// Makes room for one more half-open IKE SA, where there is none.
    func makeRoom(for address: IPAddress, _ turn: inout Turn) {
        guard let id = tables.governor.surplus(before: address, turn.configuration.limits), let session = sessions[id]
        else { return }
        session.giveWay(&turn)
        after(session, &turn)
    }
}
