public import NetworkTypes

/// Which addresses are the internet's, and which are nobody's but ours.
///
/// It owns the list: a certificate may name any place, and must not make us knock at our own doors.
public enum AddressReach {
    /// Blocks that are not the internet's (RFC 6890 and its successors).
    private static let privateBlocks: [IPPrefix] = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001:db8::/32", "fc00::/7",
        "fe80::/10", "fec0::/10", "ff00::/8",
    ].compactMap { IPPrefix($0) }

    /// Whether a certificate may send us there. An IPv4 address within an IPv6 one counts as itself.
    public static func isPublic(_ address: IPAddress) -> Bool {
        let octets = address.bytes
        if octets.count == 16 {
            let isMapped = octets[..<10].allSatisfy { $0 == 0 } && octets[10] == 0xff && octets[11] == 0xff
            let isCompatible = octets[..<12].allSatisfy { $0 == 0 }
            let isTranslated = octets[..<12] == [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]
            if isMapped || isTranslated || isCompatible {
                return IPAddress(bytes: Array(octets[12...])).map(isPublic) ?? false
            }
            // 6to4 carries an IPv4 address in its second to fifth octets.
            if octets[0] == 0x20, octets[1] == 0x02 {
                return IPAddress(bytes: Array(octets[2..<6])).map(isPublic) ?? false
            }
        }
        return !privateBlocks.contains { $0.contains(address) }
    }
}
