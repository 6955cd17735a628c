public import WireFormat

/// Why a handed-over state can't be read.
public enum RecordError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A field is cut off, or octets are left over.
    case wire(WireError)
    /// It does not begin as such a state does.
    case noState
    /// It was written by a version that is newer than this one knows.
    case version(UInt16, known: UInt16)
    /// A field has a value that it can't have.
    case badValue(String)
    /// It ends before its last record.
    case cutOff
    /// Two parts that belong together do not fit.
    case inconsistent(String)

    /// One clause, without a capital or a full stop.
    public var description: String {
        switch self {
        case .wire(let error): "\(error)"
        case .noState: "it is no state of a gateway"
        case .version(let version, let known): "it has version \(version), and only versions up to \(known) are known"
        case .badValue(let field): "\(field) has a value that it cannot have"
        case .cutOff: "it ends before its last record"
        case .inconsistent(let clause): clause
        }
    }
}
