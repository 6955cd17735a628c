/// Comparisons whose time tells nothing of the contents.
public enum ConstantTime {
    /// Whether both hold the same octets; takes the same time wherever they differ. Lengths are not secret.
    public static func equal(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }

    /// The same for arrays.
    public static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        equal(left.span, right.span)
    }
}
