/// What every fuzz target shares: the input as an array, and the ways to report.
public enum Fuzz {
    /// The input's octets.
    public static func octets(_ start: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
        // libFuzzer lends the memory for the length of the call: it is copied at once.
        unsafe Array(UnsafeBufferPointer(start: start, count: count))
    }

    /// Stops the fuzzer when a property does not hold.
    public static func require(_ holds: Bool, _ property: String) {
        if !holds { fatalError(property) }
    }

    /// Keeps the optimiser from removing work whose result nobody reads.
    @inline(never)
    @_optimize(none)
    public static func observe(_ text: String) -> Int { text.utf8.count }
}
