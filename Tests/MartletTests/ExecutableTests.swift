import Foundation
import Testing

@testable import martlet

/// What anybody may run: no privilege, nothing changed on the machine.
@Suite struct ExecutableTests {
    @Test func version() throws {
        let outcome = try Executable.run(["version"])
        #expect(outcome.status == 0)
        #expect(outcome.output.wholeMatch(of: #/martlet \d+\.\d+\.\d+ \((x86_64|aarch64)\)\n/#) != nil)
        #expect(outcome.errors.isEmpty)
        #expect(try Executable.run(["--version"]).output.split(separator: " ").count == 1)
    }

    @Test func helpFitsATerminal() throws {
        for command in [[], ["run"], ["up"], ["down"], ["status"], ["demo"], ["version"]] {
            let outcome = try Executable.run(command + ["--help"])
            #expect(outcome.status == 0)
            for line in outcome.output.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
        }
        #expect(try Executable.run(["--help"]).output.contains("martlet --generate-completion-script bash"))
        let script = try Executable.run(["--generate-completion-script", "bash"])
        #expect(script.status == 0 && script.output.contains("_martlet"))
    }

    @Test func aCommandLineThatMakesNoSenseIsSaidSo() throws {
        for arguments in [
            ["nonsense"], ["help", "nonsense"], ["help", "peer", "nonsense"], ["up"], ["up", "x", "--timeout", "-3"],
            ["run", "--log", "9"], ["demo", "--megabytes", "0"],
        ] {
            let outcome = try Executable.run(arguments)
            #expect(outcome.status == 64, "\(arguments)")
            #expect(outcome.errors.hasPrefix("Error: "))
            let told = try Executable.run(arguments + ["--json"])
            #expect(told.status == 64 && told.errors.isEmpty, "\(arguments)")
            let object = try JSONSerialization.jsonObject(with: Data(told.output.utf8)) as? [String: Any]
            #expect((object?["error"] as? String)?.isEmpty == false, "\(told.output)")
        }
        #expect(try Executable.run(["help", "peer", "emit"]).output.contains("--dialect"))
        #expect(try Executable.run(["stauts"]).errors.contains("no command 'stauts'. Did you mean 'status'?"))
        #expect(try Executable.run(["pki", "revok"]).errors.contains("Did you mean 'revoke'?"))
    }

    @Test func theDemonstrationWorks() throws {
        let outcome = try Executable.run(["demo", "--json", "--megabytes", "2"])
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
        let report = try JSONDecoder().decode(DemoReport.self, from: Data(outcome.output.utf8))
        #expect(report.succeeded && report.failures.isEmpty)
        #expect(report.sides.map(\.name) == ["hq", "branch"])
        #expect(report.sides.allSatisfy { $0.ike_state == "ESTABLISHED" && $0.child_state == "INSTALLED" })
        #expect(report.ping_ms.count == 3)
        let transfer = try #require(report.transfer)
        #expect(transfer.bytes == 2_000_000 && transfer.sha256_sent == transfer.sha256_received)
        #expect(report.sides[1].bytes_in > 2_000_000 && report.sides[0].bytes_out >= report.sides[1].bytes_in)
        #expect(outcome.errors.isEmpty)
    }

    @Test func theDemonstrationForPeople() throws {
        let outcome = try Executable.run(["demo", "--megabytes", "1"])
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("● It works.") && outcome.output.contains("the same at both ends"))
        #expect(!outcome.output.contains("\u{1b}"), "no colour where no terminal is")
    }

    @Test(arguments: [["status"], ["up", "nosuch"], ["down", "nosuch"]])
    func withoutAGatewayTheCommandSaysWhereItLooked(_ arguments: [String]) throws {
        let folder = try Folder()
        let outcome = try Executable.run(arguments + ["--vici", "unix://" + folder.file("none.vici")])
        #expect(outcome.status == 1)
        #expect(outcome.output.isEmpty)
        #expect(
            outcome.errors.contains("Nobody listens there.\nIs a gateway running there?")
                && outcome.errors.contains(folder.file("none.vici"))
                && outcome.errors.contains("martlet run --config FILE"))
    }

    @Test func aBrokenFileIsExplainedWholly() throws {
        let folder = try Folder()
        try folder.write(
            "broken.conf",
            """
            connections {
              branch {
                remote_adrs = 192.0.2.1
                proposals = aes128-rot13
                children {
                  net {
                    remote_ts = 10.2.0.0/99
                  }
                }
              }
            }
            """)
        let outcome = try Executable.run(
            ["run", "--config", folder.file("broken.conf"), "--vici", folder.file("vici"), "--tun", "mtbroken0"])
        #expect(outcome.status == 1)
        for line in [3, 4, 7] { #expect(outcome.errors.contains("broken.conf:\(line):"), "\(outcome.errors)") }
        #expect(outcome.errors.contains("remote_addrs"))
        #expect(!folder.has("vici"))
        #expect(!FileManager.default.fileExists(atPath: "/sys/class/net/mtbroken0"))
    }

    @Test func aMissingFileIsNamed() throws {
        let outcome = try Executable.run(["run", "--config", "/nowhere/at/all.conf"])
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("/nowhere/at/all.conf") && outcome.errors.contains("No such file"))
    }

    /// A code is looked up where codes are; nobody is asked for what can't be a connection.
    @Test(arguments: ["E-NOPE", "e-nope", "24"]) func aCodeThatIsNoneNeedsNoGateway(_ code: String) throws {
        let folder = try Folder()
        let outcome = try Executable.run(["explain", code, "--vici", folder.file("none")])
        #expect(outcome.status == 1)
        #expect(outcome.errors == "Error: There is no code '\(code)'. `martlet explain` lists the codes.\n")
        let name = try Executable.run(["explain", "hq", "--vici", folder.file("none")])
        #expect(
            name.status == 1 && name.errors.contains("'hq' is no code") && name.errors.contains(folder.file("none")))
    }

    /// The manual page has the commands below the commands.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "the script is Python's"))
    func theManualIsWhole() throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Packaging/manual").path
        let page = try Executable.output(of: ["python3", script, try Executable.path()])
        for line in [".SS martlet up", ".SS martlet peer emit", ".SS martlet peer check", ".SS martlet pki show"] {
            #expect(page.split(separator: "\n").contains { $0 == line }, "\(line)")
        }
        #expect(page.contains("\\-\\-dialect") && page.contains("Which end of an ipsec.conf"))
    }
}
