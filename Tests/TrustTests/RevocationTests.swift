import GatewayModel
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import Trust

/// Revocation lists, and what follows from them under each policy.
struct RevocationTests {
    private static func outcome(
        _ lists: [RevocationList], _ chain: [Certificate], _ policy: RevocationPolicy, at moment: Int64 = Lab.now
    ) -> String {
        do throws(CertificateProblem) {
            switch try RevocationCheck(lists: lists).judge(chain, policy, moment: moment) {
            case .good: return "good"
            case .unknown: return "unknown"
            case .notChecked: return "not checked"
            }
        } catch {
            return "\(error)".prefix { $0 != "(" }.description
        }
    }

    private static func list(
        _ issuer: Lab.Issued, _ serials: [[UInt8]], days: ClosedRange<Int64> = -1...1, number: Int64 = 1,
        base: Int64? = nil
    ) throws -> RevocationList {
        let entries = serials.map { RevocationList.Entry(serial: $0, moment: Lab.now - 100, reason: nil) }
        return try #require(
            issuer.issuer.revocationList(
                entries, validity: (Lab.now + days.lowerBound * Lab.day)...(Lab.now + days.upperBound * Lab.day),
                number: number, base: base))
    }

    @Test("What a list holds is revoked under every policy; what it does not hold is good")
    func lists() throws {
        let lab = try Lab()
        let peer = try Lab.issue("CN=a", .p256, by: lab.root, Lab.peer("DNS:a.lab"), serial: [7])
        let chain = [peer.certificate, lab.root.certificate]
        let good = try Self.list(lab.root, [[8], [9]])
        let bad = try Self.list(lab.root, [[6], [7]])
        #expect(good.count == 2 && good.entries.map(\.serial) == [[8], [9]] && good.number == 1)
        #expect(try RevocationList(file: good.pem).der == good.der)
        for policy in [RevocationPolicy.strict, .ifURI, .relaxed] {
            #expect(Self.outcome([good], chain, policy) == "good")
            #expect(Self.outcome([bad], chain, policy) == "revoked")
            #expect(Self.outcome([try Self.list(lab.root, [[7]], days: -9 ... -5)], chain, policy) == "revoked")
        }
    }

    @Test("Attack 18: a list that is missing, stale, of the future, or another's says nothing")
    func unknown() throws {
        let lab = try Lab()
        let other = try Lab()
        let plain = try Lab.issue("CN=a", .p256, by: lab.root, Lab.peer("DNS:a.lab"), serial: [7])
        let pointing = try Lab.issue(
            "CN=a", .p256, by: lab.root,
            Lab.peer("DNS:a.lab", [.init("crlDistributionPoints", "URI:http://pki.lab/crl")]), serial: [7])
        #expect(pointing.certificate.locations(.revocationList) == ["http://pki.lab/crl"])
        let useless: [[RevocationList]] = [
            [], [try Self.list(lab.root, [], days: -9 ... -5)], [try Self.list(lab.root, [], days: 5...9)],
            // The same name and another key: it may say what it likes.
            [try Self.list(other.root, [[7]])],
        ]
        for lists in useless {
            let (a, b) = ([plain.certificate, lab.root.certificate], [pointing.certificate, lab.root.certificate])
            #expect(Self.outcome(lists, a, .relaxed) == "unknown")
            #expect(Self.outcome(lists, a, .ifURI) == "unknown")
            #expect(Self.outcome(lists, a, .strict) == "revocationUnknown")
            #expect(Self.outcome(lists, b, .relaxed) == "unknown")
            #expect(Self.outcome(lists, b, .ifURI) == "revocationUnknown")
        }
        #expect(Self.outcome([], [plain.certificate], .strict) == "not checked")
        // A peer that sends a false list, or an old one, does not hide what a true one says.
        let chain = [plain.certificate, lab.root.certificate]
        let truth = try Self.list(lab.root, [[7]], number: 5)
        for more in [try Self.list(other.root, [], number: 9), try Self.list(lab.root, [], days: -2...5, number: 4)] {
            #expect(Self.outcome([more, truth], chain, .relaxed) == "revoked")
            #expect(Self.outcome([truth, more], chain, .relaxed) == "revoked")
        }
    }

    @Test("An authority in the middle can be revoked, and delta lists add to their base")
    func chainsAndDeltas() throws {
        let lab = try Lab()
        let middle = try Lab.issue("C=CH, O=Lab, CN=Middle", .p256, by: lab.root, Lab.authority, serial: [5])
        let peer = try Lab.issue("CN=a", .p256, by: middle, Lab.peer("DNS:a.lab"), serial: [7])
        let chain = [peer.certificate, middle.certificate, lab.root.certificate]
        let below = try Self.list(middle, [])
        #expect(Self.outcome([below, try Self.list(lab.root, [])], chain, .strict) == "good")
        #expect(Self.outcome([below], chain, .strict) == "revocationUnknown")
        #expect(Self.outcome([below], chain, .relaxed) == "good")
        #expect(Self.outcome([below, try Self.list(lab.root, [[5]])], chain, .relaxed) == "revoked")
        let delta = try Self.list(middle, [[7]], number: 2, base: 1)
        #expect(delta.base == 1)
        #expect(Self.outcome([below, delta, try Self.list(lab.root, [])], chain, .strict) == "revoked")
    }

    @Test("Rubbish is no list")
    func rubbish() throws {
        let lab = try Lab()
        let good = try Self.list(lab.root, [[1]]).der
        for index in 0..<good.count {
            #expect(throws: TrustError.noRevocationList) { try RevocationList(file: Array(good.prefix(index))) }
        }
        #expect(throws: TrustError.noRevocationList) { try RevocationList(file: good + [0]) }
    }

    @Test("Profiles hold what clients insist on, and refuse names that would become something else")
    func profiles() throws {
        let lab = try Lab()
        let key = try PrivateKey(generating: .p256)
        var profile = CertificateProfile(.gateway)
        profile.hosts = ["vpn.example.net"]
        profile.addresses = [try #require(.init("192.0.2.1"))]
        profile.revocationLists = ["http://pki.lab/crl"]
        profile.responders = ["http://pki.lab/ocsp"]
        let name = try #require(DistinguishedName(text: "CN=vpn.example.net"))
        let made = try #require(
            lab.root.issuer.issue(name, key.publicKey, profile, serial: [9], validity: 0...4_000_000_000))
        #expect(made.purposes?.contains("1.3.6.1.5.5.7.3.1") == true && !made.isAuthority)
        #expect(IdentityBinding.holds(.fqdn("vpn.example.net"), made))
        #expect(made.locations(.responder) == ["http://pki.lab/ocsp"])
        try ChainValidator.checkUsage(made)
        for bad in ["a,DNS:evil.lab", "a:b", "", "a b", "a;b", "é"] {
            profile.hosts = [bad]
            #expect(profile.extensions == nil, "\(bad)")
        }
    }
}
