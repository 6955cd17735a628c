import EAPEngine
import GatewayModel
import IKECore
import IKEMessages
import SwanctlConfig
import Trust
import WireFormat

/// What is considered on the way to an identity, in clauses for somebody who looks for a fault: which shared key by which
/// names, which certificate and why not, which EAP method was offered and refused.
///
/// It owns words. It decides nothing, and no word is a secret, a key or a proof: names and numbers only.
struct AuthenticationNotes {
    let secrets: CredentialStore
    let signatures: SignatureStore

    /// About a question of the engine's, before it is answered.
    func clauses(on query: Query) -> [String] {
        switch query {
        case .prove(let proof):
            proof.method == .publicKey
                ? candidates(proof) : [shared(local: proof.signer, remote: proof.other, "we prove that we are")]
        case .verify(let proof, _):
            proof.method == .publicKey
                ? evidence(proof)
                : [shared(local: proof.other, remote: proof.signer, "the peer is to prove itself to")]
                    + (proof.reply == nil
                        ? [] : [shared(local: proof.other, remote: proof.signer, "we prove that we are")])
        case .mix(let identity, _, _): [postQuantum(identity)]
        case .eap(let question): conversation(question)
        case .path, .encapsulate, .lease, .lastUse: []
        }
    }

    // MARK: Shared keys

    private func shared(local: Identity, remote: Identity, _ purpose: String) -> String {
        let pair = "\(purpose) '\(local)', with '\(remote)' at the other end"
        let ranked = secrets.fits(local: local, remote: remote)
        guard let best = ranked.first(where: { $0.fit > 0 }) else {
            let all = ranked.prefix(8).map { "'\($0.name)' is for \($0.owners)" }.joined(separator: ", ")
            return "\(pair): no shared key fits" + (all.isEmpty ? ", none is loaded" : ": \(all)")
        }
        let others = ranked.count { $0.fit > 0 } - 1
        return "\(pair): shared key '\(best.name)' for \(best.owners)"
            + (others > 0 ? ", the best of \(others + 1) that fit" : "")
    }

    private func postQuantum(_ identity: [UInt8]) -> String {
        let name = Identity.keyID(Array(identity.prefix(256)))
        return secrets.hasPostQuantumKey(identity)
            ? "post-quantum key '\(name)' is mixed in" : "post-quantum key '\(name)' is asked for and not loaded"
    }

    // MARK: Signatures

    /// Our certificates, in the order in which they are tried, and what becomes of each.
    private func candidates(_ proof: Query.Proof) -> [String] {
        guard let wish = proof.wish else { return [] }
        var clauses = wish.own.certificates.compactMap { der -> String? in
            guard let certificate = signatures.parsed[der] else { return "a certificate of ours can't be read" }
            guard signatures.credentials.key(of: certificate) == nil else { return nil }
            return "certificate '\(certificate.name)' is not tried: its private key is not loaded"
        }
        var isTaken = false
        for candidate in signatures.candidates(wish, proof.signer) {
            let kind = candidate.key.publicKey.kind
            let choice =
                SignatureChoice.choose(
                    kind, peerHashes: wish.peerHashes, announced: wish.peerMethods.map { _ in candidate.methods(wish) },
                    wish.own.rules)
                ?? SignatureChoice.choose(kind, peerHashes: wish.peerHashes, wish.own.rules)
            var facts = [String]()
            if let certificate = candidate.certificate {
                let bears = IdentityBinding.holds(proof.signer, certificate)
                facts.append("\(bears ? "bears" : "does not bear") '\(proof.signer)'")
                let leads = candidate.chain.contains { wish.authorities.contains($0.key.identifier) }
                facts.append(
                    wish.authorities.isEmpty
                        ? "the peer named no authority"
                        : leads ? "leads to an authority that the peer named" : "leads to none that the peer named")
            }
            facts.append(
                choice.map { "can sign by \($0.scheme)" }
                    ?? "can't sign in a way that the peer and auth = \(wish.own.rules) allow")
            let name = candidate.certificate.map { "certificate '\($0.name)'" } ?? "a raw public key"
            let outcome = choice == nil ? "not used" : isTaken ? "not needed" : "used"
            if choice != nil { isTaken = true }
            clauses.append("\(name) (\(kind)): \(facts.joined(separator: ", ")): \(outcome)")
        }
        if clauses.isEmpty { clauses.append("there is no certificate or key to prove that we are '\(proof.signer)'") }
        return clauses
    }

    /// What the peer sent, and what it has to be like.
    private func evidence(_ proof: Query.Proof) -> [String] {
        guard let evidence = proof.evidence else { return [] }
        let required = evidence.required
        let sent = evidence.certificates.prefix(Self.most).map { payload -> String in
            guard payload.encoding == .x509Signature else { return "\(payload.encoding)" }
            guard let certificate = try? Certificate(der: payload.data) else { return "one that can't be read" }
            return "'\(certificate.name)' issued by '\(certificate.issuerName)'"
        }
        let trusted = required.authorities.prefix(Self.most).map { authority in
            signatures.parsed[authority.certificate].map { "'\($0.name)'" } ?? "one that can't be read"
        }
        let rule =
            !required.certificates.isEmpty
            ? "it has to be one of \(required.certificates.count) certificates"
            : !required.rawKeys.isEmpty && trusted.isEmpty
                ? "it has to be one of \(required.rawKeys.count) raw keys"
                : "we trust \(trusted.isEmpty ? "nobody" : trusted.joined(separator: ", "))"
        return [
            "the peer says that it is '\(proof.signer)', proves it by \(evidence.authentication.method), and sent "
                + (sent.isEmpty ? "no certificate" : sent.joined(separator: ", ")),
            "\(rule); auth = \(required.rules), revocation = \(required.revocation)",
        ]
    }

    /// Of a list, this many are named.
    private static let most = 8

    // MARK: EAP

    private func conversation(_ question: EAPQuestion) -> [String] {
        if let message = question.message { return ["EAP, the other end: \(Self.describe(message))"] }
        let rules = question.required.eap
        let offer =
            rules.isRelayed
            ? "a RADIUS server chooses the method"
            : "we offer \(rules.methods.map(\.description).joined(separator: ", "))"
        return ["EAP begins with '\(question.otherIdentity)': \(offer)"]
    }

    /// About a step of EAP. What it comes to when it fails is told as a refusal.
    static func clause(on step: EAPStep) -> String? {
        switch step {
        case .send(let message): "EAP, we: \(describe(message))"
        case .success(_, let outcome):
            "EAP succeeds by \(EAPOutcome.name(of: outcome.method))"
                + (outcome.identity.map { " as '\($0)'" } ?? "")
                + (outcome.key == nil ? ", which makes no key" : ", with a key")
                + (outcome.groups.isEmpty ? "" : ", in groups \(outcome.groups.joined(separator: ", "))")
        case .failure(let message, _):
            message.isEmpty ? "EAP ends here" : "EAP, we: \(describe(message))"
        }
    }

    /// One EAP packet: what it is, and nothing of what a method says in it.
    static func describe(_ message: [UInt8]) -> String {
        guard let packet = try? EAPPacket(message) else { return "\(message.count) octets that are no EAP packet" }
        let code = "\(packet.code)"
        guard let kind = packet.kind else { return code }
        let size = "\(packet.data.count) octets"
        switch kind {
        case .identity where packet.code == .response:
            return "response: it is '\(Identity.keyID(Array(packet.data.prefix(256))))'"
        case .identity: return "request: who is it?"
        case .notification: return "\(code): a notification of \(size)"
        case .nak:
            let wishes = packet.data.prefix(most).map { $0 == 0 ? "none" : EAPOutcome.name(of: $0) }
            return "response: not that method, rather \(wishes.isEmpty ? "none" : wishes.joined(separator: ", "))"
        default: break
        }
        let name = EAPOutcome.name(of: kind.rawValue)
        guard let method = EAPMethod(rawValue: kind.rawValue) else { return "\(code): \(name), \(size)" }
        if method.provesServer { return "\(code): \(name), \(tls(packet.data))" }
        if method == .mschapv2, let operation = packet.data.first {
            let names = [1: "challenge", 2: "response", 3: "success", 4: "failure", 7: "change of password"]
            return "\(code): \(name) \(names[Int(operation)] ?? "operation \(operation)")"
        }
        return "\(code): \(name), \(size)"
    }

    private static func tls(_ data: [UInt8]) -> String {
        guard let flags = data.first else { return "nothing" }
        if flags & 0x20 != 0 { return "start" }
        if data.count == 1 { return "an acknowledgement" }
        let records = Array(data.dropFirst(flags & 0x80 != 0 ? 5 : 1))
        // An alert that is not encrypted says what it is (RFC 8446 §6).
        if records.count == 7, records[0] == 21 { return "a TLS alert \(records[6])" }
        let size = "\(records.count) octets of TLS"
        return flags & 0x40 != 0 ? "\(size), more follow" : size
    }
}
