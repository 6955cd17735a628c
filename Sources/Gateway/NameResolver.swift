import GatewayModel
import IKECore
public import LinuxSystem
public import NetworkTypes
import Synchronization

/// Looks up the names of peers.
///
/// It owns the threads that do it: they may take as long as the system's resolver likes, while the gateway goes on. Every
/// question looks up anew. What is looked up at the same time, and what waits, is bounded.
public final class NameResolver {
    /// The most lookups at the same time.
    private static let threads = 4
    /// The most that wait.
    private static let capacity = 10_000

    private let lookup: @Sendable (String) -> NameAnswer
    private let desk = Desk()
    private let wakeup: Wakeup

    /// What a lookup brings.
    public enum NameAnswer: Sendable {
        /// These addresses, the preferred first.
        case addresses([IPAddress])
        /// None; why.
        case failed(String)
    }

    /// What became of a connection's names.
    struct Found {
        /// Which question it answers.
        var ticket: Ticket
        /// The connection with addresses in place of names, once for each address that may be tried, the preferred first.
        var candidates: [Connection]
        /// Why there is none.
        var failure: String
    }

    /// Looks names up with `lookup`, on other threads.
    public init(lookup: @escaping @Sendable (String) -> NameAnswer = NameResolver.systemLookup) throws(SystemError) {
        self.lookup = lookup
        wakeup = try Wakeup()
    }

    /// Readable when something has been found.
    public var descriptor: Descriptor { wakeup.descriptor }

    /// Begins to look up a connection's names; says why when that is not possible.
    func begin(_ connection: Connection, _ ticket: Ticket) -> String? {
        switch desk.enter(Errand(ticket: ticket, connection: connection), capacity: Self.capacity, Self.threads) {
        case .full: return "too many names are being looked up"
        case .isServed: return nil
        case .needsThread: break
        }
        let (desk, lookup, wakeup) = (desk, lookup, wakeup)
        do {
            _ = try WorkerThread(name: "martlet-names") {
                while let errand = desk.next() {
                    var found: [String: NameAnswer] = [:]
                    for name in errand.connection.names where found[name] == nil { found[name] = lookup(name) }
                    desk.finish(errand, found)
                    wakeup.signal()
                }
            }
        } catch {
            desk.lacksThread()
            return "names can't be looked up: \(error)"
        }
        return nil
    }

    /// What has been found since the last time.
    func takeFound() -> [Found] {
        wakeup.drain()
        return desk.takeResults().map { errand, found in Self.found(errand, found) }
    }

    private static func found(_ errand: Errand, _ answers: [String: NameAnswer]) -> Found {
        var failures: [String] = []
        func known(_ patterns: [AddressPattern]) -> [AddressPattern] {
            patterns.flatMap { pattern -> [AddressPattern] in
                guard case .name(let name) = pattern else { return [pattern] }
                switch answers[name] {
                case .addresses(let addresses): return addresses.map { .prefix(IPPrefix(host: $0)) }
                case .failed(let reason): failures.append("'\(name)' can't be looked up: \(reason)")
                case nil: break
                }
                return []
            }
        }
        var connection = errand.connection
        connection.localAddresses = known(connection.localAddresses)
        let candidates = known(connection.remoteAddresses).filter { $0.single != nil }.map { remote in
            var candidate = connection
            candidate.remoteAddresses = [remote]
            return candidate
        }
        return Found(
            ticket: errand.ticket, candidates: candidates,
            failure: failures.isEmpty ? "no name has an address" : failures.joined(separator: "; "))
    }

    /// What the system's resolver says.
    @Sendable public static func systemLookup(_ name: String) -> NameAnswer {
        do { return .addresses(try NameLookup.addresses(of: name)) } catch { return .failed(error.description) }
    }

    private struct Errand: Sendable {
        var ticket: Ticket
        var connection: Connection
    }

    /// What waits, and what has come; the only thing that threads share.
    private final class Desk: Sendable {
        enum Entry {
            case isServed
            case needsThread
            case full
        }

        private struct State {
            var waiting: [Errand] = []
            var results: [(Errand, [String: NameAnswer])] = []
            var running = 0
        }

        private let state = Mutex(State())

        /// Whoever is told that it needs a thread has it counted already.
        func enter(_ errand: Errand, capacity: Int, _ threads: Int) -> Entry {
            state.withLock { state in
                guard state.waiting.count < capacity else { return .full }
                state.waiting.append(errand)
                guard state.running < threads else { return .isServed }
                state.running += 1
                return .needsThread
            }
        }

        /// There is none after all. Nobody takes what waits when there is no other.
        func lacksThread() {
            state.withLock { state in
                state.running -= 1
                if !state.waiting.isEmpty { state.waiting.removeLast() }
            }
        }

        /// The next one; nil ends the thread.
        func next() -> Errand? {
            state.withLock { state in
                if state.waiting.isEmpty {
                    state.running -= 1
                    return nil
                }
                return state.waiting.removeFirst()
            }
        }

        func finish(_ errand: Errand, _ found: [String: NameAnswer]) {
            state.withLock { $0.results.append((errand, found)) }
        }

        func takeResults() -> [(Errand, [String: NameAnswer])] {
            state.withLock { state in
                defer { state.results = [] }
                return state.results
            }
        }
    }
}

extension Connection {
    /// The host names among its addresses, in order.
    var names: [String] {
        (localAddresses + remoteAddresses).compactMap { if case .name(let name) = $0 { name } else { nil } }
    }
}
