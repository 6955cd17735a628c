import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// Sending: how messages of an IKE SA are numbered, sealed, sent and kept for repetition.
extension SessionContext {
    /// Sends a request of ours; false when it can't be written or no message ID is left. `keys` is nil for IKE_SA_INIT.
    /// - Returns: The datagram, which for IKE_SA_INIT is part of what is proved later.
    func request(
        _ exchange: ExchangeType, _ payloads: [Payload], _ keys: SessionKeys?, tries: Int? = nil,
        own: RetransmissionSchedule? = nil, _ turn: inout Turn
    ) -> [UInt8]? {
        guard requests.isFree, let messageID = requests.nextID else { return nil }
        let header = IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, exchange: exchange,
            flags: isInitiator ? .initiator : [], messageID: messageID)
        let message = Message(header, payloads)
        guard let datagrams = encode(message, keys, to: path, socket, &turn) else { return nil }
        requests.open(exchange, datagrams, tries: tries, own: own, now: turn.now, &turn.environment.entropy)
        transmit(datagrams, message, to: path, socket, &turn)
        return datagrams.first
    }

    /// Answers a request of the peer's, on the path that the request came on; false when the answer can't be written.
    @discardableResult
    func respond(
        to request: IKEHeader, _ arrival: Arrival, _ payloads: [Payload], _ keys: SessionKeys, _ turn: inout Turn
    ) -> Bool {
        let header = IKEHeader(
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, exchange: request.exchange,
            flags: isInitiator ? [.initiator, .response] : .response, messageID: request.messageID)
        let message = Message(header, payloads)
        guard let datagrams = encode(message, keys, to: arrival.path, arrival.socket, &turn) else { return false }
        responses.answered(datagrams)
        transmit(datagrams, message, to: arrival.path, arrival.socket, &turn)
        return true
    }

    private func encode(
        _ message: Message, _ keys: SessionKeys?, to path: Path, _ socket: IKESocket, _ turn: inout Turn
    ) -> [[UInt8]]? {
        do throws(WritingError) {
            guard let keys else { return [try message.encoded()] }
            guard let limit = longestWhole(path, socket) else {
                return [try keys.seal(message, &turn.environment.entropy)]
            }
            return try keys.sealFragments(message, maximumLength: limit, &turn.environment.entropy)
        } catch {
            refuse(.malformed(exchange: message.header.exchange.description, reason: "ours: \(error)"), &turn)
            return nil
        }
    }

    private func transmit(
        _ datagrams: [[UInt8]], _ message: Message, to path: Path, _ socket: IKESocket, _ turn: inout Turn
    ) {
        let octets = datagrams.reduce(0) { $0 + $1.count }
        count(octets)
        let pieces = datagrams.count > 1 ? " in \(datagrams.count) fragments" : ""
        count(message.header, isSent: true, &turn)
        publish(message: .sent(message.description + pieces, bytes: octets, path), &turn)
        for bytes in datagrams { turn.send(bytes, path, socket) }
    }

    /// Sends what was said to a request again, to where it came from this time.
    func repeatResponse(_ datagrams: [[UInt8]], _ messageID: UInt32, _ arrival: Arrival, _ turn: inout Turn) {
        publish(.answeredAgain(messageID: messageID), &turn)
        for bytes in datagrams { turn.send(bytes, arrival.path, arrival.socket) }
    }

    /// A request of ours may be due again.
    /// - Returns: Why the peer is believed dead; nil as long as there is hope.
    func retransmit(_ turn: inout Turn) -> Refusal? {
        switch requests.tick(now: turn.now, &turn.environment.entropy) {
        case .idle: return nil
        case .resend(let datagrams, let attempt):
            let (exchange, messageID) = (requests.inFlight?.exchange, requests.inFlight?.id)
            publish(
                .retransmitted(
                    exchange: exchange?.description ?? "", messageID: messageID ?? 0, attempt: attempt), &turn)
            for bytes in datagrams { turn.send(bytes, path, socket) }
            probeOtherPaths(datagrams, attempt: attempt, &turn)
            return nil
        case .gaveUp(let exchange, let tries, let waited):
            return .noAnswer(exchange: exchange.description, path: path, tries: tries, waited: waited)
        }
    }

    /// An authentic message came. A repetition proves nothing: who listens on the way can send it again for ever.
    func hear(_ header: IKEHeader, _ turn: Turn) {
        guard header.isResponse || responses.judge(header.messageID) == .fresh else { return }
        lastHeard = turn.now
        requests.peerSpoke(now: turn.now)
    }

    /// Drops a message.
    func drop(_ reason: Event.DropReason?, _ arrival: Arrival, _ turn: inout Turn) {
        if let reason { publish(.dropped(reason, arrival.path), &turn) }
    }

    /// Opens a sealed message: the one way from a datagram to a message that may change anything.
    /// - Throws: What the message did wrong; only ``PeerFault/forged`` and ``PeerFault/unexpected(_:)`` can come from
    ///   somebody without the keys.
    func open(
        _ message: SealedMessage, _ keys: SessionKeys, _ arrival: Arrival, _ turn: inout Turn
    ) throws(PeerFault) -> OpenedMessage {
        guard message.header.isFromInitiator != isInitiator else { throw .unexpected("our own message") }
        if let place = message.fragment { return try collect(message, place, keys, arrival, &turn) }
        do throws(GrammarError) {
            let opened = try keys.open(message)
            hear(message.header, turn)
            count(arrival.byteCount)
            count(message.header, isSent: false, &turn)
            publish(message: .received(opened.description, bytes: arrival.byteCount, arrival.path), &turn)
            return opened
        } catch {
            throw PeerFault(error, opening: message.header)
        }
    }
}
