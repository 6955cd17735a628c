public import GatewayModel
public import NetworkTypes

/// How many IKE SAs are half open, whose they are, and whether one more may come (RFC 7296 §2.6).
///
/// It owns the counts and the order in which half-open IKE SAs came; nothing that it does takes longer for there being
/// more of them. It never looks at a message and never ends an IKE SA: making and checking cookies is the cookie jar's
/// business, and who has to make room is told it by the endpoint.
///
/// A source is an IPv4 address or the 64 bits in front of an IPv6 one: who has one address there has all of them.
public struct HalfOpenGovernor: Sendable {
    /// What a new request meets.
    public enum Verdict: Hashable, Sendable {
        /// Let it in.
        case admit
        /// Let it in when it brings a cookie.
        case demandCookie
        /// There are too many from where it comes.
        case refuse
    }

    /// What is known of one source.
    private struct Source {
        var count = 0
        /// How many of them have brought a cookie, so that it was really the source who sent them.
        var proven = 0
        var members = Chain<IKESAID>.Ends()
    }

    private var sources: [IPAddress: Source] = [:]
    private var owners: [IKESAID: (source: IPAddress, isProven: Bool)] = [:]
    /// All half-open IKE SAs, chained source by source, the oldest first.
    private var members = Chain<IKESAID>()
    /// All sources, chained by how many they have, whoever has had so many for longest first.
    private var ranks = Chain<IPAddress>()
    /// By how many they have.
    private var levels: [Chain<IPAddress>.Ends] = []

    /// Starts with none.
    public init() {}

    /// Half-open IKE SAs.
    public var total: Int { owners.count }

    /// What a new request from `address` meets. Only what has brought a cookie counts towards a refusal: anybody can
    /// write somebody else's address on an envelope.
    public func verdict(for address: IPAddress, _ limits: Limits) -> Verdict {
        if limits.halfOpenPerAddress > 0, let source = sources[Self.source(of: address)] {
            if source.proven >= limits.halfOpenPerAddress { return .refuse }
            if source.count >= limits.halfOpenPerAddress { return .demandCookie }
        }
        return isFull(limits) || total >= limits.cookieThreshold ? .demandCookie : .admit
    }

    /// Whether each one more has to take the place of another.
    private func isFull(_ limits: Limits) -> Bool { limits.halfOpenTotal > 0 && total >= limits.halfOpenTotal }

    /// Which one is to make room for one more from `address`; nil while there is room. It is the oldest of the source
    /// that has the most, and of the newcomer's own when nobody has more: who fills the table pushes out himself.
    public func surplus(before address: IPAddress, _ limits: Limits) -> IKESAID? {
        guard isFull(limits), let most = levels.indices.last else { return nil }
        if let own = sources[Self.source(of: address)], own.count >= most { return own.members.first }
        return levels[most].first.flatMap { sources[$0]?.members.first }
    }

    /// One more from `address`; `isProven` when it has brought a cookie.
    public mutating func opened(_ id: IKESAID, from address: IPAddress, isProven: Bool) {
        guard owners[id] == nil else { return }
        let key = Self.source(of: address)
        owners[id] = (key, isProven)
        var source = sources[key] ?? Source()
        members.append(id, to: &source.members)
        if isProven { source.proven += 1 }
        move(key, from: source.count, to: source.count + 1)
        source.count += 1
        sources[key] = source
    }

    /// One fewer: it was established, or it is gone.
    public mutating func closed(_ id: IKESAID) {
        guard let owner = owners.removeValue(forKey: id), var source = sources[owner.source] else { return }
        members.remove(id, from: &source.members)
        if owner.isProven { source.proven -= 1 }
        move(owner.source, from: source.count, to: source.count - 1)
        source.count -= 1
        sources[owner.source] = source.count > 0 ? source : nil
    }

    /// A source has another number of them now. Numbers that nobody has are forgotten, so that the last is the highest.
    private mutating func move(_ source: IPAddress, from old: Int, to new: Int) {
        if old > 0 { ranks.remove(source, from: &levels[old]) }
        while levels.count <= new { levels.append(Chain.Ends()) }
        if new > 0 { ranks.append(source, to: &levels[new]) }
        while levels.last.map({ $0.first == nil }) ?? false { levels.removeLast() }
    }

    private static func source(of address: IPAddress) -> IPAddress {
        address.family == .v4 ? address : IPAddress(.v6, bits: (address.bits >> 64) << 64)
    }
}

/// Elements in rows, each of them in one row at most; putting one in and taking one out cost the same however long the
/// row is.
///
/// It owns what lies before and behind each element. Where rows begin and end is with their owners.
private struct Chain<Element: Hashable & Sendable>: Sendable {
    /// Where a row begins and ends.
    struct Ends: Sendable {
        var first: Element?
        var last: Element?
    }

    private var neighbours: [Element: (before: Element?, behind: Element?)] = [:]

    mutating func append(_ element: Element, to row: inout Ends) {
        neighbours[element] = (row.last, nil)
        if let last = row.last { neighbours[last]?.behind = element } else { row.first = element }
        row.last = element
    }

    mutating func remove(_ element: Element, from row: inout Ends) {
        guard let (before, behind) = neighbours.removeValue(forKey: element) else { return }
        if let before { neighbours[before]?.behind = behind } else { row.first = behind }
        if let behind { neighbours[behind]?.before = before } else { row.last = before }
    }
}
