import GatewayModel
import IPsecCrypto
import NetworkTypes
import Telemetry
import Testing
import WireFormat

@Suite struct DiagnosisTests {
    @Test(arguments: Samples.all) func everyRefusalHasItsCodeItsValuesAndARemedy(_ sample: Samples.Sample) {
        let diagnosis = Diagnosis(sample.refusal)
        #expect(diagnosis.code == sample.code)
        for value in sample.shows {
            #expect(diagnosis.text.contains(value), "\(value) is missing in: \(diagnosis.text)")
        }
        #expect(diagnosis.summary.last == "." && diagnosis.summary.count > 20)
        #expect(diagnosis.remedy.last == "." && diagnosis.remedy.count > 20)
        #expect(!diagnosis.facts.isEmpty)
        #expect(diagnosis.text.contains(diagnosis.summary) && diagnosis.text.hasSuffix(diagnosis.remedy))
        // A list joined to a sentence must not make two full stops.
        #expect(!diagnosis.text.contains("..") && !diagnosis.text.contains("  "))
    }

    @Test func theLimitOfAnAddressIsNamed() {
        let diagnosis = Diagnosis(.tooManyHalfOpen(Samples.path, ofAddress: true), child: nil)
        #expect(diagnosis.code == "E-HALF-OPEN" && diagnosis.text.contains("from this address"))
        #expect(diagnosis.text.contains("block_threshold"))
    }

    /// Programs compare codes: each stands for one thing. The switch fails to compile when a case has no sample.
    @Test func everyCaseHasACodeOfItsOwn() {
        var codes: [String: Set<String>] = [:]
        for sample in Samples.all { codes[sample.code, default: []].insert(Self.name(sample.refusal)) }
        #expect(codes.count == Samples.all.count)
        #expect(codes.values.allSatisfy { $0.count == 1 })
        #expect(Set(Samples.all.map { Self.name($0.refusal) }).count == 28)
    }

    @Test(arguments: Samples.ofPeers) func whenThePeerRefusesItsSilenceIsSaid(_ sample: Samples.Sample) {
        guard case .byPeer(_, let name, _, _) = sample.refusal else {
            Issue.record("no refusal of a peer")
            return
        }
        let diagnosis = Diagnosis(sample.refusal, child: "net")
        #expect(diagnosis.facts.contains("The peer does not say more than \(name)"))
        #expect(diagnosis.summary.contains("the child 'net'"))
        #expect(Diagnosis(sample.refusal).summary.contains("the IKE SA"))
    }

    /// With a post-quantum preshared key mixed in, that is the first to look at: at both ends, whatever proves besides.
    @Test(arguments: [Connection.AuthenticationMethod.sharedKey, .publicKey, .eap])
    func aPostQuantumKeyIsBlamedFirst(_ method: Connection.AuthenticationMethod) throws {
        let ours = Diagnosis(
            .wrongProof(local: Samples.hq, remote: Samples.branch, method: method, withPPK: true))
        guard
            case .byPeer(_, _, _, var offer)? = Samples.ofPeers.first(where: { $0.code == "E-PEER-AUTHENTICATION" })?
                .refusal
        else {
            Issue.record("no sample")
            return
        }
        offer.method = method
        offer.usesPPK = true
        let theirs = Diagnosis(
            .byPeer(notify: 24, name: "AUTHENTICATION_FAILED", exchange: "IKE_AUTH", offer: offer))
        for diagnosis in [ours, theirs] {
            #expect(diagnosis.causes.first?.contains("(PPK)") == true && diagnosis.causes.count > 1)
            #expect(diagnosis.remedy.contains("secrets { ppk"))
        }
    }

    /// A private address as an identity is what a NAT makes of a configuration without `id`.
    @Test func aTranslatorOnTheWay() {
        let inside = Identity(.ipv4Address, [192, 168, 1, 2])
        let outside = Identity(.ipv4Address, [203, 0, 113, 9])
        let seen = Diagnosis(.identityMismatch(expected: [.exactly(outside)], received: inside))
        #expect(seen.causes.first?.contains("a NAT hides the peer") == true && seen.causes.count == 2)
        #expect(Diagnosis(.identityMismatch(expected: [.exactly(Samples.hq)], received: inside)).causes.count == 1)
        #expect(Diagnosis(.identityMismatch(expected: [.exactly(inside)], received: outside)).causes.count == 1)
        var offer = Samples.offer
        offer.localIdentity = inside
        offer.path = Path(local: offer.path.local, remote: Endpoint(offer.path.remote.address, 4500))
        let refused = Refusal.byPeer(notify: 24, name: "AUTHENTICATION_FAILED", exchange: "IKE_AUTH", offer: offer)
        #expect(Diagnosis(refused).causes.first?.contains("the private address 192.168.1.2") == true)
    }

    @Test func severalCausesAreRanked() {
        let several = Diagnosis(
            .byPeer(notify: 24, name: "AUTHENTICATION_FAILED", exchange: "IKE_AUTH", offer: Samples.offer))
        #expect(several.causes.first == "the shared secrets differ")
        #expect(several.text.contains("the likeliest first: (1) the shared secrets differ; (2) "))
        let one = Diagnosis(.noSecret(local: Samples.hq, remote: Samples.branch))
        #expect(one.causes.count == 1)
        #expect(one.text.contains(" Cause: no `secrets"))
    }

    /// What can be wrong with a proof depends on what was proved with.
    @Test func aRefusedProofHasTheCausesOfItsMethod() {
        func diagnosis(_ method: GatewayModel.Connection.AuthenticationMethod) -> Diagnosis {
            var offer = Samples.offer
            offer.method = method
            offer.expectedMethod = .publicKey
            return Diagnosis(
                .byPeer(notify: 24, name: "AUTHENTICATION_FAILED", exchange: "IKE_AUTH", offer: offer))
        }
        let signature = diagnosis(.publicKey)
        #expect(signature.causes.first?.contains("does not trust the issuer of our certificate") == true)
        for word in ["'hq.example' is not among the names", "expired, has been revoked", "wants another proof of us"] {
            #expect(signature.causes.contains { $0.contains(word) }, "\(word)")
        }
        let eap = diagnosis(.eap)
        #expect(eap.causes.first?.contains("takes no EAP from us") == true && eap.remedy.contains("`eap_id`"))
        #expect(eap.facts.contains("We proved it with EAP"))
        for each in [signature, eap] {
            #expect(!each.text.contains("shared secrets differ") && !each.remedy.contains("secret"))
            #expect(each.facts.contains("The peer is to prove itself with a signature"))
        }
        let shared = diagnosis(.sharedKey)
        #expect(shared.causes.last == "the peer wants another proof of us: a certificate or EAP")
    }

    /// The pair that comes nearest, and a line that can be pasted; nothing weak is in that.
    @Test func theNearestProposalIsNamedAndTheLineToWrite() throws {
        func remedy(_ ours: [String], _ theirs: [String]) throws -> String {
            let lists = try [ours, theirs].map { try $0.map { try Proposal(parsing: $0, for: .ike) } }
            return Diagnosis(.noIKEProposal(ours: lists[0], theirs: lists[1])).remedy
        }
        let far = "3des-sha1-modp1024"
        #expect(
            try remedy(["aes256-sha256-modp2048"], [far, "aes256-sha256-modp3072"])
                == "Write `proposals = aes256-sha256-prfsha256-modp2048, aes256-sha256-prfsha256-modp3072` here, or add one "
                + "of ours at the peer.")
        let weak = try remedy(["aes256-sha256-modp2048"], [far])
        #expect(
            weak.contains("something stronger, such as `aes256-sha256-prfsha256-modp2048`") && !weak.contains("3des"))
        #expect(try !remedy([far], ["aes256-sha256-modp2048"]).contains("3des"))
        let defaults = Diagnosis(
            .noIKEProposal(
                ours: Proposal.defaults(for: .ike), theirs: [try Proposal(parsing: "aes256-sha1-modp2048", for: .ike)]))
        #expect(defaults.remedy.contains("`proposals = default, aes256-sha1-prfsha1-modp2048`"))
        #expect(defaults.facts.last?.contains("The two that come nearest are ours, aes256-aes128-sha256") == true)
        // A group that only one side wants, when a Child SA is replaced.
        let group = Diagnosis(
            .noChildProposal(
                child: "net", ours: [try Proposal(parsing: "aes256gcm16-ecp384", for: .esp)],
                theirs: [try Proposal(parsing: "aes256gcm16", for: .esp)]))
        #expect(group.causes.first?.contains("key exchange: we accept ecp384, offered was none") == true)
        #expect(group.remedy.contains("`esp_proposals = aes256gcm16-ecp384, aes256gcm16`"))
        let other = Diagnosis(
            .noChildProposal(
                child: "net", ours: [Samples.esp], theirs: [try Proposal(parsing: "sha256", for: .ah)]))
        #expect(other.remedy.contains("Let the peer offer one of ours, such as `aes256gcm16-x25519`"))
    }

    /// Where a profile decides which algorithms there are, nothing is to be written here that it would refuse.
    @Test func fixedProposalsAreThePeersToChange() throws {
        let ours = try Proposal(parsing: "aes256gcm16-prfsha384-ecp384", for: .ike)
        let theirs = try Proposal(parsing: "aes256-sha256-x25519", for: .ike)
        let remedy = Diagnosis(.noIKEProposal(ours: [ours], theirs: [theirs], isFixed: true)).remedy
        #expect(
            remedy
                == "Let the peer offer one of ours, such as `aes256gcm16-prfsha384-ecp384`: the connection's `profile` "
                + "decides what may stand here.")
        let child = Diagnosis(
            .noChildProposal(child: "net", ours: [Samples.esp], theirs: [Samples.theirESP], isFixed: true))
        #expect(!child.remedy.contains("Write") && child.remedy.contains("`aes256gcm16-x25519`"))
    }

    /// Nobody is at such an address: that is a mistake, and no circle of gateways.
    @Test(arguments: [UInt32(0x7f00_0001), 0xe000_0001, 0]) func aRedirectionToNobody(address: UInt32) {
        let gateway = Host.address(IPAddress(v4: address))
        let found = Diagnosis(.redirectRefused(to: gateway, reason: "that is no gateway's address"))
        #expect(found.causes.count == 1 && found.causes.first?.contains("`redirect_to`") == true, "\(found.causes)")
    }

    /// It may have been meant: that is said first.
    @Test func anEndThatSomebodyMeant() {
        let ended = Diagnosis.deletedAtOnce("branch")
        #expect(ended.code == "E-DELETED-AT-ONCE" && ended.causes.first?.contains("took it down") == true)
    }

    @Test(arguments: ["", "%any", "10.0.0.0/8, 192.0.2.0/24", "192.0.2.1-192.0.2.9"])
    func whoIsNotNamedCanNotBeCalled(_ remote: String) {
        let diagnosis = Diagnosis(.noPath(remote: remote, reason: "`remote_addrs` names no single address"))
        #expect(diagnosis.code == "E-NO-PATH" && diagnosis.summary == "Only the peer can start this connection.")
        #expect(diagnosis.remedy.contains("`remote_addrs = ADDRESS`"))
        #expect(!diagnosis.text.contains("ip route get"))
    }

    @Test(arguments: ["192.0.2.1", "gw.example", "10.0.0.0/8, 192.0.2.1/32", "vpn-1.example", "2001:db8::1"])
    func whoIsNamedCanBeCalled(_ remote: String) {
        #expect(!Diagnosis.namesNobody(remote))
        #expect(Diagnosis(.noPath(remote: remote, reason: "no route")).text.contains("ip route get"))
    }

    /// A fact may quote a whole sentence, whose full stop is enough.
    @Test func noFullStopStandsTwice() {
        #expect(!Diagnosis.rekeyFails("net", "It was refused. Write what both accept.").text.contains(".."))
        #expect(Diagnosis.oneWay("net", packetsOut: 9, packetsIn: 3, isDeaf: true, silence: 75).text.contains("75 s"))
    }

    /// A peer chooses its identity; one that writes on our terminal is shown by its octets.
    @Test(arguments: [Identity.Kind.fqdn, .rfc822Address, .keyID, .asn1DN, .ipv4Address, .null, .init(rawValue: 77)])
    func identitiesDoNotReachTheTerminal(_ kind: Identity.Kind) {
        let evil = Identity(kind, Array("\u{1b}[2J\r\n[IKE] all is well\u{7}\u{9b}0m\u{202e}".utf8))
        for refusal: Refusal in [
            .identityMismatch(expected: [.exactly(evil)], received: evil), .notUs(asked: evil, ours: [evil]),
            .noSecret(local: evil, remote: evil), .wrongProof(local: evil, remote: evil, method: .sharedKey),
            .wrongMethod(expected: .sharedKey, received: 200, remote: evil),
            .alreadyConnected(local: evil, remote: evil),
        ] {
            Self.expectHarmless(Diagnosis(refusal))
        }
    }

    @Test func textsFromElsewhereDoNotReachTheTerminal() {
        let evil = "\u{1b}]0;owned\u{7}\n\u{2028}\u{9b}31m\u{202e}\u{200b}"
        for refusal: Refusal in [
            .choseWhatWasNotOffered(what: evil), .malformed(exchange: evil, reason: evil),
            .badKeyExchange(group: .x25519, reason: evil), .notMet(demand: evil), .planeRefused(reason: evil),
            .noPath(remote: evil, reason: evil), .noInternalAnswer(question: evil),
            .noChildProposal(child: evil, ours: [], theirs: []),
            .byPeer(notify: 9999, name: evil, exchange: evil, offer: Samples.offer),
        ] {
            Self.expectHarmless(Diagnosis(refusal, child: evil))
        }
    }

    @Test func aLongIdentityIsCut() {
        for kind in [Identity.Kind.fqdn, .asn1DN, .keyID] {
            let long = Identity(kind, [UInt8](repeating: 0xff, count: 60_000))
            #expect(Diagnosis(.noSecret(local: long, remote: long)).text.count < 5000)
        }
    }

    @Test func aKnownDifferenceIsTheOnlyCause() {
        let words: [(NearMiss.Difference, String)] = [
            (.has(.newline), "with a newline at its end"), (.has(.carriageReturn), "with a carriage return at its end"),
            (.has(.carriageReturnAndNewline), "with a carriage return and newline at its end"),
            (.has(.space), "with a space at its end"), (.has(.tab), "with a tab at its end"),
            (.lacks(.newline), "has a newline at its end, and the peer's has not"),
            (.hasQuotes, "with quotation marks around it"), (.lacksQuotes, "has quotation marks around it, and"),
            (.takesAsText(.hexadecimal), "takes as text what we read as hex"),
            (.reads(.base64), "reads as base64 what we take as text"), (.usesItForUs, "uses the secret of 'ike-hq'"),
        ]
        for (difference, text) in words {
            let diagnosis = Diagnosis(
                .wrongProof(
                    local: Samples.hq, remote: Samples.branch, method: .sharedKey,
                    nearMiss: NearMiss(secret: "ike-hq", difference: difference)))
            #expect(diagnosis.code == "E-WRONG-SECRET")
            #expect(diagnosis.causes.count == 1)
            #expect(diagnosis.text.contains(text) && diagnosis.text.contains("'ike-hq'"), "\(diagnosis.text)")
        }
    }

    private static func expectHarmless(_ diagnosis: Diagnosis) {
        let everything =
            [diagnosis.summary, diagnosis.remedy, diagnosis.text] + diagnosis.facts + diagnosis.causes
        for text in everything {
            let bad = text.unicodeScalars.filter {
                $0.value < 0x20 || (0x7f...0x9f).contains($0.value) || [0x2028, 0x202e, 0x200b].contains($0.value)
            }
            #expect(bad.isEmpty, "\(diagnosis.code) lets \(bad.map(\.value)) through")
        }
    }

    private static func name(_ refusal: Refusal) -> String {
        switch refusal {
        case .noConnection: "noConnection"
        case .noIKEProposal: "noIKEProposal"
        case .noChildProposal: "noChildProposal"
        case .identityMismatch: "identityMismatch"
        case .notUs: "notUs"
        case .portChanged: "portChanged"
        case .noSecret: "noSecret"
        case .wrongProof: "wrongProof"
        case .wrongMethod: "wrongMethod"
        case .selectorsDisjoint: "selectorsDisjoint"
        case .choseWhatWasNotOffered: "choseWhatWasNotOffered"
        case .malformed: "malformed"
        case .badKeyExchange: "badKeyExchange"
        case .notMet: "notMet"
        case .planeRefused: "planeRefused"
        case .tooManyHalfOpen: "tooManyHalfOpen"
        case .authenticationHeaderNeedsPlainPath: "authenticationHeaderNeedsPlainPath"
        case .redirectRefused: "redirectRefused"
        case .alreadyConnected: "alreadyConnected"
        case .noLease: "noLease"
        case .noVirtualAddress: "noVirtualAddress"
        case .byPeer: "byPeer"
        case .noAnswer: "noAnswer"
        case .notGoneOn: "notGoneOn"
        case .noPath: "noPath"
        case .noInternalAnswer: "noInternalAnswer"
        case .untrusted: "untrusted"
        case .noPrivateKey: "noPrivateKey"
        case .eapFailed: "eapFailed"
        }
    }
}
