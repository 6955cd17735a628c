import Clockwork
public import GatewayModel
import IPsecCrypto
import NetworkTypes

/// A refusal in plain words: what happened, both sides' values or what we sent, and what to do next.
///
/// It owns sentences. It never decides anything and never sees a secret: a ``Refusal`` holds none.
public struct Diagnosis: Hashable, Sendable {
    /// A stable name for programs and for `martlet explain`.
    public let code: String
    /// What happened, one sentence.
    public let summary: String
    /// The values that differ, or what was sent, a line each.
    public let facts: [String]
    /// The possible causes, the likeliest first; one when it is certain.
    public internal(set) var causes: [String]
    /// What to do next.
    public internal(set) var remedy: String

    /// A diagnosis. What came from elsewhere, a peer or a file, can't steer a terminal from here on.
    init(code: String, summary: String, facts: [String], causes: [String], remedy: String) {
        self.code = code
        self.summary = Printable.text(summary)
        self.facts = facts.map(Printable.text)
        self.causes = causes.map(Printable.text)
        self.remedy = Printable.text(remedy)
    }

    /// Everything in one paragraph, for a log line or a status field.
    public var text: String {
        var parts = [summary]
        parts += facts.map(Self.sentence)
        if causes.count == 1 {
            parts.append(Self.sentence("Cause: \(causes[0])"))
        } else if !causes.isEmpty {
            let ranked = causes.enumerated().map { "(\($0.offset + 1)) \($0.element)" }.joined(separator: "; ")
            parts.append(Self.sentence("Possible causes, the likeliest first: \(ranked)"))
        }
        parts.append(remedy)
        return parts.joined(separator: " ")
    }

    /// With a full stop, where it has none: a fact may quote a whole sentence.
    private static func sentence(_ text: String) -> String { text.hasSuffix(".") ? text : text + "." }
}

extension Diagnosis {
    /// Puts a refusal into words. `child` names the child that it is about, when it is about one.
    public init(_ refusal: Refusal, child: String? = nil) {
        switch refusal {
        case .byPeer(let notify, let name, let exchange, let offer):
            self.init(peerAnswered: notify, name: name, exchange: exchange, offer: offer, child: child)
        case .notGoneOn(let path, let waited): self = .notGoneOn(path, waited: waited.wholeSeconds)
        case .noAnswer(let exchange, let path, let tries, let waited):
            self.init(noAnswerTo: exchange, path: path, tries: tries, waited: waited.wholeSeconds)
        case .portChanged(let path): self = .portChanged(path)
        case .noIKEProposal(let ours, let theirs, let isFixed):
            self.init(
                proposalsDiffer: ours, theirs, code: "E-IKE-PROPOSAL", what: "the IKE SA", key: "proposals",
                isFixed: isFixed)
        case .noChildProposal(let child, let ours, let theirs, let isFixed):
            self.init(
                proposalsDiffer: ours, theirs, code: "E-CHILD-PROPOSAL", what: "the child '\(child)'",
                key: (ours + theirs).allSatisfy { $0.securityProtocol == .ah } ? "ah_proposals" : "esp_proposals",
                isFixed: isFixed)
        case .authenticationHeaderNeedsPlainPath(let child, let isForced):
            self.init(
                code: "E-AH-NAT", summary: "The child '\(child)' uses AH, which can't get through here.",
                facts: [
                    isForced
                        ? "One side wants packets in UDP (`encap = yes`), and there is no AH in UDP"
                        : "There is a NAT between the two gateways, which changes the addresses that AH protects"
                ],
                causes: [isForced ? "`encap = yes` here or at the peer" : "a NAT between the gateways"],
                remedy: "Use ESP: replace `ah_proposals` with `esp_proposals` on both sides.")
        case .eapFailed(let identity, let isPeer, let problem):
            self.init(eap: problem, identity: identity, isPeer: isPeer)
        case .noConnection(let path):
            self.init(
                code: "E-NO-CONNECTION", summary: "No connection is configured for this pair of addresses.",
                facts: ["The peer came from \(path.remote) to our \(path.local)"],
                causes: ["no connection has these `local_addrs` and `remote_addrs`"],
                remedy: "Add a connection, or add the address to the one that is meant.")
        case .identityMismatch(let expected, let received):
            self.init(
                code: "E-PEER-IDENTITY", summary: "The peer is somebody else than the configuration says.",
                facts: [
                    "The peer says \(Self.describe(received))",
                    "We expect \(expected.map(Self.describe).joined(separator: " or "))",
                ],
                causes: Self.hidden(received, expected)
                    + ["the `id` of `remote` here and the `id` of `local` at the peer differ"],
                remedy: "Set `remote { id = \(received) }` here if that is the peer, or correct the peer's identity.")
        case .notUs(let asked, let ours):
            self.init(
                code: "E-OUR-IDENTITY", summary: "The peer asks for somebody whom we are not.",
                facts: [
                    "The peer asks for \(Self.describe(asked))",
                    "We are \(ours.isEmpty ? "nobody" : ours.map(Self.describe).joined(separator: " or "))",
                ],
                causes: ["the `id` of `local` here and the `id` of `remote` at the peer differ"],
                remedy: "Set `local { id = \(asked) }` here if that is meant, or correct what the peer asks for.")
        case .noSecret(let local, let remote):
            self.init(
                code: "E-NO-SECRET", summary: "There is no shared secret for these two identities.",
                facts: ["We are \(Self.describe(local))", "The peer is \(Self.describe(remote))"],
                causes: ["no `secrets { ike… { } }` section names the peer's identity in an `id…` key"],
                remedy: "Add a secret with `id-1 = \(remote)`, then load the configuration again.")
        case .wrongProof(let local, let remote, .publicKey, _, let withPPK):
            self.init(falseSignatureOf: remote, to: local)
            if withPPK { blamePPK() }
        case .untrusted(let remote, let problem): self.init(problem, of: remote)
        case .noPrivateKey(let local, let reason): self.init(noPrivateKeyFor: local, reason)
        case .wrongProof(let local, let remote, let method, let nearMiss, let withPPK):
            self.init(wrongProofOf: remote, to: local, by: Self.describe(method), nearMiss)
            if withPPK, nearMiss == nil { blamePPK() }
        case .wrongMethod(let expected, let received, let remote):
            self.init(
                code: "E-AUTH-METHOD",
                summary: "The peer proves itself in another way than the configuration asks for.",
                facts: [
                    "The peer, \(Self.describe(remote)), uses \(Self.describe(method: received))",
                    "We expect \(Self.proof(expected))",
                ],
                causes: ["the `auth` of `remote` here and the `auth` of `local` at the peer differ"],
                remedy: "Make both sides use the same authentication.")
        case .selectorsDisjoint(let oursLocal, let oursRemote, let theirsLocal, let theirsRemote):
            self.init(
                code: "E-SELECTORS",
                summary:
                    "There are no packets that both sides would tunnel\(child.map { " in the child '\($0)'" } ?? "").",
                facts: [
                    "On our side we have \(Self.list(oursLocal)) and the peer asks for \(Self.list(theirsLocal))",
                    "On the peer's side we have \(Self.list(oursRemote)) and the peer asks for \(Self.list(theirsRemote))",
                ],
                causes: ["`local_ts` and `remote_ts` of the two sides are not mirror images of each other"],
                remedy: "Make `local_ts` here equal to the peer's remote networks, and `remote_ts` to its local ones.")
        case .choseWhatWasNotOffered(let what):
            self.init(
                code: "E-NOT-OFFERED", summary: "The peer chose something that we had not offered.",
                facts: ["It chose \(what)"], causes: ["the peer breaks the protocol, or somebody on the way does"],
                remedy: "Update the peer; if it is up to date, capture the exchange and report it to its maker.")
        case .malformed(let exchange, let reason):
            self.init(
                code: "E-MALFORMED", summary: "The peer's \(exchange) message breaks the protocol.",
                facts: ["It has: \(reason)"],
                causes: ["an error in the peer's implementation, or something on the way changes packets"],
                remedy: "Capture the exchange (`tcpdump -w` on ports 500 and 4500) and compare both ends.")
        case .notMet(let demand):
            self.init(
                code: "E-DEMAND", summary: "The configuration demands what the two sides do not have in common.",
                facts: ["It demands \(demand)"], causes: ["the settings of the two sides differ"],
                remedy: "Set the same at both sides, or leave the demand out.")
        case .badKeyExchange(let group, let reason):
            self.init(
                code: "E-KEY-EXCHANGE", summary: "The key exchange failed.",
                facts: ["The peer's public value for \(group) is not one: \(reason)"],
                causes: ["an error in the peer's implementation, or an attack"],
                remedy: "Try another group in `proposals` on both sides.")
        case .planeRefused(let reason, _):
            self.init(
                code: "E-DATA-PLANE", summary: "The tunnel was agreed on, but this system would not carry it.",
                facts: ["The data plane says: \(reason)"], causes: [],
                remedy: "Correct that, then bring the tunnel up again.")
        case .tooManyHalfOpen(let path, ofAddress: true):
            self.init(
                code: "E-HALF-OPEN",
                summary: "Too many tunnels are being set up from this address at once; this one was not accepted.",
                facts: ["The peer is \(path.remote)"],
                causes: ["a flood of requests", "many peers behind one NAT that come back at the same time"],
                remedy: "The peer will try again by itself; raise `charon.block_threshold` if this is normal.")
        case .tooManyHalfOpen(let path, ofAddress: false):
            self.init(
                code: "E-HALF-OPEN",
                summary: "Too many tunnels are being set up at once; this one had to make room for another.",
                facts: ["The peer is \(path.remote)"],
                causes: ["a flood of requests", "many peers that come back at the same time"],
                remedy: "The peer will try again by itself; raise `charon.half_open_limit` if this is normal.")
        case .alreadyConnected(let local, let remote):
            self.init(
                code: "E-ALREADY-CONNECTED", summary: "\(remote) is connected already, and the old tunnel is kept.",
                facts: ["We are \(local), the peer is \(remote)"],
                causes: ["two peers with the same identity", "a peer that lost its state and does not say so"],
                remedy: "Give each peer an identity of its own, or set `unique = replace`.")
        case .redirectRefused(let gateway, let reason): self = .redirectRefused(gateway, reason)
        case .noLease(let identity, let wanted, let reason):
            self.init(noLeaseFor: identity, wanted: wanted, reason: reason)
        case .noVirtualAddress(let wanted):
            self.init(
                code: "E-NO-VIRTUAL-ADDRESS", summary: "The gateway gave us no virtual address.",
                facts: ["We asked for \(Self.virtualAddresses(wanted))"],
                causes: ["the gateway has no address pool for this connection"],
                remedy: "Give the gateway's connection `pools`, or remove `vips` here.")
        case .noPath(let remote, _) where Self.namesNobody(remote): self = .onlyThePeerStarts(remote)
        case .noPath(let remote, let reason):
            self.init(
                code: "E-NO-PATH", summary: "There is no way to \(remote).", facts: ["The system says: \(reason)"],
                causes: [], remedy: "Check the address in `remote_addrs` and the routes (`ip route get \(remote)`).")
        case .noInternalAnswer(let question):
            self.init(
                code: "E-INTERNAL-TIMEOUT", summary: "A part of this gateway did not answer in time.",
                facts: ["The question was: \(question)"], causes: ["the machine is overloaded"],
                remedy: "Look at its load; the tunnel can be brought up again at once.")
        }
    }

    private init(noAnswerTo exchange: String, path: Path, tries: Int, waited: Int64) {
        if exchange == "IKE_AUTH", path.remote.port != 500 {
            self = .natTraversalBlocked(path.remote.address.description)
            return
        }
        let isFirst = exchange == "IKE_SA_INIT"
        self.init(
            code: isFirst ? "E-NO-ANSWER" : "E-SILENT",
            summary: isFirst
                ? "Nothing came back from \(path.remote) in \(waited) s."
                : "The peer \(path.remote) no longer answers.",
            facts: ["We sent \(exchange) \(tries) times from \(path.local) during \(waited) s"],
            causes: isFirst
                ? [
                    "a firewall blocks UDP port \(path.remote.port)", "no IKE daemon runs at that address",
                    "the address is wrong", "the peer does not know our address and stays silent",
                ]
                : [
                    "a firewall or NAT blocks UDP port \(path.remote.port)",
                    "the peer was restarted or lost its network",
                    "large packets are lost on the way",
                ],
            remedy:
                "Check that \(path.remote.address) answers `ping`, and that its firewall lets UDP 500 and 4500 through."
        )
    }

    private init(
        peerAnswered notify: UInt16, name: String, exchange: String, offer: Refusal.Offer, child: String?
    ) {
        let silence = "The peer does not say more than \(name)"
        var facts = [String]()
        let causes: [String]
        let remedy: String
        let code: String
        switch notify {
        case 14 where exchange == "IKE_SA_INIT":
            code = "E-PEER-IKE-PROPOSAL"
            facts = ["We offered \(Self.list(offer.proposals))"]
            causes = [
                "the peer's IKE proposals have no combination in common with ours",
                "the peer has no connection for our address \(offer.path.local.address)",
            ]
            remedy = "Compare `proposals` with the peer's; its log says what it would accept."
        case 14:
            code = "E-PEER-CHILD-PROPOSAL"
            facts = ["We offered \(Self.list(offer.proposals))"]
            causes = [
                "the peer's ESP proposals have no combination in common with ours", "the peer wants another PFS group",
            ]
            remedy = "Compare `esp_proposals` with the peer's; its log says what it would accept."
        case 24:
            code = "E-PEER-AUTHENTICATION"
            (facts, causes, remedy) = Self.disbelieved(offer)
        case 38:
            code = "E-PEER-SELECTORS"
            facts = [
                "On our side we offered \(Self.list(offer.localSelectors))",
                "On the peer's side we offered \(Self.list(offer.remoteSelectors))",
            ]
            causes = [
                "the peer's networks do not overlap with `local_ts` and `remote_ts`",
                "the peer takes one pair of networks per child only",
            ]
            remedy = "Make `local_ts` equal to what the peer has for our side, and `remote_ts` to its own networks."
        case 36:
            code = "E-PEER-NO-ADDRESS"
            causes = ["the gateway's address pool is full", "the gateway has no address pool of this family"]
            remedy = "The gateway's log says which pool it was; or remove `vips` here."
        case 37:
            code = "E-PEER-WANTS-ADDRESS-REQUEST"
            causes = ["the gateway takes only clients that ask it for a virtual address"]
            remedy = "Write `vips = 0.0.0.0` (and `::` for IPv6) in the connection here."
        default:
            code = "E-PEER-REFUSED"
            facts = ["We had sent \(exchange) from \(offer.path.local) to \(offer.path.remote)"]
            if !offer.proposals.isEmpty { facts.append("We offered \(Self.list(offer.proposals))") }
            causes = ["the peer's configuration does not allow this"]
            remedy = "The peer's log says why."
        }
        self.init(
            code: code,
            summary:
                "The peer \(offer.path.remote.address) refused \(child.map { "the child '\($0)'" } ?? "the IKE SA") "
                + "with \(name).",
            facts: facts + [silence], causes: causes, remedy: remedy)
    }

    /// An AUTH payload's method (IANA's registry); zero stands for a message without one.
    private static func describe(method: UInt8) -> String {
        switch method {
        case 0: "no AUTH payload, which asks for EAP"
        case 1: "an RSA signature (method 1)"
        case 2: "a pre-shared key (method 2)"
        case 3: "a DSS signature (method 3)"
        case 9, 10, 11: "an ECDSA signature (method \(method))"
        case 13: "no authentication at all (method 13)"
        case 14: "a digital signature (method 14)"
        default: "authentication method \(method)"
        }
    }

    static func describe(_ identity: Identity) -> String { "'\(identity)' (\(identity.kind))" }

    static func describe(_ pattern: IdentityPattern) -> String {
        switch pattern {
        case .any: "anybody"
        case .exactly(let identity): describe(identity)
        case .suffix(let kind, _): "'\(pattern)' (\(kind))"
        case .distinguishedName: "'\(pattern)' (\(Identity.Kind.asn1DN))"
        }
    }

    private static func describe(_ method: Connection.AuthenticationMethod) -> String {
        switch method {
        case .sharedKey: "pre-shared key"
        case .publicKey: "signature"
        case .eap: "EAP method"
        }
    }

    static func list(_ items: [some CustomStringConvertible]) -> String {
        items.isEmpty ? "nothing" : items.map(\.description).joined(separator: ", ")
    }
}
