import IPsecCrypto

/// Proposals as ipsec.conf writes them: `aes256-sha256-modp2048!`, `aes_gcm256-sha2;dh19`, `aes128-sha1;modp1024`.
///
/// It owns the spelling of both dialects.
struct IpsecProposals {
    /// What was read, the preferred first.
    var proposals: [Proposal] = []
    /// Whether there is no `!` behind them, so that the defaults come after them.
    var isOpen = true
    /// What was not understood, and why.
    var problems: [(text: String, reason: String)] = []

    init(_ text: String, for securityProtocol: SecurityProtocol, isLibreswan: Bool) {
        var text = Words.trimmed(text)
        if text.hasSuffix("!") {
            text = Words.trimmed(text.dropLast())
            isOpen = false
        }
        if isLibreswan { isOpen = false }
        for written in text.split(separator: ",").map({ Words.trimmed($0) }) where !written.isEmpty {
            // Openswan's form is libreswan's, and AWS gives it out for strongSwan too.
            let translate = isLibreswan || written.contains(";") || written.contains("_")
            let words = translate ? Self.translated(written, securityProtocol) : written.lowercased()
            do {
                proposals.append(try Proposal(parsing: words, for: securityProtocol))
            } catch {
                problems.append((written, "\(error)"))
            }
        }
    }

    /// As swanctl.conf writes them; nil when there are none.
    var text: String? {
        guard !proposals.isEmpty else { return nil }
        return (proposals.map(\.description) + (isOpen ? ["default"] : [])).joined(separator: ", ")
    }

    /// libreswan's words in strongSwan's: `cipher-integrity;group`, where beside an AEAD the second word is a PRF, and `+`
    /// stands between alternatives.
    static func translated(_ text: String, _ securityProtocol: SecurityProtocol) -> String {
        let parts = text.lowercased().split(separator: ";").flatMap { $0.split(separator: "-") }
        var words: [String] = []
        var hasAEAD = false
        for (index, part) in parts.enumerated() {
            for alternative in part.split(separator: "+") {
                var word = self.word(String(alternative))
                if index == 0, word.contains("gcm") || word.contains("ccm") || word.hasPrefix("chacha") {
                    hasAEAD = true
                }
                if hasAEAD, index > 0, ["sha1", "sha256", "sha384", "sha512", "md5"].contains(word) {
                    // In ESP it says nothing.
                    if securityProtocol != .ike { continue }
                    word = "prf" + word
                }
                // "null" as an integrity algorithm is how AEADs are written at length.
                if hasAEAD, index > 0, word == "null" || word == "none" { continue }
                if !words.contains(word) { words.append(word) }
            }
        }
        if securityProtocol == .ike { words += missing(words, hasAEAD: hasAEAD) }
        return words.joined(separator: "-")
    }

    /// What libreswan adds to an IKE proposal that leaves it out.
    private static func missing(_ words: [String], hasAEAD: Bool) -> [String] {
        let types = Set(words.compactMap { AlgorithmRegistry.algorithm(named: $0)?.transform.type })
        var added: [String] = []
        if hasAEAD, !types.contains(.prf) { added += ["prfsha512", "prfsha256"] }
        if !hasAEAD, !types.contains(.integrity) { added += ["sha512", "sha256"] }
        if !types.contains(.keyExchange) {
            added += ["modp2048", "modp3072", "modp4096", "ecp256", "ecp384", "x25519"]
        }
        return added
    }

    private static func word(_ word: String) -> String {
        if word.hasPrefix("dh"), let number = UInt16(word.dropFirst(2)) {
            return AlgorithmRegistry.algorithm(for: Transform(.keyExchange, number))?.keyword ?? word
        }
        if let known = aliases.first(where: { $0.0 == word })?.1 { return known }
        // aes_gcm256, aes_gcm_c_256, aes_gcm_16_256, aes_ctr256, aes_ccm128, camellia256…
        let letters = word.replacing("aes_gcm_c", with: "aes_gcm_16").replacing("aes_gcm_b", with: "aes_gcm_12")
            .replacing("aes_gcm_a", with: "aes_gcm_8").replacing("aes_ccm_c", with: "aes_ccm_16")
        let parts = letters.split(separator: "_").map(String.init)
        guard let first = parts.first, parts.count > 1, first == "aes" || first == "camellia" else { return word }
        var (mode, tag, bits) = ("", 16, 128)
        for part in parts.dropFirst() {
            let name = String(part.prefix { $0.isLetter })
            let digits = part.drop { $0.isLetter }
            if !name.isEmpty { mode = name }
            guard !digits.isEmpty else { continue }
            guard let number = Int(digits) else { return word }
            if number <= 16 { tag = number } else { bits = number }
        }
        switch mode {
        case "gcm", "ccm": return "\(first)\(bits)\(mode)\(tag)"
        case "ctr": return "\(first)\(bits)ctr"
        case "cbc", "": return "\(first)\(bits)"
        default: return word
        }
    }

    private static let aliases: [(String, String)] = [
        ("aes", "aes128"), ("3des_cbc", "3des"), ("sha", "sha1"), ("sha2", "sha256"), ("sha2_256", "sha256"),
        ("sha2_384", "sha384"), ("sha2_512", "sha512"), ("hmac_sha1", "sha1"), ("hmac_sha2_256", "sha256"),
        ("aes_gcm", "aes128gcm16"), ("aes_gcm_16", "aes128gcm16"), ("aes_cbc", "aes128"), ("aes_ccm", "aes128ccm16"),
        ("aes_ctr", "aes128ctr"), ("chacha20_poly1305", "chacha20poly1305"), ("curve25519", "x25519"),
        ("aes_xcbc", "aesxcbc"), ("aes_cmac", "aescmac"), ("hmac_md5", "md5"),
    ]
}
