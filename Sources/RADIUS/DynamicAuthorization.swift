import Clockwork
import NetworkTypes
import WireFormat

/// Requests from outside to end a session or to change it (RFC 5176).
///
/// It owns who may ask, what a request has to hold, and the memory of those that were answered: a request that comes
/// again gets the same answer and does nothing. It never ends a session itself.
struct DynamicAuthorization: Sendable {
    /// How far a request's time may be off, and how long its answer is remembered (§6.3).
    static let window: Int64 = 300
    /// Answers that are remembered; while there are that many, nothing new is taken.
    static let mostAnswers = 1024

    /// What somebody may do.
    enum Verdict: Sendable {
        /// Nothing: it is dropped without an answer; one clause.
        case drop(String)
        /// The same as before.
        case again([UInt8])
        /// This is asked for; ``answer(_:to:from:now:)`` answers it.
        case request(RADIUSPacket)
    }

    /// Why a request is refused (§3.5).
    enum ErrorCause: UInt32, Sendable {
        case unsupportedAttribute = 401
        case missingAttribute = 402
        case nasMismatch = 403
        case invalidRequest = 404
        case unsupportedService = 405
        case sessionNotFound = 503
    }

    fileprivate struct Key: Hashable {
        var source: Endpoint
        var identifier: UInt8
        var authenticator: [UInt8]
    }

    private let proof: PacketProof
    private let askers: Set<IPAddress>
    private var answers: [Key: [UInt8]] = [:]
    private var order: [(key: Key, end: Instant)] = []

    /// Requests from these servers.
    init(_ settings: RADIUSSettings.DynamicAuthorization, _ servers: [RADIUSSettings.Server]) {
        proof = PacketProof(settings.secret)
        askers = Set(servers.flatMap { [$0.authentication.address, $0.accounting.address] })
    }

    /// Judges a datagram; `unixTime` in seconds since 1970.
    mutating func judge(_ octets: [UInt8], from source: Endpoint, _ now: Instant, unixTime: Int64) -> Verdict {
        let expired = order.prefix { $0.end <= now }
        for entry in expired { answers[entry.key] = nil }
        order.removeFirst(expired.count)
        guard askers.contains(source.address) else { return .drop("\(source.address) is no RADIUS server of ours") }
        let packet: RADIUSPacket
        do throws(WireError) { packet = try RADIUSPacket(octets) } catch { return .drop("\(error)") }
        guard packet.code == .disconnectRequest || packet.code == .coaRequest else {
            return .drop("\(packet.code) is not served here")
        }
        do throws(PacketProof.Failure) { try proof.check(request: packet) } catch { return .drop("\(error)") }
        if let answer = answers[Key(packet, source)] { return .again(answer) }
        if let time = packet.first(.eventTimestamp) {
            guard let number = time.number, abs(Int64(number) - unixTime) <= Self.window else {
                return .drop("its Event-Timestamp is not of now: it was sent long ago, or a clock is wrong")
            }
        }
        guard order.count < Self.mostAnswers else { return .drop("too many requests came in a short time") }
        return .request(packet)
    }

    /// The answer to a request that ``judge(_:from:_:unixTime:)`` let through, as it travels; nil when it can't be
    /// written.
    mutating func answer(
        _ refusal: ErrorCause?, to request: RADIUSPacket, from source: Endpoint, _ now: Instant
    ) -> [UInt8]? {
        let isDisconnect = request.code == .disconnectRequest
        let code: RADIUSPacket.Code =
            switch (isDisconnect, refusal == nil) {
            case (true, true): .disconnectACK
            case (true, false): .disconnectNAK
            case (false, true): .coaACK
            case (false, false): .coaNAK
            }
        // Proxies want theirs back as it is (§3.1).
        var attributes = request.all(.proxyState)
        if let refusal { attributes.append(RADIUSAttribute(.errorCause, number: refusal.rawValue)) }
        guard let octets = proof.sealedAnswer(RADIUSPacket(code, 0, attributes), to: request) else { return nil }
        let key = Key(request, source)
        answers[key] = octets
        order.append((key, now + .seconds(2 * Self.window)))
        return octets
    }

    /// Whether a request says so much that nobody can use it again later: its time, or a session that never comes back.
    static func isFresh(_ request: RADIUSPacket) -> Bool {
        if request.first(.eventTimestamp) != nil { return true }
        return request.code == .disconnectRequest && request.first(.acctSessionID) != nil
    }

    /// Attributes that say whom it is about, and those that are passed over (§3.6).
    private static let identifying: Set<RADIUSAttribute.Kind> = [
        .userName, .nasPort, .framedIPAddress, .framedIPv6Address, .calledStationID, .callingStationID,
        .acctSessionID, .nasPortID,
    ]
    private static let harmless: Set<RADIUSAttribute.Kind> = [
        .nasIPAddress, .nasIPv6Address, .nasIdentifier, .proxyState, .messageAuthenticator, .eventTimestamp,
        .replyMessage, .classAttribute, .acctTerminateCause, .state,
    ]

    /// What is wrong with a request itself, before anybody looks for sessions; nil for nothing.
    static func objection(to request: RADIUSPacket, _ settings: RADIUSSettings) -> ErrorCause? {
        if request.first(.serviceType) != nil { return .unsupportedService }
        var change: Set<RADIUSAttribute.Kind> = []
        if request.code == .coaRequest { change = [.sessionTimeout, .acctInterimInterval] }
        for attribute in request.attributes where !identifying.union(harmless).union(change).contains(attribute.kind) {
            return .unsupportedAttribute
        }
        guard request.attributes.contains(where: { identifying.contains($0.kind) }), isFresh(request) else {
            return .missingAttribute
        }
        if request.code == .coaRequest, !request.attributes.contains(where: { change.contains($0.kind) }) {
            return .missingAttribute
        }
        for attribute in request.attributes where change.contains(attribute.kind) && attribute.number == nil {
            return .invalidRequest
        }
        if let name = request.first(.nasIdentifier)?.value,
            !settings.servers.contains(where: { Array($0.nasIdentifier.utf8) == name })
        {
            return .nasMismatch
        }
        return nil
    }

    /// Whether a session is one that a request is about: all that it says of it has to be true.
    static func concerns(_ request: RADIUSPacket, _ session: AccountedSession, _ settings: RADIUSSettings) -> Bool {
        let own = session.station.attributes(withPorts: settings.stationsHavePorts)
        for attribute in request.attributes {
            switch attribute.kind {
            case .userName: guard attribute.value == session.userName else { return false }
            case .framedIPAddress, .framedIPv6Address:
                guard let address = IPAddress(bytes: attribute.value), session.addresses.contains(address) else {
                    return false
                }
            case .nasPort, .nasPortID, .calledStationID, .callingStationID, .acctSessionID, .nasIPAddress,
                .nasIPv6Address:
                guard own.contains(attribute) else { return false }
            default: continue
            }
        }
        return true
    }
}

extension DynamicAuthorization.Key {
    fileprivate init(_ packet: RADIUSPacket, _ source: Endpoint) {
        self.init(source: source, identifier: packet.identifier, authenticator: packet.authenticator)
    }
}
