extension FixedWidthInteger {
    /// Its octets, most significant first.
    @inlinable
    public var octets: [UInt8] {
        [UInt8](capacity: Self.bitWidth / 8) { octets in
            for shift in stride(from: Self.bitWidth - 8, through: 0, by: -8) {
                octets.append(UInt8(truncatingIfNeeded: self >> shift))
            }
        }
    }
}
