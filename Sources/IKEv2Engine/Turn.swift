import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// One call of the endpoint: the time, chance, the configuration, the shared tables, and what is to be done, in order.
///
/// It lives as long as the call. States and exchanges know the world through it and through nothing else.
struct Turn {
    /// What all IKE SAs share.
    let tables: EndpointTables
    /// Time and chance, as the caller lent them.
    var environment: Environment
    /// What is to be done.
    var effects: Effects

    /// The connections and the limits.
    var configuration: Configuration { tables.configuration }

    /// The time.
    var now: Instant { environment.now }

    /// Tells the data plane.
    mutating func plane(_ command: PlaneCommand) { effects.append(.plane(command)) }

    /// Puts out the keys that an IKE SA uses from now on, if somebody insists on it. `intermediate` is the number of the
    /// IKE_INTERMEDIATE exchange that comes under them, where one does.
    mutating func expose(_ keys: SessionKeys, intermediate: Int? = nil, _ context: SessionContext) {
        if environment.exposesKeys { effects.append(.expose(keys.exposed(context, intermediate: intermediate))) }
    }

    /// Says that something happened; of strangers, who have not proved who they are, only so much.
    mutating func publish(
        _ kind: Event.Kind, ikeSA: IKESAID? = nil, connection: String? = nil, peer: IPAddress? = nil,
        ofStranger: Bool = false
    ) {
        // Left to the counters when there were too many like it.
        let isHushed = ofStranger && kind.isTold && !tables.reticence.tells(kind, now: now)
        effects.append(
            .publish(
                Event(
                    time: now, ikeSA: ikeSA, connection: connection, kind: kind, peer: peer,
                    isForCountersOnly: isHushed)))
    }

    /// Says how much was left out, when it is time.
    mutating func tellWhatWasLeftOut() {
        if let count = tables.reticence.takeLeftOut(now: now) { publish(.leftOut(count)) }
    }

    /// Says that a message came or went, if anybody wants to know.
    mutating func publish(
        message kind: @autoclosure () -> Event.Kind, ikeSA: IKESAID? = nil, connection: String? = nil
    ) {
        if environment.tellsMessages { publish(kind(), ikeSA: ikeSA, connection: connection) }
    }

    /// Says that a message came or went, in a word that costs nothing: counters read it.
    mutating func count(_ header: IKEHeader, isSent: Bool, ikeSA: IKESAID? = nil, connection: String? = nil) {
        let kind = Event.MessageKind(
            exchange: header.exchange.rawValue, isResponse: header.isResponse, isSent: isSent)
        publish(.exchanged(kind), ikeSA: ikeSA, connection: connection)
    }

    /// Says that something was refused, and keeps the reason.
    mutating func refuse(
        _ refusal: Refusal, child: String? = nil, ikeSA: IKESAID? = nil, connection: String?, peer: IPAddress? = nil,
        ofStranger: Bool = false
    ) {
        let kind = Event.Kind.refused(refusal, child: child)
        let event = Event(
            time: now, ikeSA: ikeSA, connection: connection, kind: kind, peer: peer,
            isForCountersOnly: ofStranger && !tables.reticence.tells(kind, now: now))
        tables.refusals.record(event, refusal)
        effects.append(.publish(event))
    }

    /// Sends a datagram.
    mutating func send(_ bytes: [UInt8], _ path: Path, _ socket: IKESocket) {
        effects.append(.send(Datagram(bytes, path: path, socket: socket)))
    }

    /// A moment `interval` from now, earlier by chance by up to `margin`, but by half at most; nil when `interval` is zero.
    mutating func moment(in interval: Interval, less margin: Interval) -> Instant? {
        guard interval > .zero else { return nil }
        let bound = min(max(margin, .zero), interval.scaled(by: 0.5))
        return now + interval.scaled(by: 1) - bound.scaled(by: environment.entropy.fraction())
    }

    /// A random IKE SPI, which is never zero.
    mutating func newSPI() -> UInt64 {
        while true {
            let value = environment.entropy.uint64()
            if value != 0 { return value }
        }
    }
}
