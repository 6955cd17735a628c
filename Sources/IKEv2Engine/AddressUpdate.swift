import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes

/// What MOBIKE knows of one IKE SA (RFC 4555).
struct MobilityState {
    /// The most addresses of a peer's that are remembered.
    static let limit = 16
    /// After how many repetitions a request is sent to the peer's other addresses as well.
    static let patience = 2

    /// Whether both ends speak it.
    var isSpoken = false
    /// The peer's other addresses.
    var peerAddresses: [IPAddress] = []
    /// Whether the peer has moved, and has not shown yet that it is where it says.
    var awaitsRouteCheck = false
    /// Whether our address in use is gone, and we have not found another one yet.
    var hasLostAddress = false
}

/// Tells the peer that we are somewhere else now (RFC 4555 §3.5).
struct UpdateAddresses: Exchange {
    private let path: Path
    private let cookie: [UInt8]
    private let detection: [NotifyPayload]

    /// From the path that the IKE SA has now.
    init(_ context: SessionContext, _ turn: inout Turn) {
        path = context.path
        cookie = turn.environment.entropy.bytes(16)
        detection = NATDetection.offer(
            initiatorSPI: context.initiatorSPI, responderSPI: context.responderSPI, path: context.path,
            pretending: context.pretendsNAT, &turn.environment.entropy)
    }

    var type: ExchangeType { .informational }
    var activity: Activity { .none }
    var remainder: Remainder? { .again(.updateAddresses) }
    var payloads: [Payload] {
        let notifies = [NotifyPayload(.updateSAAddresses)] + detection + [NotifyPayload(.cookie2, cookie)]
        return notifies.map { .notify($0) }
    }

    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep {
        let notifies = try context.notifies(of: response)
        guard notifies.first(.cookie2)?.data == cookie else {
            throw .malformed(.informational, .missing(.notify, .informational), isResponse: true)
        }
        // We have moved on meanwhile: this says nothing about where we are now.
        guard context.path == path else { return .then(UpdateAddresses(context, &turn)) }
        if notifies.contains(.unacceptableAddresses) || notifies.contains(.unexpectedNATDetected) {
            let reason =
                notifies.contains(.unacceptableAddresses)
                ? "the peer does not accept our address \(path.local.address)"
                : "a NAT changes our address \(path.local.address), which the peer does not allow"
            context.refuse(.noPath(remote: "\(path.remote)", reason: reason), &turn)
            return .done
        }
        let found = NATDetection.found(
            in: notifies, initiatorSPI: context.initiatorSPI, responderSPI: context.responderSPI, path: path)
        context.learn(found, &turn)
        context.moveChildren(&turn)
        return .done
    }
}

/// Asks the peer, at its new address, for octets that only who receives there can know (RFC 4555 §3.7).
struct CheckRoute: Exchange {
    private let cookie: [UInt8]
    private let path: Path

    /// At the address that the IKE SA has now.
    init(_ context: SessionContext, _ turn: inout Turn) {
        cookie = turn.environment.entropy.bytes(16)
        path = context.path
    }

    var type: ExchangeType { .informational }
    var activity: Activity { .none }
    var remainder: Remainder? { .again(.checkRoute) }
    var payloads: [Payload] { [.notify(NotifyPayload(.cookie2, cookie))] }

    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep {
        let notifies = try context.notifies(of: response)
        guard notifies.first(.cookie2)?.data == cookie else {
            throw .malformed(.informational, .missing(.notify, .informational), isResponse: true)
        }
        guard context.path == path else { return .then(CheckRoute(context, &turn)) }
        context.mobility.awaitsRouteCheck = false
        context.moveChildren(&turn)
        return .done
    }
}

/// Tells the peer which other addresses we have (RFC 4555 §3.6).
struct AnnounceAddresses: Exchange {
    private let notifies: [NotifyPayload]

    /// The addresses that we have now.
    init(_ context: SessionContext, _ turn: Turn) {
        let others = context.additionalAddresses(turn)
        notifies = others.isEmpty ? [NotifyPayload(.noAdditionalAddresses)] : others
    }

    var type: ExchangeType { .informational }
    var activity: Activity { .none }
    var remainder: Remainder? { .again(.announceAddresses) }
    var payloads: [Payload] { notifies.map { .notify($0) } }

    func complete(
        _ response: OpenedMessage, _ keys: SessionKeys, _ context: SessionContext, _ turn: inout Turn
    ) throws(PeerFault) -> NextStep { .done }
}

/// Where both ends are, and where else they may be (RFC 4555). Only the end that started the first IKE SA decides which
/// addresses are used.
extension SessionContext {
    /// What goes into IKE_AUTH: that we speak it, and our other addresses. A responder speaks when it was spoken to.
    func mobilityNotifies(_ turn: Turn, asked: Bool = true) -> [NotifyPayload] {
        guard connection.mobike, asked else { return [] }
        return [NotifyPayload(.mobikeSupported)] + additionalAddresses(turn)
    }

    /// Whether the peer forbids NAT (RFC 4555 §3.9) and one has changed the addresses that it wrote down.
    func isUnexpectedNAT(_ notifies: [NotifyPayload], _ path: Path) -> Bool {
        guard let written = notifies.first(.noNATsAllowed)?.data else { return false }
        let ports = [path.remote.port, path.local.port].flatMap {
            [UInt8(truncatingIfNeeded: $0 >> 8), UInt8($0 & 0xff)]
        }
        return written != path.remote.address.bytes + path.local.address.bytes + ports
    }

    /// What the peer's IKE_AUTH says about it.
    func takeMobility(_ notifies: [NotifyPayload]) {
        mobility.isSpoken = connection.mobike && notifies.contains(.mobikeSupported)
        if mobility.isSpoken { takeAddresses(notifies) }
    }

    /// Our other addresses, of the family in use first.
    fileprivate func additionalAddresses(_ turn: Turn) -> [NotifyPayload] {
        let own = assignment.settings?.addresses ?? []
        let lent = assignment.settings?.prefixes ?? []
        // The peer reaches the virtual ones through this very tunnel.
        let others = turn.tables.localAddresses.filter { address in
            address != path.local.address && !own.contains(address) && !lent.contains { $0.contains(address) }
        }
        return others.prefix(MobilityState.limit).map { address in
            NotifyPayload(address.family == .v4 ? .additionalIP4Address : .additionalIP6Address, address.bytes)
        }
    }

    /// The list replaces the one before it (RFC 4555 §3.6).
    /// - Returns: Whether there was one.
    @discardableResult private func takeAddresses(_ notifies: [NotifyPayload]) -> Bool {
        var found: [IPAddress] = []
        for notify in notifies where notify.type == .additionalIP4Address || notify.type == .additionalIP6Address {
            let length = notify.type == .additionalIP4Address ? 4 : 16
            guard notify.data.count == length, let address = IPAddress(bytes: notify.data), !address.isUnspecified,
                !address.isMulticast, !found.contains(address), found.count < MobilityState.limit
            else { continue }
            found.append(address)
        }
        guard !found.isEmpty || notifies.contains(.noAdditionalAddresses) else { return false }
        mobility.peerAddresses = found
        return true
    }

    fileprivate func notifies(of response: OpenedMessage) throws(PeerFault) -> [NotifyPayload] {
        do throws(GrammarError) {
            return try Informational(response).notifies
        } catch {
            throw .malformed(.informational, error, isResponse: true)
        }
    }

    // MARK: We move

    /// The machine's addresses are others now, or its routes: who chooses the path looks for it anew, and so does the other
    /// end when its address in use is among those that are `lost`.
    func addressesChanged(lost: [IPAddress], _ turn: inout Turn) {
        guard mobility.isSpoken, established != nil, !isReplaced else { return }
        let isPresent = turn.tables.localAddresses.contains(path.local.address)
        mobility.hasLostAddress = !isPresent && (mobility.hasLostAddress || lost.contains(path.local.address))
        if reauthentication.isOurs || mobility.hasLostAddress {
            searchPath(&turn)
        } else {
            agenda.add(.announceAddresses)
        }
    }

    /// Looks for the way anew; what was found out before is worth nothing any more.
    func searchPath(_ turn: inout Turn) {
        // The peer is where it is; only our end is in question. Where the peer chooses the path and ours is dead, any way
        // will do to tell it (RFC 4555 §3.6).
        var asked = connection
        let others = reauthentication.isOurs ? [] : mobility.peerAddresses
        asked.remoteAddresses = ([path.remote.address] + others).map { .prefix(IPPrefix(host: $0)) }
        let own = turn.tables.localAddresses
        let present = asked.localAddresses.filter { $0.single.map { own.contains($0) } ?? true }
        if !present.isEmpty { asked.localAddresses = present }
        askAside(.path(asked), about: .path, &turn)
    }

    /// The way to the peer is known, or there is none (any more).
    func pathFound(_ answer: Answer, _ turn: inout Turn) {
        // Without a way we wait for the next change; silence ends it otherwise.
        guard case .path(let found) = answer else { return }
        guard reauthentication.isOurs else {
            detour(found, &turn)
            return
        }
        guard found.remote.address == path.remote.address, found.local.address != path.local.address else { return }
        var next = path
        next.local.address = found.local.address
        changePath(to: next, &turn)
        agenda.add(.updateAddresses)
    }

    /// The peer chooses the path, and our end of it is gone: we send from where we still can (RFC 4555 §3.5), and tell.
    private func detour(_ found: Path, _ turn: inout Turn) {
        guard mobility.hasLostAddress, turn.tables.localAddresses.contains(found.local.address) else { return }
        mobility.hasLostAddress = false
        var next = path
        next.local.address = found.local.address
        if mobility.peerAddresses.contains(found.remote.address) { next.remote.address = found.remote.address }
        if next != path, next.local.address.family == next.remote.address.family {
            changePath(to: next, &turn)
            moveChildren(&turn)
        }
        agenda.add(.announceAddresses)
    }

    /// Messages go this way from now on, those that are under way as well; packets follow when the peer has agreed.
    private func changePath(to next: Path, _ turn: inout Turn) {
        publish(.pathChanged(from: path, to: next), &turn)
        stopKeepingAlive(&turn)
        path = next
        keepAlive(&turn)
        requests.sendSoon(now: turn.now)
    }

    /// A request that nobody answers goes to the peer's other addresses as well (RFC 4555 §3.10).
    func probeOtherPaths(_ datagrams: [[UInt8]], attempt: Int, _ turn: inout Turn) {
        guard mobility.isSpoken, reauthentication.isOurs, attempt >= MobilityState.patience else { return }
        for address in mobility.peerAddresses where address.family == path.local.address.family {
            guard address != path.remote.address else { continue }
            let other = Path(local: path.local, remote: Endpoint(address, path.remote.port))
            for bytes in datagrams { turn.send(bytes, other, socket) }
        }
    }

    /// An answer came from another of the peer's addresses than the one in use: that one works.
    func takeWorkingPath(_ arrival: Arrival, _ turn: inout Turn) {
        guard mobility.isSpoken, reauthentication.isOurs, arrival.path.remote != path.remote,
            mobility.peerAddresses.contains(arrival.path.remote.address)
        else { return }
        mobility.peerAddresses = mobility.peerAddresses + [path.remote.address]
        changePath(to: arrival.path, &turn)
        agenda.add(.updateAddresses)
    }

    /// Packets take the path of the IKE SA.
    func moveChildren(_ turn: inout Turn) {
        for child in children.all { turn.plane(.move(child.id, path, child.encapsulation)) }
    }

    // MARK: The peer moves

    /// What an INFORMATIONAL request of the peer's says about addresses; the notifications of its answer.
    func answerMobility(_ notifies: [NotifyPayload], _ arrival: Arrival, _ turn: inout Turn) -> [NotifyPayload] {
        // Whoever asks for octets back gets them back.
        var answer = notifies.filter { $0.type == .cookie2 && (8...64).contains($0.data.count) }.prefix(1).map { $0 }
        guard mobility.isSpoken else { return answer }
        if isUnexpectedNAT(notifies, arrival.path) { return answer + [NotifyPayload(.unexpectedNATDetected)] }
        if takeAddresses(notifies) { leaveDeadAddress(arrival, &turn) }
        guard notifies.contains(.updateSAAddresses), !reauthentication.isOurs else { return answer }
        answer += NATDetection.offer(
            initiatorSPI: initiatorSPI, responderSPI: responderSPI, path: arrival.path, pretending: pretendsNAT,
            &turn.environment.entropy)
        if arrival.path != path {
            socket = arrival.socket
            changePath(to: arrival.path, &turn)
        }
        let found = NATDetection.found(
            in: notifies, initiatorSPI: initiatorSPI, responderSPI: responderSPI, path: arrival.path)
        learn(found, &turn)
        // Packets follow when the peer has shown that it receives there.
        mobility.awaitsRouteCheck = true
        agenda.add(.checkRoute)
        return answer
    }

    /// The peer has told its addresses: where the one that we use is not among them, nor the one that it speaks from, we
    /// go to that. Packets follow when it has answered there.
    private func leaveDeadAddress(_ arrival: Arrival, _ turn: inout Turn) {
        guard reauthentication.isOurs, arrival.path.remote.address != path.remote.address,
            !mobility.peerAddresses.contains(path.remote.address)
        else { return }
        socket = arrival.socket
        changePath(to: arrival.path, &turn)
        agenda.add(.updateAddresses)
    }
}

extension IKEv2Endpoint {
    /// The machine's addresses are these now.
    func localAddressesChanged(_ addresses: [IPAddress], _ turn: inout Turn) {
        let lost = tables.localAddresses.filter { !addresses.contains($0) }
        tables.localAddresses = addresses
        for session in inOrder where session.isEstablished {
            session.addressesChanged(lost: lost, &turn)
            after(session, &turn)
        }
    }
}
