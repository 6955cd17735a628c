import GatewayModel

/// Words for EAP that came to nothing.
extension Diagnosis {
    /// Puts it into words; `isPeer` when `identity` is the other end's.
    init(eap problem: EAPProblem, identity: Identity, isPeer: Bool) {
        let who = isPeer ? "the peer" : "we"
        switch problem {
        case .unknownIdentity(let name):
            self.init(
                code: "E-EAP-UNKNOWN", summary: "There is no password for '\(name)' here.",
                facts: ["In IKE, \(isPeer ? "the peer is" : "we are") \(Self.describe(identity))"],
                causes: ["no `secrets { eap-… { id = \(name) } }`", "the name is misspelt on the other device"],
                remedy: isPeer
                    ? "Add secrets { eap-… { id = \(name) secret = … } }, or correct the name on the client."
                    : "Add secrets { eap-… { id = \(name) secret = … } }.")
        case .wrongPassword(let name):
            self.init(
                code: "E-EAP-PASSWORD", summary: "The password of '\(name)' is wrong.",
                facts: ["In IKE, the peer is \(Self.describe(identity))"],
                causes: ["the password typed on the client differs from the one in `secrets`"],
                remedy: "Compare the client's password with `secret` of '\(name)'.")
        case .forbiddenIdentity(let name):
            self.init(
                code: "E-EAP-IDENTITY", summary: "'\(name)' may not use this connection.",
                facts: ["In IKE, the peer is \(Self.describe(identity))"],
                causes: ["`eap_id` of the connection allows others only"],
                remedy: "Change `remote { eap_id }`, or the name on the client.")
        case .refused(let method):
            self.init(
                code: "E-EAP-REFUSED", summary: "The gateway refused us in EAP.",
                facts: [
                    "We are \(Self.describe(identity))",
                    method.map { "The method was \(EAPOutcome.name(of: $0))" } ?? "No method had been chosen",
                ],
                causes: ["our password is wrong", "the gateway does not know our `eap_id`"],
                remedy: "Compare `eap_id` and its secret with the gateway's.")
        case .serverUnproven:
            self.init(
                code: "E-EAP-SERVER", summary: "The gateway does not know the password that it asks for.",
                facts: ["We are \(Self.describe(identity))"],
                causes: ["somebody poses as the gateway", "the gateway has another password for us"],
                remedy: "Nothing secret was sent. Compare the passwords; if they are equal, do not trust this gateway.")
        case .noCommonMethod(let ours, let theirs):
            let wanted = theirs.filter { $0 != 0 }.map(EAPOutcome.name(of:))
            self.init(
                code: "E-EAP-METHOD", summary: "No EAP method suits both sides.",
                facts: [
                    "Ours: \(ours.isEmpty ? "none" : ours.map(\.description).joined(separator: ", "))",
                    "The other side's: \(wanted.isEmpty ? "none of ours" : wanted.joined(separator: ", "))",
                ],
                causes: ["`auth` names different EAP methods on the two sides"],
                remedy: "Write the same method on both sides, for example auth = eap-mschapv2.")
        case .malformed(let reason):
            self.init(
                code: "E-EAP-MALFORMED", summary: "The other side breaks the rules of EAP: \(reason).",
                facts: ["We talk to a peer as \(Self.describe(identity))"], causes: ["an attack, or a faulty peer"],
                remedy: "If it happens again with a peer that you trust, report it with the log.")
        case .untrusted(let certificate):
            self.init(.untrusted(remote: identity, certificate))
        case .tls(let reason):
            self.init(
                code: "E-EAP-TLS", summary: "TLS inside EAP came to nothing: \(reason).",
                facts: ["The other side of \(who == "we" ? "us" : who) is \(Self.describe(identity))"],
                causes: ["no TLS version or cipher suits both", "one side does not trust the other's certificate"],
                remedy: "Compare certificates and `cacerts` on both sides.")
        case .tooManyRounds(let count):
            self.init(
                code: "E-EAP-ROUNDS", summary: "EAP did not end after \(count) rounds.",
                facts: ["It was about \(Self.describe(identity))"],
                causes: ["an attack, or a faulty peer"], remedy: "Look at the other side's log.")
        case .rejected(let name, let server, let words):
            self.init(
                code: "E-RADIUS-REJECTED", summary: "The RADIUS server '\(server)' does not let '\(name)' in.",
                facts: ["In IKE, the peer is \(Self.describe(identity))"]
                    + (words.map { ["The server says: \($0)"] } ?? []),
                causes: [
                    "the password or the certificate is wrong, or the server does not know the name",
                    "the server's policy for this user forbids it: the time, the group, the number of sessions",
                ], remedy: "Look at the server's log: it alone knows why.")
        case .noServer(let reason):
            self.init(
                code: "E-RADIUS-SILENT", summary: "Nobody decides whether the peer may come in: \(reason).",
                facts: ["It was about \(Self.describe(identity))"],
                causes: [
                    "the server does not run, or a firewall is on the way",
                    "the server does not know this gateway's address as a client, or has another shared secret for it",
                    "the server's answers have no Message-Authenticator",
                ],
                remedy: "Look at the server's log. Compare `secret` with the server's list of clients; on the server,"
                    + " require Message-Authenticator for this client.")
        case .notMember(let name, let wanted, let found):
            self.init(
                code: "E-RADIUS-GROUP", summary: "'\(name)' is in no group that may use this connection.",
                facts: [
                    "The connection is for \(wanted.joined(separator: ", "))",
                    found.isEmpty
                        ? "The RADIUS server named no group"
                        : "The RADIUS server named \(found.joined(separator: ", "))",
                ],
                causes: [
                    "the user is not in the group", "the server sends no Class attribute, or `class_group` is off",
                ], remedy: "Set `class_group = yes` in eap-radius, and let the server send Class = the group's name.")
        case .unavailable(let reason):
            self.init(
                code: "E-EAP-UNAVAILABLE", summary: "EAP is not possible here: \(reason).",
                facts: ["It was about \(Self.describe(identity))"],
                causes: ["the configuration lacks something"], remedy: "Complete the configuration.")
        }
    }
}
