import Clockwork
import GatewayModel
import IKECore
import NetworkTypes

/// An IKE SA's path after it is established: following a NAT's mappings, and keeping our own alive (RFC 7296 §2.23,
/// RFC 3948 §2.3).
extension SessionContext {
    /// A peer behind a NAT may come from another address or port at any time; whoever holds the keys is believed
    /// (RFC 7296 §2.23), and a request that went to where it was goes again. Without a NAT the ends stay where they are.
    func followNAT(_ now: Path, _ turn: inout Turn) {
        guard nat.isRemote, socket == .natTraversal, now != path else { return }
        publish(.pathChanged(from: path, to: now), &turn)
        stopKeepingAlive(&turn)
        path = now
        keepAlive(&turn)
        // Who moved lives.
        requests.peerSpoke(now: turn.now)
        requests.sendSoon(now: turn.now)
        for child in children.all { turn.plane(.move(child.id, now, child.encapsulation)) }
    }

    /// The same for an IKE message. With MOBIKE only the exchange for it changes an address, so that a message that was
    /// late takes nobody back to where it came from (RFC 4555 §3.8); a port is a NAT's business all the same.
    func followMessage(_ now: Path, _ turn: inout Turn) {
        let isElsewhere = now.local.address != path.local.address || now.remote.address != path.remote.address
        if mobility.isSpoken, isElsewhere { return }
        followNAT(now, &turn)
    }

    /// Behind a NAT, somebody has to keep its mapping of the path alive. IKE SAs may share one.
    func keepAlive(_ turn: inout Turn) {
        let pause = turn.configuration.limits.keepAlive
        guard nat.isLocal, pause > .zero, established != nil, keptAlivePath == nil else { return }
        keptAlivePath = path
        if turn.tables.keepAlive(path) { turn.plane(.keepAlive(path, every: pause)) }
    }

    /// Whether there is a NAT on the path that we have now: another network may have one, or none any more.
    func learn(_ found: NATDetection, _ turn: inout Turn) {
        nat = found
        if nat.isLocal { keepAlive(&turn) } else { stopKeepingAlive(&turn) }
    }

    /// Nobody needs the mapping any more, or the path is another one.
    func stopKeepingAlive(_ turn: inout Turn) {
        guard let path = keptAlivePath else { return }
        keptAlivePath = nil
        if turn.tables.stopKeepingAlive(path) { turn.plane(.keepAlive(path, every: .zero)) }
    }
}
