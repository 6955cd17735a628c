import Clockwork
import GatewayModel
import NetworkTypes
import WireFormat

/// Why a value makes no sense: one clause, and what to write instead.
struct ValueProblem: Error {
    let message: String
    let remedy: String?

    init(_ message: String, remedy: String? = nil) {
        self.message = message
        self.remedy = remedy
    }
}

/// Values as swanctl.conf writes them: truth, times, numbers, lists.
///
/// It owns the spelling only; which values a key allows is its reader's business.
enum ValueSyntax {
    /// `yes`, `true`, `enabled`, `1` and their opposites; nil for anything else.
    static func truth(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "yes", "true", "enabled", "1": true
        case "no", "false", "disabled", "0": false
        default: nil
        }
    }

    /// A truth value.
    static func bool(_ text: String) throws(ValueProblem) -> Bool {
        guard let truth = truth(text) else {
            throw ValueProblem("'\(text)' is neither yes nor no", remedy: "write yes or no")
        }
        return truth
    }

    /// A time: a number with `s`, `m`, `h` or `d`; seconds when it stands alone.
    static func time(_ text: String) throws(ValueProblem) -> Interval {
        let remedy = "write a number of seconds, or one with s, m, h or d: 90s, 30m, 4h, 1d"
        let digits = text.prefix { ("0"..."9").contains($0) }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        let seconds: Int64
        switch unit {
        case "", "s": seconds = 1
        case "m": seconds = 60
        case "h": seconds = 3_600
        case "d": seconds = 86_400
        default: throw ValueProblem("'\(text)' is not a time", remedy: remedy)
        }
        guard let count = Int64(digits) else { throw ValueProblem("'\(text)' is not a time", remedy: remedy) }
        let (total, overflow) = count.multipliedReportingOverflow(by: seconds)
        guard !overflow, total <= 100 * 365 * 86_400 else {
            throw ValueProblem("'\(text)' is longer than a hundred years", remedy: remedy)
        }
        return .seconds(total)
    }

    /// A number between two bounds, decimal or with `0x`.
    static func number(_ text: String, in range: ClosedRange<Int>) throws(ValueProblem) -> Int {
        let lower = text.lowercased()
        let value = lower.hasPrefix("0x") ? Int(lower.dropFirst(2), radix: 16) : Int(lower)
        guard let value, range.contains(value) else {
            throw ValueProblem(
                "'\(text)' is not a number from \(range.lowerBound) to \(range.upperBound)",
                remedy: "write a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// One word of several.
    static func word<Value>(_ text: String, _ words: [(String, Value)]) throws(ValueProblem) -> Value {
        let lower = text.lowercased()
        if let found = words.first(where: { $0.0 == lower }) { return found.1 }
        let names = words.map(\.0)
        let nearest = EditDistance.nearest(to: lower, among: names).map { "did you mean '\($0)'?" }
        throw ValueProblem(
            "'\(text)' is not one of the words allowed here",
            remedy: nearest ?? "write one of: \(names.joined(separator: ", "))")
    }

    /// The parts of a list, without blanks around them; empty parts are left out.
    static func list(_ text: String) -> [String] {
        text.utf8.split(separator: UInt8(ascii: ",")).map { trimmed(Substring($0)) }.filter { !$0.isEmpty }
    }

    /// `text` without blanks at its ends.
    static func trimmed(_ text: some StringProtocol) -> String {
        // Octets: ten thousand connections have a million values.
        let octets = Array(text.utf8)
        let isBlank = { (octet: UInt8) in octet == 0x20 || octet == 0x09 || octet == 0x0a }
        guard let first = octets.firstIndex(where: { !isBlank($0) }),
            let last = octets.lastIndex(where: { !isBlank($0) })
        else { return "" }
        if first == 0, last == octets.count - 1 { return String(text) }
        return String(decoding: octets[first...last], as: UTF8.self)
    }

    /// An address, a block, a range, a host name, or `%any`.
    static func addressPattern(_ text: String) throws(ValueProblem) -> AddressPattern {
        switch text.lowercased() {
        case "%any", "0.0.0.0", "::": return .any
        case "%any4": return .prefix(.everything(.v4))
        case "%any6": return .prefix(.everything(.v6))
        default: break
        }
        if let prefix = IPPrefix(text) { return .prefix(prefix) }
        if let range = try range(text) { return .range(range) }
        guard looksLikeHostName(text) else {
            throw ValueProblem(
                "'\(text)' is not an address", remedy: "write an address, a block, from-to, a host name or %any")
        }
        return .name(text)
    }

    /// `from-to`; nil when it is something else.
    static func range(_ text: String) throws(ValueProblem) -> AddressRange? {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2, let lower = IPAddress(trimmed(ends[0])), let upper = IPAddress(trimmed(ends[1])) else {
            return nil
        }
        guard let range = AddressRange(lower, upper) else {
            throw ValueProblem("'\(text)' goes backwards, or from one family to the other", remedy: "write lower-upper")
        }
        return range
    }

    /// Letters, digits, hyphens, dots; not only numbers, which would be a mistyped address.
    static func looksLikeHostName(_ text: String) -> Bool {
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        let isName = { (label: Substring) in
            (1...63).contains(label.utf8.count)
                && label.utf8.allSatisfy {
                    switch $0 {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                        true
                    default: false
                    }
                }
        }
        guard text.utf8.count <= 253, labels.allSatisfy(isName), let last = labels.last else { return false }
        return !last.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
}

/// A shared secret as it is written: text, `0x` and hexadecimal digits, or `0s` and base64.
enum SecretSyntax {
    /// The secret's octets. The problem never shows them.
    static func octets(_ written: [UInt8]) throws(ValueProblem) -> SecretBytes {
        let isHex = written.starts(with: Array("0x".utf8)) || written.starts(with: Array("0X".utf8))
        let isBase64 = written.starts(with: Array("0s".utf8)) || written.starts(with: Array("0S".utf8))
        let octets: [UInt8]?
        if isHex {
            octets = Hex.decode(String(decoding: written.dropFirst(2), as: UTF8.self))
        } else if isBase64 {
            octets = base64(written.dropFirst(2))
        } else {
            octets = written
        }
        guard let octets else {
            throw ValueProblem(
                isHex ? "what follows 0x is not hexadecimal" : "what follows 0s is not base64",
                remedy: "correct it, or put the text in front of which 0x or 0s stands into hexadecimal form")
        }
        guard !octets.isEmpty else { throw ValueProblem("the secret is empty", remedy: "write the shared secret") }
        return SecretBytes(octets)
    }

    /// RFC 4648's base64 with its padding, which may be left out.
    static func base64(_ text: some Collection<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        var buffer: UInt32 = 0
        var bits = 0
        var digits = 0
        var padding = 0
        for octet in text {
            let value: UInt8
            switch octet {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = octet - UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = octet - UInt8(ascii: "a") + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = octet - UInt8(ascii: "0") + 52
            case UInt8(ascii: "+"): value = 62
            case UInt8(ascii: "/"): value = 63
            case UInt8(ascii: "="):
                padding += 1
                continue
            default: return nil
            }
            guard padding == 0 else { return nil }
            digits += 1
            buffer = buffer << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                result.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
                buffer &= (1 << UInt32(bits)) - 1
            }
        }
        guard digits % 4 != 1, buffer == 0, padding == 0 || (digits + padding) % 4 == 0, padding <= 2 else {
            return nil
        }
        return result
    }
}
