import ArgumentParser
import Foundation
import Testing
import ViciMessages

@testable import martlet

/// `--json`: every command has it, and what it prints is JSON.
@Suite struct CommandOutputTests {
    private func commands(_ command: any ParsableCommand.Type) -> [any ParsableCommand.Type] {
        let below = command.configuration.subcommands
        return below.isEmpty ? [command] : below.flatMap(commands)
    }

    @Test func everyCommandHasIt() {
        let all = commands(MartletCommand.self)
        #expect(all.count > 25)
        for command in all {
            let help = MartletCommand.helpMessage(for: command)
            #expect(help.contains("--json"), "\(command)")
        }
    }

    private func object(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], "\(text)")
    }

    @Test func commandsThatNeedNoGateway() throws {
        let folder = try Folder()
        let site = folder.file("swanctl.conf")
        let made = try Executable.run(
            ["init", "hq", "--lan", "10.1.0.0/16", "--address", "192.0.2.1", "--config", site, "--json"])
        #expect(try object(made.output)["file"] as? String == site)
        let again = try Executable.run(["init", "hq", "--lan", "10.1.0.0/16", "--config", site, "--json"])
        #expect(again.status == 1 && again.errors.isEmpty)
        let refusal = try object(again.output)["error"] as? String
        #expect(refusal?.contains("is there already") == true)
        let invited = try Executable.run(
            [
                "invite", "b", "--lan", "10.2.0.0/16", "--config", site, "--no-start", "--json", "--vici",
                folder.file("v"),
            ])
        let line = try #require(try object(invited.output)["line"] as? String)
        #expect(line.hasPrefix("martlet1:"))
        let elsewhere = try Folder()
        let other = elsewhere.file("swanctl.conf")
        let joined = try Executable.run(
            ["join", line, "--config", other, "--no-start", "--json", "--vici", folder.file("v")])
        #expect(try object(joined.output)["gateway"] as? String == "hq")
        let up = try Executable.run(["up", "hq", "--json", "--vici", folder.file("v")])
        let told = try object(up.output)["error"] as? String
        #expect(up.status == 1 && told?.contains("Is a gateway running") == true)
        #expect(try object(try Executable.run(["version", "--json"]).output)["version"] != nil)
        let authority = ["--dir", folder.file("ca")]
        let ca = try Executable.run(["pki", "ca", "--name", "CN=Lab", "--json"] + authority)
        let certificate = try #require(try object(ca.output)["certificate"] as? String)
        let shown = try object(try Executable.run(["pki", "show", certificate, "--json"]).output)
        #expect((shown["items"] as? [[String: Any]])?.first?["subject"] as? String == "CN=Lab")
    }

    @Test func aFailureNamesItsCode() throws {
        #expect(
            CommandFailure("E-SELECTORS: no").json()
                == .object(["error": "E-SELECTORS: no", "code": "E-SELECTORS"]))
        #expect(try CommandFailure("a \"b\"").json().line() == #"{"error":"a \"b\""}"#)
    }

    @Test(arguments: [
        ["up", "x"], ["down", "x"], ["status"], ["rekey", "x"], ["show", "crypto", "ikev2", "sa"], ["log", "x"],
        ["watch", "x"], ["metrics"], ["explain", "x"], ["explain", "E-NOPE"],
    ])
    func everyFailureIsJSON(_ words: [String]) throws {
        let folder = try Folder()
        let outcome = try Executable.run(words + ["--json", "--vici", folder.file("none")])
        #expect(outcome.status == 1 && outcome.errors.isEmpty)
        #expect(try object(outcome.output)["error"] as? String != nil)
    }

    /// A failure half-way leaves one object, not two.
    @Test func oneObjectWhateverHappens() throws {
        let folder = try Folder()
        let authority = ["--dir", folder.file("ca"), "--json"]
        let made = try object(try Executable.run(["pki", "ca", "--name", "CN=Lab"] + authority).output)
        let certificate = try #require(made["certificate"] as? String)
        let shown = try Executable.run(["pki", "show", certificate, folder.file("none"), "--json"])
        #expect(shown.status == 1)
        #expect(try object(shown.output).keys.sorted() == ["error"])
        // Nobody has to say why.
        #expect(try Executable.run(["pki", "gateway", "vpn.lab"] + authority).status == 0)
        let revoked = try object(try Executable.run(["pki", "revoke", "vpn.lab"] + authority).output)
        #expect(revoked["reason"] as? String == "unspecified" && revoked["serial"] != nil)
        let list = try object(try Executable.run(["pki", "crl"] + authority).output)
        #expect(list["revoked"] as? Int == 1)
    }

    @Test func aMessageOfTheControlProtocol() throws {
        let tree = ViciTree { tree in
            tree.set("a", "1")
            tree.setList("l", ["x", "y"])
            tree.setSection("s") { $0.set("b", true) }
        }
        #expect(
            JSONValue(tree)
                == .object(["a": "1", "l": .list(["x", "y"]), "s": .object(["b": "yes"])]))
        #expect(try Status.json(JSONValue.number(3)) == "3" && Status.json(JSONValue.number(0.5)) == "0.5")
    }
}
