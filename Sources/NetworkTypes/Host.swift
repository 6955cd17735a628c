/// A host as somebody names it: by an address, or by a domain name that is still to be looked up.
///
/// It owns the syntax of both. It never looks anything up.
public enum Host: Hashable, Sendable, CustomStringConvertible {
    /// This address.
    case address(IPAddress)
    /// A domain name (RFC 1123 §2.1), without a dot at its end.
    case name(String)

    /// An address or a domain name in text; nil for anything else.
    public init?(_ text: String) {
        if let address = IPAddress(text) {
            self = .address(address)
            return
        }
        var octets = Array(text.utf8)
        if octets.last == UInt8(ascii: ".") { octets.removeLast() }
        guard (1...253).contains(octets.count) else { return nil }
        let labels = octets.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard labels.allSatisfy(Self.isLabel), labels.last?.allSatisfy(Self.isDigit) == false else { return nil }
        self = .name(String(decoding: octets, as: UTF8.self))
    }

    /// The address or the name.
    public var description: String {
        switch self {
        case .address(let address): address.description
        case .name(let name): name
        }
    }

    private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
        guard (1...63).contains(label.count), label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-") else {
            return false
        }
        return label.allSatisfy { octet in
            isDigit(octet) || octet == UInt8(ascii: "-") || octet == UInt8(ascii: "_")
                || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(octet | 0x20)
        }
    }

    private static func isDigit(_ octet: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(octet)
    }
}
