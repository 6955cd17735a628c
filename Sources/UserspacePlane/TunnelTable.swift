import Clockwork
import ESPEngine
import GatewayModel
import IPsecCrypto
import NetworkTypes

/// What is known of an outbound SA's path when it is installed or moved.
struct PathFit: Hashable, Sendable {
    /// The longest packet that goes out to the peer, as the kernel's routes say.
    var mtu: Int
    /// Whether the outer addresses are IPv6.
    var isV6: Bool
    /// Whether ESP travels in UDP.
    var inUDP: Bool
}

/// For each outbound SA, how its packets leave, what is done to them before they are sealed, and what was learnt of the path
/// since.
///
/// It owns numbers, and belongs to the thread that transmits. Most SAs are alike, so each has only the number of a kind,
/// and the few kinds stay in the cache. What was learnt is forgotten after ten minutes (RFC 1191 §6.3), and then tried
/// again by the packets themselves.
struct TunnelTable {
    /// All that decides what is done to packets.
    private struct Kind: Hashable {
        var behaviour: TunnelBehaviour
        var fit: PathFit
        var shape: SealedShape
        /// What was learnt of the path; nil for nothing.
        var learnt: Int?
    }

    private var rules: [TunnelRules] = []
    private var kinds: [Kind] = []
    /// SAs of a kind; one that has none may become another.
    private var users: [Int] = []
    private var numbers: [Kind: Int32] = [:]
    /// The kind that was asked for last: the next SA is mostly of the same.
    private var latest: Int32?
    private var free: [Int32] = []
    /// By place: the kind, -1 for none, and how packets leave.
    private var places: [Int32] = []
    private(set) var ways: [Way] = []
    private var learnt: [IPAddress: (mtu: Int, until: Instant)] = [:]
    /// When the next of what was learnt is to be forgotten.
    private(set) var next: Instant?

    private static let memory = Interval.minutes(10)

    /// What is done to the packets of the SA at `place`, which is there.
    @inline(__always)
    subscript(_ place: Int) -> TunnelRules { rules[Int(places[place])] }

    /// Has the processor fetch which kind the SA at `place` is of, and how its packets leave.
    @inline(__always)
    func anticipate(_ place: Int) {
        guard place >= 0, place < places.count, place < ways.count else { return }
        unsafe places.withUnsafeBufferPointer { places in
            guard let base = places.baseAddress else { return }
            // An address within the array, which is not read.
            unsafe PacketCipher.anticipate(UnsafeRawPointer(base + place))
        }
        unsafe ways.withUnsafeBufferPointer { ways in
            guard let base = ways.baseAddress else { return }
            // As above.
            unsafe PacketCipher.anticipate(UnsafeRawPointer(base + place), octets: MemoryLayout<Way>.size)
        }
    }

    /// How many kinds there are.
    var kindCount: Int { numbers.count }

    /// An SA is there.
    mutating func install(
        _ place: Int, _ behaviour: TunnelBehaviour, _ fit: PathFit, _ shape: SealedShape, _ way: Way
    ) {
        while places.count <= place {
            places.append(-1)
            ways.append(way)
        }
        ways[place] = way
        set(place, Kind(behaviour: behaviour, fit: fit, shape: shape, learnt: learnt[remote(place)]?.mtu))
    }

    /// An SA's path is another one.
    mutating func move(_ place: Int, _ fit: PathFit, _ way: Way) {
        guard places.indices.contains(place), places[place] >= 0 else { return }
        var kind = kinds[Int(places[place])]
        kind.fit = fit
        ways[place] = way
        kind.learnt = learnt[remote(place)]?.mtu
        set(place, kind)
    }

    /// Packets to `remote` may have `mtu` octets; true when that is news.
    @discardableResult
    mutating func learn(_ remote: IPAddress, _ mtu: Int, now: Instant) -> Bool {
        let found = places.indices.filter { places[$0] >= 0 && self.remote($0) == remote }
        // What is wider than the way out is no news, and what nobody sends to is none of our business.
        guard found.contains(where: { mtu < kinds[Int(places[$0])].fit.mtu }) else { return false }
        learnt[remote] = (mtu, now + Self.memory)
        next = learnt.values.map(\.until).min()
        for place in found { refresh(place) }
        return true
    }

    /// Forgets what was learnt long ago.
    mutating func forget(now: Instant) {
        let gone = Set(learnt.filter { $0.value.until <= now }.keys)
        for remote in gone { learnt[remote] = nil }
        next = learnt.values.map(\.until).min()
        for place in places.indices where places[place] >= 0 && gone.contains(remote(place)) { refresh(place) }
    }

    private func remote(_ place: Int) -> IPAddress { ways[place].path.remote.address }

    private mutating func refresh(_ place: Int) {
        var kind = kinds[Int(places[place])]
        kind.learnt = learnt[remote(place)]?.mtu
        set(place, kind)
    }

    private mutating func set(_ place: Int, _ kind: Kind) {
        let number = number(of: kind)
        users[Int(number)] += 1
        let former = places[place]
        places[place] = number
        guard former >= 0 else { return }
        users[Int(former)] -= 1
        guard users[Int(former)] == 0 else { return }
        numbers[kinds[Int(former)]] = nil
        free.append(former)
    }

    private mutating func number(of kind: Kind) -> Int32 {
        if let latest, users[Int(latest)] > 0, kinds[Int(latest)] == kind { return latest }
        if let number = numbers[kind] {
            latest = number
            return number
        }
        let made = TunnelRules(
            kind.behaviour, shape: kind.shape, isV6: kind.fit.isV6, inUDP: kind.fit.inUDP,
            pathMTU: min(kind.fit.mtu, kind.learnt ?? .max))
        let number: Int32
        if let reused = free.popLast() {
            number = reused
            (rules[Int(number)], kinds[Int(number)], users[Int(number)]) = (made, kind, 0)
        } else {
            number = Int32(kinds.count)
            rules.append(made)
            kinds.append(kind)
            users.append(0)
        }
        numbers[kind] = number
        latest = number
        return number
    }
}
