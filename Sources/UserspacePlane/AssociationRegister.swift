import ESPEngine
import GatewayModel

/// Which SAs there are, as the control thread knows them: places, slots, and whose they are.
///
/// It owns the numbers, never the packet threads' tables; those follow by orders.
struct AssociationRegister {
    /// An outbound SA and where it is.
    struct Outbound {
        let association: any InstalledAssociation
        let handle: OutboundHandle
        var child: ChildSAID { association.child }
    }

    /// By the index in the SPI.
    private var inbound = CompactTable<UInt32, any InstalledAssociation>()
    /// By SPI; peers choose them, so two may be the same.
    private var outbound = CompactTable<UInt32, Outbound>()
    private var namesakes: [UInt32: [Outbound]] = [:]
    /// By worker: an SA's slot says whose it is (see ``OrderFan``).
    private var freeSlots: [[Int32]]
    private var nextSlots: [Int32]
    private var nextSerial: UInt32 = 0

    /// SAs of both directions.
    var count: Int { inbound.count + outbound.count + namesakes.values.reduce(0) { $0 + $1.count } }

    /// For so many workers.
    init(workers: Int) {
        freeSlots = Array(repeating: [], count: workers)
        nextSlots = (0..<workers).map { Int32($0) }
    }

    // MARK: Inbound

    private static func index(_ spi: UInt32) -> UInt32 { UInt32(SPILayout.index(of: spi)) }

    /// Refuses an SPI whose place another SA has.
    mutating func add(_ association: some InstalledAssociation) throws(SAError) {
        let index = Self.index(association.spi)
        if let there = inbound[index], there.spi != association.spi { throw .indexTaken(spi: association.spi) }
        inbound[index] = association
    }

    func inbound(_ spi: UInt32) -> (any InstalledAssociation)? {
        inbound[Self.index(spi)].flatMap { $0.spi == spi ? $0 : nil }
    }

    mutating func removeInbound(_ spi: UInt32) -> (any InstalledAssociation)? {
        guard let association = inbound(spi) else { return nil }
        inbound[Self.index(spi)] = nil
        return association
    }

    func inbound(of child: ChildSAID) -> [any InstalledAssociation] {
        inbound.values.filter { $0.child == child }.sorted { $0.spi < $1.spi }
    }

    // MARK: Outbound

    /// Where an SA with this SPI goes: a slot of its own among those of `worker`, or that of the one that it replaces.
    mutating func makeHandle(_ spi: UInt32, _ child: ChildSAID, worker: Int) throws(SAError) -> OutboundHandle {
        nextSerial &+= 1
        if let there = outbound(spi, child) { return OutboundHandle(slot: there.handle.slot, serial: nextSerial) }
        if let slot = freeSlots[worker].popLast() { return OutboundHandle(slot: slot, serial: nextSerial) }
        let slot = nextSlots[worker]
        guard Int(slot) < OutboundSADatabase.capacity else { throw .tableFull }
        nextSlots[worker] += Int32(nextSlots.count)
        return OutboundHandle(slot: slot, serial: nextSerial)
    }

    /// Gives back a slot that nothing was put in.
    mutating func discard(_ handle: OutboundHandle, _ spi: UInt32, _ child: ChildSAID) {
        if outbound(spi, child) == nil { free(handle.slot) }
    }

    mutating func add(_ association: some InstalledAssociation, _ handle: OutboundHandle) {
        let (spi, made) = (association.spi, Outbound(association: association, handle: handle))
        guard let first = outbound[spi] else {
            outbound[spi] = made
            return
        }
        let others = ([first] + (namesakes[spi] ?? [])).filter { $0.child != made.child }
        setOutbound(spi, others + [made])
    }

    // Inlined: a look would have to copy all of the register otherwise.
    @inline(__always)
    func outbound(_ spi: UInt32, _ child: ChildSAID) -> Outbound? {
        guard let first = outbound[spi] else { return nil }
        return first.child == child ? first : namesakes[spi]?.first { $0.child == child }
    }

    /// One of those with this SPI, of which there is seldom more than one.
    func firstOutbound(_ spi: UInt32) -> Outbound? { outbound[spi] }

    mutating func remove(_ found: Outbound) {
        let spi = found.association.spi
        free(found.handle.slot)
        guard let first = outbound[spi] else { return }
        guard let others = namesakes[spi] else {
            if first.handle == found.handle { outbound[spi] = nil }
            return
        }
        setOutbound(spi, ([first] + others).filter { $0.handle != found.handle })
    }

    private mutating func setOutbound(_ spi: UInt32, _ all: [Outbound]) {
        outbound[spi] = all.first
        if all.count > 1 { namesakes[spi] = Array(all.dropFirst()) } else { namesakes.drop(spi) }
    }

    private mutating func free(_ slot: Int32) { freeSlots[Int(slot) % freeSlots.count].append(slot) }

    func outbound(of child: ChildSAID) -> [Outbound] {
        let found = outbound.values.filter { $0.child == child }
        let alike = namesakes.values.joined().filter { $0.child == child }
        return (found + alike).sorted { $0.handle.slot < $1.handle.slot }
    }
}
