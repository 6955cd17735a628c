public import NetworkTypes

/// Changes to nftables that the kernel carries out as one: all of them, or none.
///
/// It owns the messages in their order. It knows the wire form of tables, chains, sets and rules, and nothing of what they
/// are good for. All is said of one table of family `inet`.
public struct NetfilterBatch: Sendable {
    /// The table.
    public let table: String
    private var changes = NetlinkBatch()
    /// How every message starts: struct nfgenmsg, and the table's name.
    private let opening: [UInt8]

    /// No changes yet.
    public init(table: String) {
        self.table = table
        var body = NetlinkBody()
        body.netfilterHeader(family: 1, resource: 0)
        body.attribute(1, text: table)
        opening = body.bytes
        // NFNL_MSG_BATCH_BEGIN, for nftables.
        changes.append(0x10) { $0.netfilterHeader(family: 0, resource: 10) }
    }

    /// Whether there is nothing to do.
    public var isEmpty: Bool { count == 0 }

    /// The changes between the marks of a batch.
    var requests: NetlinkBatch {
        var requests = changes
        // NFNL_MSG_BATCH_END.
        requests.append(0x11) { $0.netfilterHeader(family: 0, resource: 10) }
        return requests
    }

    /// Where a chain is called from.
    public enum Hook: UInt32, Sendable {
        /// Packets for this machine.
        case input = 1
        /// Packets that pass through.
        case forward = 2
        /// Packets that start here.
        case output = 3
    }

    /// What fits into one field of a set's elements: its length, and the number by which `nft` knows how to show it.
    public enum Field: Sendable {
        case v4Address
        case v6Address
        case ipProtocol
        case port
        case interfaceName

        /// Octets.
        public var length: Int {
            switch self {
            case .v4Address: 4
            case .v6Address, .interfaceName: 16
            case .ipProtocol: 1
            case .port: 2
            }
        }

        fileprivate var number: UInt32 {
            switch self {
            case .v4Address: 7
            case .v6Address: 8
            case .ipProtocol: 12
            case .port: 13
            case .interfaceName: 41
            }
        }
    }

    /// Makes the table; nothing happens when it is there.
    public mutating func addTable() {
        append(0, .create) { body in
            body.netfilterNumber(2, 0)
        }
    }

    /// Removes the table with all that is in it; it has to be there.
    public mutating func deleteTable() {
        append(2) { _ in }
    }

    /// Makes a chain; one with a hook lets through what none of its rules decides about.
    public mutating func addChain(_ name: String, at hook: Hook? = nil, priority: Int32 = 0) {
        append(3, .create) { body in
            body.attribute(3, text: name)
            guard let hook else { return }
            body.nested(4) { inner in
                inner.netfilterNumber(1, hook.rawValue)
                inner.netfilterNumber(2, UInt32(bitPattern: priority))
            }
            body.netfilterNumber(5, 1)
            body.attribute(7, text: "filter")
        }
    }

    /// Removes all rules of a chain.
    public mutating func flushChain(_ name: String) {
        append(8) { body in
            body.attribute(2, text: name)
        }
    }

    /// Adds a rule at the end of a chain.
    public mutating func addRule(to chain: String, _ expressions: [NetfilterExpression]) {
        append(6, [.create, .append]) { body in
            body.attribute(2, text: chain)
            body.nested(4) { list in
                for expression in expressions { list.nested(1) { expression.write(into: &$0) } }
            }
        }
    }

    /// Makes a set. With several fields, its elements are ranges of each of them, unless it is `exact`: then they are
    /// values, which it finds and takes in and out at the same small cost however many there are.
    public mutating func addSet(_ name: String, _ fields: [Field], exact: Bool = false) {
        let isConcatenation = fields.count > 1 && !exact
        append(9, .create) { body in
            body.attribute(2, text: name)
            // NFT_SET_INTERVAL and NFT_SET_CONCAT.
            body.netfilterNumber(3, isConcatenation ? 0x84 : 0)
            body.netfilterNumber(4, fields.reduce(0) { $0 << 6 | $1.number })
            body.netfilterNumber(5, UInt32(fields.reduce(0) { $0 + Self.padded($1.length) }))
            body.netfilterNumber(10, 1)
            guard isConcatenation else { return }
            body.nested(9) { description in
                description.nested(2) { list in
                    for field in fields { list.nested(1) { $0.netfilterNumber(1, UInt32(field.length)) } }
                }
            }
        }
    }

    /// One element of a set: a value for each field, or the first and the last of a range.
    public struct Element: Hashable, Sendable {
        /// The first values, each padded to a multiple of four octets.
        private(set) var lower = NetlinkBody()
        /// The last values; nil where it is a value, and not a range.
        private(set) var upper: NetlinkBody?

        /// A range of no field yet.
        public init() { upper = NetlinkBody() }

        /// The value of a set with one field.
        public init(_ value: [UInt8]) {
            lower.append(value)
            lower.zeros(-value.count & 3)
        }

        /// The value of a set with two addresses.
        public init(_ source: IPAddress, _ destination: IPAddress) {
            lower.append(source)
            lower.append(destination)
        }

        /// Adds a field.
        public mutating func append(_ first: [UInt8], _ last: [UInt8]) {
            lower.append(first)
            lower.zeros(-first.count & 3)
            upper?.append(last)
            upper?.zeros(-last.count & 3)
        }
    }

    /// Puts an element into a set.
    public mutating func add(_ element: Element, to set: String) { change(12, .create, element, set) }

    /// Takes an element out of a set.
    public mutating func remove(_ element: Element, from set: String) { change(14, [], element, set) }

    private mutating func change(_ type: UInt16, _ flags: NetlinkFlags, _ element: Element, _ set: String) {
        append(type, flags) { body in
            body.attribute(2, text: set)
            body.nested(3) { list in
                list.nested(1) { item in
                    item.nested(1) { $0.attribute(1, element.lower.bytes) }
                    if let upper = element.upper { item.nested(10) { $0.attribute(1, upper.bytes) } }
                }
            }
        }
    }

    /// So many changes at once are no trouble to the kernel.
    public static let goodSize = 256

    /// How many changes there are.
    public var count: Int { changes.count - 1 }

    fileprivate static func padded(_ length: Int) -> Int { (length + 3) / 4 * 4 }

    private mutating func append(
        _ message: UInt16, _ flags: NetlinkFlags = [], _ build: (inout NetlinkBody) -> Void
    ) {
        let opening = opening
        changes.append(10 << 8 | message, flags) { body in
            body.append(opening)
            build(&body)
        }
    }
}

extension NetlinkBody {
    /// struct nfgenmsg.
    mutating func netfilterHeader(family: UInt8, resource: UInt16) {
        uint8(family)
        uint8(0)
        uint16(resource.bigEndian)
    }

    /// Netfilter counts in network order.
    mutating func netfilterNumber(_ type: UInt16, _ value: UInt32) { attribute(type, value.bigEndian) }
}
