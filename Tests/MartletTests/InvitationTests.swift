import Foundation
import GatewayModel
import SwanctlConfig
import Testing

@testable import martlet

/// The line that is pasted, and the files that come of it.
@Suite struct InvitationTests {
    private let invitation = Invitation(
        gateway: "hq", address: "198.51.100.1", networks: ["192.168.10.0/24"], you: "branch",
        your_networks: ["192.168.20.0/24", "192.168.21.0/24"], key: String(repeating: "0f", count: 32))

    @Test func aLineComesBackAsItWas() throws {
        let line = try invitation.line()
        #expect(!line.contains { $0.isWhitespace || $0 == "'" || $0 == "\"" || $0 == "$" })
        #expect(try Invitation(line: line) == invitation)
        // As a terminal or a mail program may break it.
        let broken = line.prefix(30) + "\n  " + line.dropFirst(30)
        #expect(try Invitation(line: String(broken)) == invitation)
    }

    @Test func damageIsFound() throws {
        let line = try invitation.line()
        for place in [9, 40, line.count - 1] {
            var letters = Array(line)
            letters[place] = letters[place] == "A" ? "B" : "A"
            #expect(throws: CommandFailure.self) { try Invitation(line: String(letters)) }
        }
        for text in ["", "martlet1:", "hello", String(line.dropLast(5))] {
            #expect(throws: CommandFailure.self) { try Invitation(line: text) }
        }
    }

    @Test func bothFilesDescribeOneTunnel() throws {
        let main = SiteFiles.main(name: "hq", address: "198.51.100.1", networks: ["192.168.10.0/24"])
        let invited = SiteFiles.invited(
            "branch", networks: invitation.your_networks, gateway: "hq", key: "0x" + invitation.key)
        let here = try LoadedConfiguration(
            path: "/m/swanctl.conf",
            source: FilesInMemory(["/m/swanctl.conf": main, "/m/conf.d/branch.conf": invited]))
        let there = try LoadedConfiguration(
            path: "/g.conf", source: FilesInMemory(["/g.conf": SiteFiles.guest(invitation)]))
        #expect(here.warnings.isEmpty && there.warnings.isEmpty)
        let ours = try #require(here.connections.first)
        let theirs = try #require(there.connections.first)
        #expect(ours.proposals == theirs.proposals)
        #expect(ours.children[0].proposals == theirs.children[0].proposals)
        #expect(ours.children[0].localSelectors == theirs.children[0].remoteSelectors)
        #expect(ours.children[0].remoteSelectors == theirs.children[0].localSelectors)
        #expect(ours.local.identity.map { .exactly($0) } == theirs.remote.identity)
        #expect(theirs.local.identity.map { .exactly($0) } == ours.remote.identity)
        #expect(here.secrets.map(\.value) == there.secrets.map(\.value))
    }

    @Test(arguments: ["", "a b", "a/b", "../x", "-v", "site", "a.b", "a{", String(repeating: "x", count: 64)])
    func namesThatCouldHarm(_ name: String) {
        #expect(throws: CommandFailure.self) { try SiteFiles.check(name) }
    }
}
