import GatewayModel
import NetworkTypes

/// Who has which of the places that a pool lends, and who had which: its addresses, or prefixes of one length, each by its
/// first address.
///
/// It owns the order in which they are lent. A client that comes back gets what it had before, as long as nobody else needs
/// it.
struct LeaseLedger {
    /// The most places that are kept for clients that are not there.
    static let rememberedOffline = 65_536

    private struct Entry {
        let identity: Identity
        /// IKE SAs that use it; 0 when it is kept for its owner.
        var users: Int
        /// Which stay offline this is, so that an older note of one does not count.
        var absence: UInt64 = 0
    }

    /// The first addresses of the lowest and of the highest place.
    let ends: AddressRange
    /// How far the places are apart.
    private let step: UInt128
    private var entries: [IPAddress: Entry] = [:]
    private var byIdentity: [Identity: [IPAddress]] = [:]
    /// Places in the order in which they went offline; some have come back since.
    private var absences: [(address: IPAddress, number: UInt64)] = []
    private var firstAbsence = 0
    private var lastAbsence: UInt64 = 0
    private var offline = 0
    private var cursor: IPAddress

    /// Addresses, with nothing lent.
    init(_ addresses: AddressRange) {
        ends = addresses
        step = 1
        cursor = ends.lower
    }

    /// Prefixes, with nothing lent.
    init(_ stock: PrefixStock) {
        ends = stock.ends
        step = 1 << UInt128(128 - stock.length)
        cursor = ends.lower
    }

    /// Whether it lends the same places as another.
    func lendsTheSame(as other: LeaseLedger) -> Bool { ends == other.ends && step == other.step }

    /// How many places there are; Int.max when there are more than that.
    var size: Int {
        let count = (ends.upper.bits - ends.lower.bits) / step
        return count < UInt128(Int.max) ? Int(count) + 1 : Int.max
    }

    /// Who has which, and had, by address.
    var listed: [PoolSummary.Entry] {
        entries.sorted { $0.key < $1.key }.map { address, entry in
            PoolSummary.Entry(address: address, identity: entry.identity, isOnline: entry.users > 0)
        }
    }

    /// The place that an address lies in; nil when that is none of these.
    func place(of address: IPAddress) -> IPAddress? {
        guard address.family == ends.family, address.bits >= ends.lower.bits else { return nil }
        let offset = (address.bits - ends.lower.bits) / step * step
        let place = IPAddress(ends.family, bits: ends.lower.bits + offset)
        return place <= ends.upper ? place : nil
    }

    /// Who has which address, and whose it is kept for: the longest absent first, so that they keep their order.
    var holdings: [(address: IPAddress, identity: Identity, users: Int)] {
        entries.sorted { ($0.value.absence, $0.key) < ($1.value.absence, $1.key) }.map {
            ($0.key, $0.value.identity, $0.value.users)
        }
    }

    /// As another process had it.
    mutating func restore(_ address: IPAddress, _ identity: Identity, users: Int) {
        guard let place = place(of: address), entries[place] == nil else { return }
        for _ in 0..<max(users, 1) { _ = take(place, identity) }
        if users == 0 { takeBack(place) }
    }

    /// One place, the one that `wanted` lies in where that harms nobody; nil when all are in use.
    mutating func lend(to identity: Identity, _ wanted: IPAddress, mayShare: Bool) -> IPAddress? {
        let wanted = place(of: wanted)
        let own = byIdentity[identity] ?? []
        // What it had, the one that it wants first.
        let kept = own.filter { entries[$0]?.users == 0 }
        if let address = kept.first(where: { $0 == wanted }) ?? kept.first { return take(address, identity) }
        // What it has: its older IKE SA is about to end, or it asks for the same once more before it ends it.
        if let wanted, own.contains(wanted) { return take(wanted, identity) }
        if mayShare, let address = own.first { return take(address, identity) }
        if let wanted, entries[wanted] == nil { return take(wanted, identity) }
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
        guard let address = place(of: address) else { return }
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
        cursor = cursor == ends.upper ? ends.lower : IPAddress(ends.family, bits: cursor.bits + step)
    }
}
