import GatewayModel

/// A false proof in words, and what is known about the secret that made it.
extension Diagnosis {
    init(wrongProofOf remote: Identity, to local: Identity, by method: String, _ nearMiss: NearMiss?) {
        var causes = [
            "the shared secrets differ (a typing error, a space or a newline at the end, or one side reads hex or base64 "
                + "where the other reads text)"
        ]
        var remedy = "Set the same secret on both sides; `0x…` is hex and `0s…` is base64 on ours."
        if let nearMiss {
            causes = [Self.describe(nearMiss)]
            remedy = Self.remedy(nearMiss, remote)
        }
        self.init(
            code: "E-WRONG-SECRET",
            summary: "The peer's proof does not match: the two sides do not have the same \(method).",
            facts: ["We are \(Self.describe(local))", "The peer is \(Self.describe(remote))"], causes: causes,
            remedy: remedy)
    }

    /// A post-quantum preshared key was mixed into the keys of the proof: its secret is as likely to be the wrong one.
    mutating func blamePPK() {
        causes.insert(Self.differentPPK, at: 0)
        remedy = "\(Self.comparePPK) \(remedy)"
    }

    static let differentPPK = "the post-quantum preshared keys (PPK) of the two sides differ under the same `ppk_id`"
    static let comparePPK = "Compare the secrets of `secrets { ppk… { } }` on both sides first."

    private static func describe(_ nearMiss: NearMiss) -> String {
        let name = "'\(nearMiss.secret)'"
        return switch nearMiss.difference {
        case .has(let ending): "the peer uses our secret \(name) with a \(describe(ending)) at its end"
        case .lacks(let ending): "our secret \(name) has a \(describe(ending)) at its end, and the peer's has not"
        case .hasQuotes: "the peer uses our secret \(name) with quotation marks around it"
        case .lacksQuotes: "our secret \(name) has quotation marks around it, and the peer's has not"
        case .takesAsText(let notation): "the peer takes as text what we read as \(describe(notation)) in \(name)"
        case .reads(let notation): "the peer reads as \(describe(notation)) what we take as text in \(name)"
        case .usesItForUs: "the peer uses the secret of \(name)"
        }
    }

    private static func remedy(_ nearMiss: NearMiss, _ remote: Identity) -> String {
        switch nearMiss.difference {
        case .has, .hasQuotes: "Enter the secret at the peer again, without what is too much."
        case .lacks, .lacksQuotes: "Remove what is too much from the secret here, then load the configuration again."
        case .takesAsText, .reads:
            "Make both sides read it alike: on ours `0x…` is hex, `0s…` is base64, and all else is text."
        case .usesItForUs:
            "Enter the right secret at the peer, or name '\(remote)' in an `id…` key of '\(nearMiss.secret)' here."
        }
    }

    private static func describe(_ ending: NearMiss.Ending) -> String {
        switch ending {
        case .newline: "newline"
        case .carriageReturn: "carriage return"
        case .carriageReturnAndNewline: "carriage return and newline"
        case .space: "space"
        case .tab: "tab"
        }
    }

    private static func describe(_ notation: NearMiss.Notation) -> String {
        switch notation {
        case .hexadecimal: "hex"
        case .base64: "base64"
        }
    }
}
