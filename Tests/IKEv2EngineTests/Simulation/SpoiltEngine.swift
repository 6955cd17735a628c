import Clockwork
import GatewayModel
import IKECore
import NetworkTypes
import SimulatedNetwork
import Testing
import WireFormat

/// A mistake that an engine could make: the simulator has to find each of them.
enum Mistake: String, CaseIterable, CustomTestStringConvertible {
    case doesNotRepeatAnswers
    case repeatsOtherAnswers
    case forgetsToTellThePeer
    case ignoresTerminate
    case leavesInboundInPlane
    case unprotectsBeforeRemoving
    case installsInboundLast
    case hasOtherKeys
    case hasOtherSelectors
    case hidesOutcomes
    case sleeps
    case ignoresAnswers
    case sendsTwice
    case neverProbes
    case leaksTickets
    case hidesChildren
    case answersHalfTheRequests
    case wantsToWakeForEver
    case startsForEveryPacket
    case usesChanceOfItsOwn

    var testDescription: String { rawValue }
}

/// An engine with one mistake around it.
final class SpoiltEngine: SimulatedEngine {
    private let inner: any SimulatedEngine
    private let mistake: Mistake
    private let host: Int
    private var answers: [WireHeader: [UInt8]] = [:]
    private var silenced = false
    private var seen = 0
    private var tickets = 0
    private var now = Instant.zero

    /// Only the first host is spoilt: two that make the same mistake might agree.
    init(_ mistake: Mistake, host: Int, _ configuration: Configuration, make: (Configuration) -> any SimulatedEngine) {
        self.mistake = mistake
        self.host = host
        var configuration = configuration
        if mistake == .neverProbes, host == 0 {
            for index in configuration.connections.indices { configuration.connections[index].dpdDelay = .zero }
        }
        inner = make(configuration)
    }

    private func makes(_ mistake: Mistake) -> Bool { self.mistake == mistake && host == 0 }

    var nextDeadline: Instant? {
        if makes(.sleeps) { return nil }
        if makes(.wantsToWakeForEver) { return inner.nextDeadline.map { _ in now } }
        return inner.nextDeadline
    }

    var census: Census {
        var census = inner.census
        if makes(.leaksTickets) { census.openTickets += tickets }
        return census
    }

    func summaries() -> [IKESASummary] {
        var summaries = inner.summaries()
        if makes(.hidesChildren) { for index in summaries.indices { summaries[index].children = [] } }
        return summaries
    }

    func handle(_ input: Input, _ environment: inout Environment, _ effects: inout Effects) {
        now = environment.now
        if swallows(input) { return }
        if makes(.forgetsToTellThePeer), case .command(.terminate) = input { silenced = true }
        if case .command(.initiate) = input { silenced = false }
        var produced = Effects()
        if makes(.startsForEveryPacket), case .plane(.acquire(let name, let child)) = input {
            inner.handle(.command(.initiate(connection: name, child: child)), &environment, &produced)
        } else {
            inner.handle(input, &environment, &produced)
        }
        for effect in spoil(produced.take()) { effects.append(effect) }
    }

    private func swallows(_ input: Input) -> Bool {
        switch input {
        case .command(.terminate): return makes(.ignoresTerminate)
        case .answer:
            tickets += 1
            return false
        case .datagram(let datagram):
            guard let header = WireHeader(datagram.bytes) else { return false }
            seen += 1
            if makes(.ignoresAnswers) { return header.isResponse && header.exchange == 37 }
            if makes(.answersHalfTheRequests) { return !header.isResponse && header.exchange == 37 && seen % 2 == 0 }
            return false
        default: return false
        }
    }

    private func spoil(_ list: [Effect]) -> [Effect] {
        if makes(.unprotectsBeforeRemoving) {
            return list.filter { Self.isUnprotect($0) } + list.filter { !Self.isUnprotect($0) }
        }
        if makes(.installsInboundLast) {
            return list.filter { !Self.isInboundInstall($0) } + list.filter { Self.isInboundInstall($0) }
        }
        return list.flatMap { spoil($0) }
    }

    private func spoil(_ effect: Effect) -> [Effect] {
        switch effect {
        case .send(let datagram): return send(datagram).map { .send($0) }
        case .plane(.remove(.inbound, _, _)) where makes(.leavesInboundInPlane): return []
        case .plane(.install(var association)) where association.direction == .inbound:
            if makes(.hasOtherKeys) {
                var octets = association.encryptionKey.exposedBytes()
                octets[0] ^= 1
                association.encryptionKey = SecretBytes(octets)
            }
            if makes(.hasOtherSelectors) { association.localSelectors = [TrafficSelector(.everything(.v6))] }
            return [.plane(.install(association))]
        case .publish(let event) where makes(.hidesOutcomes):
            switch event.kind {
            case .refused, .ikeClosed, .childClosed: return []
            default: return [effect]
            }
        default: return [effect]
        }
    }

    private func send(_ datagram: Datagram) -> [Datagram] {
        guard let header = WireHeader(datagram.bytes) else { return [datagram] }
        if silenced { return [] }
        if makes(.sendsTwice) { return [datagram, datagram] }
        var datagram = datagram
        if makes(.usesChanceOfItsOwn), header.exchange == 34, !header.isResponse {
            datagram.bytes[datagram.bytes.count - 1] ^= UInt8.random(in: 1...255)
        }
        guard header.isResponse, header.spis.responder != 0 else { return [datagram] }
        guard let before = answers[header] else {
            answers[header] = datagram.bytes
            return [datagram]
        }
        if makes(.doesNotRepeatAnswers), before == datagram.bytes { return [] }
        if makes(.repeatsOtherAnswers) { datagram.bytes[datagram.bytes.count - 1] ^= 1 }
        return [datagram]
    }

    private static func isUnprotect(_ effect: Effect) -> Bool {
        if case .plane(.unprotect) = effect { return true }
        return false
    }

    private static func isInboundInstall(_ effect: Effect) -> Bool {
        if case .plane(.install(let association)) = effect { return association.direction == .inbound }
        return false
    }
}

/// A provider that believes everybody.
struct CredulousProvider: Provider {
    func takeBack(_ lease: Lease, from host: SimulatedHost) {}

    let inner: any Provider

    func answer(_ query: Query, for host: SimulatedHost) -> Answer? {
        if case .verify = query { return .verified }
        return inner.answer(query, for: host)
    }
}
