import GatewayModel
import IPsecCrypto

/// `auth` as swanctl.conf writes it: `psk`, `pubkey`, `eap-mschapv2` (see ``EAPSyntax``), `rsa-3072-sha256-ecdsa-256`, `ike:rsa/pss-sha256`.
enum AuthenticationSyntax {
    /// A round's method, and for signatures what is good enough.
    static func parse(
        _ text: String
    ) throws(ValueProblem) -> (method: Connection.AuthenticationMethod, rules: SignatureRules) {
        let text = text.lowercased()
        if text == "psk" { return (.sharedKey, SignatureRules()) }
        if EAPSyntax.concerns(text) { return (.eap, SignatureRules()) }
        if ["xauth", "any", "ntlm"].contains(where: { text == $0 || text.hasPrefix($0 + "-") }) {
            throw ValueProblem("auth = \(text) is not supported yet", remedy: "write auth = psk, pubkey or eap")
        }
        var rules = SignatureRules()
        var current: SignatureRules.Rule?
        var isForExchange = false
        func close() {
            guard let rule = current else { return }
            if isForExchange { rules.exchange.append(rule) } else { rules.chain.append(rule) }
        }
        for word in text.split(separator: "-", omittingEmptySubsequences: false) {
            let forExchange = word.hasPrefix("ike:")
            let name = String(forExchange ? word.dropFirst(4) : word)
            if let scheme = SignatureRules.Scheme(rawValue: name) {
                close()
                (current, isForExchange) = (SignatureRules.Rule(scheme), forExchange)
            } else if let hash = hashes.first(where: { $0.0 == name })?.1, current != nil, !forExchange {
                current?.hashes.append(hash)
            } else if let bits = Int(name), (1...16_384).contains(bits), current != nil, !forExchange {
                guard current?.scheme != .any, current?.minimumBits == 0 else {
                    throw ValueProblem(
                        "'\(text)': a size belongs behind the kind of a key", remedy: "write, for example, rsa-3072")
                }
                current?.minimumBits = bits
            } else {
                throw ValueProblem(
                    "'\(text)': '\(word)' is no kind of key, size or hash",
                    remedy: "write psk, pubkey, eap, or kinds with sizes and hashes: rsa-3072-sha256-ecdsa-256-ed25519")
            }
        }
        close()
        // Any key with the defaults is what no rule at all says.
        rules.chain.removeAll { $0 == SignatureRules.Rule(.any) }
        rules.exchange.removeAll { $0 == SignatureRules.Rule(.any) }
        return (.publicKey, rules)
    }

    private static let hashes: [(String, HashFunction)] = [
        ("sha1", .sha1), ("sha", .sha1), ("sha256", .sha256), ("sha384", .sha384), ("sha512", .sha512),
    ]
}
