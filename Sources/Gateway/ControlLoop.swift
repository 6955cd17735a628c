public import Clockwork
public import LinuxSystem

/// The thread on which a gateway lives: waits for descriptors and deadlines, and calls whoever asked for them.
///
/// It owns the poller. It never does anything itself, and nothing that it calls may wait.
public final class ControlLoop {
    /// What waits. Somebody who watches descriptors of its own takes tokens from ``foreignTokens`` on.
    public let poller: Poller
    /// Where tokens begin that are not given out here.
    public static let foreignTokens: UInt64 = 1 << 32
    /// Gets the events of such tokens.
    public var onForeignEvent: ((PollEvent) -> Void)?
    private var sources: [UInt64: Source] = [:]
    private var deadlines: [Deadline] = []
    private var afterEach: [() -> Void] = []
    private var lastToken: UInt64 = 0
    private var isStopping = false

    private struct Source {
        let isGathered: Bool
        let handler: (Readiness) -> Void
    }

    private struct Deadline {
        let due: () -> Instant?
        let fire: () -> Void
    }

    /// A loop that waits for nothing yet.
    public init() throws(SystemError) { poller = try Poller() }

    /// How far apart rounds of nothing but gathered events begin at least: under load one round then does for several
    /// messages, and whoever comes alone does not wait.
    private static let spacing = Interval.microseconds(300)

    /// Calls `handler` whenever `descriptor` is ready for what `interests` says; returns the token that names it. Events
    /// that are gathered may wait for others of their kind, for less than a millisecond.
    @discardableResult
    public func add(
        _ descriptor: Descriptor, _ interests: Readiness, isGathered: Bool = false,
        _ handler: @escaping (Readiness) -> Void
    ) throws(SystemError) -> UInt64 {
        lastToken += 1
        try poller.add(descriptor, token: lastToken, interests)
        sources[lastToken] = Source(isGathered: isGathered, handler: handler)
        return lastToken
    }

    /// Forgets a descriptor, which may be closed then.
    public func remove(_ token: UInt64, _ descriptor: Descriptor) {
        sources[token] = nil
        // A descriptor that the kernel has forgotten already is as good as removed.
        try? poller.remove(descriptor)
    }

    /// Calls `fire` when the instant that `due` gives has come; `due` is asked again each time.
    public func addDeadline(_ due: @escaping () -> Instant?, _ fire: @escaping () -> Void) {
        deadlines.append(Deadline(due: due, fire: fire))
    }

    /// Calls `body` after each round of events.
    public func afterEachRound(_ body: @escaping () -> Void) { afterEach.append(body) }

    /// Ends ``run()`` after this round.
    public func stop() { isStopping = true }

    /// Waits and calls until somebody stops it.
    public func run() throws(SystemError) {
        var events: [PollEvent] = []
        defer { isStopping = false }
        while !isStopping {
            var earliest: Instant?
            for deadline in deadlines {
                if let due = deadline.due() { earliest = min(due, earliest ?? due) }
            }
            let pause = earliest.map { max(.zero, $0 - MonotonicClock.now()) }
            try poller.wait(timeout: pause, into: &events)
            let began = MonotonicClock.now()
            var isGathered = !events.isEmpty
            for event in events {
                if event.token >= Self.foreignTokens {
                    isGathered = false
                    onForeignEvent?(event)
                } else if let source = sources[event.token] {
                    isGathered = isGathered && source.isGathered
                    source.handler(event.readiness)
                }
            }
            let now = MonotonicClock.now()
            for deadline in deadlines {
                if let due = deadline.due(), due <= now { deadline.fire() }
            }
            for body in afterEach { body() }
            if isGathered { MonotonicClock.sleep(until: began + Self.spacing) }
        }
    }
}
