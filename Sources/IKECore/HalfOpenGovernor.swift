public import GatewayModel
public import NetworkTypes

/// How many IKE SAs are half open, whose they are, and whether one more may come (RFC 7296 §2.6).
///
/// It owns the counts and the order in which half-open IKE SAs came; nothing that it does takes longer for there being
/// more of them. It never looks at a message and never ends an IKE SA: making and checking cookies is the cookie jar's
/// business, and who has to make room is told it by the endpoint.
///
/// A source is an IPv4 address or the 64 bits in front of an IPv6 one: who has one address there has all of them.
public struct HalfOpenGovernor: ~Copyable, Sendable {
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
        let address: IPAddress
        var count = 0
        /// How many of them have brought a cookie, so that it was really the source who sent them.
        var proven = 0
        var members = Chain<IKESAID>.Row()
    }

    /// A half-open IKE SA: its place, and its source's.
    private struct Owner {
        let place: Int
        let source: Int
        let isProven: Bool
    }

    private var owners: [IKESAID: Owner] = [:]
    /// The place of each source that has any.
    private var sources: [IPAddress: Int] = [:]
    /// All half-open IKE SAs, in a row for each source, the oldest first.
    private var members = Chain<IKESAID>()
    /// All sources, in a row for each number that they have, whoever has had so many for longest first.
    private var ranks = Chain<Source>()
    /// By how many they have.
    private var levels: [Chain<Source>.Row] = []

    /// Starts with none.
    public init() {}

    /// Half-open IKE SAs.
    public var total: Int { owners.count }

    /// What a new request from `address` meets. Only what has brought a cookie counts towards a refusal: anybody can
    /// write somebody else's address on an envelope.
    public func verdict(for address: IPAddress, _ limits: Limits) -> Verdict {
        if limits.halfOpenPerAddress > 0, let place = sources[Self.source(of: address)] {
            let source = ranks[place]
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
        var place = levels[most].first
        if let own = sources[Self.source(of: address)], ranks[own].count >= most { place = own }
        return place.flatMap { ranks[$0].members.first }.map { members[$0] }
    }

    /// One more from `address`; `isProven` when it has brought a cookie.
    public mutating func opened(_ id: IKESAID, from address: IPAddress, isProven: Bool) {
        guard owners[id] == nil else { return }
        let address = Self.source(of: address)
        let source = sources[address] ?? ranks.add(Source(address: address))
        let place = members.add(id)
        owners[id] = Owner(place: place, source: source, isProven: isProven)
        members.append(place, to: &ranks[source].members)
        if isProven { ranks[source].proven += 1 }
        move(source, by: 1)
        if ranks[source].count == 1 { sources[address] = source }
    }

    /// One fewer: it was established, or it is gone.
    public mutating func closed(_ id: IKESAID) {
        guard let owner = owners.removeValue(forKey: id) else { return }
        members.remove(owner.place, from: &ranks[owner.source].members)
        members.vacate(owner.place)
        if owner.isProven { ranks[owner.source].proven -= 1 }
        move(owner.source, by: -1)
        guard ranks[owner.source].count == 0 else { return }
        sources[ranks[owner.source].address] = nil
        ranks.vacate(owner.source)
    }

    /// A source has one more of them, or one fewer. Numbers that nobody has are forgotten, so that the last is the highest.
    private mutating func move(_ source: Int, by step: Int) {
        let old = ranks[source].count
        let new = old + step
        ranks[source].count = new
        if old > 0 { ranks.remove(source, from: &levels[old]) }
        while levels.count <= new { levels.append(Chain.Row()) }
        if new > 0 { ranks.append(source, to: &levels[new]) }
        while levels.last.map({ $0.first == nil }) ?? false { levels.removeLast() }
    }

    private static func source(of address: IPAddress) -> IPAddress {
        address.family == .v4 ? address : IPAddress(.v6, bits: (address.bits >> 64) << 64)
    }
}

/// Elements at numbered places, each of them in one row at most; putting one in and taking one out cost the same however
/// long the row is.
///
/// It owns what lies before and behind each element. Where rows begin and end is with their owners.
private struct Chain<Element: Sendable>: Sendable {
    /// The places where a row begins and ends.
    struct Row: Sendable {
        var first: Int?
        var last: Int?
    }

    private struct Link: Sendable {
        var element: Element
        var before: Int?
        var behind: Int?
    }

    private var links: [Link] = []
    /// Places without an element.
    private var vacant: [Int] = []

    subscript(_ place: Int) -> Element {
        get { links[place].element }
        _modify { yield &links[place].element }
    }

    /// Gives an element a place; it is in no row yet.
    mutating func add(_ element: Element) -> Int {
        if let place = vacant.popLast() {
            links[place].element = element
            return place
        }
        links.append(Link(element: element))
        return links.count - 1
    }

    /// The place of an element that is in no row is another's now.
    mutating func vacate(_ place: Int) { vacant.append(place) }

    mutating func append(_ place: Int, to row: inout Row) {
        links[place].before = row.last
        links[place].behind = nil
        if let last = row.last { links[last].behind = place } else { row.first = place }
        row.last = place
    }

    mutating func remove(_ place: Int, from row: inout Row) {
        let (before, behind) = (links[place].before, links[place].behind)
        if let before { links[before].behind = behind } else { row.first = behind }
        if let behind { links[behind].before = before } else { row.last = before }
    }
}
