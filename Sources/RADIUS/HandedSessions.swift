public import Clockwork
public import GatewayModel
import NetworkTypes
public import StateRecords

/// What a gateway's RADIUS side leaves to the process that takes its place: sessions, when they end and are reported on,
/// and reports that no server has taken yet.
///
/// It owns no secret: what servers said of keys is used up by then. Conversations are not among it, their IKE SAs are
/// begun anew.
public struct HandedSessions: Sendable {
    /// A session, under the number of the IKE SA with which it began.
    struct Held: Sendable {
        var origin: IKESAID
        var session: AccountedSession
        /// When it is reported on next.
        var interim: Instant?
    }

    /// A report on its way.
    struct Unanswered: Sendable {
        var origin: IKESAID
        var report: AccountedSession.Report
        var attributes: [RADIUSAttribute]
    }

    var sessions: [Held] = []
    var reports: [Unanswered] = []
}

extension NetworkAccessServer {
    /// What the next process goes on with.
    public var handed: HandedSessions {
        HandedSessions(
            sessions: sessions.sorted { $0.key < $1.key }.map { origin, session in
                .init(origin: origin, session: session, interim: timers.deadline(of: .interim(origin)))
            },
            reports: purposes.sorted { $0.key < $1.key }.compactMap { id, purpose in
                guard case .report(let origin, let report) = purpose, let attributes = client.attributes(of: id) else {
                    return nil
                }
                return .init(origin: origin, report: report, attributes: attributes)
            })
    }

    /// Goes on with what another process had; `living` are the IKE SAs that came along. Reports are sent again: a server
    /// knows by their session and kind which it has (RFC 2866 §4.1).
    public mutating func resume(
        _ handed: HandedSessions, living: [IKESAID], _ meter: Meter, _ now: Instant, _ entropy: inout some Entropy,
        _ effects: inout [Effect]
    ) {
        for held in handed.sessions {
            sessions[held.origin] = held.session
            for id in held.session.members { owners[id] = held.origin }
            for id in held.session.children.keys { childOwners[id] = held.origin }
            timers.set(.interim(held.origin), to: held.interim)
            timers.set(.end(held.origin), to: held.session.ends)
        }
        for unanswered in handed.reports where settings.accounts {
            tell(unanswered.origin, unanswered.report, unanswered.attributes, now, &entropy, &effects)
        }
        let present = Set(living)
        for held in handed.sessions {
            for id in held.session.members.sorted() where !present.contains(id) {
                closed(id, .replaced, meter, now, &entropy, &effects)
            }
        }
    }
}

// MARK: As octets

extension HandedSessions: Recorded {
    /// Appends it.
    public func write(to writer: RecordWriter) {
        writer.list(sessions) { held in
            writer.nested {
                writer.put(held.origin)
                writer.optional(held.interim) { writer.instant($0) }
                writer.put(held.session)
            }
        }
        writer.list(reports) { unanswered in
            writer.put(unanswered.origin)
            writer.put(unanswered.report)
            writer.list(unanswered.attributes) { attribute in
                writer.uint8(attribute.kind.rawValue)
                writer.octets(attribute.value)
            }
        }
    }

    /// Reads it back.
    public init(from reader: inout RecordReader) throws(RecordError) {
        sessions = try reader.list("sessions") { reader throws(RecordError) in
            var record = try reader.nested("session")
            let origin = try record.value(IKESAID.self)
            let interim = try record.optional("report") { reader throws(RecordError) in try reader.instant("report") }
            return Held(origin: origin, session: try record.value(), interim: interim)
        }
        reports = try reader.list("reports") { reader throws(RecordError) in
            let origin = try reader.value(IKESAID.self)
            let report = try reader.value(AccountedSession.Report.self)
            let attributes = try reader.list("attributes") { reader throws(RecordError) in
                let kind = RADIUSAttribute.Kind(rawValue: try reader.uint8("attribute"))
                return RADIUSAttribute(kind, try reader.octets("attribute"))
            }
            return Unanswered(origin: origin, report: report, attributes: attributes)
        }
    }
}

extension AccountedSession: Recorded {
    func write(to writer: RecordWriter) {
        writer.put(station.origin)
        writer.text(station.sessionID)
        writer.text(station.connection)
        writer.put(station.path)
        writer.octets(userName)
        writer.list(addresses)
        writer.optional(authorization) { authorization in
            writer.list(authorization.classes) { writer.octets($0) }
            writer.optional(authorization.interimInterval) { writer.interval($0) }
        }
        writer.instant(began)
        writer.list(members.sorted())
        for count in [carried.octetsIn, carried.octetsOut, carried.packetsIn, carried.packetsOut] {
            writer.uint64(count)
        }
        writer.list(children.sorted { $0.key < $1.key }) { id, child in
            writer.put(id)
            writer.optional(child.inbound) { writer.uint32($0) }
            writer.optional(child.outbound) { writer.uint32($0) }
        }
        writer.optional(ends) { writer.instant($0) }
        writer.optional(cause) { writer.uint32($0.rawValue) }
        writer.bool(isTold)
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        let station = Station(
            origin: try reader.value(), sessionID: try reader.text("session"),
            connection: try reader.text("connection"), path: try reader.value())
        let userName = try reader.octets("user")
        let addresses = try reader.list("addresses", of: IPAddress.self)
        let authorization = try reader.optional("authorization") { reader throws(RecordError) in
            var found = Authorization()
            found.classes = try reader.list("classes") { reader throws(RecordError) in try reader.octets("class") }
            found.interimInterval = try reader.optional("interval") { reader throws(RecordError) in
                let interval = try reader.interval("interval")
                // As from a server: what is shorter would report without end.
                return max(interval, Authorization.shortestInterim)
            }
            return found
        }
        let began = try reader.instant("beginning")
        let members = try reader.list("IKE SAs", of: IKESAID.self)
        self.init(
            station: station, userName: userName, addresses: addresses, authorization: authorization, began: began,
            members: Set(members))
        carried.octetsIn = try reader.uint64("octets")
        carried.octetsOut = try reader.uint64("octets")
        carried.packetsIn = try reader.uint64("packets")
        carried.packetsOut = try reader.uint64("packets")
        let known = try reader.list("Child SAs") { reader throws(RecordError) in
            let id = try reader.value(ChildSAID.self)
            let inbound = try reader.optional("SPI") { reader throws(RecordError) in try reader.uint32("SPI") }
            let outbound = try reader.optional("SPI") { reader throws(RecordError) in try reader.uint32("SPI") }
            return (id, Child(inbound: inbound, outbound: outbound))
        }
        children = Dictionary(known) { first, _ in first }
        ends = try reader.optional("end") { reader throws(RecordError) in try reader.instant("end") }
        cause = try reader.optional("cause") { reader throws(RecordError) in
            guard let cause = TerminateCause(rawValue: try reader.uint32("cause")) else { throw .badValue("cause") }
            return cause
        }
        isTold = try reader.bool("told")
    }
}

extension AccountedSession.Report: Recorded {
    func write(to writer: RecordWriter) {
        writer.uint32(number)
        if case .stop(let cause) = self { writer.uint32(cause.rawValue) }
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        switch try reader.uint32("report") {
        case 1: self = .start
        case 3: self = .interim
        case 2:
            guard let cause = TerminateCause(rawValue: try reader.uint32("cause")) else { throw .badValue("cause") }
            self = .stop(cause)
        default: throw .badValue("report")
        }
    }
}
