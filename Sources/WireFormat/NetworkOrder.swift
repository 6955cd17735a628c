extension FixedWidthInteger {
    /// Its octets, most significant first.
    @inlinable
    public var octets: [UInt8] {
        var octets = [UInt8](repeating: 0, count: Self.bitWidth / 8)
        var left = self
        for place in octets.indices.reversed() {
            octets[place] = UInt8(truncatingIfNeeded: left)
            left >>= 8
        }
        return octets
    }
}
