import GatewayModel
import NetworkTypes

/// Traffic selectors as swanctl.conf writes them: `10.1.0.0/16[tcp/80]`, `dynamic[udp]`, `10.1.0.1-10.1.0.9`.
///
/// It owns the spelling, names of well-known ports included.
enum SelectorSyntax {
    /// One selector.
    static func selector(_ text: String) throws(ValueProblem) -> SelectorTemplate {
        var base = text[...]
        var ipProtocol = IPProtocolNumber.any
        var ports = TrafficSelector.Ports.any
        if let bracket = text.firstIndex(of: "[") {
            guard text.hasSuffix("]") else {
                throw ValueProblem("'\(text)': the bracket is not closed", remedy: "write it as 10.1.0.0/16[tcp/80]")
            }
            base = text[..<bracket]
            let inner = text[text.index(after: bracket)...].dropLast()
            let parts = inner.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            ipProtocol = try self.ipProtocol(ValueSyntax.trimmed(parts.first ?? ""), text)
            if parts.count == 2 { ports = try self.ports(ValueSyntax.trimmed(parts[1]), ipProtocol, text) }
        }
        let addresses = ValueSyntax.trimmed(base)
        if addresses.lowercased() == "dynamic" || addresses.lowercased() == "%dynamic" {
            return SelectorTemplate(nil, ipProtocol: ipProtocol, ports: ports)
        }
        if let prefix = IPPrefix(addresses) {
            return SelectorTemplate(prefix.range, ipProtocol: ipProtocol, ports: ports)
        }
        if let range = try ValueSyntax.range(addresses) {
            return SelectorTemplate(range, ipProtocol: ipProtocol, ports: ports)
        }
        throw ValueProblem(
            "'\(text)' is not a traffic selector",
            remedy: "write a block (10.1.0.0/16), from-to, or dynamic, and behind it [protocol/port] where wanted")
    }

    private static func ipProtocol(_ text: String, _ whole: String) throws(ValueProblem) -> IPProtocolNumber {
        if text.isEmpty || text.lowercased() == "any" { return .any }
        guard let known = IPProtocolNumber(named: text) else {
            throw ValueProblem("'\(whole)': there is no protocol '\(text)'", remedy: "write its number, or any")
        }
        return known
    }

    private static func ports(
        _ text: String, _ ipProtocol: IPProtocolNumber, _ whole: String
    ) throws(ValueProblem) -> TrafficSelector.Ports {
        switch text.lowercased() {
        case "", "any": return .any
        case "opaque": return .opaque
        default: break
        }
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        if ipProtocol.isICMP { return .range(try messages(ends, whole)) }
        if ends.count == 2, let lower = number(ends[0]), let upper = number(ends[1]) {
            guard lower <= upper else {
                throw ValueProblem("'\(whole)': the ports go backwards", remedy: "write lower-upper")
            }
            return .range(lower...upper)
        }
        if let port = number(text[...]) { return .only(port) }
        if let port = services.first(where: { $0.0 == text.lowercased() })?.1 { return .only(port) }
        throw ValueProblem("'\(whole)': there is no port '\(text)'", remedy: "write its number")
    }

    /// ICMP's messages, by type, from type to type, or with the code behind the type: `8`, `3-11`, `3(1)`, `3(0)-11(255)`.
    /// A type alone means all its codes.
    private static func messages(_ ends: [Substring], _ whole: String) throws(ValueProblem) -> ClosedRange<UInt16> {
        var ranges: [ClosedRange<UInt16>] = []
        for end in ends {
            let parts = ValueSyntax.trimmed(end).split(separator: "(", maxSplits: 1, omittingEmptySubsequences: false)
            guard let type = number(parts[0]), type <= 255 else {
                throw ValueProblem(
                    "'\(whole)': there is no ICMP type '\(ValueSyntax.trimmed(end))'",
                    remedy: "write a type from 0 to 255, or from-to: [icmp/8], [icmp/3-11]")
            }
            guard parts.count == 2 else {
                ranges.append(type << 8...type << 8 | 0xff)
                continue
            }
            guard parts[1].last == ")", let code = number(parts[1].dropLast()), code <= 255 else {
                throw ValueProblem(
                    "'\(whole)': there is no ICMP code '(\(parts[1])'",
                    remedy: "write a code from 0 to 255: [icmp/3(1)]")
            }
            ranges.append(type << 8 | code...type << 8 | code)
        }
        guard let first = ranges.first, let last = ranges.last, first.lowerBound <= last.upperBound else {
            throw ValueProblem("'\(whole)': the types go backwards", remedy: "write lower-upper")
        }
        return first.lowerBound...last.upperBound
    }

    private static func number(_ text: Substring) -> UInt16? {
        let digits = ValueSyntax.trimmed(text)
        return digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16(digits) : nil
    }

    /// Ports that people write by name (IANA's registry).
    private static let services: [(String, UInt16)] = [
        ("ftp-data", 20), ("ftp", 21), ("ssh", 22), ("telnet", 23), ("smtp", 25), ("domain", 53), ("dns", 53),
        ("bootps", 67), ("bootpc", 68), ("tftp", 69), ("http", 80), ("kerberos", 88), ("pop3", 110), ("sunrpc", 111),
        ("ntp", 123), ("netbios-ns", 137), ("netbios-dgm", 138), ("netbios-ssn", 139), ("imap2", 143), ("imap", 143),
        ("snmp", 161), ("snmp-trap", 162), ("bgp", 179), ("ldap", 389), ("https", 443), ("microsoft-ds", 445),
        ("isakmp", 500), ("syslog", 514), ("submission", 587), ("ldaps", 636), ("imaps", 993), ("pop3s", 995),
        ("l2f", 1701), ("l2tp", 1701), ("radius", 1812), ("radius-acct", 1813), ("nfs", 2049), ("mysql", 3306),
        ("ms-wbt-server", 3389), ("sip", 5060), ("postgresql", 5432),
    ]
}
