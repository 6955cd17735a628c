import Clockwork
import GatewayModel
import IKECore
import IKEv2Engine
import LinuxSystem
import NetworkTypes
import StateRecords
import SwanctlConfig
import UserspacePlane
import ViciServer
import WireFormat

/// A planned restart: another process takes this one's place, with its number, its device, its sockets and its tunnels.
///
/// The order is what makes it safe. The engine comes to rest; the new program is asked whether it can read what it would
/// get; the packet threads rest; only then sequence numbers are read, and nothing is sent after that until the new
/// program is in place. Whatever fails before, everything goes on as it was, and says so.
extension Daemon {
    /// A restart that is under way.
    struct Succession {
        /// Who asked; nil for a signal.
        var ticket: ViciTicket?
        /// Whether the process ends, and a service manager starts the next one.
        var leaves: Bool
        /// What is still under way then is not waited for any longer.
        var deadline: Instant
    }

    /// The variable of the environment that names the state from which to go on.
    public static let variable = "MARTLET_RESUME"
    /// How long exchanges that are under way are waited for.
    private static let patience = Interval.seconds(3)
    /// How long the new program may take to read the state.
    private static let longestCheck = 30_000

    /// Why no other process has taken this one's place.
    struct SuccessionFailure: Error, CustomStringConvertible {
        let description: String
    }

    func beginSuccession(_ ticket: ViciTicket?, leaves: Bool = false) {
        guard stopping == nil, succession == nil || leaves else {
            if let ticket {
                server.complete(ticket, .failure(stopping == nil ? "a restart is under way" : "the gateway stops"))
            }
            return
        }
        log.line("DMN", "restarting: another process takes over, and tunnels stay")
        succession = Succession(ticket: ticket, leaves: leaves, deadline: MonotonicClock.now() + Self.patience)
        station.gateway.comeToRest()
    }

    private var isAtRest: Bool { station.gateway.isAtRest && updown.isIdle && nameServers.isIdle }

    /// Goes on with a restart when nothing is under way any more, or has been for too long.
    func lookWhetherAtRest() {
        guard let succession,
            isAtRest || MonotonicClock.now() >= succession.deadline
        else { return }
        do {
            if succession.leaves { try leave() } else { try succeed() }
        } catch {
            callOffSuccession("\(error)")
            // The manager will not let us go on.
            if succession.leaves { stop() }
        }
    }

    /// Everything goes on as it was.
    func callOffSuccession(_ reason: String) {
        guard let succession else { return }
        self.succession = nil
        log.line(
            "DMN",
            succession.leaves
                ? "the tunnels can't be kept, and their peers are told: \(reason)"
                : "not restarted, all tunnels go on: \(reason)")
        try? ProcessSuccession.allowDumps(true)
        station.plane.goOn()
        station.gateway.resumeWork()
        if let ticket = succession.ticket { server.complete(ticket, .failure("not restarted: \(reason)")) }
    }

    /// Does not come back unless it fails.
    private func succeed() throws {
        let path = try ProcessSuccession.programPath()
        try rehearse(path, milliseconds: Self.longestCheck)
        try restPackets()
        let state = try writeState()
        for descriptor in state.descriptors { try ProcessSuccession.keep(descriptor, true) }
        let kept = try Self.keepPorts(ports)
        do {
            try ProcessSuccession.replace(
                with: path, [path] + options.arguments,
                environment: ["\(Self.variable)=\(state.memory.descriptor.number)"] + kept,
                without: [Self.insistence, Self.portsVariable] + PassedDescriptors.variables)
        } catch {
            for number in state.descriptors + ports.numbers { try? ProcessSuccession.keep(number, false) }
            throw error
        }
    }

    /// Gives the program at `path` a state that looks like the one to come, to judge: tunnels carry packets meanwhile.
    func rehearse(_ path: String, milliseconds: Int) throws {
        let rehearsal = try writeState()
        let number = rehearsal.memory.descriptor.number
        try ProcessSuccession.keep(number, true)
        let (status, said) = try ChildProcess.hear(
            [path] + options.arguments + ["--check-resume", "\(number)"], milliseconds: milliseconds)
        guard status == 0 else {
            throw SuccessionFailure(
                description: "\(path) can't go on from this state or with this configuration: "
                    + Self.words(said, status: status))
        }
        try ProcessSuccession.keep(number, false)
    }

    /// What a program said before it ended with a status, in one line.
    static func words(_ said: String, status: Int) -> String {
        var lines = said.split(whereSeparator: \.isNewline).prefix(10).map(String.init)
        if let first = lines.first, first.hasPrefix("Error: ") { lines[0] = String(first.dropFirst("Error: ".count)) }
        return lines.isEmpty ? "exit status \(status)" : lines.joined(separator: " | ")
    }

    /// From here on no packet is sealed. What arrives is looked at by the next process; what is to be told of what came
    /// before, the plane has told.
    func restPackets() throws {
        station.gateway.drainPlane()
        guard station.plane.comeToRest() else {
            throw SuccessionFailure(description: "the packet threads do not come to rest")
        }
        try ProcessSuccession.allowDumps(false)
    }

    /// Everything that the next process needs, sealed, and the descriptors that have to stay open.
    func writeState() throws -> (memory: SealedMemory, descriptors: [Int32]) {
        guard let plane = station.plane.inheritance else {
            throw SuccessionFailure(description: "packets do not go through a device that could be handed over")
        }
        let engine = RecordWriter(capacity: 1 << 20)
        let account = station.gateway.handOver(to: engine)
        var carried: [HandoverState.Carried] = []
        for child in account.children {
            for association in [child.inbound, child.outbound] {
                // What the plane never took is about to be closed.
                guard let state = station.plane.state(of: association) else { continue }
                carried.append(
                    HandoverState.Carried(
                        association: association, state: state,
                        isProtecting: child.isProtecting && association.direction == .outbound))
            }
        }
        let writer = RecordWriter(capacity: 1 << 20)
        HandoverState.write(
            HandoverState.Head(
                rested: MonotonicClock.now(), started: facade.started, listener: server.listeningDescriptor?.number,
                plane: plane, left: account.left.filter(\.wasEstablished).map(\.connection), associations: carried,
                traps: station.plane.leftBehind, addresses: station.plane.ownAddresses),
            to: writer, store: { store.write(to: writer) },
            ledgers: {
                station.gateway.writeLeases(to: writer)
                facade.writeCounters(to: writer)
                writer.put(updown.handed)
                writer.put(nameServers.handed)
                writer.put(station.radius.handed)
                station.gateway.writePrefixLeases(to: writer)
            }, engine: engine)
        let memory = try SealedMemory(name: "martlet-state")
        try writer.buffer.withSpan { span throws(SystemError) in try memory.append(span) }
        try memory.seal()
        let listener = server.listeningDescriptor.map { [$0.number] } ?? []
        return (memory, plane.descriptors + listener + [memory.descriptor.number])
    }

    // MARK: The next process

    /// Reads what another process has left.
    static func read(_ number: Int32) throws -> HandoverState {
        try HandoverState(SealedMemory(adopting: Descriptor(owning: number)).contents())
    }

    /// Whether this program, with these options, could go on from a state: reads all of it, and touches nothing.
    public static func check(_ options: Options, state number: Int32) throws {
        let memory = try SealedMemory(adopting: Descriptor(owning: number)).contents()
        let loaded = try LoadedConfiguration(path: options.configuration, source: DiskFiles())
        let trial = try HandoverTrial(memory, with: loaded, now: MonotonicClock.now())
        try trial.require(planeConfiguration(options, loaded).shape)
        if let first = trial.refused.first {
            throw SuccessionFailure(description: "what was loaded is not accepted: \(first)")
        }
    }

    /// How the plane is configured.
    static func planeConfiguration(_ options: Options, _ loaded: LoadedConfiguration) -> PlaneConfiguration {
        var configuration = PlaneConfiguration()
        configuration.inside = .tun(name: options.tunName)
        configuration.apply(loaded.settings)
        configuration.offload = options.usesOffload ? .automatic : .off
        return configuration
    }

    /// Goes on from where another process was.
    func takeOver(_ inherited: HandoverState) throws {
        var state = inherited
        let (gateway, plane) = (station.gateway, station.plane)
        _ = station.keepInterfaces()
        plane.adopt(addresses: state.addresses)
        var lost: [ChildSAID] = []
        plane.beginChanges()
        for carried in state.associations {
            let association = carried.association
            do {
                try plane.resume(association, carried.state)
                guard carried.isProtecting else { continue }
                try plane.obey(
                    .protect(
                        association.child, local: association.localSelectors, remote: association.remoteSelectors,
                        spi: association.spi))
            } catch {
                lost.append(association.child)
                log.line("KNL", "an SA of Child SA \(association.child) can't be taken over: \(error)")
            }
        }
        for trap in state.traps {
            do { try plane.obey(.trap(trap)) } catch { log.line("KNL", "a trap can't be taken over: \(error)") }
        }
        for refusal in plane.commitChanges() {
            if let child = refusal.child { lost.append(child) }
            log.line("KNL", refusal.reason)
        }
        try gateway.readLeases(from: &state.ledgers)
        try gateway.takeOver(from: &state.engine)
        facade.started = state.started
        try facade.readCounters(from: &state.ledgers)
        // Who wrote it may not have known of these.
        if !state.ledgers.isAtEnd {
            updown.resume(try state.ledgers.value())
            nameServers.resume(try state.ledgers.value())
        }
        if !state.ledgers.isAtEnd { station.radius.resume(try state.ledgers.value()) }
        if !state.ledgers.isAtEnd { try gateway.readPrefixLeases(from: &state.ledgers) }
        for child in lost { gateway.handle(.command(.terminate(.childSA(child)))) }
        try adoptBlocks()
        plane.goOn()
        plane.wakeWorkers()
        tellOfSuccession(state, lost: lost.count)
    }

    private func tellOfSuccession(_ state: HandoverState, lost: Int) {
        let gap = (MonotonicClock.now() - state.rested).nanoseconds / 1_000_000
        let up = station.gateway.ikeSAs.filter { $0.established != nil }
        let children = up.reduce(0) { $0 + $1.children.count }
        log.line(
            "DMN", "took over \(up.count) IKE SAs with \(children) Child SAs; packets waited for \(gap) ms")
        for connection in state.left {
            log.line("DMN", "\(connection) was in the middle of an exchange and is connected anew")
        }
        facade.report = [
            ("ike-sas", "\(up.count)"), ("child-sas", "\(children)"), ("left", "\(state.left.count + lost)"),
            ("gap-ms", "\(gap)"), ("pid", "\(ProcessInformation.identifier)"),
            ("moment", "\(state.rested.nanoseconds)"),
        ]
    }
}
