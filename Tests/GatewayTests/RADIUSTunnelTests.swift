import EAPEngine
import GatewayModel
import IKECore
import NetworkTypes
import RADIUS
import SwanctlConfig
import Telemetry
import Testing
import Trust

@testable import Gateway

/// A client whom a gateway lets somebody else judge: groups, addresses and words, with everything of ours but the server.
@Suite struct RADIUSTunnelTests {
    private static let password = "a-password-nobody-may-see"

    /// `hq` is the client, `branch` the gateway; its connections are for these groups, in their order.
    private static func pair(groups: [[String]] = [[]], address: IPAddress? = nil) throws -> NodePair {
        let authority = try CertifiedTunnelTests.Authority()
        var hq = try CertifiedTunnelTests.Site(
            "hq", "branch", try authority.issue("hq", names: "email:carol@hq.example"), trusts: [authority])
        var branch = try CertifiedTunnelTests.Site(
            "branch", "hq", try authority.issue("branch", names: "DNS:branch.example"), trusts: [authority])
        hq.local = "auth = eap-mschapv2\n id = hq.example\n eap_id = carol"
        hq.remote = "auth = pubkey\n id = branch.example"
        branch.local = "auth = pubkey\n certs = own.pem\n id = branch.example"
        branch.remote = "auth = eap-radius\n id = %any\n eap_id = %any"
        if address != nil {
            hq.more = "vips = 0.0.0.0"
            branch.more = "pools = radius"
        }
        let servers =
            "}\nmartlet { plugins { eap-radius { server = 192.0.2.7\n secret = a-secret-of-sixteen-octets\n } }"
        var loaded = try branch.loaded(secrets: servers)
        let one = try #require(loaded.connections.first)
        loaded.connections = groups.enumerated().map { index, names in
            var connection = one
            connection.name = index == 0 ? one.name : "\(one.name)-\(index)"
            connection.remote.groups = names
            return connection
        }
        return NodePair(
            hq: try hq.loaded(secrets: "eap-me { id = carol\n secret = \(password)\n }"), branch: loaded)
    }

    /// What a server would do, in this process.
    private final class Desk: RADIUSDesk {
        unowned let gateway: Gateway
        let store = EAPStore()
        let passwords: EAPPasswords
        var groups: [String] = []
        var addresses: [IPAddress] = []
        var forgotten = 0
        var removed: [SecurityAssociation.Direction] = []
        var isSilent = false
        let isInUse = true

        init(_ gateway: Gateway) throws {
            self.gateway = gateway
            let text = "secrets { eap-carol { id = carol\n secret = \(RADIUSTunnelTests.password)\n } }"
            passwords = EAPPasswords(
                try LoadedConfiguration(path: "a.conf", source: FilesInMemory(["a.conf": text])).secrets)
            gateway.radius = self
        }

        func ask(_ question: EAPQuestion, _ ticket: Ticket) {
            if isSilent {
                let problem = EAPProblem.noServer("no RADIUS server answers: 'main' does not answer")
                gateway.handle(.answer(ticket, .eap(.failure([], problem))))
                return
            }
            var question = question
            question.required.eap = EAPRules(methods: [.mschapv2])
            var step = store.answer(question, passwords, NoKeys())
            if case .success(let message, var outcome) = step {
                outcome.groups = groups
                outcome.addresses = addresses
                step = .success(message, outcome)
            }
            gateway.handle(.answer(ticket, .eap(step)))
        }

        func forget(_ conversation: EAPQuestion.Conversation) { forgotten += 1 }
        func removing(
            _ direction: SecurityAssociation.Direction, of child: ChildSAID, _ counters: SACounters
        ) { removed.append(direction) }
        func configure(_ settings: RADIUSSettings) {}
    }

    private static func words(_ node: Node) -> String {
        node.refusals.map { Diagnosis($0).text }.joined(separator: "\n")
    }

    @Test func somebodyElseLetsTheClientIn() throws {
        let pair = try Self.pair()
        let desk = try Desk(pair.branch.gateway)
        pair.initiate()
        #expect(pair.hq.installed.count == 1, "\(pair.hq.refusals)")
        #expect(pair.branch.gateway.ikeSAs.first?.remoteEAPIdentity == .fqdn("carol"))
        #expect(desk.forgotten == 1)
    }

    @Test func withoutServersNobodyGetsIn() throws {
        let pair = try Self.pair()
        pair.initiate()
        #expect(pair.branch.installed.isEmpty)
        #expect(Self.words(pair.branch).contains("no RADIUS server is configured"))
    }

    @Test func silenceIsNamed() throws {
        let pair = try Self.pair()
        try Desk(pair.branch.gateway).isSilent = true
        pair.initiate()
        #expect(pair.branch.installed.isEmpty)
        #expect(Self.words(pair.branch).contains("'main' does not answer"))
    }

    @Test(arguments: [
        (["staff"], "hq"), (["guests", "admins"], "hq-1"), (["guests"], nil), ([], nil),
    ])
    func groupsChooseTheConnection(_ groups: [String], _ name: String?) throws {
        let pair = try Self.pair(groups: [["staff"], ["admins"]])
        let desk = try Desk(pair.branch.gateway)
        desk.groups = groups
        pair.initiate()
        #expect(pair.branch.gateway.ikeSAs.first?.connection == name)
        #expect(pair.branch.installed.isEmpty == (name == nil))
        if name == nil { #expect(Self.words(pair.branch).contains("is in no group that may use this connection")) }
    }

    @Test func theServersAddressIsLent() throws {
        let address = IPAddress(v4: 0x0a09_0007)
        let pair = try Self.pair(address: address)
        let desk = try Desk(pair.branch.gateway)
        desk.addresses = [address]
        pair.initiate()
        #expect(pair.branch.gateway.ikeSAs.first?.remoteVirtualAddresses == [address], "\(pair.branch.refusals)")
    }

    @Test func aServerThatGivesNoAddressIsNamed() throws {
        let pair = try Self.pair(address: IPAddress(v4: 1))
        _ = try Desk(pair.branch.gateway)
        pair.initiate()
        #expect(Self.words(pair.branch).contains("the RADIUS server sent no address"))
    }

    @Test func anAddressIsNobodyElsesMeanwhile() {
        var store = LeaseStore([])
        let address = IPAddress(v4: 0x0a09_0007)
        let lease = { (name: String) in
            var request = LeaseRequest(
                connection: "c", pools: ["radius"], identity: .fqdn(name), wanted: [.unspecified(.v4)])
            request.chosen = [address]
            return request
        }
        guard case .leased(let first) = store.lease(lease("carol")), case .leased = store.lease(lease("carol")) else {
            Issue.record("carol gets no address")
            return
        }
        guard case .noLease(let reason) = store.lease(lease("dave")) else {
            Issue.record("dave gets carol's address")
            return
        }
        #expect(reason.contains("'carol' has it"))
        store.release(first)
        guard case .noLease = store.lease(lease("dave")) else {
            Issue.record("dave gets an address that carol's other IKE SA has")
            return
        }
        store.release(first)
        guard case .leased = store.lease(lease("dave")) else {
            Issue.record("dave gets no address")
            return
        }
    }
}

/// Nobody has any.
private struct NoKeys: EAPCertificates {
    func session(isServer: Bool, mutual: Bool) -> TLSSession? { nil }
    func judge(_ chain: [Certificate], name: [UInt8]?) throws(CertificateProblem) -> PeerCertificate { throw .none }
}
