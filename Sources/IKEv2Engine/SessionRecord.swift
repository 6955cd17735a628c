import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import StateRecords

/// What one process writes down of an established IKE SA, for another one to go on with it.
///
/// The connection and the children's templates are written by name: the next process has its own configuration, and what
/// that no longer has, it closes.
extension SessionContext {
    /// Appends all but the keys.
    func write(to writer: RecordWriter) {
        writer.put(id)
        writer.bool(isInitiator)
        writer.instant(created)
        writer.text(connection.name)
        writer.put(path)
        writer.bool(socket == .natTraversal)
        writer.uint64(initiatorSPI)
        writer.uint64(responderSPI)
        writer.text(state.rawValue)
        requests.write(to: writer)
        responses.write(to: writer)
        writer.list(agenda.intents)
        writer.list(wanted) { writer.text($0) }
        writer.list(postponed.names) { writer.text($0) }
        writer.list(children.all)
        writer.list(heldSPIs) { writer.uint32($0) }
        writer.bool(isReplaced)
        writer.optional(successor?.context.id)
        writer.optional(rekeyDue) { writer.instant($0) }
        for timer in Self.handedTimers { writer.optional(timers.deadline(of: timer)) { writer.instant($0) } }
        for child in children.all {
            for timer in [SessionTimer.childExpiry(child.id), .childRekey(child.id)] {
                writer.optional(timers.deadline(of: timer)) { writer.instant($0) }
            }
        }
        for truth in [nat.isLocal, nat.isRemote, nat.isSupported, keptAlivePath != nil, encapsulation == .udp] {
            writer.bool(truth)
        }
        writer.optional(localIdentity)
        writer.optional(remoteIdentity)
        writer.optional(eap.peer)
        writer.optional(remoteCertificate)
        writer.optional(algorithms)
        writer.optional(established) { writer.instant($0) }
        writer.instant(lastHeard)
        for truth in [
            saidInitialContact, isUnique, peerTakesFragments, peerKnowsPPKs, peerIsChildless, peerIsStrongSwan,
            isMeantToBeUp,
        ] { writer.bool(truth) }
        writer.optional(ppkInUse) { writer.octets($0) }
        writer.uint32(UInt32(clamping: failures))
        writer.optional(assignment.settings)
        writer.optional(assignment.lease)
        writer.bool(mobility.isSpoken)
        writer.bool(mobility.awaitsRouteCheck)
        writer.list(mobility.peerAddresses)
        reauthentication.write(to: writer)
        writer.optional(redirects.from)
        writer.bool(redirects.peerFollows)
        volume.write(to: writer)
    }

    /// Timers besides those of children; what is not among them is set anew by what it belongs to.
    private static let handedTimers: [SessionTimer] = [
        .liveness, .ikeRekey, .ikeExpiry, .reauthentication, .childCreation,
    ]

    /// Reads it back, keys and exchange included, and the number of the IKE SA that has taken its place.
    static func resume(
        from reader: inout RecordReader, _ turn: inout Turn
    ) throws(RecordError) -> (session: IKESession, successor: IKESAID?) {
        let id = try reader.value(IKESAID.self)
        let isInitiator = try reader.bool("initiator")
        let created = try reader.instant("created")
        let name = try reader.text("connection")
        let known = turn.tables.directory.configured(named: name)
        let path = try reader.value(Path.self)
        let isNATTraversal = try reader.bool("socket")
        let (initiatorSPI, responderSPI) = (try reader.uint64("SPI"), try reader.uint64("SPI"))
        let context = SessionContext(
            id: id, isInitiator: isInitiator,
            connection: known ?? ConfiguredConnection(Connection(name: name)), path: path,
            socket: isNATTraversal ? .natTraversal : .plain, initiatorSPI: initiatorSPI, responderSPI: responderSPI,
            turn)
        guard let state = IKESAState(rawValue: try reader.text("state")) else { throw .badValue("state") }
        context.goOn(since: created, as: state)
        context.requests = try RequestWindow(from: &reader, context.connection.retransmission)
        context.responses = try ResponseWindow(from: &reader)
        for intent in try reader.list("agenda", of: Intent.self) { context.agenda.add(intent) }
        context.wanted = try reader.list("wanted") { reader throws(RecordError) in try reader.text("child") }
        for name in try reader.list("postponed", { reader throws(RecordError) in try reader.text("child") }) {
            context.agenda.add(.createChild(name))
        }
        let children = try reader.list("children") { reader throws(RecordError) in
            try ChildSA(from: &reader, of: context.connection)
        }
        guard children.count <= ChildTable.capacity else { throw .badValue("children") }
        for child in children { context.children.add(child) }
        context.heldSPIs = try reader.list("SPIs") { reader throws(RecordError) in try reader.uint32("SPI") }
        context.isReplaced = try reader.bool("replaced")
        let successor = try reader.optional("successor", IKESAID.self)
        try context.readTimers(&reader)
        try context.readPeer(&reader)
        context.watchLiveness()
        for child in children { context.watchUse(of: child, since: turn.now) }
        if known == nil { context.agenda.add(.deleteIKESA(.asked)) }
        for child in children where context.connection.child(named: child.agreement.template.name) == nil {
            context.agenda.add(.deleteChild(child.id, .asked))
        }
        for spi in context.heldSPIs + children.map(\.agreement.inboundSPI) {
            guard turn.tables.spis.take(spi) else { throw .inconsistent("two Child SAs have one SPI's place") }
        }
        guard let proposal = context.algorithms, let suite = KeySchedule.Suite(proposal) else {
            throw .badValue("algorithms")
        }
        let keys = try SessionKeys(from: &reader, suite)
        let remainder = try reader.optional("exchange", Remainder.self)
        guard remainder != nil || context.requests.inFlight == nil else { throw .inconsistent("a request of nothing") }
        let exchange = remainder?.exchange(context, &turn)
        if let exchange {
            context.activity = exchange.activity
            context.requests.repeatInFlight(by: exchange.schedule)
        }
        let key = try reader.optional("IKE_SA_INIT", InitiationKey.self)
        try context.readProtections(&reader, turn.tables)
        try context.readPrefixes(&reader)
        let session = IKESession.resuming(context, Established(keys: keys, goingOnWith: exchange), key)
        return (session, successor)
    }

    /// A process that did not write these numbers had those of the Child SAs themselves.
    private func readProtections(_ reader: inout RecordReader, _ tables: EndpointTables) throws(RecordError) {
        let written =
            reader.isAtEnd
            ? [] : try reader.list("protections") { reader throws(RecordError) in try reader.uint32("protection") }
        for (index, child) in children.all.enumerated() {
            let number = tables.protections.enter(
                child.agreement, of: connection.name,
                number: index < written.count ? written[index] : child.protection)
            children.update(child.id) { $0.protection = number }
        }
    }

    /// Appends the prefixes of the configuration payload that the lease and the reauthentication have.
    func writePrefixes(to writer: RecordWriter) {
        writer.list(assignment.lease?.prefixLoans ?? []) { loan in
            writer.text(loan.pool)
            writer.put(loan.prefix)
        }
        writer.list(reauthentication.prefixes)
    }

    /// A process that did not write them had none.
    private func readPrefixes(_ reader: inout RecordReader) throws(RecordError) {
        guard !reader.isAtEnd else { return }
        let loans = try reader.list("prefixes") { reader throws(RecordError) in
            let pool = try reader.text("pool")
            return Lease.PrefixLoan(pool: pool, prefix: try reader.value())
        }
        assignment.lease?.prefixLoans = loans
        reauthentication.prefixes = try reader.list("prefixes")
    }

    private func readTimers(_ reader: inout RecordReader) throws(RecordError) {
        func deadline(_ reader: inout RecordReader) throws(RecordError) -> Instant? {
            try reader.optional("deadline") { reader throws(RecordError) in try reader.instant("deadline") }
        }
        rekeyDue = try deadline(&reader)
        for timer in Self.handedTimers { timers.set(timer, to: try deadline(&reader)) }
        for child in children.all {
            timers.set(.childExpiry(child.id), to: try deadline(&reader))
            timers.set(.childRekey(child.id), to: try deadline(&reader))
        }
        // Nobody puts off what is begun anew.
        timers.remove(.childCreation)
    }

    private func readPeer(_ reader: inout RecordReader) throws(RecordError) {
        nat.isLocal = try reader.bool("NAT")
        nat.isRemote = try reader.bool("NAT")
        nat.isSupported = try reader.bool("NAT")
        if try reader.bool("kept alive") { keptAlivePath = path }
        encapsulation = try reader.bool("encapsulation") ? .udp : .none
        localIdentity = try reader.optional("identity")
        remoteIdentity = try reader.optional("identity")
        eap.peer = try reader.optional("EAP identity")
        remoteCertificate = try reader.optional("certificate")
        algorithms = try reader.optional("algorithms")
        established = try reader.optional("established") { reader throws(RecordError) in
            try reader.instant("established")
        }
        lastHeard = try reader.instant("last heard")
        saidInitialContact = try reader.bool("INITIAL_CONTACT")
        isUnique = try reader.bool("unique")
        peerTakesFragments = try reader.bool("fragments")
        peerKnowsPPKs = try reader.bool("PPK")
        peerIsChildless = try reader.bool("childless")
        peerIsStrongSwan = try reader.bool("vendor")
        isMeantToBeUp = try reader.bool("meant to be up")
        ppkInUse = try reader.optional("PPK") { reader throws(RecordError) in try reader.octets("PPK") }
        failures = Int(try reader.uint32("failures"))
        assignment.settings = try reader.optional("settings")
        assignment.lease = try reader.optional("lease")
        mobility.isSpoken = try reader.bool("MOBIKE")
        mobility.awaitsRouteCheck = try reader.bool("MOBIKE")
        mobility.peerAddresses = try reader.list("addresses")
        reauthentication = try Reauthentication(from: &reader)
        redirects.from = try reader.optional("gateway")
        redirects.peerFollows = try reader.bool("redirection")
        volume = try SessionVolume(from: &reader)
    }
}

extension Reauthentication {
    fileprivate func write(to writer: RecordWriter) {
        writer.bool(isOurs)
        writer.optional(due) { writer.instant($0) }
        writer.optional(expires) { writer.instant($0) }
        writer.bool(isUnderWay)
        writer.bool(isBreaking)
        writer.bool(isSuccessor)
        writer.list(addresses)
    }

    fileprivate init(from reader: inout RecordReader) throws(RecordError) {
        self.init(isOurs: try reader.bool("reauthentication"))
        due = try reader.optional("due") { reader throws(RecordError) in try reader.instant("due") }
        expires = try reader.optional("expiry") { reader throws(RecordError) in try reader.instant("expiry") }
        isUnderWay = try reader.bool("under way")
        isBreaking = try reader.bool("breaking")
        isSuccessor = try reader.bool("successor")
        addresses = try reader.list("addresses")
    }
}

extension ChildSA: Recorded {
    func write(to writer: RecordWriter) {
        writer.put(id)
        writer.text(agreement.template.name)
        writer.put(agreement.proposal)
        writer.uint32(agreement.inboundSPI)
        writer.uint32(agreement.outboundSPI)
        writer.put(agreement.mode)
        writer.list(agreement.localSelectors)
        writer.list(agreement.remoteSelectors)
        writer.bool(agreement.refusesPadding)
        writer.optional(agreement.compression) { indices in
            writer.uint16(indices.inbound)
            writer.uint16(indices.outbound)
        }
        writer.bool(agreement.isGrouped)
        writer.optional(agreement.resource) { writer.uint32(UInt32(clamping: $0)) }
        writer.bool(encapsulation == .udp)
        writer.text(state.rawValue)
        writer.instant(installed)
        writer.optional(rekeyDue) { writer.instant($0) }
        writer.optional(expires) { writer.instant($0) }
        writer.bool(isProtecting)
        writer.optional(predecessor)
    }

    init(from reader: inout RecordReader) throws(RecordError) { try self.init(from: &reader, of: nil) }

    /// Reads one back whose template is `connection`'s; one that has none any more is about to be closed.
    fileprivate init(from reader: inout RecordReader, of connection: Connection?) throws(RecordError) {
        let id = try reader.value(ChildSAID.self)
        let name = try reader.text("child")
        let proposal = try reader.value(Proposal.self)
        let (inbound, outbound) = (try reader.uint32("SPI"), try reader.uint32("SPI"))
        let mode = try reader.value(ChildTemplate.Mode.self)
        let local = try reader.list("selectors", of: TrafficSelector.self)
        let remote = try reader.list("selectors", of: TrafficSelector.self)
        var agreement = ChildAgreement(
            template: connection?.child(named: name) ?? ChildTemplate(name: name), proposal: proposal,
            inboundSPI: inbound, outboundSPI: outbound, mode: mode, localSelectors: local, remoteSelectors: remote)
        agreement.refusesPadding = try reader.bool("padding")
        agreement.compression = try reader.optional("CPIs") { reader throws(RecordError) in
            let inbound = try reader.uint16("CPI")
            return CompressionIndices(inbound: inbound, outbound: try reader.uint16("CPI"))
        }
        agreement.isGrouped = try reader.bool("group")
        agreement.resource = try reader.optional("resource") { reader throws(RecordError) in
            Int(try reader.uint32("resource"))
        }
        let encapsulation: SecurityAssociation.Encapsulation = try reader.bool("encapsulation") ? .udp : .none
        guard let state = ChildSAState(rawValue: try reader.text("state")) else { throw .badValue("state") }
        let installed = try reader.instant("installed")
        let rekeyDue = try reader.optional("rekeying") { reader throws(RecordError) in try reader.instant("rekeying") }
        let expires = try reader.optional("expiry") { reader throws(RecordError) in try reader.instant("expiry") }
        self.init(
            id: id, terms: Held(wrappedValue: agreement), encapsulation: encapsulation, state: state,
            installed: installed,
            rekeyDue: rekeyDue, expires: expires, isProtecting: try reader.bool("protecting"), protection: id.rawValue)
        predecessor = try reader.optional("predecessor")
    }
}
