import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
import Testing

/// One refusal of every kind, with values that a text must show.
enum Samples {
    static let path = Path(
        local: Endpoint(IPAddress(v4: 0xc000_0201), 500), remote: Endpoint(IPAddress(v4: 0xc633_6402), 4500))
    static let hq = Identity.fqdn("hq.example")
    static let branch = Identity.fqdn("branch.example")
    static let ours = Proposal(.ike, [.aes256gcm16, .prfsha384, .x25519])
    static let theirs = Proposal(.ike, [.aes128, .sha256, .prfsha256, .x25519])
    static let esp = Proposal(.esp, [.aes256gcm16, .x25519])
    static let theirESP = Proposal(.esp, [.aes128, .sha256])
    static let left = [TrafficSelector(IPPrefix(host: IPAddress(v4: 0x0a01_0001)))]
    static let right = [TrafficSelector(IPPrefix(host: IPAddress(v4: 0x0a02_0002)))]

    static let offer = Refusal.Offer(
        path: path, proposals: [ours], localIdentity: hq, remoteIdentity: .exactly(branch), method: .sharedKey,
        localSelectors: left, remoteSelectors: right)

    struct Sample: Sendable {
        var refusal: Refusal
        var code: String
        /// What the text must show: both sides' values, or what was sent.
        var shows: [String]
    }

    /// What we refuse, and what nobody answers.
    static let ofOurs: [Sample] = [
        Sample(refusal: .noConnection(path), code: "E-NO-CONNECTION", shows: ["192.0.2.1", "198.51.100.2"]),
        Sample(
            refusal: .noIKEProposal(ours: [ours], theirs: [theirs]), code: "E-IKE-PROPOSAL",
            shows: [
                "\(ours)", "\(theirs)", "encryption: we accept aes256gcm16, offered was aes128",
                "PRF: we accept prfsha384, offered was prfsha256",
                "`proposals = aes256gcm16-prfsha384-x25519, aes128-sha256-prfsha256-x25519`",
            ]),
        Sample(
            refusal: .noChildProposal(child: "net", ours: [esp], theirs: [theirESP]), code: "E-CHILD-PROPOSAL",
            shows: ["\(esp)", "\(theirESP)", "'net'", "`esp_proposals = aes256gcm16-x25519, aes128-sha256-x25519`"]),
        Sample(
            refusal: .identityMismatch(expected: [.exactly(hq), .suffix(.fqdn, ".example.net")], received: branch),
            code: "E-PEER-IDENTITY", shows: ["hq.example", "*.example.net", "branch.example", "ID_FQDN"]),
        Sample(
            refusal: .notUs(asked: branch, ours: [hq]), code: "E-OUR-IDENTITY", shows: ["hq.example", "branch.example"]),
        Sample(
            refusal: .noSecret(local: hq, remote: branch), code: "E-NO-SECRET", shows: ["hq.example", "branch.example"]),
        Sample(
            refusal: .wrongProof(local: hq, remote: branch, method: .sharedKey), code: "E-WRONG-SECRET",
            shows: ["hq.example", "branch.example", "pre-shared key", "newline"]),
        Sample(
            refusal: .wrongMethod(expected: .sharedKey, received: 1, remote: branch), code: "E-AUTH-METHOD",
            shows: ["RSA signature", "pre-shared key", "branch.example"]),
        Sample(
            refusal: .wrongProof(local: hq, remote: branch, method: .publicKey), code: "E-FALSE-SIGNATURE",
            shows: ["hq.example", "branch.example"]),
        Sample(
            refusal: .noPrivateKey(local: hq, reason: "the file is gone"), code: "E-NO-PRIVATE-KEY",
            shows: ["hq.example", "the file is gone"]),
        Sample(
            refusal: .untrusted(remote: branch, .expired(subject: "CN=b", ended: 1_763_729_580)),
            code: "E-CERT-EXPIRED", shows: ["branch.example", "CN=b", "2025-11-21 12:53 UTC"]),
        Sample(
            refusal: .untrusted(remote: branch, .notYetValid(subject: "CN=b", begins: 951_825_600)),
            code: "E-CERT-NOT-YET-VALID", shows: ["CN=b", "2000-02-29 12:00 UTC"]),
        Sample(
            refusal: .untrusted(remote: branch, .wrongName(claimed: branch, subject: "CN=b", names: ["x.example"])),
            code: "E-CERT-WRONG-NAME", shows: ["branch.example", "CN=b", "x.example"]),
        Sample(
            refusal: .untrusted(remote: branch, .untrustedIssuer(subject: "CN=b", issuer: "CN=evil")),
            code: "E-CERT-UNTRUSTED", shows: ["CN=b", "CN=evil", "x509ca"]),
        Sample(
            refusal: .untrusted(remote: branch, .keyMayNotSign(subject: "CN=b")), code: "E-CERT-KEY-USAGE",
            shows: ["CN=b", "digitalSignature"]),
        Sample(
            refusal: .untrusted(remote: branch, .wrongPurpose(subject: "CN=b", has: ["1.2.3"])),
            code: "E-CERT-PURPOSE", shows: ["CN=b", "1.2.3", "serverAuth"]),
        Sample(
            refusal: .untrusted(remote: branch, .weakKey(subject: "CN=b", key: "RSA 1024", wanted: "RSA 3072")),
            code: "E-WEAK-KEY", shows: ["CN=b", "RSA 1024", "RSA 3072"]),
        Sample(
            refusal: .untrusted(remote: branch, .revoked(subject: "CN=b", source: "a list")), code: "E-CERT-REVOKED",
            shows: ["CN=b", "a list"]),
        Sample(
            refusal: .selectorsDisjoint(oursLocal: left, oursRemote: right, theirsLocal: right, theirsRemote: left),
            code: "E-SELECTORS", shows: ["10.1.0.1", "10.2.0.2", "`local_ts`", "`remote_ts`"]),
        Sample(refusal: .choseWhatWasNotOffered(what: "group 99"), code: "E-NOT-OFFERED", shows: ["group 99"]),
        Sample(
            refusal: .malformed(exchange: "IKE_AUTH", reason: "no IDr"), code: "E-MALFORMED",
            shows: ["IKE_AUTH", "no IDr"]),
        Sample(
            refusal: .badKeyExchange(group: .x25519, reason: "all zeros"), code: "E-KEY-EXCHANGE",
            shows: ["\(Transform.x25519)", "all zeros"]),
        Sample(refusal: .notMet(demand: "a key"), code: "E-DEMAND", shows: ["a key"]),
        Sample(refusal: .planeRefused(reason: "no such device"), code: "E-DATA-PLANE", shows: ["no such device"]),
        Sample(
            refusal: .authenticationHeaderNeedsPlainPath(child: "net", isForced: false), code: "E-AH-NAT",
            shows: ["net", "NAT", "ah_proposals"]),
        Sample(
            refusal: .tooManyHalfOpen(path, ofAddress: false), code: "E-HALF-OPEN",
            shows: ["198.51.100.2", "half_open_limit"]),
        Sample(
            refusal: .redirectRefused(to: .name("gw-c.example"), reason: "it is the 6th time within 300 seconds"),
            code: "E-REDIRECT", shows: ["gw-c.example", "6th time", "follow_redirects"]),
        Sample(
            refusal: .portChanged(path), code: "E-PORT-CHANGE", shows: ["198.51.100.2", "`local_port = 4500`", "NAT"]),
        Sample(
            refusal: .alreadyConnected(local: hq, remote: branch), code: "E-ALREADY-CONNECTED",
            shows: ["hq.example", "branch.example"]),
        Sample(
            refusal: .noLease(
                identity: branch, wanted: [IPPrefix(host: .unspecified(.v4))], reason: "pool 'a' is full"),
            code: "E-NO-LEASE", shows: ["branch.example", "any IPv4 address", "pool 'a' is full"]),
        Sample(
            refusal: .noLease(identity: branch, wanted: [], reason: ""), code: "E-ADDRESS-REQUEST-MISSING",
            shows: ["branch.example", "`pools`", "`vips = 0.0.0.0`"]),
        Sample(
            refusal: .noVirtualAddress(wanted: [IPPrefix(host: .unspecified(.v6))]), code: "E-NO-VIRTUAL-ADDRESS",
            shows: ["any IPv6 address", "`pools`"]),
        Sample(
            refusal: .noAnswer(exchange: "IKE_SA_INIT", path: path, tries: 6, waited: .seconds(165)),
            code: "E-NO-ANSWER",
            shows: ["198.51.100.2", "6 times", "165 s", "4500"]),
        Sample(
            refusal: .notGoneOn(path, waited: .seconds(30)), code: "E-NOT-GONE-ON",
            shows: ["198.51.100.2", "30 s", "UDP port 4500"]),
        Sample(
            refusal: .noAnswer(exchange: "INFORMATIONAL", path: path, tries: 6, waited: .seconds(165)),
            code: "E-SILENT",
            shows: ["198.51.100.2", "INFORMATIONAL", "6 times"]),
        Sample(
            refusal: .noPath(remote: "203.0.113.9", reason: "unreachable"), code: "E-NO-PATH",
            shows: ["203.0.113.9", "unreachable"]),
        Sample(
            refusal: .noInternalAnswer(question: "verification"), code: "E-INTERNAL-TIMEOUT", shows: ["verification"]),
    ]

    /// What the peer refuses.
    static let ofPeers: [Sample] = [
        Sample(
            refusal: .byPeer(notify: 14, name: "NO_PROPOSAL_CHOSEN", exchange: "IKE_SA_INIT", offer: offer),
            code: "E-PEER-IKE-PROPOSAL", shows: ["\(ours)", "NO_PROPOSAL_CHOSEN"]),
        Sample(
            refusal: .byPeer(notify: 14, name: "NO_PROPOSAL_CHOSEN", exchange: "IKE_AUTH", offer: offer),
            code: "E-PEER-CHILD-PROPOSAL", shows: ["\(ours)", "PFS"]),
        Sample(
            refusal: .byPeer(notify: 24, name: "AUTHENTICATION_FAILED", exchange: "IKE_AUTH", offer: offer),
            code: "E-PEER-AUTHENTICATION", shows: ["hq.example", "branch.example", "pre-shared key"]),
        Sample(
            refusal: .byPeer(notify: 38, name: "TS_UNACCEPTABLE", exchange: "IKE_AUTH", offer: offer),
            code: "E-PEER-SELECTORS", shows: ["10.1.0.1", "10.2.0.2"]),
        Sample(
            refusal: .byPeer(notify: 36, name: "INTERNAL_ADDRESS_FAILURE", exchange: "IKE_AUTH", offer: offer),
            code: "E-PEER-NO-ADDRESS", shows: ["INTERNAL_ADDRESS_FAILURE", "full", "`vips`"]),
        Sample(
            refusal: .byPeer(notify: 37, name: "FAILED_CP_REQUIRED", exchange: "IKE_AUTH", offer: offer),
            code: "E-PEER-WANTS-ADDRESS-REQUEST", shows: ["FAILED_CP_REQUIRED", "`vips = 0.0.0.0`"]),
        Sample(
            refusal: .byPeer(notify: 43, name: "TEMPORARY_FAILURE", exchange: "CREATE_CHILD_SA", offer: offer),
            code: "E-PEER-REFUSED", shows: ["TEMPORARY_FAILURE", "CREATE_CHILD_SA", "192.0.2.1"]),
    ]

    static var all: [Sample] { ofOurs + ofPeers }
}

extension Samples.Sample: CustomTestStringConvertible {
    var testDescription: String { code }
}
