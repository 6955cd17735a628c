import Clockwork
import GatewayModel
import IKECore

/// Children that are to be brought up again, and could not be so far.
struct Revival {
    /// Their names.
    var children: [String]
    /// How often that was tried before, one after the other; what was asked for by hand is tried `keyingtries` times.
    var earlierTries: Int
    /// How often one after the other it came to nothing: the more often, the longer the pause.
    var failures: Int
    /// Whether they are to be up by themselves, and so are tried until they are.
    var isMeantToBeUp: Bool

    /// Whether there is no pause before the next try.
    var isAtOnce: Bool
}

/// What waits to be tried again, by connection.
///
/// It owns pauses that grow with every failure, with chance in them, so that many gateways that lost the same peer do not
/// all come back at the same moment. It never starts anything itself.
struct Retries {
    /// The longest pause.
    static let longestPause = Interval.minutes(5)
    /// An IKE SA that lived for as long as this has not failed: the next try is made at once.
    static let steadyAfter = Interval.seconds(60)

    private var waiting: [String: Revival] = [:]
    private var due = DeadlineQueue<String>()

    /// When the next one is due.
    var earliest: Instant? { due.earliest }
    /// How many connections wait.
    var count: Int { waiting.count }

    /// Puts a connection off. What waits for it already waits on.
    mutating func add(
        _ connection: String, _ revival: Revival, base: Interval, now: Instant, _ entropy: inout some Entropy
    ) {
        var next = revival
        if let present = waiting[connection] {
            next.children = present.children + revival.children.filter { !present.children.contains($0) }
            next.failures = max(present.failures, revival.failures)
            next.isMeantToBeUp = present.isMeantToBeUp || revival.isMeantToBeUp
        }
        waiting[connection] = next
        due.set(connection, to: now + Self.pause(after: next.failures, base: base, entropy.fraction()))
    }

    /// `base` after the first failure, twice as long after each further one, less up to a quarter by chance.
    static func pause(after failures: Int, base: Interval, _ chance: Double) -> Interval {
        var pause = base
        for _ in 1..<max(failures, 1) {
            guard pause < longestPause else { break }
            pause = pause.scaled(by: 2)
        }
        pause = min(pause, max(longestPause, base))
        return pause - pause.scaled(by: 0.25 * chance)
    }

    /// What waits, in the order of the names.
    var all: [(connection: String, revival: Revival)] {
        waiting.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Takes out one that is due.
    mutating func popDue(_ now: Instant) -> (connection: String, revival: Revival)? {
        guard let connection = due.popDue(now), let revival = waiting.removeValue(forKey: connection) else {
            return nil
        }
        return (connection, revival)
    }

    /// It is wanted no longer, or it is tried now.
    mutating func remove(_ connection: String) {
        waiting[connection] = nil
        due.remove(connection)
    }

    /// Takes a connection's children out: they are tried now.
    mutating func take(_ connection: String) -> [String] {
        defer { remove(connection) }
        return waiting[connection]?.children ?? []
    }

    /// This child is wanted no longer; of all connections when none is named.
    mutating func remove(child: String, of connection: String?) {
        for name in connection.map({ [$0] }) ?? waiting.keys.sorted() {
            waiting[name]?.children.removeAll { $0 == child }
            if waiting[name]?.children.isEmpty ?? false { remove(name) }
        }
    }

    /// Forgets connections that are configured no longer, and everything when nothing is to be started any more.
    mutating func keep(_ isWanted: (String) -> Bool) {
        for connection in waiting.keys.sorted() where !isWanted(connection) { remove(connection) }
    }
}

extension IKEv2Endpoint {
    /// Brings up again what has ended and should not have, at once or after a pause.
    func revive(_ connection: String, _ revival: Revival, _ turn: inout Turn) {
        guard !tables.isShuttingDown, configuration.connection(named: connection) != nil else { return }
        guard revival.isAtOnce else {
            let base = configuration.limits.retryInitiateInterval
            tables.retries.add(
                connection, revival, base: base, now: turn.now, &turn.environment.entropy)
            return
        }
        initiate(connection, revival.children, after: revival, &turn)
    }

    /// Tries again what is due.
    func retryDue(_ turn: inout Turn) {
        while let (name, revival) = tables.retries.popDue(turn.now) {
            guard let connection = configuration.connection(named: name) else { continue }
            // The configuration may have changed since.
            let children = revival.children.filter { connection.child(named: $0) != nil }
            guard !children.isEmpty || revival.children.isEmpty else { continue }
            initiate(name, children, after: revival, &turn)
        }
    }
}

extension SessionContext {
    /// Which children are to be brought up again by another IKE SA after this one has ended.
    func revival(after reason: Event.CloseReason, now: Instant) -> Revival? {
        if reauthentication.isBreaking {
            let names = reauthenticatedChildren
            guard !names.isEmpty else { return nil }
            return Revival(children: names, earlierTries: 0, failures: 0, isMeantToBeUp: true, isAtOnce: true)
        }
        // The old one tries again.
        if reauthentication.isSuccessor { return nil }
        guard let established else { return isInitiator ? revivalOfAttempt(after: reason) : nil }
        // Of one that was rekeyed its replacement counts.
        let present = children.all.filter { $0.state != .rekeyed }.map(\.agreement.template)
        let waiting = postponed.names.filter { !children.hasLive(named: $0) }
        let names = (present + waiting.compactMap { connection.child(named: $0) }).filter { template in
            switch reason {
            case .asked, .shutdown, .replaced, .inactive, .ikeSAEnded: return false
            case .peerDead: return template.dpdAction == .start
            case .byPeer, .failed: return template.closeAction == .start
            case .expired: return template.startAction.isStart
            }
        }.map(\.name)
        guard !names.isEmpty else { return nil }
        let wasSteady = now - established >= Retries.steadyAfter
        return Revival(
            children: names, earlierTries: 0, failures: wasSteady ? 0 : failures + 1, isMeantToBeUp: true,
            isAtOnce: wasSteady || failures == 0)
    }

    /// What is meant to be up by itself is tried until it is; the rest as often as the connection says.
    private func revivalOfAttempt(after reason: Event.CloseReason) -> Revival? {
        guard case .failed(let refusal) = reason else { return nil }
        let isMeant =
            isMeantToBeUp || wanted.contains { connection.child(named: $0)?.startAction.isStart ?? false }
        if isMeant {
            return Revival(
                children: wanted, earlierTries: 0, failures: failures + 1, isMeantToBeUp: true, isAtOnce: false)
        }
        // Silence and names that can't be looked up may be over the next time; a refusal stays one.
        let pauses: Bool
        switch refusal {
        // The pauses between the repetitions were long enough.
        case .noAnswer: pauses = false
        case .noPath: pauses = true
        default: return nil
        }
        let tries = earlierTries + 1
        guard connection.keyingTries == 0 || tries < connection.keyingTries else { return nil }
        return Revival(
            children: wanted, earlierTries: tries, failures: pauses ? tries : 0, isMeantToBeUp: false,
            isAtOnce: !pauses)
    }
}

extension ChildTemplate.StartAction {
    /// Whether it is to be up by itself.
    var isStart: Bool { self == .start || self == .trapAndStart }
}
