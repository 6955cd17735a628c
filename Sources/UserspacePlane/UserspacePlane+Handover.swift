public import ESPEngine
public import GatewayModel
import IPsecCrypto
import LinuxSystem
public import NetworkTypes

/// From one process to the next: the packet threads rest, what they own is read, and another plane goes on with it.
extension UserspacePlane {
    /// Lets all packet threads stay where they are, between two packets; false when one of them does not come to rest
    /// within a second, and then all go on.
    public func comeToRest() -> Bool {
        for worker in receiveOrders.queues.indices {
            guard let received = try? Rest(), let transmitted = try? Rest() else {
                goOn()
                return false
            }
            receiveOrders.queues[worker].append(.rest(received))
            transmitOrders.queues[worker].append(.rest(transmitted))
            rests += [received, transmitted]
        }
        wakeWorkers()
        guard rests.allSatisfy({ $0.wait(milliseconds: 1_000) }) else {
            goOn()
            return false
        }
        return true
    }

    /// Lets the packet threads go on, as if nothing had been.
    public func goOn() {
        for rest in rests { rest.end() }
        rests = []
    }

    /// How far an SA has come; nil when there is none. Only while the packet threads rest.
    public func state(of association: SecurityAssociation) -> AssociationState? {
        found(association)?.state(of: association)
    }

    /// Adds an SA that another process has carried so far.
    public func resume(_ association: SecurityAssociation, _ state: AssociationState) throws(PlaneError) {
        var association = association
        association.encryptionKey = state.keys.encryption
        association.integrityKey = state.keys.integrity
        association.limits = state.limits
        hasNewOrders = true
        switch association.direction {
        case .inbound: try installInbound(association, resuming: state)
        case .outbound: try installOutbound(association, resuming: state)
        }
    }

    /// Virtual addresses that this plane has given the host.
    public var ownAddresses: [IPAddress] { addresses?.made ?? [] }

    /// Takes over virtual addresses that an earlier process has given the host.
    public func adopt(addresses list: [IPAddress]) { addresses?.adopt(list) }

    /// Policies that Child SAs have left behind when they went.
    public var leftBehind: [StandingPolicy] { standing.entries.filter(\.isLeftBehind).map(\.policy) }

    /// What the next process's plane takes over; nil where packets do not go through devices of the kernel's.
    public var inheritance: PlaneInheritance? {
        var inheritance = PlaneInheritance()
        inheritance.shape = shape
        for (port, sockets) in crew {
            guard let device = port as? TunDevice else { return nil }
            inheritance.workers.append(
                PlaneInheritance.Worker(
                    queue: PlaneInheritance.Queue(device),
                    sockets: sockets.entries.map { $0.socket.descriptor.number }))
        }
        if !inheritance.workers.isEmpty { inheritance.workers[0].sockets += listener.markedNumbers }
        for key in interfaces.entries.keys.sorted() {
            guard let entry = interfaces.entries[key] else { continue }
            inheritance.interfaces.append(
                PlaneInheritance.Interface(
                    key: key, namespace: entry.interface.namespace, queue: PlaneInheritance.Queue(entry.device)))
        }
        return inheritance
    }

    /// An outbound SA of ESP; one that another process has carried goes on from its state.
    func makeESP(
        _ association: SecurityAssociation, _ state: AssociationState?, _ serial: UInt32
    ) throws(SAError) -> OutboundSA {
        if let state, let heir = try OutboundSA(resuming: association, state, serial: serial) { return heir }
        return try OutboundSA(association, serial: serial, entropy: &entropy)
    }

    /// The same for AH.
    func makeAH(
        _ association: SecurityAssociation, _ state: AssociationState?, _ serial: UInt32
    ) throws(SAError) -> OutboundAH {
        if let state, let heir = try OutboundAH(resuming: association, state, serial: serial) { return heir }
        return try OutboundAH(association, serial: serial, entropy: &entropy)
    }
}
