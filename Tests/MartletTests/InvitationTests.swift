import Foundation
import GatewayModel
import LinuxSystem
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
        #expect(try Invitation(line: "'\(line)'") == invitation)
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
            path: "/g.conf", source: FilesInMemory(["/g.conf": SiteFiles(path: "/g.conf").guest(invitation)]))
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
        // Neither end sends anything in clear while the tunnel is down, although one can't start it.
        #expect(ours.children[0].startAction == .trap && theirs.children[0].startAction == .start)
    }

    /// Our own authority's certificates: the line carries all that the other end needs, and no more than that.
    @Test func aCertificateComesWithItsKey() throws {
        let folder = try Folder()
        let authority = SiteAuthority(directory: folder.path)
        try authority.prepare(for: "hq")
        let own = try authority.issue("hq")
        let theirs = try authority.issue("branch")
        #expect(own.authority == theirs.authority && own.private_key != theirs.private_key)
        // The authority keeps no key but its own.
        #expect(!folder.has("pki/branch.key.pem") && !folder.has("pki/hq.key.pem"))
        #expect(try SiteAuthority.check(theirs, of: "branch") > WallClock.now())
        var certified = invitation
        certified = Invitation(
            gateway: "hq", address: invitation.address, networks: invitation.networks, you: "branch",
            your_networks: invitation.your_networks, key: "", credentials: theirs)
        let line = try certified.line()
        #expect(line.utf8.count < 4_000, "\(line.utf8.count)")
        #expect(try Invitation(line: line) == certified && certified.v == 2)

        let main = SiteFiles.main(name: "hq", address: "198.51.100.1", networks: ["192.168.10.0/24"])
        let site = SiteFiles(path: "/m/swanctl.conf")
        let invited = site.invited("branch", networks: invitation.your_networks, certifiedBy: "hq")
        func files(_ credentials: SiteAuthority.Credentials, _ label: String) -> [String: String] {
            let made = SiteAuthority(directory: "/m").files(credentials, label: label, authority: "hq")
            return Dictionary(uniqueKeysWithValues: made.map { ($0.path, $0.text) })
        }
        let here = try LoadedConfiguration(
            path: "/m/swanctl.conf",
            source: FilesInMemory(
                ["/m/swanctl.conf": main, "/m/conf.d/branch.conf": invited].merging(files(own, "hq")) { $1 }))
        let there = try LoadedConfiguration(
            path: "/m/swanctl.conf",
            source: FilesInMemory(
                ["/m/swanctl.conf": site.guest(certified)].merging(files(theirs, "hq-branch")) { $1 }))
        #expect(here.warnings.isEmpty && there.warnings.isEmpty, "\(here.warnings) \(there.warnings)")
        let (ours, other) = (try #require(here.connections.first), try #require(there.connections.first))
        #expect(ours.local.identity.map { .exactly($0) } == other.remote.identity)
        #expect(other.local.identity.map { .exactly($0) } == ours.remote.identity)
        #expect(here.secrets.isEmpty && there.secrets.isEmpty)
        // The other's authority speaks for this tunnel alone, not for every one that names nobody.
        for loaded in [here, there] { #expect(loaded.credentials.authorities.isEmpty) }
        #expect(ours.remote.authorities.count == 1 && other.remote.authorities.count == 1)
    }

    /// A gateway whose authority is missing has not all its files: tunnels would name one that is not there.
    @Test func allFilesMakeAGatewayComplete() throws {
        let folder = try Folder()
        let (site, authority) = (SiteFiles(path: folder.path + "/swanctl.conf"), SiteAuthority(directory: folder.path))
        try authority.prepare(for: "hq")
        let files = authority.files(try authority.issue("hq"), label: "hq", authority: "hq")
        for missing in files.indices {
            for place in files.indices where place != missing { try site.write([files[place]]) }
            #expect(!authority.has("hq"), "without \(files[missing].path)")
            for file in files where RawFile.exists(file.path) { try RawFile.remove(file.path) }
        }
        try site.write(files)
        #expect(authority.has("hq"))
    }

    @Test func credentialsThatDoNotBelongTogetherAreRefused() throws {
        let folder = try Folder()
        let authority = SiteAuthority(directory: folder.path)
        try authority.prepare(for: "hq")
        let (good, other) = (try authority.issue("branch"), try authority.issue("third"))
        let strange = try Folder()
        try SiteAuthority(directory: strange.path).prepare(for: "hq")
        let foreign = try SiteAuthority(directory: strange.path).issue("branch")
        for (change, name): ((inout SiteAuthority.Credentials) -> Void, String) in [
            ({ _ in }, "third"), ({ $0.private_key = other.private_key }, "branch"),
            ({ $0.authority = foreign.authority }, "branch"), ({ $0.authority = $0.certificate }, "branch"),
            ({ $0.certificate = "AAAA" }, "branch"), ({ $0.private_key = "" }, "branch"),
        ] {
            var credentials = good
            change(&credentials)
            #expect(throws: CommandFailure.self) { try SiteAuthority.check(credentials, of: name) }
        }
        // A form that says one thing and has another.
        var line = invitation
        line.credentials = good
        #expect(throws: CommandFailure.self) { try Invitation(line: try line.line()) }
    }

    @Test(arguments: ["", "a b", "a/b", "../x", "-v", "site", "a.b", "a{", String(repeating: "x", count: 64)])
    func namesThatCouldHarm(_ name: String) {
        #expect(throws: CommandFailure.self) { try SiteFiles.check(name) }
    }
}
