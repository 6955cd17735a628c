import GatewayModel
import NetworkTypes
import WireFormat

/// Makes an ``AddressPool`` from its section.
///
/// It owns the meaning of `pools.<name>`: addresses, prefixes, and the attributes that clients are told besides. Names stand for
/// attributes of both families; which one it is follows from the value.
struct PoolReader {
    private var reader: SectionReader
    private var diagnostics: DiagnosticCollector { reader.diagnostics }

    init(_ reader: SectionReader) { self.reader = reader }

    /// The pool; nil when it has neither addresses nor prefixes, which has been reported.
    mutating func pool() -> AddressPool? {
        let name = reader.view.name
        let written = reader.text("addrs") ?? ""
        var addresses: AddressRange?
        let prefixes = prefixes()
        if !written.isEmpty {
            addresses = reader.read("addrs", or: nil) { text throws(ValueProblem) in try Self.addresses(text) }
        } else if reader.text("prefixes") == nil {
            diagnostics.missing(
                reader.view.location, "\(reader.path) has no addrs", remedy: "add addrs = 10.3.0.0/24, or a range")
        }
        var attributes: [HostAttribute] = []
        for setting in reader.settings("<attr>") where setting.name != "addrs" {
            let key = setting.name
            if key == "prefix" {
                diagnostics.warning(
                    setting.location,
                    "\(reader.path).prefix tells all clients of the same prefix, and lends it to none",
                    remedy: "write prefixes = 2001:db8:100::/48, of which each client gets one of its own")
            }
            let read = reader.readList(key, or: [[]]) { text throws(ValueProblem) in
                [try Self.attributes(key, text)]
            }
            attributes += read.flatMap { $0 }
        }
        reader.finish()
        guard addresses != nil || prefixes != nil else { return nil }
        return AddressPool(
            name: name, base: written.isEmpty ? prefixes?.block.description ?? "" : written, addresses: addresses,
            prefixes: prefixes, attributes: attributes)
    }

    /// The prefixes that are lent; nil when there are none.
    private mutating func prefixes() -> PrefixStock? {
        let length = reader.read("prefix_length", or: 64) { text throws(ValueProblem) in
            try ValueSyntax.number(text, in: 1...128)
        }
        guard reader.text("prefixes") != nil else {
            if reader.text("prefix_length") != nil {
                diagnostics.warning(
                    reader.location(of: "prefix_length"), "\(reader.path).prefix_length has no effect without prefixes",
                    remedy: "add prefixes: the block of which each client gets a part")
            }
            return nil
        }
        let block = reader.read("prefixes", or: nil) { text throws(ValueProblem) -> IPPrefix? in
            guard let block = IPPrefix(text), block.family == .v6, text.utf8.contains(UInt8(ascii: "/")) else {
                throw ValueProblem("'\(text)' is not an IPv6 prefix", remedy: "write one block like 2001:db8:100::/48")
            }
            return block
        }
        guard let block else { return nil }
        if let stock = PrefixStock(block, length: length) { return stock }
        diagnostics.error(
            reader.location(of: reader.text("prefix_length") == nil ? "prefixes" : "prefix_length"),
            "\(reader.path).prefix_length: \(length) is shorter than the prefix \(block) that it is to divide",
            remedy: "write a length from \(max(block.length, 1)) to 128")
        return nil
    }

    /// A block from the address that is written on, whose first and last are left out, or a range, which is taken whole.
    private static func addresses(_ text: String) throws(ValueProblem) -> AddressRange {
        if let block = IPPrefix(text), let first = IPAddress(String(text.prefix { $0 != "/" })) {
            if let usable = AddressPool.usable(first, length: block.length) { return usable }
            throw ValueProblem(
                "'\(text)' begins behind the last address that can be lent",
                remedy: "write the block as \(block), or an earlier address to begin with")
        }
        if let range = try ValueSyntax.range(text) { return range }
        throw ValueProblem(
            "'\(text)' is neither a block nor a range", remedy: "write a block (10.3.0.0/24) or from-to")
    }

    /// One part of an attribute's list.
    private static func attributes(_ key: String, _ text: String) throws(ValueProblem) -> [HostAttribute] {
        if let number = UInt16(key), number < 0x8000 {
            return [HostAttribute(type: number, value: try value(text))]
        }
        switch key {
        case "dns": return [try address(text, v4: 3, v6: 10)]
        case "nbns": return [try address(text, v4: 4, v6: nil)]
        case "dhcp": return [try address(text, v4: 6, v6: 12)]
        case "netmask": return [try mask(text)]
        case "server": return [try address(text, v4: 23_456, v6: 23_457)]
        // IKEv2 has one attribute for networks behind the gateway, whatever the old name for them.
        case "subnet", "split_include": return [try network(text, v4: 13, v6: 15)]
        case "split_exclude": return [try network(text, v4: 28_677, v6: nil)]
        case "prefix":
            guard let prefix = IPPrefix(text), prefix.family == .v6 else {
                throw ValueProblem("'\(text)' is not an IPv6 prefix", remedy: "write one like fd00:1::/64")
            }
            return [HostAttribute(type: 18, value: prefix.address.bytes + [UInt8(truncatingIfNeeded: prefix.length)])]
        case "domain":
            guard ValueSyntax.looksLikeHostName(text) else {
                throw ValueProblem("'\(text)' is not a domain", remedy: "write one like example.org")
            }
            return [HostAttribute(type: 25, value: Array(text.utf8))]
        case "dnssec_ta": return try trustAnchor(text)
        default:
            let names = [
                "dns", "nbns", "dhcp", "netmask", "server", "subnet", "split_include", "split_exclude", "prefix",
                "domain", "dnssec_ta", "addrs", "prefixes", "prefix_length",
            ]
            let nearest = EditDistance.nearest(to: key, among: names).map { "did you mean '\($0)'?" }
            throw ValueProblem(
                "'\(key)' is not an attribute", remedy: nearest ?? "write one of: \(names.joined(separator: ", "))")
        }
    }

    /// For an attribute by number: an address or a block as it travels, octets in hexadecimal, or text.
    private static func value(_ text: String) throws(ValueProblem) -> [UInt8] {
        if let address = IPAddress(text) { return address.bytes }
        if text.utf8.contains(UInt8(ascii: "/")), let block = IPPrefix(text) { return wire(block) }
        guard text.lowercased().hasPrefix("0x") else { return Array(text.utf8) }
        guard let octets = Hex.decode(String(text.dropFirst(2))) else {
            throw ValueProblem("what follows 0x is not hexadecimal", remedy: "write an even number of digits")
        }
        return octets
    }

    private static func address(_ text: String, v4: UInt16, v6: UInt16?) throws(ValueProblem) -> HostAttribute {
        guard let address = IPAddress(text), let type = address.family == .v4 ? v4 : v6 else {
            throw ValueProblem(
                "'\(text)' is not an \(v6 == nil ? "IPv4 " : "")address", remedy: "write one or several addresses")
        }
        return HostAttribute(type: type, value: address.bytes)
    }

    private static func network(_ text: String, v4: UInt16, v6: UInt16?) throws(ValueProblem) -> HostAttribute {
        guard let block = IPPrefix(text), let type = block.family == .v4 ? v4 : v6 else {
            throw ValueProblem("'\(text)' is not a network", remedy: "write a block like 10.1.0.0/16")
        }
        return HostAttribute(type: type, value: wire(block))
    }

    private static func mask(_ text: String) throws(ValueProblem) -> HostAttribute {
        guard let mask = IPAddress(text), mask.family == .v4, isMask(UInt32(truncatingIfNeeded: mask.bits)) else {
            throw ValueProblem("'\(text)' is not a mask", remedy: "write one like 255.255.255.0")
        }
        return HostAttribute(type: 2, value: mask.bytes)
    }

    private static func isMask(_ word: UInt32) -> Bool { ~word & (~word &+ 1) == 0 }

    private static func wire(_ block: IPPrefix) -> [UInt8] {
        guard block.family == .v4 else { return block.address.bytes + [UInt8(truncatingIfNeeded: block.length)] }
        let mask = block.length == 0 ? 0 : UInt32.max << UInt32(32 - block.length)
        return block.address.bytes + IPAddress(v4: mask).bytes
    }

    /// `domain:key tag:algorithm:digest type:digest`, which brings its domain with it (RFC 8598 §4.2).
    private static func trustAnchor(_ text: String) throws(ValueProblem) -> [HostAttribute] {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 5, ValueSyntax.looksLikeHostName(parts[0]), let tag = UInt16(parts[1]),
            let algorithm = UInt8(parts[2]), let kind = UInt8(parts[3]), let digest = Hex.decode(parts[4]),
            !digest.isEmpty
        else {
            throw ValueProblem(
                "'\(text)' is not a trust anchor", remedy: "write domain:key tag:algorithm:digest type:digest in hex")
        }
        let record = [UInt8(truncatingIfNeeded: tag >> 8), UInt8(truncatingIfNeeded: tag), algorithm, kind] + digest
        return [HostAttribute(type: 25, value: Array(parts[0].utf8)), HostAttribute(type: 26, value: record)]
    }

    /// What connections and pools mean together.
    static func review(
        _ connections: [Connection], _ locations: [SourceLocation], _ pools: [AddressPool],
        _ poolLocations: [SourceLocation], _ diagnostics: DiagnosticCollector
    ) {
        for (connection, location) in zip(connections, locations) {
            for name in connection.pools where !pools.contains(where: { $0.name == name }) {
                if name == AddressPool.byServer, connection.remote.eap.isRelayed { continue }
                let nearest = EditDistance.nearest(to: name, among: pools.map(\.name)).map { "did you mean '\($0)'?" }
                diagnostics.error(
                    location, "connection '\(connection.name)' gives addresses of pool '\(name)', which is not there",
                    remedy: nearest ?? "add pools { \(name) { addrs = … } }")
            }
        }
        for (pool, location) in zip(pools, poolLocations) where pool.name == AddressPool.byServer {
            diagnostics.error(
                location,
                "a pool can't be called '\(pool.name)': that stands for the addresses that a RADIUS server gives",
                remedy: "give it another name")
        }
        for (index, (pool, location)) in zip(pools, poolLocations).enumerated() {
            if pool.overlapsItself {
                diagnostics.error(
                    location, "the addresses and the prefixes of pool '\(pool.name)' overlap",
                    remedy: "give each of them a block of its own")
            }
            for other in pools.prefix(index) {
                guard let overlap = other.overlap(with: pool) else { continue }
                let message = "pools '\(other.name)' and '\(pool.name)' overlap: \(overlap.consequence)"
                if overlap == .prefixes {
                    diagnostics.error(location, message, remedy: "give each pool a block of its own")
                } else {
                    diagnostics.warning(location, message, remedy: "give each pool addresses of its own")
                }
            }
        }
    }
}
