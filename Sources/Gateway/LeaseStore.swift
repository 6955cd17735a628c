import GatewayModel
import IKECore
import NetworkTypes
import StateRecords

/// The addresses of all pools: who has which, and who had which.
///
/// It owns the leases of this process. A client that comes back gets the address that it had before, as long as nobody
/// else needs it. What is remembered is bounded; it is forgotten with the process. Its cost per lease does not grow with
/// the size of a pool.
struct LeaseStore {
    private var pools: [String: Pool] = [:]
    private var order: [String] = []
    /// Addresses that a RADIUS server chose: whose each is, and how many IKE SAs use it.
    private var chosen: [IPAddress: (identity: Identity, users: Int)] = [:]

    /// IKE SAs that one client may have at once, far more than any has.
    private static let mostUsers: UInt32 = 65_536

    /// A store of these pools, with nothing lent.
    init(_ pools: [AddressPool] = []) {
        order = pools.map(\.name)
        for pool in pools { self.pools[pool.name] = Pool(pool) }
    }

    /// Takes over other pools. Leases of a pool whose addresses are in it as before stay.
    mutating func replace(_ next: [AddressPool]) {
        var kept: [String: Pool] = [:]
        for pool in next {
            if var present = pools[pool.name], present.configuration.addresses == pool.addresses {
                present.configuration = pool
                kept[pool.name] = present
            } else {
                kept[pool.name] = Pool(pool)
                for holding in pools[pool.name]?.holdings ?? [] {
                    kept[pool.name]?.restore(holding.address, holding.identity, users: holding.users)
                }
            }
        }
        order = next.map(\.name)
        pools = kept
    }

    /// Lends addresses to a client: one for each that it asks for and that a pool has. No address at all is a refusal.
    mutating func lease(_ request: LeaseRequest) -> Answer {
        var loans: [Lease.Loan] = []
        var attributes: [HostAttribute] = []
        for wanted in request.wanted {
            for name in request.pools {
                if name == AddressPool.byServer {
                    guard let address = choose(request, wanted.family, loans) else { continue }
                    loans.append(Lease.Loan(pool: name, address: address))
                    break
                }
                guard pools[name]?.configuration.addresses.family == wanted.family,
                    !loans.contains(where: { $0.pool == name }),
                    let address = pools[name]?.lend(to: request.identity, wanted, mayShare: request.replacesOlder)
                else { continue }
                loans.append(Lease.Loan(pool: name, address: address))
                for attribute in pools[name]?.configuration.attributes ?? [] where !attributes.contains(attribute) {
                    attributes.append(attribute)
                }
                break
            }
        }
        guard !loans.isEmpty else { return .noLease(refusal(request)) }
        for attribute in request.attributes where !attributes.contains(attribute) { attributes.append(attribute) }
        return .leased(Lease(identity: request.identity, loans: loans, attributes: attributes))
    }

    /// Takes addresses back. Those of pools that are gone are nobody's any more.
    mutating func release(_ lease: Lease) {
        for loan in lease.loans {
            if loan.pool == AddressPool.byServer {
                giveUp(loan.address)
            } else {
                pools[loan.pool]?.takeBack(loan.address)
            }
        }
    }

    /// The address of this family that a server chose for the client; nil when it chose none, or somebody else has it.
    private mutating func choose(
        _ request: LeaseRequest, _ family: IPAddress.Family, _ loans: [Lease.Loan]
    ) -> IPAddress? {
        guard let address = request.chosen.first(where: { $0.family == family }),
            !loans.contains(where: { $0.address == address })
        else { return nil }
        let owner = chosen[address] ?? (request.identity, 0)
        guard owner.identity == request.identity else { return nil }
        chosen[address] = (owner.identity, owner.users + 1)
        return address
    }

    private mutating func giveUp(_ address: IPAddress) {
        guard let owner = chosen[address] else { return }
        chosen[address] = owner.users > 1 ? (owner.identity, owner.users - 1) : nil
    }

    /// All pools, in the order of the configuration.
    var summaries: [PoolSummary] { order.compactMap { pools[$0]?.summary } }

    /// Appends who has which address, and who had.
    func write(to writer: RecordWriter) {
        writer.list(order) { name in
            writer.text(name)
            writer.list(pools[name]?.holdings ?? []) { holding in
                writer.put(holding.address)
                writer.put(holding.identity)
                writer.uint32(UInt32(clamping: holding.users))
            }
        }
    }

    /// Reads it back; what belongs to no pool any more is left out.
    mutating func read(from reader: inout RecordReader) throws(RecordError) {
        let found = try reader.list("pools") { reader throws(RecordError) in
            let name = try reader.text("pool")
            return (
                name,
                try reader.list("leases") { reader throws(RecordError) in
                    let address = try reader.value(IPAddress.self)
                    let identity = try reader.value(Identity.self)
                    let users = try reader.uint32("users")
                    guard users <= Self.mostUsers else { throw .badValue("users") }
                    return (address: address, identity: identity, users: Int(users))
                }
            )
        }
        for (name, holdings) in found {
            for holding in holdings { pools[name]?.restore(holding.address, holding.identity, users: holding.users) }
        }
    }

    private func refusal(_ request: LeaseRequest) -> String {
        let families = Set(request.wanted.map(\.family))
        let reasons = request.pools.map { name in
            if name == AddressPool.byServer { return chosenRefusal(request, families) }
            guard let pool = pools[name] else { return "there is no pool '\(name)' any more" }
            let family = pool.configuration.addresses.family
            guard families.contains(family) else {
                return "pool '\(name)' has no \(family == .v4 ? "IPv6" : "IPv4") addresses"
            }
            return "all \(pool.size) addresses of pool '\(name)' are in use"
        }
        return reasons.joined(separator: "; ")
    }

    private func chosenRefusal(_ request: LeaseRequest, _ families: Set<IPAddress.Family>) -> String {
        guard let address = request.chosen.first(where: { families.contains($0.family) }) else {
            return "the RADIUS server sent no address (Framed-IP-Address, Framed-IPv6-Address)"
        }
        let owner = chosen[address].map { "'\($0.identity)' has it" } ?? "it can't be had"
        return "the RADIUS server gives \(address), and \(owner)"
    }
}

/// The leases of one pool.
private struct Pool {
    /// The most addresses that are kept for clients that are not there.
    static let rememberedOffline = 65_536

    private struct Entry {
        let identity: Identity
        /// IKE SAs that use it; 0 when it is kept for its owner.
        var users: Int
        /// Which stay offline this is, so that an older note of one does not count.
        var absence: UInt64 = 0
    }

    var configuration: AddressPool
    private var entries: [IPAddress: Entry] = [:]
    private var byIdentity: [Identity: [IPAddress]] = [:]
    /// Addresses in the order in which they went offline; some have come back since.
    private var absences: [(address: IPAddress, number: UInt64)] = []
    private var firstAbsence = 0
    private var lastAbsence: UInt64 = 0
    private var offline = 0
    private var cursor: IPAddress

    init(_ configuration: AddressPool) {
        self.configuration = configuration
        cursor = configuration.addresses.lower
    }

    /// How many addresses there are; Int.max when there are more than that.
    var size: Int {
        let count = configuration.addresses.upper.bits - configuration.addresses.lower.bits
        return count < UInt128(Int.max) ? Int(count) + 1 : Int.max
    }

    var summary: PoolSummary {
        let listed = entries.sorted { $0.key < $1.key }.map { address, entry in
            PoolSummary.Entry(address: address, identity: entry.identity, isOnline: entry.users > 0)
        }
        return PoolSummary(
            name: configuration.name, base: configuration.base, size: size, online: entries.count - offline,
            offline: offline, entries: listed)
    }

    /// Who has which address, and whose it is kept for: the longest absent first, so that they keep their order.
    var holdings: [(address: IPAddress, identity: Identity, users: Int)] {
        entries.sorted { ($0.value.absence, $0.key) < ($1.value.absence, $1.key) }.map {
            ($0.key, $0.value.identity, $0.value.users)
        }
    }

    /// As another process had it.
    mutating func restore(_ address: IPAddress, _ identity: Identity, users: Int) {
        guard configuration.addresses.contains(address), entries[address] == nil else { return }
        for _ in 0..<max(users, 1) { _ = take(address, identity) }
        if users == 0 { takeBack(address) }
    }

    /// One address; nil when all are in use.
    mutating func lend(to identity: Identity, _ wanted: IPAddress, mayShare: Bool) -> IPAddress? {
        let own = byIdentity[identity] ?? []
        // What it had, the one that it wants first.
        let kept = own.filter { entries[$0]?.users == 0 }
        if let address = kept.first(where: { $0 == wanted }) ?? kept.first { return take(address, identity) }
        // What it has: its older IKE SA is about to end, or it asks for the same once more before it ends it.
        if own.contains(wanted) { return take(wanted, identity) }
        if mayShare, let address = own.first { return take(address, identity) }
        if configuration.addresses.contains(wanted), entries[wanted] == nil { return take(wanted, identity) }
        if entries.count < size {
            while entries[cursor] != nil { advance() }
            let address = cursor
            advance()
            return take(address, identity)
        }
        guard let oldest = longestAbsent() else { return nil }
        forget(oldest)
        return take(oldest, identity)
    }

    /// One user fewer.
    mutating func takeBack(_ address: IPAddress) {
        guard var entry = entries[address], entry.users > 0 else { return }
        entry.users -= 1
        if entry.users == 0 {
            lastAbsence += 1
            entry.absence = lastAbsence
            absences.append((address, lastAbsence))
            offline += 1
        }
        entries[address] = entry
        if offline > Self.rememberedOffline, let oldest = longestAbsent() { forget(oldest) }
        // What has come back since is not kept on the list for ever.
        if absences.count - firstAbsence > 2 * offline + 1024 {
            absences = absences[firstAbsence...].filter { isCurrent($0) }
            firstAbsence = 0
        }
    }

    private mutating func take(_ address: IPAddress, _ identity: Identity) -> IPAddress {
        if var entry = entries[address] {
            if entry.users == 0 { offline -= 1 }
            entry.users += 1
            entries[address] = entry
        } else {
            entries[address] = Entry(identity: identity, users: 1)
            byIdentity[identity, default: []].append(address)
        }
        return address
    }

    private mutating func forget(_ address: IPAddress) {
        guard let entry = entries.removeValue(forKey: address) else { return }
        if entry.users == 0 { offline -= 1 }
        byIdentity[entry.identity]?.removeAll { $0 == address }
        if byIdentity[entry.identity]?.isEmpty ?? false { byIdentity[entry.identity] = nil }
    }

    private mutating func longestAbsent() -> IPAddress? {
        while firstAbsence < absences.count {
            let absence = absences[firstAbsence]
            firstAbsence += 1
            if isCurrent(absence) { return absence.address }
        }
        absences = []
        firstAbsence = 0
        return nil
    }

    private func isCurrent(_ absence: (address: IPAddress, number: UInt64)) -> Bool {
        entries[absence.address].map { $0.users == 0 && $0.absence == absence.number } ?? false
    }

    private mutating func advance() {
        let range = configuration.addresses
        cursor = cursor == range.upper ? range.lower : IPAddress(range.family, bits: cursor.bits + 1)
    }
}
