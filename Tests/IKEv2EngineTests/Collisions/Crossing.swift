import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// One end of a tunnel.
enum Side: CaseIterable, Sendable {
    case left
    case right

    var other: Side { self == .left ? .right : .left }
}

/// Which of the four nonces of two exchanges that meet is the lowest: the exchange that it belongs to loses
/// (RFC 7296 §2.8.1).
enum Lowest: CaseIterable, Sendable {
    case leftRequest
    case rightAnswer
    case rightRequest
    case leftAnswer

    /// Whose exchange stays.
    var stays: Side { self == .leftRequest || self == .rightAnswer ? .right : .left }

    /// Whether the one that `side` is about to draw is it.
    func isDrawn(by side: Side, isAnswering: Bool) -> Bool {
        switch self {
        case .leftRequest: side == .left && !isAnswering
        case .rightAnswer: side == .right && isAnswering
        case .rightRequest: side == .right && !isAnswering
        case .leftAnswer: side == .left && isAnswering
        }
    }
}

/// Chance whose nonces begin with an octet that a test has chosen.
final class WeightedEntropy: Entropy {
    private var inner: SeededEntropy
    /// Whether the next nonce is to be lower than all others.
    var isLowest = false

    init(seed: UInt64) { inner = SeededEntropy(seed: seed) }

    func fill(_ span: inout MutableSpan<UInt8>) {
        inner.fill(&span)
        if span.count == 32 { span[0] = isLowest ? 0 : 0xff }
    }
}

/// Two gateways with a tunnel, between which every message waits until the test lets it arrive, keeps it or loses it.
///
/// While SAs are only replaced (``carriesAlways``), it looks after each step whether what either end sends could be
/// received by the other one.
final class Crossing {
    let pair: Pair
    /// Whether there is a way for packets in both directions at every moment.
    var carriesAlways = true
    private let lowest: Lowest
    private let chance: [Side: WeightedEntropy] = [.left: WeightedEntropy(seed: 7), .right: WeightedEntropy(seed: 8)]
    private var waiting: [Side: [Datagram]] = [.left: [], .right: []]
    /// Inbound SPIs of Child SAs that an exchange of this side's has made.
    private var made: [Side: Set<UInt32>] = [.left: [], .right: []]

    /// The tunnel is up, with one Child SA unless `child` says otherwise.
    init(
        _ lowest: Lowest = .leftRequest, left: Connection = Pair.connection(),
        right: Connection = Pair.connection(isLeft: false), child: String? = "net"
    ) {
        self.lowest = lowest
        pair = Pair(left: left, right: right)
        pair.initiate(child)
        pair.run()
        for side in Side.allCases { if let entropy = chance[side] { self[side].environment.entropy = entropy } }
    }

    /// The same proposals at both ends.
    convenience init(_ lowest: Lowest = .leftRequest, ike: String = "aes128gcm16-prfsha256-x25519", esp: String) {
        self.init(
            lowest, left: Pair.connection(ike: ike, esp: esp),
            right: Pair.connection(isLeft: false, ike: ike, esp: esp))
    }

    subscript(side: Side) -> Gateway { side == .left ? pair.left : pair.right }

    // MARK: What the ends are told

    func rekeyChild(_ side: Side) { handle(side, .command(.rekey(.child("net", connection: nil)))) }
    func rekeyIKE(_ side: Side) { handle(side, .command(.rekey(.connection("net")))) }
    func closeChild(_ side: Side) { handle(side, .command(.terminate(.child("net", connection: nil)))) }
    func closeIKE(_ side: Side) { handle(side, .command(.terminate(.connection("net")))) }

    /// Puts something on an end's list, as a peer that does not keep to the rules would.
    func intend(_ side: Side, _ intent: Intent) throws {
        let session = try #require(self[side].endpoint.inOrder.first)
        let gateway = self[side]
        var effects = Effects()
        gateway.endpoint.inTurn(&gateway.environment, &effects) { turn in
            session.intend(intent, &turn)
            gateway.endpoint.after(session, &turn)
        }
        for effect in effects.take() {
            gateway.effects.append(effect)
            if case .send(let datagram) = effect { waiting[side]?.append(datagram) }
        }
    }

    func handle(_ side: Side, _ input: Input) {
        let gateway = self[side]
        var isAnswering = false
        if case .datagram(let datagram) = input, let header = try? IKEHeader(peeking: datagram.bytes) {
            isAnswering = !header.isResponse
        }
        chance[side]?.isLowest = lowest.isDrawn(by: side, isAnswering: isAnswering)
        let before = gateway.installed.count
        gateway.handle(input)
        if !isAnswering {
            made[side]?.formUnion(gateway.installed.dropFirst(before).filter { $0.direction == .inbound }.map(\.spi))
        }
        waiting[side]? += gateway.takeOutbox()
        if carriesAlways {
            for sender in Side.allCases { #expect(carries(from: sender), "packets from the \(sender) are lost") }
        }
    }

    // MARK: What becomes of messages

    /// Takes the oldest message of this side's out of the way: to be let go later, or never.
    func keep(from side: Side) throws -> Datagram {
        try #require(waiting[side]?.isEmpty == false, "the \(side) has nothing to say")
        return waiting[side]?.removeFirst() ?? Datagram([], path: pair.trace[0].datagram.path, socket: .plain)
    }

    /// A message of this side's arrives.
    func arrive(_ datagram: Datagram, from side: Side) { handle(side.other, .datagram(datagram.asSeenByTheOther)) }

    /// The oldest message of this side's arrives.
    func pass(from side: Side) throws { arrive(try keep(from: side), from: side) }

    /// Whether this side has said nothing that is still on its way.
    func isSilent(_ side: Side) -> Bool { waiting[side]?.isEmpty ?? true }

    /// Everything arrives, until nobody says anything any more.
    func settle() {
        for _ in 0..<100 {
            var isQuiet = true
            for side in Side.allCases {
                let messages = waiting[side] ?? []
                waiting[side] = []
                for datagram in messages {
                    isQuiet = false
                    arrive(datagram, from: side)
                }
            }
            if isQuiet { return }
        }
        Issue.record("they never stop")
    }

    /// Time passes, in which everything arrives.
    func advance(_ interval: Interval) {
        let end = pair.now + interval
        settle()
        while let next = Side.allCases.compactMap({ self[$0].endpoint.nextDeadline }).min(), next <= end {
            pair.now = max(pair.now, next)
            wake()
        }
        pair.now = end
        wake()
    }

    private func wake() {
        for side in Side.allCases { self[side].environment.now = pair.now }
        for side in Side.allCases {
            if let due = self[side].endpoint.nextDeadline, due <= pair.now { handle(side, .deadline) }
        }
        settle()
    }

    /// What this side has said last, in the words of the log.
    func lastWords(_ side: Side) -> String {
        self[side].kinds.reversed().lazy.compactMap { if case .sent(let text, _, _) = $0 { text } else { nil } }
            .first ?? ""
    }

    // MARK: Packets

    /// The Child SA that this side's packets go to.
    func sends(_ side: Side) -> UInt32? {
        var paths: [(child: ChildSAID, spi: UInt32)] = []
        for command in self[side].plane {
            switch command {
            case .protect(let child, _, _, let spi):
                paths.removeAll { $0.child == child }
                paths.append((child, spi))
            case .unprotect(let child, _): paths.removeAll { $0.child == child }
            default: break
            }
        }
        return paths.last?.spi
    }

    /// Whether a packet of this side's arrives: it has an outbound SA, and the other end the inbound one with its keys. One
    /// that was replaced still takes packets for some seconds.
    func carries(from side: Side) -> Bool {
        guard let spi = sends(side) else { return false }
        var (outbound, inbound): (SecurityAssociation?, SecurityAssociation?)
        for command in self[side].plane {
            switch command {
            case .install(let association) where association.direction == .outbound && association.spi == spi:
                outbound = association
            case .remove(.outbound, spi, _): outbound = nil
            default: break
            }
        }
        for command in self[side.other].plane {
            switch command {
            case .install(let association) where association.direction == .inbound && association.spi == spi:
                inbound = association
            case .remove(.inbound, spi, _): inbound = nil
            default: break
            }
        }
        guard let outbound, let inbound else { return false }
        return outbound.encryptionKey == inbound.encryptionKey && outbound.integrityKey == inbound.integrityKey
    }

    /// Whose exchange has made the Child SA that both ends hold; nil while there is none, or several.
    var owner: Side? {
        guard let left = pair.left.summary?.children, let right = pair.right.summary?.children, left.count == 1,
            right.count == 1
        else { return nil }
        let isLeft = made[.left]?.contains(left[0].inboundSPI) ?? false
        let isRight = made[.right]?.contains(right[0].inboundSPI) ?? false
        return isLeft == isRight ? nil : isLeft ? .left : .right
    }
}
