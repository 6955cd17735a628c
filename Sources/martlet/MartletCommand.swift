import ArgumentParser
import Foundation
import Gateway
import SwanctlConfig

/// The executable: one command for the gateway itself and for all that people do with it.
@main
struct MartletCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "An IPsec VPN gateway.",
        discussion: """
            Martlet joins networks over IKEv2 and ESP. See it work without any preparation:

              martlet demo

            Run a gateway, as root, from a configuration in swanctl.conf's syntax, then use it from another terminal:

              martlet run --config /etc/martlet/swanctl.conf
              martlet up branch
              martlet status
              martlet down branch

            strongSwan's own tool drives it as well:

              swanctl --list-sas --uri unix:///var/run/charon.vici

            Shells complete commands and options after this, in bash (or zsh, fish):

              martlet --generate-completion-script bash \\
                > /usr/share/bash-completion/completions/martlet

            Exit status: 0 done, 1 it failed and says why, 64 the command line makes no sense.
            """,
        version: MartletVersion.current,
        subcommands: [
            Run.self, Up.self, Down.self, Status.self, Rekey.self, Restart.self, Watch.self, Log.self, Check.self,
            Explain.self,
            Show.self, Doctor.self, Import.self, Peer.self, Init.self, Invite.self, Join.self, Metrics.self, Demo.self,
            Pki.self, ClientProfileCommand.self, BundleCommand.self, Version.self,
        ])
}

extension MartletCommand {
    /// By the name under which it was called: strongSwan's tools by theirs.
    static func main() {
        let words = CommandLine.arguments
        switch (words.first ?? "").split(separator: "/").last {
        case "swanctl": Foundation.exit(SwanctlDoor.run(Array(words.dropFirst())))
        case "ipsec": Foundation.exit(IpsecDoor.run(Array(words.dropFirst())))
        default: carryOut()
        }
    }

    /// Carries out a command. A failure is an object on standard output for who asked for JSON.
    private static func carryOut() {
        do {
            try refuseUnknownCommands()
            var command = try parseAsRoot()
            do { try command.run() } catch let failure as CommandFailure where wantsJSON && !(command is Run) {
                let isLined = command is Watch || command is Log
                print(try isLined ? failure.json().line() : Status.json(failure.json()))
                Foundation.exit(1)
            }
        } catch {
            if wantsJSON, exitCode(for: error) == .validationFailure,
                let object = try? Status.json(CommandFailure(message(for: error)).json())
            {
                print(object)
                Foundation.exit(ExitCode.validationFailure.rawValue)
            }
            exit(withError: error)
        }
    }

    /// Names the command that there is not: else it would be an unexpected argument, or the help of all.
    private static func refuseUnknownCommands() throws {
        var words = CommandLine.arguments.dropFirst()
        if words.first == "help" { words = words.dropFirst() }
        var command: any ParsableCommand.Type = Self.self
        for word in words {
            let below = command.configuration.subcommands
            if below.isEmpty || word.hasPrefix("-") { return }
            guard let next = below.first(where: { $0._commandName == word }) else {
                let names = below.map { $0._commandName }
                let meant = EditDistance.nearest(to: word, among: names).map { "Did you mean '\($0)'?" }
                throw ValidationError(
                    "There is no command '\(word)'. \(meant ?? "There are: \(names.joined(separator: ", ")).")")
            }
            command = next
        }
    }

    private static var wantsJSON: Bool {
        CommandLine.arguments.dropFirst().prefix { $0 != "--" }.contains("--json")
    }
}

/// `martlet version`.
struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Say which Martlet this is.")

    @OptionGroup var format: OutputFormat

    func run() throws {
        try format.tell(
            ["version": .text(MartletVersion.current), "machine": .text(MartletVersion.machine)],
            ["martlet \(MartletVersion.current) (\(MartletVersion.machine))"])
    }
}
