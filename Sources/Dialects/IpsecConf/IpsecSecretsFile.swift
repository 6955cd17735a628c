import WireFormat

/// An ipsec.secrets as entries: who, what kind, what value.
///
/// It owns the grammar. Its notes name lines, never values.
struct IpsecSecretsFile {
    struct Entry {
        /// Who may use it, as the file writes them.
        var owners: [String]
        /// `PSK`, `RSA`, `EAP`…, in capitals.
        var kind: String
        /// The words behind it; a secret may be among them.
        var words: [String]
        /// Whether the first of them stood in quotes.
        var isQuoted: Bool
        var place: ImportPlace
    }

    private(set) var entries: [Entry] = []
    private(set) var notes: [ImportNote] = []

    init(_ files: [ConfigurationImport.File]) {
        for file in files { read(file) }
    }

    private mutating func read(_ file: ConfigurationImport.File) {
        // An entry begins in the first column, and goes on where a line is indented. A line with a colon of its own
        // begins one wherever it stands.
        var pending: (text: String, place: ImportPlace)?
        for (index, line) in Words.lines(file.octets).enumerated() {
            let text = Self.withoutComment(line)
            if Words.trimmed(text).isEmpty { continue }
            let isIndented = line.first?.isWhitespace ?? false
            if isIndented, let begun = pending, Self.colon(text) == nil {
                // A raw key of libreswan's spans many lines that nobody needs.
                if begun.text.utf8.count < 65_536 { pending?.text = begun.text + " " + text }
            } else {
                if let begun = pending { add(begun.text, begun.place) }
                pending = (String(text), ImportPlace(file.name, index + 1))
            }
        }
        if let begun = pending { add(begun.text, begun.place) }
    }

    private mutating func add(_ text: String, _ place: ImportPlace) {
        guard let colon = Self.colon(text[...]) else {
            if Words.split(text).first != "include" {
                notes.append(ImportNote(.lost, place, "a line without a colon", "it is no secret"))
            }
            return
        }
        let words = Words.split(text[text.index(after: colon)...])
        guard let kind = words.first else {
            notes.append(ImportNote(.lost, place, "an entry without a kind", "it is no secret"))
            return
        }
        let behind = Words.trimmed(Words.trimmed(text[text.index(after: colon)...]).dropFirst(kind.count))
        entries.append(
            Entry(
                owners: Words.split(text[..<colon]), kind: kind.uppercased(), words: Array(words.dropFirst()),
                isQuoted: behind.hasPrefix("\"") || behind.hasPrefix("'"), place: place))
    }

    /// The colon in front of the kind: outside quotes, with a blank or the line's start before it and a kind behind it, or
    /// without a blank where no address of IPv6 can be meant.
    private static func colon(_ text: Substring) -> Substring.Index? {
        var isQuoted = false
        for index in text.indices {
            if text[index] == "\"" { isQuoted.toggle() }
            guard text[index] == ":", !isQuoted else { continue }
            let behind = text[text.index(after: index)...].drop { $0.isWhitespace }
            let word = behind.prefix { !$0.isWhitespace && $0 != "\"" && $0 != "{" }.uppercased()
            if kinds.contains(word) { return index }
        }
        return nil
    }

    private static func colon(_ text: String) -> String.Index? { colon(text[...]) }

    private static let kinds: Set<String> = [
        "PSK", "RSA", "ECDSA", "P12", "PKCS8", "EAP", "NTLM", "XAUTH", "PIN", "BLISS", "PPKS",
    ]

    private static func withoutComment(_ line: String) -> Substring {
        var isQuoted = false
        var isBehindBlank = true
        for index in line.indices {
            if line[index] == "\"" { isQuoted.toggle() }
            if line[index] == "#", isBehindBlank, !isQuoted { return line[..<index] }
            isBehindBlank = line[index].isWhitespace
        }
        return line[...]
    }

    /// The octets that a written secret stands for: in quotes as it is; else `0x` in hexadecimal, `0s` in base64, `0t` as
    /// text, anything else as it is. Nil when it can't be read.
    static func octets(_ word: String, isQuoted: Bool) -> SecretBytes? {
        let prefix = word.prefix(2).lowercased()
        let octets: [UInt8]?
        switch prefix {
        case "0x" where !isQuoted: octets = Hex.decode(word.dropFirst(2).filter { $0 != "_" })
        case "0s" where !isQuoted: octets = Base64Text.octets(word.dropFirst(2))
        case "0t" where !isQuoted: octets = Array(word.utf8.dropFirst(2))
        default: octets = Array(word.utf8)
        }
        return octets.flatMap { $0.isEmpty ? nil : SecretBytes($0) }
    }
}

/// RFC 4648's base64, whose padding may be left out.
enum Base64Text {
    static func octets(_ text: some StringProtocol) -> [UInt8]? {
        var result: [UInt8] = []
        var (buffer, bits, digits, isPadded): (UInt32, Int, Int, Bool) = (0, 0, 0, false)
        for octet in text.utf8 {
            if octet == UInt8(ascii: "=") {
                isPadded = true
                continue
            }
            guard !isPadded, let value = alphabet.firstIndex(of: octet) else { return nil }
            digits += 1
            buffer = (buffer << 6 | UInt32(value)) & 0xff_ffff
            bits += 6
            if bits >= 8 {
                bits -= 8
                result.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
            }
        }
        return digits % 4 == 1 ? nil : result
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
}
