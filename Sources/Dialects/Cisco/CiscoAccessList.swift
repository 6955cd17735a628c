import NetworkTypes

/// What an access list selects, as swanctl.conf writes it.
struct CiscoAccessList {
    /// One `permit`: selectors of both ends.
    struct Entry: Equatable {
        var local: String
        var remote: String
        var place: ImportPlace
    }

    private(set) var entries: [Entry] = []
    private(set) var notes: [ImportNote] = []

    /// The list of this name in a configuration, named or numbered; nil when there is none.
    init?(_ name: String, in config: CiscoConfig) {
        var lines: [CiscoConfig.Command] = []
        for command in config.commands {
            if command.begins("ip", "access-list"), command.word(3) == name { lines += command.below }
            if command.begins("access-list"), command.word(1) == name {
                lines.append(.init(words: command.words(from: 2), place: command.place, below: []))
            }
        }
        guard !lines.isEmpty else { return nil }
        for line in lines { add(line) }
    }

    private mutating func add(_ line: CiscoConfig.Command) {
        var words = line.words[...]
        if let first = words.first, UInt32(first) != nil { words.removeFirst() }
        guard let action = words.popFirst()?.lowercased(), action != "remark" else { return }
        guard action == "permit" else {
            notes.append(ImportNote(.lost, line.place, line.text, "only what is permitted can be a selector"))
            return
        }
        guard let name = words.popFirst()?.lowercased(), let source = Self.end(&words),
            let destination = Self.end(&words)
        else {
            notes.append(ImportNote(.lost, line.place, line.text, "its networks can't be read"))
            return
        }
        if name != "ip", IPProtocolNumber(named: name) == nil {
            notes.append(ImportNote(.lost, line.place, line.text, "its protocol is not known"))
            return
        }
        if let rest = words.first, rest.lowercased() != "log" {
            notes.append(ImportNote(.lost, line.place, line.text, "'\(rest)' and what follows can't be a selector"))
        }
        func selector(_ end: (network: String, ports: String)) -> String {
            if name == "ip" { return end.network }
            return end.network + "[\(name)\(end.ports.isEmpty ? "" : "/" + end.ports)]"
        }
        entries.append(Entry(local: selector(source), remote: selector(destination), place: line.place))
    }

    /// `any`, `host A`, `A wildcard`, and ports behind them.
    private static func end(_ words: inout ArraySlice<String>) -> (network: String, ports: String)? {
        guard let first = words.popFirst() else { return nil }
        var network: String
        switch first.lowercased() {
        case "any", "any4": network = "0.0.0.0/0"
        case "host":
            guard let host = words.popFirst().flatMap(IPAddress.init) else { return nil }
            network = IPPrefix(host: host).description
        default:
            guard let address = IPAddress(first), let wildcard = words.popFirst().flatMap(IPAddress.init),
                let prefix = CiscoAddress.prefix(address, wildcard: wildcard)
            else { return nil }
            network = prefix.description
        }
        var ports = ""
        if words.first?.lowercased() == "eq", words.count > 1 {
            words.removeFirst()
            ports = words.popFirst()?.lowercased() ?? ""
        } else if words.first?.lowercased() == "range", words.count > 2 {
            words.removeFirst()
            ports = "\(words.popFirst() ?? "")-\(words.popFirst() ?? "")"
        }
        return (network, ports)
    }
}

/// Addresses with masks.
enum CiscoAddress {
    /// A network of an address and a wildcard mask (0.0.0.255); nil when its bits have gaps.
    static func prefix(_ address: IPAddress, wildcard: IPAddress) -> IPPrefix? {
        guard address.family == .v4, wildcard.family == .v4 else { return nil }
        let bits = wildcard.bits & 0xffff_ffff
        guard bits & (bits + 1) == 0 else { return nil }
        return IPPrefix(address, length: 32 - (bits == 0 ? 0 : 128 - bits.leadingZeroBitCount))
    }

    /// A network of an address and a mask (255.255.255.0); nil when its bits have gaps.
    static func prefix(_ address: String, mask: String) -> IPPrefix? {
        guard let address = IPAddress(address), let length = length(mask) else { return nil }
        return IPPrefix(address, length: length)
    }

    /// The length of a mask; nil when its bits have gaps.
    static func length(_ mask: String) -> Int? {
        guard let mask = IPAddress(mask), mask.family == .v4 else { return nil }
        let host = ~mask.bits & 0xffff_ffff
        guard host & (host + 1) == 0 else { return nil }
        return 32 - (host == 0 ? 0 : 128 - host.leadingZeroBitCount)
    }
}
