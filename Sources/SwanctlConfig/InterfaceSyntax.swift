import NetworkTypes

/// Addresses of devices: `10.1.0.1/24`, or an address alone.
enum InterfaceSyntax {
    /// The address, and how many bits of it the neighbours share.
    static func address(_ text: String) -> (IPAddress, Int)? {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(String(first)) else { return nil }
        guard parts.count == 2 else { return (address, address.family.bitWidth) }
        guard let length = Int(parts[1]), (0...address.family.bitWidth).contains(length),
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return (address, length)
    }
}
