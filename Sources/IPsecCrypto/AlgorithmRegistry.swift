/// The protocols that may use an algorithm.
public struct AlgorithmUse: OptionSet, Hashable, Sendable {
    /// One bit for each protocol.
    public let rawValue: UInt8
    /// The protocols with these bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// In an IKE SA.
    public static let ike = Self(rawValue: 1)
    /// In an ESP SA (and, for a key exchange, in the exchange that makes one).
    public static let esp = Self(rawValue: 2)
    /// In an AH SA.
    public static let ah = Self(rawValue: 4)
    /// In IKE and ESP.
    public static let both: Self = [.ike, .esp]
    /// In all three.
    public static let all: Self = [.ike, .esp, .ah]
}

/// One algorithm that Martlet can carry out.
public struct Algorithm: Hashable, Sendable {
    /// Its numbers.
    public let transform: Transform
    /// What a configuration calls it (swanctl's spelling), and what we print.
    public let keyword: String
    /// Other spellings that a configuration may use.
    public let aliases: [String]
    /// What status output calls it, without its key length: `AES_GCM_16`.
    public let displayName: String
    /// Where it may be used.
    public let uses: AlgorithmUse
    /// Why it is used only when a configuration names it; nil when nothing speaks against it.
    public let weakness: String?
    /// Whether its number is from the range for private use, and means this algorithm only where the peer has shown the
    /// vendor id of strongSwan, which gave it out. Whoever negotiates sees to that.
    public let needsPeerVendor: Bool
    /// How it is carried out.
    public let specification: AlgorithmSpecification

    /// Every spelling, the canonical one first.
    public var keywords: [String] { [keyword] + aliases }

    /// Whether it is used only when a configuration names it.
    public var explicitOnly: Bool { weakness != nil }

    init(
        _ transform: Transform, _ keyword: String, _ aliases: [String] = [], displayName: String, uses: AlgorithmUse,
        weakness: String? = nil, needsPeerVendor: Bool = false, _ specification: AlgorithmSpecification
    ) {
        self.transform = transform
        self.keyword = keyword
        self.aliases = aliases
        self.displayName = displayName
        self.uses = uses
        self.weakness = weakness
        self.needsPeerVendor = needsPeerVendor
        self.specification = specification
    }
}

/// Every algorithm that Martlet knows, found by number or by name.
///
/// It owns the look-ups; the facts are in one table (`AlgorithmTable`). It never decides which algorithm is used.
public enum AlgorithmRegistry {
    /// All of them, in the order in which listings show them.
    public static let algorithms: [Algorithm] = AlgorithmTable.entries

    /// Where in ``algorithms`` those of each transform type are, by the type's number and the last bits of their own. A
    /// handshake looks dozens of times, and comparing a few numbers costs a fraction of hashing them.
    private static let places: [[[(transform: Transform, place: Int)]]] = (0...5).map { type in
        (0..<buckets).map { bucket in
            algorithms.indices.filter {
                let transform = algorithms[$0].transform
                return Int(transform.type.rawValue) == type && Int(transform.id) % buckets == bucket
            }.map { (algorithms[$0].transform, $0) }
        }
    }
    private static let buckets = 64
    /// The first number for private use in each of IANA's registries of transforms.
    private static let privateUse: UInt16 = 1024

    /// The first with these numbers, as a place in ``algorithms``. An additional key exchange has the algorithm of its
    /// method, whose own numbers are those of the first.
    private static func place(of transform: Transform) -> Int? {
        let wanted = transform.keyExchangeMethod
        let type = Int(wanted.type.rawValue)
        guard type < places.count else { return nil }
        for candidate in places[type][Int(wanted.id) % buckets] where candidate.transform == wanted {
            return candidate.place
        }
        return nil
    }

    private static let packetShapes = algorithms.map { PacketShape($0.specification) }

    /// What packets need to know of the encryption with these numbers; nil when there is none.
    static func packetShape(of transform: Transform) -> PacketShape? {
        place(of: transform).flatMap { packetShapes[$0] }
    }

    private static let byKeyword: [String: Algorithm] = Dictionary(
        algorithms.flatMap { algorithm in algorithm.keywords.map { ($0, algorithm) } },
        uniquingKeysWith: { first, _ in first })

    /// The algorithm with these numbers; nil when Martlet does not have it. An additional key exchange has the algorithm
    /// of its method, whose own numbers are those of the first.
    public static func algorithm(for transform: Transform) -> Algorithm? {
        place(of: transform).map { algorithms[$0] }
    }

    /// The algorithm with this name, in lower case and in any of its spellings.
    public static func algorithm(named keyword: String) -> Algorithm? { byKeyword[keyword] }

    /// ``Algorithm/needsPeerVendor`` of the algorithm with these numbers; false when there is none.
    public static func needsPeerVendor(_ transform: Transform) -> Bool {
        transform.id >= privateUse && (place(of: transform).map { algorithms[$0].needsPeerVendor } ?? false)
    }

    /// How the algorithm with these numbers is carried out.
    public static func specification(of transform: Transform) -> AlgorithmSpecification? {
        place(of: transform).map { algorithms[$0].specification }
    }

    /// Whether this encryption brings its own integrity.
    public static func isAEAD(_ transform: Transform) -> Bool {
        packetShape(of: transform)?.isAEAD ?? false
    }
}
