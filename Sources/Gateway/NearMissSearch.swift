import GatewayModel
import SwanctlConfig
import WireFormat

/// The readings of our secrets that people mix up: what to try when a peer's proof is false, so that the log can say why.
///
/// It owns the list, which is short and bounded. It never decides whether a proof is true.
struct NearMissSearch {
    /// Secrets of other identities that are tried at most.
    static let limit = 64

    /// What one thing to try would tell, and the secret to try.
    struct Candidate {
        var nearMiss: NearMiss
        var value: SecretBytes
    }

    /// What to try in place of `secret`, the likeliest first; then the `others`.
    static func candidates(_ secret: Secret, others: [Secret]) -> [Candidate] {
        var found = variations(of: secret.value).map { difference, value in
            Candidate(nearMiss: NearMiss(secret: secret.name, difference: difference), value: value)
        }
        for other in others.prefix(limit) {
            found.append(
                Candidate(nearMiss: NearMiss(secret: other.name, difference: .usesItForUs), value: other.value))
        }
        return found
    }

    private static func variations(of value: SecretBytes) -> [(NearMiss.Difference, SecretBytes)] {
        var found: [(NearMiss.Difference, SecretBytes)] = []
        for ending in NearMiss.Ending.allCases {
            let tail = Array(ending.rawValue.utf8)
            found.append((.has(ending), SecretText.joined([], value, tail)))
            if let shorter = SecretText.without([], value, tail) { found.append((.lacks(ending), shorter)) }
        }
        for quote in [UInt8(ascii: "\""), UInt8(ascii: "'")] {
            found.append((.hasQuotes, SecretText.joined([quote], value, [quote])))
            if let bare = SecretText.without([quote], value, [quote]) { found.append((.lacksQuotes, bare)) }
        }
        // The texts from which we may have read these octets.
        for isUpper in [false, true] {
            let text = SecretText.hexadecimal(value, isUpper: isUpper)
            found.append((.takesAsText(.hexadecimal), text))
            found.append((.takesAsText(.hexadecimal), SecretText.joined(Array("0x".utf8), text, [])))
        }
        for isPadded in [true, false] {
            let text = SecretText.base64(value, isPadded: isPadded)
            found.append((.takesAsText(.base64), text))
            found.append((.takesAsText(.base64), SecretText.joined(Array("0s".utf8), text, [])))
        }
        if let octets = SecretText.readHexadecimal(value) { found.append((.reads(.hexadecimal), octets)) }
        if let octets = SecretText.readBase64(value) { found.append((.reads(.base64), octets)) }
        return found
    }
}
