import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes

/// What people, programs and the data plane ask of an endpoint.
extension IKEv2Endpoint {
    /// Carries out a command.
    func perform(_ command: Command, _ turn: inout Turn) {
        switch command {
        case .initiate(let connection, let child):
            initiate(connection, child.map { [$0] }, &turn)
        case .terminate(let target): terminate(target, &turn)
        case .abandon(let id):
            guard let session = sessions[id] else { return }
            session.leave(.asked, &turn)
            session.abandon(.asked, &turn)
            after(session, &turn)
        case .rekey(let target): rekey(target, &turn)
        case .reauthenticate(let target): reauthenticate(target, &turn)
        case .redirect(let id, let gateway):
            guard let session = sessions[id], session.context.canRedirect else { return }
            session.intend(.redirect(gateway), &turn)
            after(session, &turn)
        case .shutdown:
            tables.isShuttingDown = true
            tables.retries.keep { _ in false }
            for session in inOrder {
                session.leave(.shutdown, &turn)
                after(session, &turn)
            }
        }
    }

    /// Authenticates anew what is meant and is ours to do: the peer does the others (RFC 7296 §2.8.3).
    private func reauthenticate(_ target: Command.Target, _ turn: inout Turn) {
        let meant: [IKESession] =
            switch target {
            case .connection(let name): sessions(of: name)
            case .ikeSA(let id): sessions[id].map { [$0] } ?? []
            case .child, .childSA: []
            }
        for session in meant where session.isEstablished {
            session.context.reauthenticationDue(&turn)
            session.resume(&turn)
            after(session, &turn)
        }
    }

    /// Takes note of what the plane tells.
    func heed(_ event: PlaneEvent, _ turn: inout Turn) {
        switch event {
        case .mappingChanged(let child, let path):
            guard let session = session(with: child) else { return }
            session.follow(path, &turn)
            after(session, &turn)
        case .sequenceExhausted(let child):
            guard let session = session(with: child) else { return }
            session.intend(.rekeyChild(child), &turn)
            after(session, &turn)
        case .volumeReached(let child, let mark):
            guard let session = session(with: child) else { return }
            switch mark {
            case .soft: session.intend(.rekeyChild(child), &turn)
            case .hard: session.expire(child, &turn)
            }
            after(session, &turn)
        case .acquire(let connection, let child): acquire(connection, child, &turn)
        case .unknownSPI(let spi, let path): reportStray(spi, path, &turn)
        }
    }

    /// A packet wants a child. It is told again while that lasts: a child that does not come up is tried ever more
    /// seldom. What is configured no longer may still have had packets on their way.
    private func acquire(_ name: String, _ child: String, _ turn: inout Turn) {
        guard !tables.isShuttingDown, tables.directory.connection(named: name)?.child(named: child) != nil,
            tables.acquires.admits(name, child, now: turn.now)
        else { return }
        initiate(name, [child], &turn)
    }

    /// Brings up children of a connection, all when none are named; makes an IKE SA when there is none.
    /// `revival` says what came before it.
    func initiate(
        _ name: String, _ children: [String]?, after revival: Revival? = nil, _ turn: inout Turn
    ) {
        guard !tables.isShuttingDown else { return }
        guard !tables.isHandingOver else {
            tables.putOff.append((name, children, revival))
            return
        }
        guard let configured = tables.directory.configured(named: name) else {
            turn.refuse(.noPath(remote: name, reason: "no connection has this name"), connection: nil)
            return
        }
        let connection = configured.connection
        var names = children ?? connection.children.filter { $0.shunt == nil }.map(\.name)
        if let unknown = names.first(where: { connection.child(named: $0) == nil }) {
            turn.refuse(
                .noPath(remote: name, reason: "the connection has no child \(unknown)"), child: unknown,
                connection: name)
            return
        }
        if let shunt = connection.children.first(where: { $0.shunt != nil && (children ?? [$0.name]).contains($0.name) }
        ),
            names.isEmpty || children != nil
        {
            turn.refuse(
                .noPath(remote: name, reason: "\(shunt.name) is a policy and no tunnel"), child: shunt.name,
                connection: name)
            return
        }
        // What waits for its next try need not wait any longer.
        names += tables.retries.take(name).filter { !names.contains($0) && connection.child(named: $0) != nil }
        let present = sessions(of: name).first { canTake(on: $0) }
        if let present {
            present.want(names, &turn)
            after(present, &turn)
            return
        }
        let remote = connection.remoteAddresses.lazy.compactMap { $0.single }.first
        let unknown = IPAddress.unspecified(remote?.family ?? .v4)
        let path = Path(
            local: Endpoint(unknown, connection.localPort), remote: Endpoint(remote ?? unknown, connection.remotePort))
        let context = SessionContext(
            id: tables.newIKESAID(), isInitiator: true, connection: configured, path: path, socket: .plain,
            initiatorSPI: newSPI(&turn), responderSPI: 0, turn)
        context.wanted = names
        context.earlierTries = revival?.earlierTries ?? 0
        context.failures = revival?.failures ?? 0
        context.isMeantToBeUp = revival?.isMeantToBeUp ?? false
        enter(IKESession.initiating(context, &turn), &turn)
    }

    /// Whether an IKE SA can bring up more children: it is established and is not to end next, or we are on the way to it.
    private func canTake(on session: IKESession) -> Bool {
        let context = session.context
        return session.isEstablished && !context.isReplaced && !context.awaitsContest && !context.isToEnd
            || session.isConnecting && context.isInitiator
    }

    private func terminate(_ target: Command.Target, _ turn: inout Turn) {
        switch target {
        case .connection(let name): tables.retries.remove(name)
        case .child(let child, let name): tables.retries.remove(child: child, of: name)
        case .ikeSA, .childSA: break
        }
        for session in sessions(for: target) {
            let context = session.context
            switch target {
            case .connection(let name) where context.connection.name == name: end(session, &turn)
            case .ikeSA(let id) where context.id == id: end(session, &turn)
            case .child(let name, let connection) where connection ?? context.connection.name == context.connection.name:
                context.wanted = context.wanted.filter { $0 != name }
                context.agenda.drop { $0 == .createChild(name) }
                for child in context.children.all where child.agreement.template.name == name {
                    session.intend(.deleteChild(child.id, .asked), &turn)
                }
            case .childSA(let id) where context.children.child(id) != nil:
                session.intend(.deleteChild(id, .asked), &turn)
            default: continue
            }
            after(session, &turn)
        }
    }

    /// Whoever asks for the end does not want what was to come after it.
    private func end(_ session: IKESession, _ turn: inout Turn) {
        session.context.reauthentication.isBreaking = false
        session.context.redirects.order = nil
        session.leave(.asked, &turn)
    }

    private func rekey(_ target: Command.Target, _ turn: inout Turn) {
        for session in sessions(for: target) where session.isEstablished && !session.context.isReplaced {
            let context = session.context
            switch target {
            case .connection(let name) where context.connection.name == name: session.intend(.rekeyIKESA, &turn)
            case .ikeSA(let id) where context.id == id: session.intend(.rekeyIKESA, &turn)
            case .child(let name, let connection) where connection ?? context.connection.name == context.connection.name:
                for child in context.children.all where child.agreement.template.name == name {
                    session.intend(.rekeyChild(child.id), &turn)
                }
            case .childSA(let id) where context.children.child(id) != nil: session.intend(.rekeyChild(id), &turn)
            default: continue
            }
            after(session, &turn)
        }
    }

    private func session(with child: ChildSAID) -> IKESession? {
        // A Child SA's number is one IKE SA's only: the order in which they are asked does not matter.
        sessions.first { $0.value.context.children.child(child) != nil }?.value
    }

    /// The IKE SAs that a target may mean, the oldest first.
    private func sessions(for target: Command.Target) -> [IKESession] {
        switch target {
        case .connection(let name), .child(_, .some(let name)): sessions(of: name)
        case .ikeSA(let id): sessions[id].map { [$0] } ?? []
        case .childSA(let id): session(with: id).map { [$0] } ?? []
        case .child(_, nil): inOrder
        }
    }
}

extension SessionContext {
    /// Whether a header carries this IKE SA's SPIs, as far as they are known.
    func has(_ header: IKEHeader) -> Bool {
        header.initiatorSPI == initiatorSPI && (responderSPI == 0 || header.responderSPI == responderSPI)
    }
}
