import Clockwork
import GatewayModel
import IKECore
import NetworkTypes

/// One call of the endpoint: the time, chance, the configuration, and what is to be done, in order.
///
/// It lives as long as the call. States and exchanges know the world through it and through nothing else.
struct Turn {
    /// The time.
    let now: Instant
    /// The connections and the limits.
    let configuration: Configuration
    /// Chance and the time again, as the caller lent it.
    var environment: Environment
    /// What is to be done.
    var effects: Effects
    /// Tickets are counted up over the endpoint's life.
    var tickets: TicketCounter

    /// Puts a question and returns its ticket.
    mutating func ask(_ query: Query) -> Ticket {
        let ticket = tickets.next()
        effects.append(.ask(ticket, query))
        return ticket
    }

    /// Tells the data plane.
    mutating func plane(_ command: PlaneCommand) { effects.append(.plane(command)) }

    /// Says that something happened.
    mutating func publish(_ kind: Event.Kind, ikeSA: IKESAID? = nil, connection: String? = nil) {
        effects.append(.publish(Event(time: now, ikeSA: ikeSA, connection: connection, kind: kind)))
    }

    /// Sends a datagram.
    mutating func send(_ bytes: [UInt8], _ path: Path, _ socket: IKESocket) {
        effects.append(.send(Datagram(bytes, path: path, socket: socket)))
    }

    /// A random 64-bit number that is not zero: an IKE SPI.
    mutating func spi() -> UInt64 {
        while true {
            let value = environment.entropy.uint64()
            if value != 0 { return value }
        }
    }
}

/// The numbers of questions, never used twice.
struct TicketCounter: Hashable {
    private var last: UInt64 = 0

    /// The next number.
    mutating func next() -> Ticket {
        last &+= 1
        return Ticket(rawValue: last)
    }
}
