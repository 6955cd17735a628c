extension Hasher {
    /// Takes in octets all at once; an array puts them in one by one.
    public mutating func combine(octets: [UInt8]) {
        // Read during the call only.
        unsafe octets.withUnsafeBytes { unsafe combine(bytes: $0) }
    }
}

extension Array where Element == UInt8 {
    /// A copy of octets that somebody else owns: all at once, since messages are copied more than once on their way.
    public init(copying octets: Span<UInt8>) {
        // The span is readable memory of exactly the length that goes with it, and is read during the call only.
        self = unsafe octets.withUnsafeBufferPointer { unsafe [UInt8]($0) }
    }

    /// Appends a copy of octets that somebody else owns.
    public mutating func append(copying octets: Span<UInt8>) {
        // As above.
        unsafe octets.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }
}
