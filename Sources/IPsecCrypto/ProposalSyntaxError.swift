/// Why a proposal's text is not a proposal: which word, where, and what was probably meant.
public struct ProposalSyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public enum Problem: Hashable, Sendable {
        /// No algorithm is named.
        case empty
        /// No algorithm has this name.
        case unknownWord
        /// The algorithm exists, but the protocol has no use for it.
        case notFor(SecurityProtocol)
        /// Named twice.
        case repeated
        /// An AEAD and a cipher without integrity cannot share a proposal (RFC 7296 §3.3): it takes two.
        case mixesAEAD
        /// No encryption algorithm.
        case encryptionMissing
        /// A cipher without integrity stands alone.
        case integrityMissing
        /// No integrity algorithm, which is all that AH does.
        case integrityAbsent
        /// IKE needs a PRF, and there is no integrity algorithm from which to derive it.
        case prfMissing
        /// IKE needs a key exchange.
        case keyExchangeMissing
        /// An additional key exchange without the first one, beside which it takes place (RFC 9370 §2.2.1).
        case keyExchangeBesideMissing
        /// A key encapsulation in place of the first key exchange.
        case onlyAdditional
        /// An additional key exchange by something else.
        case notAdditional
        /// Proposals for this protocol cannot be written.
        case unsupportedProtocol(SecurityProtocol)
    }

    /// The whole text.
    public let text: String
    /// What is wrong.
    public let problem: Problem
    /// The word at fault; nil when something is missing.
    public let word: String?
    /// Where the word begins, counted in characters from 1; nil when something is missing.
    public let column: Int?
    /// The known word nearest to it, or the word to add.
    public let suggestion: String?

    /// One sentence without a full stop: what is wrong, where, what to write.
    public var description: String {
        let place = word.map { "'\($0)'" + (column.map { " (character \($0))" } ?? "") } ?? ""
        return "proposal '\(text)': " + clause(place)
    }

    private func clause(_ place: String) -> String {
        let hint = suggestion.map { "; did you mean '\($0)'?" } ?? ""
        let addition = suggestion.map { "; add for example '\($0)'" } ?? ""
        switch problem {
        case .empty: return "it names no algorithm"
        case .unknownWord: return "there is no algorithm called \(place)\(hint)"
        case .notFor(let securityProtocol): return "\(place) cannot be used in \(securityProtocol)\(hint)"
        case .repeated: return "\(place) stands there twice"
        case .mixesAEAD:
            return "\(place) cannot stand beside the ciphers before it: AEAD and other ciphers need a proposal each"
        case .encryptionMissing: return "it names no encryption algorithm\(addition)"
        case .integrityMissing: return "\(place) needs an integrity algorithm beside it\(addition)"
        case .integrityAbsent: return "it names no integrity algorithm\(addition)"
        case .prfMissing: return "\(place) brings its own integrity, so IKE needs a PRF to be named\(addition)"
        case .keyExchangeMissing: return "IKE needs a key exchange\(addition)"
        case .keyExchangeBesideMissing: return "\(place) takes place beside a first key exchange\(addition)"
        case .onlyAdditional: return "\(place) is for an additional key exchange\(hint)"
        case .notAdditional: return "\(place) is no key exchange; write a group behind the prefix, as in 'ke1_mlkem768'"
        case .unsupportedProtocol(let securityProtocol): return "\(securityProtocol) proposals are not supported"
        }
    }
}
