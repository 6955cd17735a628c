import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// Where gateways have sent us, one after the other (RFC 5685), and whether a peer of ours goes where we send it.
///
/// It owns the limit on how often that happens: gateways that send us to each other would have us run for ever.
struct RedirectTrail {
    /// The most redirections within ``period`` (RFC 5685 §7).
    static let most = 5
    /// How long one is remembered.
    static let period = Interval.seconds(300)

    /// The gateway that has sent us here; nil when none has.
    var from: IPAddress?
    /// When that was, and when it was before.
    private(set) var times: [Instant] = []
    /// Whether the peer, a client, announced that it follows.
    var peerFollows = false
    /// Where we are to go, with these children, since the endpoint looked last.
    var order: Order?

    /// Another gateway, and what is wanted of it.
    struct Order {
        var gateway: Host
        var children: [String]
    }

    /// The same with one more; nil when it is one too many.
    func adding(from gateway: IPAddress, now: Instant) -> RedirectTrail? {
        var next = self
        next.times.removeAll { $0 + Self.period <= now }
        guard next.times.count < Self.most else { return nil }
        next.times.append(now)
        next.from = gateway
        return next
    }
}

/// Sends a client to another gateway (RFC 5685 §5).
struct SendElsewhere: Exchange {
    private let gateway: Host

    init(to gateway: Host) { self.gateway = gateway }

    var type: ExchangeType { .informational }
    var activity: Activity { .none }
    var remainder: Remainder? { .intent(.redirect(gateway)) }
    var payloads: [Payload] { [.notify(NotifyPayload(.redirect, RedirectNotification(gateway).data))] }

    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep {
        context.redirected(to: gateway, at: .established, &turn)
        return .done
    }
}

/// We are the client: another gateway is to serve us. Only who started the first IKE SA is sent anywhere.
extension SessionContext {
    /// What our IKE_SA_INIT says about it (RFC 5685 §3): that we follow, or who has sent us.
    var redirectNotifies: [NotifyPayload] {
        guard connection.followsRedirects else { return [] }
        guard let from = redirects.from else { return [NotifyPayload(.redirectSupported)] }
        return [NotifyPayload(.redirectedFrom, RedirectNotification(.address(from)).data)]
    }

    /// Why we do not go there; nil where we do, which is noted. Whom the peer has to be does not change with it: the
    /// other gateway has to prove the same identity (RFC 5685 §3).
    private func objection(to gateway: Host, _ turn: Turn) -> Refusal? {
        if case .address(let address) = gateway {
            let isHost =
                !address.isUnspecified && !address.isMulticast && address != IPAddress(v4: .max)
                && (!address.isLoopback || path.remote.address.isLoopback)
            guard isHost else { return .redirectRefused(to: gateway, reason: "that is no gateway's address") }
        }
        guard let trail = redirects.adding(from: path.remote.address, now: turn.now) else {
            return .redirectRefused(
                to: gateway,
                reason: "it is the \(RedirectTrail.most + 1)th time within \(RedirectTrail.period.wholeSeconds) seconds"
            )
        }
        redirects = trail
        return nil
    }

    /// The connection as it is when another gateway serves it.
    fileprivate func connection(_ connection: Connection, at gateway: Host) -> Connection {
        var next = connection
        if next.remote.identity == nil {
            next.remote.identity = self.connection.remote.identity ?? .exactly(Identity(path.remote.address))
        }
        switch gateway {
        case .address(let address): next.remoteAddresses = [.prefix(IPPrefix(host: address))]
        case .name(let name): next.remoteAddresses = [.name(name)]
        }
        return next
    }

    /// The gateway refuses to serve us in IKE_SA_INIT, and says who does: from the beginning, there.
    func restart(at gateway: Host, _ turn: inout Turn) -> Phase {
        requests.restart()
        if let refusal = objection(to: gateway, turn) {
            refuse(refusal, &turn)
            return .closed(.failed(refusal))
        }
        publish(.redirected(Redirection(to: gateway, at: .initiation), byUs: false), &turn)
        connection = connection(connection, at: gateway)
        signatures = SignatureAgreement()
        return PathSearch.start(self, &turn)
    }

    /// The gateway has proved who it is, and sends us away at the end of IKE_AUTH (RFC 5685 §6).
    func leave(for notify: NotifyPayload, _ keys: SessionKeys, _ offer: ChildOffer?, _ turn: inout Turn) -> Phase {
        if let offer { giveBackSPI(offer.spi, &turn) }
        guard let redirect = RedirectNotification(notify.data), redirect.nonce.isEmpty else {
            let refusal = Refusal.malformed(exchange: "IKE_AUTH", reason: "a redirection that can't be read")
            refuse(refusal, &turn)
            return Leaving.start(.failed(refusal), keys, self, &turn)
        }
        if let refusal = objection(to: redirect.gateway, turn) {
            refuse(refusal, &turn)
            return Leaving.start(.failed(refusal), keys, self, &turn)
        }
        publish(.redirected(Redirection(to: redirect.gateway, at: .authentication), byUs: false), &turn)
        redirects.order = RedirectTrail.Order(gateway: redirect.gateway, children: wanted)
        return Leaving.start(.replaced, keys, self, &turn)
    }

    /// The gateway sends us away while we are connected (RFC 5685 §5).
    func heedRedirect(_ notifies: [NotifyPayload], _ turn: inout Turn) {
        guard let notify = notifies.first(.redirect), reauthentication.isOurs, connection.followsRedirects else {
            return
        }
        guard let redirect = RedirectNotification(notify.data), redirect.nonce.isEmpty else {
            refuse(.malformed(exchange: "INFORMATIONAL", reason: "a redirection that can't be read"), &turn)
            return
        }
        if let refusal = objection(to: redirect.gateway, turn) {
            refuse(refusal, &turn)
            return
        }
        publish(.redirected(Redirection(to: redirect.gateway, at: .established), byUs: false), &turn)
        redirects.order = RedirectTrail.Order(gateway: redirect.gateway, children: [])
    }
}

/// We are the gateway: the client is to go to another one.
extension SessionContext {
    /// Whether the peer may be sent to another gateway.
    var canRedirect: Bool {
        established != nil && !isReplaced && !reauthentication.isOurs && redirects.peerFollows
    }

    /// Where the client is to go as soon as it has proved who it is; nil to serve it here.
    var redirectionAtAuthentication: Host? {
        guard let redirection = connection.redirection, redirection.moment == .authentication, redirects.peerFollows,
            redirection.gateway != .address(path.local.address)
        else { return nil }
        return redirection.gateway
    }

    /// The client knows; it may stay until it has connected elsewhere (RFC 5685 §5).
    func redirected(to gateway: Host, at moment: Redirection.Moment, _ turn: inout Turn) {
        publish(.redirected(Redirection(to: gateway, at: moment), byUs: true), &turn)
        guard connection.redirectionGrace > .zero else { return }
        let end = turn.now + connection.redirectionGrace
        timers.set(.ikeExpiry, to: timers.deadline(of: .ikeExpiry).map { min($0, end) } ?? end)
    }
}

extension Sequence where Element == NotifyPayload {
    /// Whether an IKE_SA_INIT request says that its sender follows redirections (RFC 5685 §3).
    var followsRedirects: Bool { contains(.redirectSupported) || contains(.redirectedFrom) }
}

extension IKEv2Endpoint {
    /// Connects to the gateway that another one has named. A connected client keeps what it has until then, as it does
    /// when it proves itself anew.
    func followRedirect(of session: IKESession, _ turn: inout Turn) {
        guard let order = session.context.redirects.order else { return }
        session.context.redirects.order = nil
        var current = session
        while let next = current.context.successor { current = next }
        let old = current.context
        let isConnected = current.isEstablished
        guard !tables.isShuttingDown, isConnected ? !old.reauthentication.isUnderWay : true else { return }
        let configured = tables.directory.connection(named: old.connection.name) ?? old.connection
        let context = SessionContext(
            id: tables.newIKESAID(), isInitiator: true,
            connection: ConfiguredConnection(old.connection(configured, at: order.gateway)), path: old.path,
            socket: .plain, initiatorSPI: newSPI(&turn), responderSPI: 0, turn)
        context.redirects = session.context.redirects
        context.earlierTries = old.earlierTries
        context.failures = old.failures
        context.isMeantToBeUp = old.isMeantToBeUp
        context.reauthentication.addresses = old.reauthentication.addresses
        context.reauthentication.prefixes = old.reauthentication.prefixes
        context.wanted = order.children
        if isConnected {
            old.reauthentication.isUnderWay = true
            context.wanted = old.reauthenticatedChildren.filter { configured.child(named: $0) != nil }
            context.reauthentication.isSuccessor = true
            context.reauthentication.addresses = old.assignment.settings?.addresses ?? []
            context.reauthentication.prefixes = old.assignment.settings?.prefixes ?? []
        } else {
            // What it was to take the place of, the new one does.
            context.reauthentication.isSuccessor = old.reauthentication.isSuccessor
            old.reauthentication.isSuccessor = false
        }
        enter(IKESession.initiating(context, &turn), &turn)
    }
}
