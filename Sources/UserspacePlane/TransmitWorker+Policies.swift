import Clockwork
import ESPEngine
import GatewayModel
import IPPackets
import LinuxSystem
import NetworkTypes

/// Policies as they come and go, with the devices that have their own, and the packets that wait for one of them.
extension TransmitWorker {
    /// A packet wants an SA that is not there: it waits a moment, and somebody is told.
    @inline(never)
    mutating func hold(_ bytes: RawSpan, _ number: UInt32, _ now: Instant) {
        let outcome = held.hold(bytes, for: number, until: heldUntil, now: now)
        if !outcome.isKept { associations.drops.count(.holdFull) }
        if let event = outcome.event { inbox.put(event) }
    }

    /// An SA has come: what waited for it goes, before anything that comes later.
    @inline(never)
    mutating func release() {
        guard !held.isEmpty else { return }
        let now = MonotonicClock.now()
        for packet in held.takeAll() {
            heldUntil = packet.expires
            let owner = owners[ChildSAID(rawValue: packet.trap)]
            let domain = owner.flatMap { domains[$0] }
            // The device that it came by is gone.
            if owner != nil, domain == nil { continue }
            let header = domain?.port.headerSize ?? port.headerSize
            // Octets have no padding: a span of them is a raw span.
            carry(unsafe packet.bytes.span.bytes, header, domain.map { unsafe LentDomain($0) }, now)
        }
        heldUntil = nil
        train.send()
    }

    /// A child has a device of its own from now on.
    mutating func open(_ number: UInt64, _ port: any PacketPort) {
        domains[number] = PolicyDomain(port, number)
        do { try poller.add(port.descriptor, token: number, .readable) } catch { failure.record(error) }
    }

    /// It has none any more, and its policies went with it.
    mutating func close(_ number: UInt64) {
        guard let domain = domains.removeValue(forKey: number) else { return }
        try? poller.remove(domain.port.descriptor)
        // The device goes with its last user.
        if report.port === domain.port { report.port = port }
    }

    mutating func set(
        _ child: ChildSAID, _ selectors: PolicySelectors, _ action: PolicyDatabase.Action, _ precedence: UInt32,
        _ domain: UInt64
    ) {
        fragments.forgetUnprotected()
        // The control thread has counted the entries.
        do {
            guard domain > 0 else {
                // Its own come before those of the first worker, which serve all.
                var isOwn = false
                if index > 0, case .protect(let handle) = action {
                    isOwn = OutboundOwner.worker(slot: handle.slot, among: crew.count) == index
                }
                try policies.set(
                    child, local: selectors.local, remote: selectors.remote, action: action, precedence: precedence,
                    isPreferred: isOwn)
                return
            }
            owners[child] = domain
            try domains[domain]?.policies.set(
                child, local: selectors.local, remote: selectors.remote, action: action, precedence: precedence)
        } catch { assertionFailure("\(error)") }
    }

    mutating func stand(_ key: ChildSAID, _ policy: StandingPolicy, _ domain: UInt64) {
        let action: PolicyDatabase.Action
        switch policy.action {
        case .trap:
            action = .trap(key.rawValue)
            held.set(key.rawValue, connection: policy.connection, child: policy.child)
        case .block, .discard: action = .block
        case .bypass: action = .bypass
        }
        set(key, PolicySelectors(local: policy.local, remote: policy.remote), action, policy.precedence, domain)
    }
}
