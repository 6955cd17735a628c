import Clockwork
import GatewayModel
import Telemetry
import ViciServer

/// What control clients are told as it happens.
///
/// Events of the engine become lines of a log, events of the protocol and outcomes of commands; most have no reader, and
/// cost nothing then.
extension ControlFacade {
    /// Takes an event of the gateway's.
    func observe(_ event: Event) {
        switch event.kind {
        case .exchanged(let message):
            counters.count(event)
            if message.isResponse, !message.isSent, !repeating.isEmpty { publishAnswer(event) }
            return
        case .dropped: counters.count(event)
        case .refused: failures.count(event)
        default: break
        }
        if event.isForCountersOnly { return }
        remembered.append(event)
        noteRepetitions(event)
        // A peer that tries at the same time, and fails, is not the failure that somebody here waits for.
        if isWaiting, pending.isInitiating, case .ikeStateChanged = event.kind, let id = event.ikeSA,
            let name = event.connection, let sa = gateway.ikeSA(id), Self.isOther(sa)
        {
            pending.disregard(id, of: name)
        }
        guard let server else { return }
        // With nobody at the socket there is nobody to tell.
        let isHeard = server.clientCount > 0
        if isHeard { tell(event, server) }
        publishChange(event, server)
        if isHeard { publishAlerts(event, server) }
        guard isWaiting else { return }
        for (ticket, outcome) in pending.settle(event) { server.complete(ticket, outcome) }
    }

    /// Whether anybody wants to read of every message.
    var wantsMessages: Bool { isWaiting || server?.hasListeners("log") ?? false }

    func recentLog() -> [ViciLogLine] {
        let (now, unixTime) = (now, unixTime)
        return remembered.inOrder.map { event in
            let text = EventText(event)
            var line = ViciLogLine(
                group: text.group.rawValue, level: text.level, connection: event.connection, ikeSA: event.ikeSA,
                text: text.text)
            line.time = unixTime - max(0, (now - event.time).wholeSeconds)
            return line
        }
    }

    /// An IKE SA as it was announced.
    func announcement(of id: IKESAID) -> IKESASummary? { Self.summary(announced[id]) }

    private static func summary(_ announcement: Event.Kind?) -> IKESASummary? {
        if case .ikeEstablished(let summary)? = announcement { summary } else { nil }
    }

    /// A peer that agrees and deletes at once has a reason that it does not tell.
    private func noteShortLife(_ event: Event, _ announcement: Event.Kind) {
        guard case .ikeClosed(.byPeer) = event.kind, case .ikeEstablished(let summary) = announcement,
            let born = summary.established, event.time - born < .seconds(10)
        else { return }
        shortLived[summary.connection] = event.time
    }

    /// Puts the event into words for those who want to read them, and only then: most events have no reader.
    private func tell(_ event: Event, _ server: any ViciAudience) {
        let listeners = isWaiting ? pending.listeners(event) : []
        let isPublic = server.hasListeners("log")
        guard isPublic || !listeners.isEmpty else { return }
        let text = EventText(event)
        let line = ViciLogLine(
            group: text.group.rawValue, level: text.level, connection: event.connection, ikeSA: event.ikeSA,
            text: text.text)
        for ticket in listeners { server.log(ticket, line) }
        if isPublic { server.publish(.log(line)) }
    }

    private func publishChange(_ event: Event, _ server: any ViciAudience) {
        switch event.kind {
        case .ikeStateChanged(.created, .established):
            // Nobody had to connect: it takes another one's place, and is announced when it does.
            successor = event.ikeSA
        case .ikeEstablished:
            guard let id = event.ikeSA, id != successor else { return }
            announced[id] = event.kind
            if !shortLived.isEmpty, let name = event.connection { shortLived[name] = nil }
            if server.hasListeners("ike-updown"), let summary = Self.summary(event.kind) {
                server.publish(.ikeUpDown(isUp: true, summary))
            }
        case .ikeStateChanged(_, .deleting): publishReplacement(of: event.ikeSA, server)
        case .ikeStateChanged(_, .rekeyed):
            if let id = event.ikeSA { publishRekey(of: id, server) }
        case .ikeClosed: if let id = event.ikeSA { publishClosed(id, event, server) }
        case .pathChanged:
            guard let id = event.ikeSA, announced[id] != nil || server.hasListeners("ike-update"),
                let summary = gateway.ikeSA(id)
            else { return }
            if announced[id] != nil { announced[id] = .ikeEstablished(summary) }
            server.publish(.ikeUpdate(summary))
        case .childInstalled(let child): publishInstalled(child, event, server)
        case .childClosed(let child, let reason):
            if let id = event.ikeSA { forget(child, id) }
            if reason != .replaced { publish(child, isUp: false, event, server) }
        default: return
        }
    }

    /// An IKE SA is gone.
    private func publishClosed(_ id: IKESAID, _ event: Event, _ server: any ViciAudience) {
        if !installed.isEmpty { installed[id] = nil }
        // One that was rekeyed lives on under another number, and is announced as that already.
        guard let announcement = announced.removeValue(forKey: id) else { return }
        noteShortLife(event, announcement)
        defer { if !replaced.isEmpty { replaced.remove(id) } }
        guard server.clientCount > 0, var summary = Self.summary(announcement) else { return }
        if case .ikeClosed(.replaced) = event.kind { publishReplacement(of: summary, server) }
        summary.state = .deleting
        server.publish(.ikeUpDown(isUp: false, summary))
    }

    /// An IKE SA has a successor: the youngest of its connection.
    private func publishRekey(of id: IKESAID, _ server: any ViciAudience) {
        guard var old = gateway.ikeSA(id) ?? announcement(of: id), announced.removeValue(forKey: id) != nil else {
            return
        }
        let candidates = gateway.ikeSAs(of: old.connection).reversed().filter {
            $0.id > id && $0.state == .established && $0.remoteIdentity == old.remoteIdentity
        }
        guard let successor = candidates.first(where: { !$0.children.isEmpty }) ?? candidates.first else { return }
        announced[successor.id] = .ikeEstablished(successor)
        // It has the children now.
        if let children = installed.removeValue(forKey: id) { installed[successor.id, default: []] += children }
        counters.countIKERekey(weInitiated: successor.isInitiator, successor.connection)
        old.children = []
        server.publish(.ikeRekey(old: old, new: successor))
    }

    /// A Child SA is up: a new one, or one in place of another.
    private func publishInstalled(_ child: ChildSASummary, _ event: Event, _ server: any ViciAudience) {
        guard let id = event.ikeSA else { return }
        if installed[id] == nil {
            installed[id] = [child]
            return publish(child, isUp: true, event, server)
        }
        guard let owner = gateway.ikeSA(id) else { return publish(child, isUp: true, event, server) }
        let now = owner.children.first { $0.id == child.id }
        // One that lost the contest with the peer's own replacement is on its way out.
        if now?.state == .rekeyed { return }
        defer { installed[owner.id, default: []].append(child) }
        // The one that it replaces is on its way out, or gone already by the time this is told.
        let replaced = (installed[owner.id] ?? []).last { earlier in
            earlier.name == child.name && earlier.id < child.id
                && !owner.children.contains {
                    $0.id == earlier.id && ($0.state == .installed || $0.state == .rekeying)
                }
        }
        guard let replaced else { return publish(child, isUp: true, event, server) }
        counters.countChildRekey(owner.connection)
        let traffic = [replaced.id: traffic(of: replaced), child.id: traffic(of: child)]
        server.publish(.childRekey(old: replaced, new: child, of: owner, traffic))
    }

    private func forget(_ child: ChildSASummary, _ owner: IKESAID) {
        guard let place = installed.index(forKey: owner) else { return }
        installed.values[place].removeAll { $0.id == child.id }
        if installed.values[place].isEmpty { installed.remove(at: place) }
    }

    private func publish(_ child: ChildSASummary, isUp: Bool, _ event: Event, _ server: any ViciAudience) {
        guard server.hasListeners("child-updown"), var owner = event.ikeSA.flatMap(announcement) else { return }
        if let now = gateway.ikeSA(owner.id) { owner = now } else { owner.state = .deleting }
        server.publish(.childUpDown(isUp: isUp, child, of: owner, traffic(of: child)))
    }

    /// What a Child SA has carried.
    func traffic(of child: ChildSASummary) -> ViciIKESA.Traffic {
        ViciIKESA.Traffic(
            inbound: gateway.counters(.inbound, spi: child.inboundSPI),
            outbound: gateway.counters(.outbound, spi: child.outboundSPI))
    }
}
