/// What can be wrong with bytes before anything is known of their meaning.
public enum WireError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A field needed more octets than were left. `needed` is negative when a length on the wire was smaller than the
    /// header that carries it.
    case short(field: String, needed: Int, had: Int)
    /// A structure ended before its bytes did.
    case trailing(structure: String, count: Int)
    /// A field holds a value that its definition forbids.
    case forbidden(field: String, value: UInt64)

    /// One clause, without a capital or a full stop.
    public var description: String {
        switch self {
        case .short(let field, let needed, let had): "\(field): needed \(needed) octets, had \(had)"
        case .trailing(let structure, let count): "\(structure): \(count) octets too many"
        case .forbidden(let field, let value): "\(field): \(value) is not allowed"
        }
    }
}
