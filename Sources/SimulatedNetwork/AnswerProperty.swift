import Clockwork
import GatewayModel
import IKECore
import NetworkTypes

/// Every request that arrives whole at its IKE SA is answered; a repeated one gets the same octets again; and nobody
/// gives up on a request whose answer arrived (RFC 7296 §2.1).
///
/// It reads headers on the wire and asks engines only which IKE SAs they have.
final class AnswerProperty: Property {
    let name = "answers"

    private struct SA: Hashable {
        var host: Int
        var spis: WireHeader.SPIs
    }

    private struct ResponseKey: Hashable {
        var sa: SA
        var exchange: UInt8
        var messageID: UInt32
        var fragment: UInt16

        var name: String { "\(WireHeader.name(of: exchange)) request \(messageID)" }
    }

    private struct InitKey: Hashable {
        var host: Int
        var request: [UInt8]
        var from: Path
    }

    private struct Outstanding {
        var messageID: UInt32
        var exchange: UInt8
        var bytes: [UInt8]
        var isAnswered = false
    }

    private struct Obligation {
        var key: ResponseKey
        var due: Instant
    }

    private let patience: Interval
    private var responses: [ResponseKey: [UInt8]] = [:]
    private var lastAnswered: [SA: UInt32] = [:]
    /// The highest message ID of a request of which a part arrived.
    private var lastSeen: [SA: UInt32] = [:]
    private var initAnswers: [InitKey: WireHeader.SPIs] = [:]
    private var outstanding: [SA: Outstanding] = [:]
    private var obligations: [Obligation] = []

    /// `patience` is how long an IKE_AUTH request may wait for answers to tickets.
    init(patience: Interval) { self.patience = patience }

    func sent(_ datagram: Datagram, by host: SimulatedHost, _ report: inout Report) {
        guard let header = WireHeader(datagram.bytes) else {
            report.violation(name, host, "sends something that is not an IKE message")
            return
        }
        guard header.isResponse else {
            noteRequest(header, datagram.bytes, host)
            return
        }
        // What is said in clear outside IKE_SA_INIT answers nobody known: a version that we do not speak, for example.
        guard header.spis.responder != 0, header.isProtected || header.exchange == WireHeader.saInit else { return }
        let key = ResponseKey(
            sa: SA(host: host.index, spis: header.spis), exchange: header.exchange, messageID: header.messageID,
            fragment: header.fragment)
        if let before = responses[key], before != datagram.bytes {
            report.violation(name, host, "\(header): other octets than the first time")
        }
        responses[key] = datagram.bytes
        lastAnswered[key.sa] = max(lastAnswered[key.sa] ?? 0, header.messageID)
        // The answer may be cut into fragments.
        obligations.removeAll {
            $0.key.sa == key.sa && $0.key.exchange == key.exchange && $0.key.messageID == key.messageID
        }
    }

    private func noteRequest(_ header: WireHeader, _ bytes: [UInt8], _ host: SimulatedHost) {
        guard header.fragment <= 1 else { return }
        let key = SA(host: host.index, spis: header.spis)
        if let before = outstanding[key], before.messageID == header.messageID, before.bytes == bytes { return }
        outstanding[key] = Outstanding(messageID: header.messageID, exchange: header.exchange, bytes: bytes)
    }

    func handled(_ moment: Moment, _ report: inout Report) {
        checkGivenUp(moment, &report)
        if let arrival = moment.arrival, !arrival.isCorrupted, let header = arrival.header,
            case .datagram(let datagram) = moment.input
        {
            if header.isResponse {
                noteAnswer(header, moment)
            } else if header.exchange == WireHeader.saInit {
                checkInit(header, datagram, moment, &report)
            } else {
                checkRequest(header, moment, &report)
            }
        }
        forgive(moment, &report)
    }

    // MARK: Responder

    /// Whether the effects hold the answer to this request.
    private func isAnswered(_ header: WireHeader, _ effects: [Effect]) -> Bool {
        effects.contains { effect in
            guard case .send(let datagram) = effect, let answer = WireHeader(datagram.bytes) else { return false }
            return answer.isResponse && answer.spis == header.spis && answer.messageID == header.messageID
                && answer.exchange == header.exchange
        }
    }

    /// Exchanges whose answer may wait for tickets.
    private static let unhurried: Set<UInt8> = [
        WireHeader.auth, WireHeader.intermediate, WireHeader.followupKE,
    ]

    private func checkRequest(_ header: WireHeader, _ moment: Moment, _ report: inout Report) {
        let requester = SA(host: moment.host.index, spis: header.spis)
        let seen = max(lastSeen[requester] ?? 0, header.messageID)
        lastSeen[requester] = seen
        guard header.fragment == 0, let summary = Self.summary(header.spis, moment.before),
            header.isFromInitiator != summary.isInitiator
        else { return }
        let sa = SA(host: moment.host.index, spis: header.spis)
        let last = lastAnsweredBefore(sa, moment)
        let isFresh = last.map { header.messageID == $0 &+ 1 } ?? (header.messageID == 0)
        let isRepeated = last == header.messageID
        guard isFresh || isRepeated, !isAnswered(header, moment.effects) else { return }
        // Whoever asks the next thing has had the answer.
        if isRepeated, seen > header.messageID { return }
        if isRepeated {
            report.violation(name, moment.host, "\(header) came again and was not answered")
        } else if Self.unhurried.contains(header.exchange) {
            let key = ResponseKey(sa: sa, exchange: header.exchange, messageID: header.messageID, fragment: 0)
            if !obligations.contains(where: { $0.key == key }) {
                obligations.append(Obligation(key: key, due: moment.time + patience))
            }
        } else if Self.isUp(summary.state) {
            report.violation(name, moment.host, "\(header) was delivered and not answered")
        }
    }

    /// The last message ID answered before this moment: `sent` has already seen the moment's own answers.
    private func lastAnsweredBefore(_ sa: SA, _ moment: Moment) -> UInt32? {
        guard let last = lastAnswered[sa] else { return nil }
        let isOfThisMoment = moment.effects.contains { effect in
            guard case .send(let datagram) = effect, let header = WireHeader(datagram.bytes) else { return false }
            return header.isResponse && header.spis == sa.spis && header.messageID == last
        }
        guard isOfThisMoment else { return last }
        return last == 0 ? nil : last - 1
    }

    private func checkInit(
        _ header: WireHeader, _ datagram: Datagram, _ moment: Moment, _ report: inout Report
    ) {
        let key = InitKey(host: moment.host.index, request: datagram.bytes, from: datagram.path)
        let answer = moment.effects.lazy.compactMap { effect -> WireHeader.SPIs? in
            guard case .send(let datagram) = effect, let answer = WireHeader(datagram.bytes), answer.isResponse,
                answer.exchange == WireHeader.saInit, answer.spis.responder != 0
            else { return nil }
            return answer.spis
        }.first
        if let before = initAnswers[key], let summary = Self.summary(before, moment.before) {
            if let answer, answer != before {
                report.violation(name, moment.host, "a repeated IKE_SA_INIT request made a second IKE SA")
            }
            let sa = SA(host: moment.host.index, spis: before)
            let isWaiting =
                !Self.isUp(summary.state) && lastAnswered[sa] == 0
                && !obligations.contains { $0.key.sa == sa }
            if answer == nil, isWaiting {
                report.violation(name, moment.host, "a repeated IKE_SA_INIT request was not answered")
            }
        }
        if let answer { initAnswers[key] = answer }
    }

    /// A request whose IKE SA has gone needs no answer any more, unless it went because of the verdict; one that gave way
    /// to a newer IKE SA went because of another's.
    private func forgive(_ moment: Moment, _ report: inout Report) {
        guard !obligations.isEmpty else { return }
        for obligation in obligations where obligation.key.sa.host == moment.host.index {
            guard Self.summary(obligation.key.sa.spis, moment.after) == nil else { continue }
            if case .answer = moment.input, !Self.isReplaced(obligation.key.sa.spis, moment) {
                report.violation(name, moment.host, "\(obligation.key.name) was judged and not answered")
            }
            obligations.removeAll { $0.key == obligation.key }
        }
        for obligation in obligations where obligation.due < moment.time {
            report.violation(
                name, nil, "\(obligation.key.name) was delivered to host \(obligation.key.sa.host) and never answered")
        }
    }

    private static func isReplaced(_ spis: WireHeader.SPIs, _ moment: Moment) -> Bool {
        guard let summary = summary(spis, moment.before) else { return false }
        return moment.effects.contains { effect in
            guard case .publish(let event) = effect, event.ikeSA == summary.id else { return false }
            if case .ikeClosed(.replaced) = event.kind { return true }
            return false
        }
    }

    // MARK: Requester

    private func noteAnswer(_ header: WireHeader, _ moment: Moment) {
        // Our first request did not know the responder's SPI.
        let spis = header.exchange == WireHeader.saInit ? header.spis.withoutResponder : header.spis
        let key = SA(host: moment.host.index, spis: spis)
        guard header.fragment == 0, header.isProtected || header.exchange == WireHeader.saInit,
            outstanding[key]?.messageID == header.messageID,
            outstanding[key]?.exchange == header.exchange, header.spis.responder != 0,
            let summary = moment.before.first(where: { $0.initiatorSPI == header.spis.initiator }),
            header.isFromInitiator != summary.isInitiator,
            summary.responderSPI == header.spis.responder || summary.responderSPI == 0
        else { return }
        outstanding[key]?.isAnswered = true
    }

    private func checkGivenUp(_ moment: Moment, _ report: inout Report) {
        for case .publish(let event) in moment.effects {
            switch event.kind {
            case .refused(.noAnswer, _), .ikeClosed(.peerDead), .ikeClosed(.failed(.noAnswer)): break
            default: continue
            }
            guard let summary = moment.before.first(where: { $0.id == event.ikeSA }) else { continue }
            let spis = WireHeader.SPIs(initiator: summary.initiatorSPI, responder: summary.responderSPI)
            let key = SA(host: moment.host.index, spis: spis)
            if outstanding[key]?.isAnswered == true {
                report.violation(name, moment.host, "gives up though the answer was delivered: \(event.kind)")
            }
        }
    }

    func restarted(_ host: SimulatedHost, _ report: inout Report) {
        responses = responses.filter { $0.key.sa.host != host.index }
        lastAnswered = lastAnswered.filter { $0.key.host != host.index }
        lastSeen = lastSeen.filter { $0.key.host != host.index }
        initAnswers = initAnswers.filter { $0.key.host != host.index }
        outstanding = outstanding.filter { $0.key.host != host.index }
        obligations.removeAll { $0.key.sa.host == host.index }
    }

    private static func summary(_ spis: WireHeader.SPIs, _ list: [IKESASummary]) -> IKESASummary? {
        list.first { $0.initiatorSPI == spis.initiator && $0.responderSPI == spis.responder }
    }

    private static func isUp(_ state: IKESAState) -> Bool {
        switch state {
        case .established, .passive, .rekeying, .rekeyed, .deleting: true
        case .created, .connecting, .destroying: false
        }
    }
}
