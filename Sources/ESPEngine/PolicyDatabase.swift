public import GatewayModel
public import IPPackets
import IPsecCrypto
public import NetworkTypes

/// Which outgoing packets are protected, and by which SA, which go in clear, which nowhere (RFC 4301 §4.4.1): the lowest
/// precedence decides, then the longest remote block, within it the narrowest selectors, and among equals the newest.
///
/// It belongs to the thread that transmits, which changes it in place between packets: a change costs one look
/// into a table, however many policies there are, so there is nothing to build aside and to swap. A lookup never allocates.
public struct PolicyDatabase: ~Copyable {
    /// What is to be done with a packet.
    public enum Verdict: Hashable, Sendable {
        /// It goes through this SA.
        case protect(OutboundHandle)
        /// It goes nowhere.
        case block
        /// It waits for an SA, which this trap is to ask for.
        case trap(UInt32)
        /// It goes in clear.
        case bypass
        /// No policy speaks of it.
        case none
    }

    /// What a policy says.
    public enum Action: Hashable, Sendable {
        /// Packets go through this SA.
        case protect(OutboundHandle)
        /// Packets go nowhere. It never stands in the way of a trap for more than it blocks itself.
        case block
        /// Packets wait for an SA, which this trap is to ask for.
        case trap(UInt32)
        /// Packets go in clear.
        case bypass
    }

    private struct Entry {
        var local: CompiledSelector
        var remote: CompiledSelector
        var action: Action
        /// What comes before what in a block: the precedence; protecting, trapping, blocking, letting through; the wide
        /// after the narrow, the old after the new.
        var rank: (precedence: UInt32, action: UInt8, width: UInt8, order: UInt64)
        var next: Int32
    }

    private struct Place {
        let block: IPPrefix
        let entry: Int32
    }

    private var v4 = PolicyBlocks()
    private var v6 = PolicyBlocks()
    private var entries: [Entry] = []
    private var free: [Int32] = []
    private var places = CompactTable<ChildSAID, [Place]>()
    private var nextOrder: UInt64 = 0

    /// The most entries that one Child SA's selectors may be spread into.
    public static let maximumEntries = 4096

    /// Starts empty.
    public init() {}

    /// Child SAs that have policies.
    public var count: Int { places.count }

    /// Blocks and entries in use: what a test watches.
    var storage: (blocks: Int, entries: Int) { (v4.count + v6.count, entries.count - free.count) }

    /// How many entries these selectors are spread into.
    public static func entryCount(local: [TrafficSelector], remote: [TrafficSelector]) -> Int {
        var count = 0
        for here in local {
            for there in remote where haveInCommon(here, there) {
                there.addresses.forEachPrefix { _ in count += 1 }
                // Nobody wants to know by how many it is too many.
                if count > maximumEntries { return count }
            }
        }
        return count
    }

    /// Pairs every local selector with every remote one of its family, in place of what this Child SA's policies said
    /// before. The change is whole between two packets, not within one. Among equals those that are preferred come before
    /// newer ones that are not.
    public mutating func set(
        _ child: ChildSAID, local: [TrafficSelector], remote: [TrafficSelector], action: Action,
        precedence: UInt32 = StandingPolicy.protectPriority, isPreferred: Bool = false
    ) throws(SAError) {
        let count = Self.entryCount(local: local, remote: remote)
        guard count <= Self.maximumEntries else { throw .tooManySelectors(count, limit: Self.maximumEntries) }
        remove(child)
        var made: [Place] = []
        made.reserveCapacity(count)
        for here in local {
            let source = CompiledSelector(here)
            for there in remote where Self.haveInCommon(here, there) {
                let destination = CompiledSelector(there)
                there.addresses.forEachPrefix {
                    made.append(add($0, source, destination, action, precedence, isPreferred))
                }
            }
        }
        places[child] = made
    }

    /// Changes what this Child SA's policies say, and leaves them where they are.
    public mutating func setAction(_ child: ChildSAID, _ action: Action) {
        for place in places[child] ?? [] {
            unlink(place)
            entries[Int(place.entry)].action = action
            entries[Int(place.entry)].rank.action = Self.rank(action)
            link(place)
        }
    }

    /// Takes this Child SA's policies away.
    public mutating func remove(_ child: ChildSAID) {
        for place in places.removeValue(forKey: child) ?? [] {
            unlink(place)
            free.append(place.entry)
        }
    }

    /// What is to be done with an outgoing packet.
    public func verdict(for packet: PacketSelectorFields) -> Verdict {
        let key = PolicyBlocks.key(packet.destination)
        return packet.family == .v4 ? verdict(for: packet, key, v4) : verdict(for: packet, key, v6)
    }

    @inline(__always)
    private func verdict(for packet: PacketSelectorFields, _ key: UInt128, _ blocks: PolicyBlocks) -> Verdict {
        var found: Int32 = -1
        let entries = entries.span
        let packetProtocol = packet.ipProtocol.rawValue
        for step in 0..<blocks.steps {
            var index = blocks.head(key, step: step)
            // The first that matches decides for its block; a longer block decides after it, if it comes before it.
            while index >= 0 {
                if entries[Int(index)].remote.matches(packet.destination, packetProtocol, packet.destinationPort),
                    entries[Int(index)].local.matches(packet.source, packetProtocol, packet.sourcePort)
                {
                    if found < 0 || !comesBefore(entries[Int(found)], entries[Int(index)]) { found = index }
                    break
                }
                index = entries[Int(index)].next
            }
        }
        guard found >= 0 else { return .none }
        switch entries[Int(found)].action {
        case .protect(let handle): return .protect(handle)
        case .block: return .block
        case .trap(let number): return .trap(number)
        case .bypass: return .bypass
        }
    }

    /// A packet to this address is about to be looked up: among many policies, what that takes is fetched meanwhile. Some
    /// time later `entries` fetches what the first has led to.
    @inline(__always)
    public func anticipate(_ destination: IPAddress, entries isSecond: Bool) {
        let key = PolicyBlocks.key(destination)
        if destination.family == .v4 {
            anticipate(key, v4, isSecond)
        } else {
            anticipate(key, v6, isSecond)
        }
    }

    @inline(__always)
    private func anticipate(_ key: UInt128, _ blocks: PolicyBlocks, _ isSecond: Bool) {
        guard isSecond else {
            blocks.anticipate(key)
            return
        }
        unsafe entries.withUnsafeBufferPointer { entries in
            guard let base = entries.baseAddress else { return }
            for step in 0..<min(blocks.steps, 4) {
                let head = blocks.head(key, step: step)
                guard head >= 0 else { continue }
                // Addresses within the array, which are not read.
                unsafe PacketCipher.anticipate(base + Int(head), octets: MemoryLayout<Entry>.size)
            }
        }
    }

    /// Whether an entry of a shorter block decides although one of a longer block matches too. What a Child SA blocks
    /// that is gone is no reason not to ask for it again.
    private func comesBefore(_ shorter: Entry, _ longer: Entry) -> Bool {
        if shorter.rank.precedence != longer.rank.precedence {
            return shorter.rank.precedence < longer.rank.precedence
        }
        return shorter.rank.action == Self.rank(.trap(0)) && longer.rank.action == Self.rank(.block)
    }

    // MARK: Entries

    /// Whether two selectors are of one family and their protocols have something in common.
    private static func haveInCommon(_ here: TrafficSelector, _ there: TrafficSelector) -> Bool {
        here.family == there.family
            && (here.ipProtocol == .any || there.ipProtocol == .any || here.ipProtocol == there.ipProtocol)
    }

    private static func rank(_ action: Action) -> UInt8 {
        switch action {
        case .protect: 0
        case .trap: 1
        case .block: 2
        case .bypass: 3
        }
    }

    private mutating func add(
        _ prefix: IPPrefix, _ local: CompiledSelector, _ remote: CompiledSelector, _ action: Action,
        _ precedence: UInt32, _ isPreferred: Bool
    ) -> Place {
        var width: UInt8 = 0
        if local.takesAnyProtocol && remote.takesAnyProtocol { width += 4 }
        if local.takesAnyPort { width += 1 }
        if remote.takesAnyPort { width += 1 }
        nextOrder += 1
        let entry = Entry(
            local: local, remote: remote, action: action,
            // Those that are preferred count as newer than all others.
            rank: (precedence, Self.rank(action), width, (isPreferred ? .max / 2 : .max) - nextOrder), next: -1)
        let index: Int32
        if let reused = free.popLast() {
            entries[Int(reused)] = entry
            index = reused
        } else {
            entries.append(entry)
            index = Int32(entries.count - 1)
        }
        let place = Place(block: prefix, entry: index)
        link(place)
        return place
    }

    private mutating func link(_ place: Place) {
        let rank = entries[Int(place.entry)].rank
        var previous: Int32 = -1
        var next = head(place)
        while next >= 0, entries[Int(next)].rank < rank {
            previous = next
            next = entries[Int(next)].next
        }
        entries[Int(place.entry)].next = next
        if previous >= 0 { entries[Int(previous)].next = place.entry } else { setHead(place, place.entry) }
    }

    private mutating func unlink(_ place: Place) {
        let next = entries[Int(place.entry)].next
        var index = head(place)
        if index == place.entry {
            setHead(place, next)
            return
        }
        while index >= 0, entries[Int(index)].next != place.entry { index = entries[Int(index)].next }
        if index >= 0 { entries[Int(index)].next = next }
    }

    private func head(_ place: Place) -> Int32 {
        let key = PolicyBlocks.key(place.block.address)
        return place.block.family == .v4 ? v4.head(key, place.block.length) : v6.head(key, place.block.length)
    }

    private mutating func setHead(_ place: Place, _ entry: Int32) {
        let key = PolicyBlocks.key(place.block.address)
        if place.block.family == .v4 {
            v4.setHead(key, place.block.length, entry)
        } else {
            v6.setHead(key, place.block.length, entry)
        }
    }
}
