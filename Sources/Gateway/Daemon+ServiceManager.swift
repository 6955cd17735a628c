import Clockwork
import GatewayModel
import LinuxSystem
import StateRecords
import UserspacePlane
import ViciServer
import WireFormat

/// A planned restart by way of a service manager: this process leaves its state and its descriptors in the manager's store
/// and ends, and the one that the manager starts next goes on from there. Peers are told nothing.
///
/// The manager says itself what is meant: a stop is SIGTERM, and a restart is SIGUSR1 (`RestartKillSignal=` in the unit).
/// Whatever can't be kept, or is not known to be kept, is closed with a word to the peers, as at a stop. A mark that both
/// processes see says whether anybody may still go on from the state: nobody does twice, and nobody after a crash.
extension Daemon {
    /// What lies in the store, by name.
    private enum Kept {
        static let state = "martlet-state"
        static let mark = "martlet-mark"
        static let probe = "martlet-probe"
        static let prefix = "martlet-"

        /// A descriptor that has this number in the process that leaves.
        static func name(_ number: Int32) -> String { "\(prefix)\(number)" }
        static func number(_ name: String) -> Int32? {
            name.hasPrefix(prefix) ? Int32(name.dropFirst(prefix.count)) : nil
        }

        /// Whether it is ours, and not a port that the manager has opened.
        static func isOurs(_ name: String) -> Bool { [state, mark, probe].contains(name) || number(name) != nil }
    }

    /// How long the next program may take to read the state: the manager is waiting.
    static let shortCheck = 8_000
    /// How long the manager may take to read what it is to keep.
    private static let storing: Int32 = 4_000

    /// The variable of the environment that says that a device and ports are about to go.
    static let insistence = "MARTLET_ANEW"

    // MARK: The process that leaves

    /// The manager restarts us.
    func beginLeaving() {
        guard stopping == nil else { return }
        guard notification != nil else {
            log.line("DMN", "SIGUSR1 is for a manager that keeps tunnels meanwhile, and there is none: stopping")
            stop()
            return
        }
        if let ticket = succession?.ticket { server.complete(ticket, .failure("the service manager restarts it")) }
        beginSuccession(nil, leaves: true)
    }

    /// Does not come back unless it fails.
    func leave() throws {
        guard let notification else { throw SuccessionFailure(description: "there is no service manager") }
        try rehearse(try ProcessSuccession.programPath(), milliseconds: Self.shortCheck)
        try restPackets()
        let state = try writeState()
        let mark = try HandoverMark()
        let store = DescriptorStore(notification)
        var names: [String] = []
        func keep(_ number: Int32, _ name: String) throws {
            names.append(name)
            try store.keep(number, as: name)
        }
        do {
            let memory = state.memory.descriptor.number
            for number in state.descriptors where number != memory { try keep(number, Kept.name(number)) }
            try keep(memory, Kept.state)
            try keep(mark.descriptor.number, Kept.mark)
            guard try store.confirms(Kept.probe, milliseconds: Self.storing) else {
                throw SuccessionFailure(
                    description: "the service manager does not keep \(names.count) descriptors "
                        + "(FileDescriptorStoreMax= in the unit)")
            }
            log.line("DMN", "leaving to the service manager; another process goes on with all tunnels")
            try? notification.stopping()
            // From here on nothing may be sent.
            try mark.validate()
        } catch {
            for name in names + [Kept.probe] { try? store.forget(name) }
            throw error
        }
        ProcessSuccession.leave()
    }

    // MARK: The process that comes

    /// What another process has left for this one, here or with the manager, which keeps nothing of it any longer; nil
    /// when nobody has. An error says why it is of no use.
    static func inheritance(
        _ options: Options, _ notification: ServiceNotification?, say: (String) -> Void
    ) throws -> HandoverState? {
        let state: HandoverState?
        if let number = options.resumption {
            state = try read(number)
        } else {
            let ours = options.passed.filter { Kept.isOurs($0.name) }
            defer { forget(ours, notification, say) }
            state = ours.isEmpty ? nil : try self.state(in: ours)
        }
        // They are this process's, and not its children's.
        for descriptor in state?.descriptors ?? [] { try ProcessSuccession.keep(descriptor, false) }
        return state
    }

    /// The ports that the manager has opened for this process, or for the one in whose place it is.
    static func ports(_ options: Options, _ configuration: PlaneConfiguration) throws -> PassedPorts {
        var passed = options.passed.filter { !Kept.isOurs($0.name) }
        let words = (ProcessInformation.environment(portsVariable) ?? "").split(separator: ":")
        passed += words.compactMap { Int32($0) }.map { PassedDescriptors.Passed(name: "", number: $0) }
        for each in passed { try ProcessSuccession.keep(each.number, false) }
        return try PassedPorts(passed, for: configuration)
    }

    /// Lets the program that comes next in this process have the manager's ports; the variable that tells it of them.
    static func keepPorts(_ ports: PassedPorts) throws -> [String] {
        for number in ports.numbers { try ProcessSuccession.keep(number, true) }
        return ports.isEmpty ? [] : ["\(portsVariable)=" + ports.numbers.map { "\($0)" }.joined(separator: ":")]
    }

    /// The variable of the environment that has the numbers of the manager's ports.
    static let portsVariable = "MARTLET_PORTS"

    /// The manager keeps what it has until the service stops; nobody could go on from it again.
    private static func forget(
        _ kept: [PassedDescriptors.Passed], _ notification: ServiceNotification?, _ say: (String) -> Void
    ) {
        guard let notification, !kept.isEmpty else { return }
        let store = DescriptorStore(notification)
        do {
            for name in Set(kept.map(\.name)).sorted() { try store.forget(name) }
            guard try store.settle(milliseconds: storing) else { throw SystemError(call: "BARRIER", errno: .timedOut) }
        } catch {
            say("the service manager is not told that it need not keep anything: \(error)")
        }
    }

    private static func state(in kept: [PassedDescriptors.Passed]) throws -> HandoverState {
        func all(_ name: String) -> [Descriptor] {
            kept.filter { $0.name == name }.map { Descriptor(owning: $0.number) }
        }
        let (marks, states) = (all(Kept.mark), all(Kept.state))
        // First of all, so that nobody else does whatever becomes of this.
        var isGood = marks.count == 1
        for mark in marks where try !HandoverMark(adopting: mark).take() { isGood = false }
        guard isGood, states.count == 1, let memory = states.first else {
            throw SuccessionFailure(description: "it was used before, or its process did not end as planned")
        }
        var state = try HandoverState(SealedMemory(adopting: memory).contents())
        var numbers = try handedNumbers(kept)
        guard state.renumber({ numbers.removeValue(forKey: $0) }), numbers.isEmpty else {
            throw SuccessionFailure(description: "its descriptors are not those that are there")
        }
        return state
    }

    /// The numbers of descriptors here, by those that they had in the process that left. What that one tried the store
    /// with may lie there still, when the manager was quicker to start us than to read: it is closed.
    static func handedNumbers(_ kept: [PassedDescriptors.Passed]) throws -> [Int32: Int32] {
        var numbers: [Int32: Int32] = [:]
        for descriptor in kept where descriptor.name != Kept.state && descriptor.name != Kept.mark {
            if descriptor.name == Kept.probe {
                _ = Descriptor(owning: descriptor.number)
                continue
            }
            guard let old = Kept.number(descriptor.name), numbers[old] == nil else {
                throw SuccessionFailure(description: "'\(descriptor.name)' is not known, or is there twice")
            }
            numbers[old] = descriptor.number
        }
        return numbers
    }

    /// Tries until it works, for three seconds at most, where an earlier process's device and ports are about to go.
    static func insisting<Value>(_ insists: Bool, _ body: () throws -> Value) throws -> Value {
        let end = MonotonicClock.now() + .seconds(3)
        while insists, MonotonicClock.now() < end {
            if let value = try? body() { return value }
            // Nothing comes to this pair: it is a pause.
            let pair = try UnixStream.pair()
            _ = try pair.0.descriptor.wait(milliseconds: 20)
        }
        return try body()
    }

    /// What was left is of no use: this program once more, with nothing of it, as after a crash. Comes back only with the
    /// reason why that fails.
    static func beginAnew(
        _ options: Options, _ ports: PassedPorts, because error: any Error, say: (String) -> Void
    ) -> any Error {
        say("what an earlier process has left is not used, and tunnels are made anew: \(error)")
        do {
            try ProcessSuccession.keepNothing()
            let kept = try keepPorts(ports)
            let path = try ProcessSuccession.programPath()
            try ProcessSuccession.replace(
                with: path, [path] + options.arguments, environment: ["\(insistence)=1"] + kept,
                without: [variable, portsVariable] + PassedDescriptors.variables)
        } catch {
            return error
        }
    }
}
