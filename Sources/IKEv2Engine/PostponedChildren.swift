import Clockwork
import IKECore

/// Children that are made after a pause: such as the peer could not make for the moment (TEMPORARY_FAILURE, RFC 7296
/// §2.25), and how often that was so, and such as it has closed.
///
/// It owns names and counts. It never starts anything.
struct PostponedChildren {
    /// How often one child is tried before its refusal is final.
    static let mostTries = 5

    private var waiting: [String] = []
    private var tries: [(name: String, count: Int)] = []

    /// Notes that a child has to wait; false when it has waited often enough.
    mutating func add(_ name: String) -> Bool {
        let index = tries.firstIndex { $0.name == name } ?? tries.endIndex
        if index == tries.endIndex { tries.append((name, 0)) }
        tries[index].count += 1
        guard tries[index].count < Self.mostTries else {
            tries.remove(at: index)
            return false
        }
        hold(name)
        return true
    }

    /// Notes that a child has to wait, however often it has.
    mutating func hold(_ name: String) { if !waiting.contains(name) { waiting.append(name) } }

    /// Those that wait.
    var names: [String] { waiting }

    /// Takes out those that wait.
    mutating func take() -> [String] {
        defer { waiting = [] }
        return waiting
    }

    /// They wait on another IKE SA now.
    mutating func handOver(to other: inout PostponedChildren) {
        other.waiting += waiting
        other.tries += tries
        self = PostponedChildren()
    }
}

extension SessionContext {
    /// The peer can't make this child now: it is tried again after a pause. False when that has been done often enough.
    func postpone(_ name: String, _ turn: inout Turn) -> Bool {
        if let successor {
            // It was asked of an IKE SA that has been replaced since: the new one takes it up.
            successor.context.agenda.add(.createChild(name))
            announce(successor)
            return true
        }
        guard postponed.add(name) else { return false }
        let pause = Self.rekeyPause + Self.rekeyPause.scaled(by: turn.environment.entropy.fraction())
        timers.set(.childCreation, to: turn.now + pause)
        return true
    }

    /// How long a child that the peer has closed stays closed. A request that is right behind the answer about its end gets
    /// lost with some peers: while they read that, they take a request of the same message ID for one that they have.
    static let restartPause = Interval.milliseconds(200)

    /// The peer has closed this child, and it is to come back.
    func restart(_ name: String, _ turn: inout Turn) {
        postponed.hold(name)
        let time = turn.now + Self.restartPause
        timers.set(.childCreation, to: min(time, timers.deadline(of: .childCreation) ?? time))
    }

    /// Children that had to wait are tried again.
    func takeUpPostponed() {
        for name in postponed.take() { agenda.add(.createChild(name)) }
    }
}
