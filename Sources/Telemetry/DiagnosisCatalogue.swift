import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes

/// Every diagnosis there is, for `martlet explain` and for the table in the documentation.
///
/// It owns examples only: the words are those that ``Diagnosis`` has for the real thing, so that the two can't differ. The
/// values in an example are made up.
public struct DiagnosisCatalogue: Sendable {
    /// One kind of failure.
    public struct Entry: Hashable, Sendable {
        /// How it would be told, with made-up values.
        public let example: Diagnosis
        /// Who notices it.
        public let observer: Observer
        /// The same failure where other things can be behind it.
        public internal(set) var variants: [Diagnosis] = []

        /// Its stable name.
        public var code: String { example.code }

        /// Every cause, the likeliest of each variant first, with what is said.
        public var causes: [(cause: String, summary: String)] {
            var causes: [(cause: String, summary: String)] = []
            for diagnosis in [example] + variants {
                for cause in diagnosis.causes where !causes.contains(where: { $0.cause == cause }) {
                    causes.append((cause, diagnosis.summary))
                }
            }
            return causes
        }

        /// What to do, for each variant.
        public var remedies: [String] {
            ([example] + variants).map(\.remedy).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        }
    }

    /// Who notices a failure.
    public enum Observer: String, Hashable, Sendable {
        /// We refuse, and know both sides' values.
        case here = "this side"
        /// The peer refuses; we know what we sent.
        case there = "the peer"
        /// Nobody refuses: silence, or packets that go astray.
        case nobody = "nobody"
    }

    /// All kinds, in the order of a tunnel's life.
    public static let entries: [Entry] = merged(
        refusals.map { Entry(example: Diagnosis($0.refusal, child: $0.child), observer: $0.observer) }
            + certificates(us: us, peer: peer)
            + Diagnosis.findings.map { Entry(example: $0, observer: .nobody) })

    /// Each code once, later examples of the same code being variants of the first.
    private static func merged(_ entries: [Entry]) -> [Entry] {
        entries.reduce(into: []) { merged, entry in
            if let place = merged.firstIndex(where: { $0.code == entry.code }) {
                merged[place].variants.append(entry.example)
            } else {
                merged.append(entry)
            }
        }
    }

    /// The entry of this code; case does not matter, nor does a missing `E-`.
    public static func entry(_ code: String) -> Entry? {
        let wanted = code.uppercased()
        return entries.first { $0.code == wanted || $0.code == "E-" + wanted }
    }

    /// The table of causes for the documentation, in Markdown.
    public static var table: String {
        var lines = ["| cause | code | who notices | what is said |", "|---|---|---|---|"]
        for entry in entries {
            var causes = entry.causes
            if entry.example.causes.isEmpty { causes.insert(("(the fact names it)", entry.example.summary), at: 0) }
            for (cause, summary) in causes {
                let cells = [cause, "`\(entry.code)`", entry.observer.rawValue, summary]
                lines.append("| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static let path = Path(
        local: Endpoint(IPAddress(v4: 0xc000_0201), 500), remote: Endpoint(IPAddress(v4: 0xc633_6402), 500))
    private static let us = Identity.fqdn("hq.example")
    private static let peer = Identity.fqdn("branch.example")
    private static let ours = [Proposal(.ike, [.aes256gcm16, .prfsha384, .ecp384])]
    private static let theirs = [Proposal(.ike, [.aes128, .sha256, .prfsha256, .modp2048])]
    private static let esp = [Proposal(.esp, [.aes256gcm16])]

    private static func selector(_ address: UInt32) -> [TrafficSelector] {
        (IPPrefix(IPAddress(v4: address), length: 24)).map { [TrafficSelector($0)] } ?? []
    }

    private static func offer(
        _ proposals: [Proposal], _ method: Connection.AuthenticationMethod = .sharedKey
    ) -> Refusal.Offer {
        Refusal.Offer(
            path: path, proposals: proposals, localIdentity: us, remoteIdentity: .exactly(peer), method: method,
            expectedMethod: method == .sharedKey ? .sharedKey : .publicKey, localSelectors: selector(0xc0a8_0a00),
            remoteSelectors: selector(0xc0a8_1400))
    }

    private static let refusals: [(refusal: Refusal, child: String?, observer: Observer)] = [
        (.noPath(remote: "198.51.100.2", reason: "network is unreachable"), nil, .here),
        (.noPath(remote: "", reason: "`remote_addrs` names no single address"), nil, .here),
        (.noAnswer(exchange: "IKE_SA_INIT", path: path, tries: 6, waited: .seconds(165)), nil, .nobody),
        (.notGoneOn(path, waited: .seconds(30)), nil, .nobody), (.noConnection(path), nil, .here),
        (.tooManyHalfOpen(path, ofAddress: false), nil, .here),
        (.noIKEProposal(ours: ours, theirs: theirs), nil, .here),
        (.byPeer(notify: 14, name: "NO_PROPOSAL_CHOSEN", exchange: "IKE_SA_INIT", offer: offer(ours)), nil, .there),
        (.badKeyExchange(group: .ecp384, reason: "the point is not on the curve"), nil, .here),
        (.notMet(demand: "a post-quantum preshared key that both sides have (ppk_required)"), nil, .here),
        (.identityMismatch(expected: [.exactly(peer)], received: .fqdn("gw-b.example")), nil, .here),
        (.notUs(asked: .fqdn("gw-a.example"), ours: [us]), nil, .here),
        (.noSecret(local: us, remote: peer), nil, .here),
        (.wrongProof(local: us, remote: peer, method: .sharedKey, nearMiss: nil), nil, .here),
        (.wrongMethod(expected: .sharedKey, received: 14, remote: peer), nil, .here),
        (.byPeer(notify: 24, name: "AUTHENTICATION_FAILED", exchange: "IKE_AUTH", offer: offer([])), nil, .there),
        (
            .byPeer(
                notify: 24, name: "AUTHENTICATION_FAILED", exchange: "IKE_AUTH", offer: offer([], .publicKey)), nil,
            .there
        ),
        (.byPeer(notify: 24, name: "AUTHENTICATION_FAILED", exchange: "IKE_AUTH", offer: offer([], .eap)), nil, .there),
        (.alreadyConnected(local: us, remote: peer), nil, .here),
        (.eapFailed(identity: peer, isPeer: true, .wrongPassword("carol")), nil, .here),
        (.eapFailed(identity: peer, isPeer: true, .unknownIdentity("carol")), nil, .here),
        (.eapFailed(identity: us, isPeer: false, .refused(method: 26)), nil, .there),
        (.eapFailed(identity: us, isPeer: false, .serverUnproven), nil, .here),
        (.eapFailed(identity: peer, isPeer: true, .noCommonMethod(ours: [.mschapv2], theirs: [4])), nil, .here),
        (.eapFailed(identity: peer, isPeer: true, .forbiddenIdentity("carol")), nil, .here),
        (.eapFailed(identity: peer, isPeer: true, .malformed("a length is wrong")), nil, .here),
        (.eapFailed(identity: peer, isPeer: true, .tls("no cipher suits both")), nil, .here),
        (.eapFailed(identity: peer, isPeer: true, .tooManyRounds(32)), nil, .here),
        (.eapFailed(identity: us, isPeer: false, .unavailable("no certificate is loaded")), nil, .here),
        (.eapFailed(identity: peer, isPeer: true, .rejected(name: "carol", server: "main", words: nil)), nil, .there),
        (.eapFailed(identity: peer, isPeer: true, .noServer("'main' (192.0.2.7[1812]) does not answer")), nil, .nobody),
        (
            .eapFailed(identity: peer, isPeer: true, .notMember(name: "carol", wanted: ["staff"], found: ["guests"])),
            nil, .here
        ),
        (.noChildProposal(child: "net", ours: esp, theirs: [Proposal(.esp, [.aes128, .sha256])]), "net", .here),
        (.byPeer(notify: 14, name: "NO_PROPOSAL_CHOSEN", exchange: "IKE_AUTH", offer: offer(esp)), "net", .there),
        (
            .selectorsDisjoint(
                oursLocal: selector(0xc0a8_0a00), oursRemote: selector(0xc0a8_1400),
                theirsLocal: selector(0xc0a8_0b00), theirsRemote: selector(0xc0a8_1400)), "net", .here
        ),
        (.byPeer(notify: 38, name: "TS_UNACCEPTABLE", exchange: "IKE_AUTH", offer: offer(esp)), "net", .there),
        (.byPeer(notify: 35, name: "NO_ADDITIONAL_SAS", exchange: "CREATE_CHILD_SA", offer: offer(esp)), "net", .there),
        (.authenticationHeaderNeedsPlainPath(child: "net", isForced: false), "net", .here),
        (
            .noLease(
                identity: peer, wanted: [IPPrefix(host: .unspecified(.v4))],
                reason: "all addresses of the pool 'clients' are lent"),
            nil, .here
        ),
        (.noLease(identity: peer, wanted: [], reason: "it asks for none"), nil, .here),
        (.noVirtualAddress(wanted: [IPPrefix(host: .unspecified(.v4))]), nil, .there),
        (
            .byPeer(notify: 36, name: "INTERNAL_ADDRESS_FAILURE", exchange: "IKE_AUTH", offer: offer(esp)), nil, .there
        ),
        (.byPeer(notify: 37, name: "FAILED_CP_REQUIRED", exchange: "IKE_AUTH", offer: offer(esp)), nil, .there),
        (.choseWhatWasNotOffered(what: "aes128-sha1-modp1024"), nil, .here),
        (.malformed(exchange: "IKE_AUTH", reason: "the payload IDr is missing"), nil, .here),
        (.planeRefused(reason: "the route into the tunnel exists already"), "net", .here),
        (.noAnswer(exchange: "INFORMATIONAL", path: path, tries: 6, waited: .seconds(165)), nil, .nobody),
        (
            .redirectRefused(to: .name("gw-c.example"), reason: "it is the 6th time within 300 seconds"), nil, .here
        ),
        (
            .redirectRefused(to: .address(IPAddress(v4: 0x7f00_0001)), reason: "that is no gateway's address"), nil,
            .here
        ),
        (.portChanged(path), nil, .here), (.noInternalAnswer(question: "verify"), nil, .here),
    ]
}
