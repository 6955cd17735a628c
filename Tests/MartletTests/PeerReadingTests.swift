import Dialects
import GatewayModel
import SwanctlConfig
import Testing

@testable import martlet

/// `martlet peer`: the other end's files, which are not all here.
@Suite struct PeerReadingTests {
    private static let swanctl = """
        connections {
          br {
            version = 2
            remote_addrs = 192.0.2.1
            local { auth = pubkey
              certs = branch.pem
              id = branch.example
            }
            remote { auth = pubkey
              id = hq.example
              cacerts = ca.pem }
            children {
              net {
                remote_ts = 10.1.0.0/16
              }
            }
          }
        }
        """

    private static let ipsec = """
        conn br
          keyexchange=ikev1
          authby=secret
          left=192.0.2.2
          leftsubnet=10.2.0.0/16
          right=192.0.2.1
          rightsubnet=10.1.0.0/16
        conn two
          keyexchange=ikev2
          authby=secret
          left=192.0.2.2
          leftsubnet=10.2.0.0/16
          right=192.0.2.3
          rightsubnet=10.3.0.0/16

        """

    @Test func certificatesThatAreNotHereDoNotStandInTheWay() throws {
        let folder = try Folder()
        try folder.write("theirs.conf", Self.swanctl)
        let reading = try PeerReading(folder.file("theirs.conf"))
        #expect(reading.loaded.connections.map(\.name) == ["br"] && reading.ikev1.isEmpty)
        #expect(reading.notes.count == 2)
        #expect(
            reading.notes.contains { $0.contains("branch.pem") } && reading.notes.contains { $0.contains("ca.pem") })
    }

    @Test func ikev1IsSaid() throws {
        let folder = try Folder()
        try folder.write("theirs.conf", Self.swanctl.replacing("version = 2", with: "version = 1"))
        #expect(try PeerReading(folder.file("theirs.conf")).ikev1 == ["br"])
        try folder.write("ipsec.conf", Self.ipsec)
        let reading = try PeerReading(folder.file("ipsec.conf"))
        #expect(reading.ikev1 == ["br"] && reading.loaded.connections.count == 2)
        try folder.write("ours.conf", Self.swanctl.replacing("pubkey", with: "psk").replacing("branch.pem", with: ""))
        let ours = try PeerReading(folder.file("ours.conf")).loaded
        let old = try #require(PeerMatch(ours, try PeerReading(folder.file("theirs.conf")), tunnel: nil))
        #expect(old.isFatal && old.mismatches.first?.theirs == "IKEv1")
        #expect(old.lines().contains { $0.hasPrefix("not compared: ") } && old.report.notes.count == 2)
    }

    @Test func whatIsBrokenStaysBroken() throws {
        let folder = try Folder()
        try folder.write("theirs.conf", Self.swanctl.replacing("remote_addrs", with: "remote_adrs"))
        let failure = try #require(throws: CommandFailure.self) { try PeerReading(folder.file("theirs.conf")) }
        #expect(failure.description.contains("remote_adrs"))
    }

    @Test func theDirectoryIsMade() throws {
        let folder = try Folder()
        try folder.write(
            "ours.conf",
            "connections {\n hq {\n local_addrs = 192.0.2.1\n remote_addrs = 192.0.2.2\n local {\n auth = psk\n id = a\n }\n"
                + " remote {\n auth = psk\n id = b\n }\n children {\n net {\n remote_ts = 10.2.0.0/16\n }\n }\n }\n}\n"
                + "secrets {\n ike-1 {\n secret = \"a secret of some length\"\n }\n}\n")
        let outcome = try Executable.run([
            "peer", "emit", "hq", "--dialect", "strongswan", "--config", folder.file("ours.conf"), "--directory",
            folder.file("new/one"),
        ])
        #expect(outcome.status == 0 && folder.has("new/one"), "\(outcome.errors)")
    }
}
