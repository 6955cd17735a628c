/// What is wrong with bytes that claim to be VICI, or with a tree that VICI cannot carry.
public enum ViciError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The length before a segment is zero or above the limit.
    case segmentLength(UInt32)
    /// A field needed more octets than were left.
    case short(field: String, needed: Int, had: Int)
    /// The packet's first octet names no packet type.
    case packetType(UInt8)
    /// Octets follow a packet that has none.
    case trailing(count: Int)
    /// An octet where an element should begin is no element type.
    case elementType(UInt8)
    /// An element stands where the grammar forbids it; the clause says which and where.
    case misplaced(String)
    /// Sections nest too deep.
    case depth
    /// A section or list was opened and not closed.
    case unbalanced(String)
    /// A name is empty, too long, not UTF-8, or holds control characters.
    case name
    /// A name stands twice in one section.
    case duplicate(String)
    /// A value has more octets than its length field can say.
    case valueTooLong(String)
    /// The message is longer than a segment may be.
    case messageTooLong(Int)

    /// One clause, without a capital or a full stop.
    public var description: String {
        switch self {
        case .segmentLength(let length): "a segment of \(length) octets is not allowed"
        case .short(let field, let needed, let had): "\(field): needed \(needed) octets, had \(had)"
        case .packetType(let type): "packet type \(type) is unknown"
        case .trailing(let count): "\(count) octets follow a packet that carries no message"
        case .elementType(let type): "element type \(type) is unknown"
        case .misplaced(let what): what
        case .depth: "sections nest deeper than \(ViciTree.maximumDepth)"
        case .unbalanced(let name): "'\(name)' is not closed"
        case .name: "a name is empty, too long or not printable"
        case .duplicate(let name): "'\(name)' stands twice in one section"
        case .valueTooLong(let name): "the value of '\(name)' has more than 65535 octets"
        case .messageTooLong(let count): "a message of \(count) octets does not fit into a segment"
        }
    }
}
