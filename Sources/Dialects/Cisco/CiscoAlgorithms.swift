import IPsecCrypto

/// Cisco's names of algorithms in swanctl's words, and the other way round.
enum CiscoAlgorithms {
    /// `crypto ikev2 proposal`: `encryption`, `integrity` and `prf`.
    static func ike(_ word: String) -> String? {
        switch word.lowercased() {
        case "aes-cbc-128": "aes128"
        case "aes-cbc-192": "aes192"
        case "aes-cbc-256": "aes256"
        case "aes-gcm-128": "aes128gcm16"
        case "aes-gcm-256": "aes256gcm16"
        case "3des": "3des"
        case "des": "des"
        case "md5": "md5"
        case "sha1", "sha": "sha1"
        case "sha256": "sha256"
        case "sha384": "sha384"
        case "sha512": "sha512"
        default: nil
        }
    }

    /// `group 14`, `group14`.
    static func group(_ word: String) -> String? {
        let digits = word.lowercased().hasPrefix("group") ? String(word.dropFirst(5)) : word
        return UInt16(digits).flatMap { AlgorithmRegistry.algorithm(for: Transform(.keyExchange, $0))?.keyword }
    }

    /// A transform set's words: encryption and integrity, with a size behind some.
    static func transforms(_ words: [String]) -> (proposal: String, isAH: Bool)? {
        var result: [String] = []
        var isAH = false
        var index = 0
        while index < words.count {
            let word = words[index].lowercased()
            let size = index + 1 < words.count ? Int(words[index + 1]) : nil
            index += size == nil ? 1 : 2
            switch word {
            case "esp-aes": result.append("aes\(size ?? 128)")
            case "esp-gcm": result.append("aes\(size ?? 128)gcm16")
            case "esp-gmac": result.append("aes\(size ?? 128)gmac")
            case "esp-3des": result.append("3des")
            case "esp-des": result.append("des")
            case "esp-null": result.append("null")
            case "esp-sha-hmac": result.append("sha1")
            case "esp-md5-hmac": result.append("md5")
            case "esp-sha256-hmac": result.append("sha256")
            case "esp-sha384-hmac": result.append("sha384")
            case "esp-sha512-hmac": result.append("sha512")
            case "ah-sha-hmac": (isAH, result) = (true, result + ["sha1"])
            case "ah-md5-hmac": (isAH, result) = (true, result + ["md5"])
            case "ah-sha256-hmac": (isAH, result) = (true, result + ["sha256"])
            case "ah-sha384-hmac": (isAH, result) = (true, result + ["sha384"])
            case "ah-sha512-hmac": (isAH, result) = (true, result + ["sha512"])
            default: return nil
            }
        }
        return result.isEmpty ? nil : (result.joined(separator: "-"), isAH)
    }
}
