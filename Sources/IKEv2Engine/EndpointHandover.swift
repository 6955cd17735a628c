import Clockwork
public import GatewayModel
public import IKECore
import IPsecCrypto
import NetworkTypes
public import StateRecords
import WireFormat

/// From one process to the next: an endpoint comes to rest, is written down, and another one goes on from there.
///
/// Two endpoints must never go on from the same record. Nothing is lost by writing one: an endpoint that nobody takes over
/// from goes on with ``resumeWork(_:_:)``.
extension IKEv2Endpoint {
    /// What of an endpoint another one goes on with.
    public struct HandoverAccount: Sendable {
        /// Child SAs as a data plane knows them, without keys and limits: those it has itself.
        public struct Child: Sendable {
            /// What comes in.
            public var inbound: SecurityAssociation
            /// What goes out.
            public var outbound: SecurityAssociation
            /// Whether packets are led to it.
            public var isProtecting: Bool
        }

        /// IKE SAs that are written down, the oldest first.
        public var kept: [IKESAID] = []
        /// Those that are not: their connections, and whether these were up.
        public var left: [(connection: String, wasEstablished: Bool)] = []
        /// The Child SAs of the former, in the order in which they came.
        public var children: [Child] = []
    }

    /// From now on no exchange of ours is begun, and nothing is accepted that would have to be finished here.
    public func comeToRest() { tables.isHandingOver = true }

    /// Whether all IKE SAs could be handed over at this moment: nothing is under way that only this endpoint can finish.
    public var isAtRest: Bool { sessions.values.allSatisfy { $0.canBeHandedOver } }

    /// Nobody has taken over: everything goes on, and what was put off is begun.
    public func resumeWork(_ environment: inout Environment, _ effects: inout Effects) {
        tables.isHandingOver = false
        inTurn(&environment, &effects) { turn in
            let putOff = tables.putOff
            tables.putOff = []
            for session in inOrder {
                session.resume(&turn)
                after(session, &turn)
            }
            for wish in putOff { initiate(wish.connection, wish.children, after: wish.revival, &turn) }
        }
    }

    /// Appends everything that another endpoint needs. IKE SAs that can't be handed over are left out, and their
    /// connections begun anew where they were ours or meant to be up.
    public func handOver(to writer: RecordWriter) -> HandoverAccount {
        var account = HandoverAccount()
        var wishes = tables.retries.all.map { ($0.connection, $0.revival.children) }
        wishes += tables.putOff.map { ($0.connection, $0.children ?? []) }
        var kept: [IKESession] = []
        for session in inOrder where !session.isOver {
            let context = session.context
            if session.canBeHandedOver {
                kept.append(session)
                account.kept.append(context.id)
                account.children += context.handedChildren
            } else if session.isEstablished || session.isConnecting && context.isInitiator {
                account.left.append((context.connection.name, session.isEstablished))
                let names = context.wanted + context.children.all.map(\.agreement.template.name)
                if context.isInitiator || context.isMeantToBeUp { wishes.append((context.connection.name, names)) }
            }
        }
        tables.writeNumbers(to: writer)
        writer.list(wishes) { wish in
            writer.text(wish.0)
            writer.list(wish.1) { writer.text($0) }
        }
        writer.list(kept) { session in writer.nested { session.write(to: writer) } }
        return account
    }

    /// Goes on from what another endpoint has written down. To be called on one that is new. What is to be told to the
    /// plane goes to `effects`, but for the Child SAs, which it has already.
    public func takeOver(
        from reader: inout RecordReader, _ environment: inout Environment, _ effects: inout Effects
    ) throws(RecordError) {
        try inTurn(&environment, &effects) { turn throws(RecordError) in
            try tables.readNumbers(from: &reader)
            let wishes = try reader.list("wishes") { reader throws(RecordError) in
                let connection = try reader.text("connection")
                return (connection, try reader.list("wish") { reader throws(RecordError) in try reader.text("child") })
            }
            var resumed: [(session: IKESession, successor: IKESAID?)] = []
            let count = Int(try reader.uint32("IKE SAs"))
            for _ in 0..<min(count, reader.remaining + 1) {
                var record = try reader.nested("IKE SA")
                resumed.append(try SessionContext.resume(from: &record, &turn))
            }
            tables.spis.settle()
            for (session, successor) in resumed {
                guard let successor else { continue }
                session.context.successor = resumed.first { $0.session.context.id == successor }?.session
            }
            for (session, _) in resumed {
                guard sessions[session.context.id] == nil else { throw .inconsistent("two IKE SAs have one number") }
                session.context.goOn(&turn)
                session.resume(&turn)
                enter(session, &turn)
            }
            for (connection, children) in wishes { goOnWith(connection, children, &turn) }
        }
    }

    /// What was wanted of a connection and is not there yet is begun; what is configured no longer is not.
    private func goOnWith(_ name: String, _ children: [String], _ turn: inout Turn) {
        guard let connection = tables.directory.connection(named: name) else { return }
        let names = children.filter { connection.child(named: $0) != nil }
        guard !names.isEmpty || children.isEmpty else { return }
        let revival = Revival(children: names, earlierTries: 0, failures: 0, isMeantToBeUp: true, isAtOnce: true)
        initiate(name, names.isEmpty ? nil : names, after: revival, &turn)
    }
}

extension SessionContext {
    /// The Child SAs as a data plane knows them.
    fileprivate var handedChildren: [IKEv2Endpoint.HandoverAccount.Child] {
        let none = PacketKeys(encryption: SecretBytes([]), integrity: SecretBytes([]))
        return children.all.map { child in
            IKEv2Endpoint.HandoverAccount.Child(
                inbound: child.agreement.association(.inbound, of: child.id, none, child.encapsulation, self),
                outbound: child.agreement.association(.outbound, of: child.id, none, child.encapsulation, self),
                isProtecting: child.isProtecting)
        }
    }

    /// Another process had it: what the plane did for it is asked for again, and what was begun elsewhere once more.
    fileprivate func goOn(_ turn: inout Turn) {
        if keptAlivePath != nil {
            keptAlivePath = nil
            keepAlive(&turn)
        }
        for address in assignment.settings?.addresses ?? [] { turn.plane(.addAddress(address, for: id)) }
        if reauthentication.isUnderWay {
            reauthentication.isUnderWay = false
            let isEnding = agenda.intents.contains { if case .deleteIKESA = $0 { true } else { false } }
            if !isEnding { timers.set(.reauthentication, to: turn.now + Self.reauthenticationPause) }
        }
    }
}
