import GatewayModel
import IKECore
import NetworkTypes
import StateRecords

/// The addresses and prefixes of all pools: who has which, and who had which.
///
/// It owns the leases of this process. What is remembered is bounded; it is forgotten with the process. Its cost per lease does not grow with
/// the size of a pool.
struct LeaseStore {
    /// A pool, and what of it is lent.
    private struct Pool {
        var configuration: AddressPool
        var addresses: LeaseLedger?
        var prefixes: LeaseLedger?

        init(_ configuration: AddressPool) {
            self.configuration = configuration
            addresses = configuration.addresses.map { LeaseLedger($0) }
            prefixes = configuration.prefixes.map { LeaseLedger($0) }
        }

        /// Takes over what another pool of this name has lent, as far as it is lent here too.
        mutating func takeOver(_ former: Pool) {
            addresses = Self.carried(former.addresses, to: addresses)
            prefixes = Self.carried(former.prefixes, to: prefixes)
        }

        private static func carried(_ former: LeaseLedger?, to next: LeaseLedger?) -> LeaseLedger? {
            guard let former, var next else { return next }
            if former.lendsTheSame(as: next) { return former }
            for holding in former.holdings { next.restore(holding.address, holding.identity, users: holding.users) }
            return next
        }

        /// A prefix of the pool's length; nil when it lends none, or all are in use.
        mutating func lendPrefix(to identity: Identity, _ wanted: IPPrefix, mayShare: Bool) -> IPPrefix? {
            guard let stock = configuration.prefixes,
                let address = prefixes?.lend(to: identity, wanted.address, mayShare: mayShare)
            else { return nil }
            return IPPrefix(address, length: stock.length)
        }

        var summary: PoolSummary {
            let entries = addresses?.listed ?? []
            let online = entries.count { $0.isOnline }
            var summary = PoolSummary(
                name: configuration.name, base: configuration.base, size: addresses?.size ?? 0, online: online,
                offline: entries.count - online, entries: entries)
            if let stock = configuration.prefixes, let prefixes {
                summary.prefixes = PoolSummary.Prefixes(stock: stock, size: prefixes.size, entries: prefixes.listed)
            }
            return summary
        }
    }

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

    /// Takes over other pools. Leases of a pool whose addresses and prefixes are in it as before stay.
    mutating func replace(_ next: [AddressPool]) {
        var kept: [String: Pool] = [:]
        for pool in next {
            kept[pool.name] = Pool(pool)
            if let present = pools[pool.name] { kept[pool.name]?.takeOver(present) }
        }
        order = next.map(\.name)
        pools = kept
    }

    /// Lends addresses and prefixes to a client: one for each that it asks for and that a pool has. Nothing at all is a
    /// refusal.
    mutating func lease(_ request: LeaseRequest) -> Answer {
        var loans: [Lease.Loan] = []
        var attributes: [HostAttribute] = []
        func tell(_ told: [HostAttribute]) {
            for attribute in told where !attributes.contains(attribute) { attributes.append(attribute) }
        }
        for wanted in request.wanted {
            for name in request.pools {
                if name == AddressPool.byServer {
                    guard let address = choose(request, wanted.family, loans) else { continue }
                    loans.append(Lease.Loan(pool: name, address: address))
                    break
                }
                guard pools[name]?.addresses?.ends.family == wanted.family,
                    !loans.contains(where: { $0.pool == name }),
                    let address = pools[name]?.addresses?.lend(
                        to: request.identity, wanted, mayShare: request.replacesOlder)
                else { continue }
                loans.append(Lease.Loan(pool: name, address: address))
                tell(pools[name]?.configuration.attributes ?? [])
                break
            }
        }
        let prefixLoans = lendPrefixes(request)
        for loan in prefixLoans { tell(pools[loan.pool]?.configuration.attributes ?? []) }
        guard !loans.isEmpty || !prefixLoans.isEmpty else { return .noLease(refusal(request)) }
        tell(request.attributes)
        var lease = Lease(identity: request.identity, loans: loans, attributes: attributes)
        lease.prefixLoans = prefixLoans
        if prefixLoans.isEmpty, !request.wantedPrefixes.isEmpty {
            lease.shortfall = prefixRefusals(request).joined(separator: "; ")
        }
        return .leased(lease)
    }

    /// One prefix for each that is asked for, no more than one of each pool.
    private mutating func lendPrefixes(_ request: LeaseRequest) -> [Lease.PrefixLoan] {
        var loans: [Lease.PrefixLoan] = []
        for wanted in request.wantedPrefixes {
            for name in request.pools where !loans.contains(where: { $0.pool == name }) {
                let prefix = pools[name]?.lendPrefix(to: request.identity, wanted, mayShare: request.replacesOlder)
                guard let prefix else { continue }
                loans.append(Lease.PrefixLoan(pool: name, prefix: prefix))
                break
            }
        }
        return loans
    }

    /// Takes addresses and prefixes back. Those of pools that are gone are nobody's any more.
    mutating func release(_ lease: Lease) {
        for loan in lease.loans {
            if loan.pool == AddressPool.byServer {
                giveUp(loan.address)
            } else {
                pools[loan.pool]?.addresses?.takeBack(loan.address)
            }
        }
        for loan in lease.prefixLoans { pools[loan.pool]?.prefixes?.takeBack(loan.prefix.address) }
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
    func write(to writer: RecordWriter) { write(\.addresses, to: writer) }

    /// Reads it back; what belongs to no pool any more is left out.
    mutating func read(from reader: inout RecordReader) throws(RecordError) { try read(\.addresses, from: &reader) }

    /// Appends who has which prefix, and who had.
    func writePrefixes(to writer: RecordWriter) { write(\.prefixes, to: writer) }

    /// Reads it back; what belongs to no pool any more is left out.
    mutating func readPrefixes(from reader: inout RecordReader) throws(RecordError) {
        try read(\.prefixes, from: &reader)
    }

    private func write(_ ledger: KeyPath<Pool, LeaseLedger?>, to writer: RecordWriter) {
        writer.list(order) { name in
            writer.text(name)
            writer.list(pools[name]?[keyPath: ledger]?.holdings ?? []) { holding in
                writer.put(holding.address)
                writer.put(holding.identity)
                writer.uint32(UInt32(clamping: holding.users))
            }
        }
    }

    private mutating func read(
        _ ledger: WritableKeyPath<Pool, LeaseLedger?>, from reader: inout RecordReader
    ) throws(RecordError) {
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
            for holding in holdings {
                pools[name]?[keyPath: ledger]?.restore(holding.address, holding.identity, users: holding.users)
            }
        }
    }

    private func refusal(_ request: LeaseRequest) -> String {
        let families = Set(request.wanted.map(\.family))
        var reasons = request.wanted.isEmpty ? prefixRefusals(request) : []
        for name in request.wanted.isEmpty ? [] : request.pools {
            if name == AddressPool.byServer {
                reasons.append(chosenRefusal(request, families))
            } else if let pool = pools[name] {
                reasons.append(Self.refusal(pool, families))
            } else {
                reasons.append("there is no pool '\(name)' any more")
            }
        }
        return reasons.joined(separator: "; ")
    }

    private static func refusal(_ pool: Pool, _ families: Set<IPAddress.Family>) -> String {
        let name = pool.configuration.name
        guard let addresses = pool.addresses else { return "pool '\(name)' has prefixes only" }
        guard families.contains(addresses.ends.family) else {
            return "pool '\(name)' has no \(addresses.ends.family == .v4 ? "IPv6" : "IPv4") addresses"
        }
        return "all \(addresses.size) addresses of pool '\(name)' are in use"
    }

    private func prefixRefusals(_ request: LeaseRequest) -> [String] {
        request.pools.map { name in
            if name == AddressPool.byServer { return "a RADIUS server gives no prefixes" }
            guard let pool = pools[name] else { return "there is no pool '\(name)' any more" }
            guard let prefixes = pool.prefixes else { return "pool '\(name)' has no prefixes" }
            return "all \(prefixes.size) prefixes of pool '\(name)' are in use"
        }
    }

    private func chosenRefusal(_ request: LeaseRequest, _ families: Set<IPAddress.Family>) -> String {
        guard let address = request.chosen.first(where: { families.contains($0.family) }) else {
            return "the RADIUS server sent no address (Framed-IP-Address, Framed-IPv6-Address)"
        }
        let owner = chosen[address].map { "'\($0.identity)' has it" } ?? "it can't be had"
        return "the RADIUS server gives \(address), and \(owner)"
    }
}
