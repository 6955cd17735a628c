public import Clockwork
public import GatewayModel
import IKECore
public import NetworkTypes

/// What a scenario does to its hosts and links.
public enum Action: Sendable {
    /// Somebody asks a host's engine for something.
    case command(host: Int, Command)
    /// A packet wants a protected path that has no SA.
    case acquire(host: Int, connection: String, child: String)
    /// A host loses everything and starts again.
    case restart(host: Int)
    /// A host's process is replaced by another one, which goes on from its state; put off for at most so long while
    /// something is under way that only the first can finish, and then called off.
    case handOver(host: Int, patience: Interval)
    /// It is looked at whether the process can be replaced now; until then at most.
    case lookWhetherAtRest(host: Int, incarnation: Int, until: Instant)
    /// A host's clock leaps ahead.
    case leap(host: Int, Interval)
    /// A box forgets its mappings.
    case rebind(box: Int)
    /// A host has these addresses from now on, and speaks from the first.
    case move(host: Int, to: [IPAddress])
    /// Nothing goes in or out by one of a host's addresses, or does so again.
    case obstruct(host: Int, IPAddress, Bool)
    /// Nothing goes into a host or out of it for some time.
    case cutOff(host: Int, Interval)
    /// A host can be reached again.
    case reconnect(host: Int)
    /// Every plane sends a packet for each of its policies.
    case traffic
    /// From now on the links and the answers behave like this.
    case weather(LinkBehaviour, AnswerTiming)
}

extension Simulation {
    /// Does it now.
    public func perform(_ action: Action) {
        switch action {
        case .command(let index, let command):
            let host = hosts[index]
            trace.note(now, host.name, "command \(command)")
            feed(.command(command), to: host)
        case .acquire(let index, let connection, let child):
            let host = hosts[index]
            trace.note(now, host.name, "acquire \(connection) \(child)")
            feed(.plane(.acquire(connection: connection, child: child)), to: host)
        case .restart(let index): restart(hosts[index])
        case .handOver(let index, let patience): beginHandover(of: hosts[index], patience)
        case .lookWhetherAtRest(let index, let incarnation, let end):
            if hosts[index].incarnation == incarnation { goOnWithHandover(of: hosts[index], until: end) }
        case .leap(let index, let interval):
            let host = hosts[index]
            trace.note(now, host.name, "clock leaps \(interval)")
            host.clockLead = host.clockLead + max(interval, .zero)
        case .rebind(let box):
            trace.note(now, "nat", "box \(box) rebinds")
            boxes[box].rebind()
        case .move(let index, let addresses):
            trace.note(now, hosts[index].name, "moves to \(addresses.map(\.description).joined(separator: ", "))")
            hosts[index].move(to: addresses)
            feed(.localAddresses(hosts[index].addresses), to: hosts[index])
        case .obstruct(let index, let address, let isObstructed):
            trace.note(now, hosts[index].name, "\(address) \(isObstructed ? "leads nowhere" : "can be reached")")
            hosts[index].obstruct(address, isObstructed)
        case .cutOff(let index, let interval):
            trace.note(now, hosts[index].name, "is cut off for \(interval)")
            hosts[index].isCutOff = true
            schedule(.reconnect(host: index), at: now + interval)
        case .reconnect(let index):
            trace.note(now, hosts[index].name, "is back")
            hosts[index].isCutOff = false
        case .traffic: for host in hosts { sendTraffic(from: host) }
        case .weather(let behaviour, let timing):
            trace.note(now, "*", "weather: loss \(behaviour.loss)")
            self.timing = timing
            for host in hosts {
                host.link = behaviour
                host.isCutOff = false
                host.clearObstructions()
            }
        }
    }
}
