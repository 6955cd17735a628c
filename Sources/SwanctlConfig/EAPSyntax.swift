import GatewayModel

/// `auth` where it names EAP: `eap`, `eap-mschapv2`, `eap-tls, eap-mschapv2`, `eap-dynamic`.
///
/// It owns what these words allow.
enum EAPSyntax {
    /// What a tunnel may hold where nothing else is said.
    private static let inner: [EAPMethod] = [.mschapv2, .md5, .gtc]

    /// Whether `auth` is about EAP at all.
    static func concerns(_ text: String) -> Bool { text == "eap" || text.hasPrefix("eap-") }

    /// The methods that `text` names, the preferred first. `eap` and `eap-dynamic` stand for all: as the peer whatever the
    /// gateway asks for, as the gateway those that protect a password on its way.
    static func rules(_ text: String, isPeer: Bool) throws(ValueProblem) -> EAPRules {
        var rules = EAPRules(inner: inner)
        for word in text.split(separator: ",").map({ $0.filter { $0 != " " } }) {
            switch word {
            case "eap", "eap-dynamic":
                add([.tls, .ttls, .peap, .mschapv2] + (isPeer ? [.gtc, .md5] : []), to: &rules)
            case "eap-radius":
                guard !isPeer else {
                    throw ValueProblem(
                        "a RADIUS server proves nothing in our place", remedy: "name a method: auth = eap-mschapv2")
                }
                guard text == word else {
                    throw ValueProblem(
                        "with eap-radius the server chooses the methods", remedy: "write auth = eap-radius alone")
                }
                rules.isRelayed = true
            default:
                guard word.hasPrefix("eap-"),
                    let method = EAPMethod.allCases.first(where: { $0.name == word.dropFirst(4) })
                else {
                    let names = EAPMethod.allCases.map { "eap-\($0.name)" }.joined(separator: ", ")
                    throw ValueProblem("'\(word)' is no EAP method of ours", remedy: "write one of \(names), or eap")
                }
                add([method], to: &rules)
            }
        }
        return rules
    }

    private static func add(_ methods: [EAPMethod], to rules: inout EAPRules) {
        for method in methods where !rules.methods.contains(method) { rules.methods.append(method) }
    }
}
