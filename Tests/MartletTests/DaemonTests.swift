import Foundation
import Testing

@testable import martlet

/// The daemon, in a network namespace of its own.
@Suite(.serialized, .needsRoot) struct DaemonTests {
    private static func configuration(_ secret: String = "a secret of some length") -> String {
        """
        connections {
          my-site {
            remote_addrs = 192.0.2.2
            local { auth = psk
              id = hq.example
            }
            remote { auth = psk
              id = branch.example
            }
            children {
              net {
                remote_ts = 10.2.0.0/16
              }
              always {
                remote_ts = 10.3.0.0/16
                start_action = start
              }
            }
          }
        }
        secrets {
          ike-1 {
            id = branch.example
            secret = \(secret)
          }
        }
        """
    }

    /// A daemon that runs.
    private final class Running {
        let space: Namespace
        let folder: Folder
        let process: Process

        init(_ purpose: String, _ extra: [String] = []) throws {
            space = try Namespace(purpose)
            folder = try Folder()
            try folder.write("swanctl.conf", DaemonTests.configuration())
            process = try Executable.begin(
                ["run", "--config", folder.file("swanctl.conf"), "--vici", folder.file("vici")] + extra, in: space.name,
                output: folder.file("out"), errors: folder.file("log"))
            try wait("the daemon runs") { try log().contains("martlet 0.1.0 runs") }
        }

        deinit {
            if process.isRunning {
                process.terminate()
                process.waitUntilExit()
            }
        }

        func log() throws -> String { try folder.text("log") }

        func martlet(_ arguments: String...) throws -> Executable.Outcome {
            try Executable.run(arguments + ["--vici", folder.file("vici")], in: space.name)
        }

        func wait(_ what: String, _ isSo: () throws -> Bool) throws {
            let end = Date() + 20
            while Date() < end {
                if try isSo() { return }
                guard process.isRunning else { break }
                Thread.sleep(forTimeInterval: 0.02)
            }
            if try !isSo() { Issue.record("not so: \(what)\n\(try log())") }
        }

        /// Stops it as a service manager does; its exit status.
        func stop() -> Int32 {
            process.terminate()
            process.waitUntilExit()
            return process.terminationStatus
        }
    }

    @Test func startsIsUsedAndLeavesNothing() throws {
        let daemon = try Running("life")
        // Blocked is what is always to be protected, and nothing else.
        let routes = try daemon.space.shows("route", "show", "table", "220")
        #expect(routes.contains("unreachable 10.3.0.0/16") && !routes.contains("10.2.0.0/16"), "\(routes)")
        #expect(try daemon.space.shows("-o", "link").contains("martlet0"))

        let status = try daemon.martlet("status")
        #expect(status.status == 0)
        #expect(status.output.hasPrefix("my-site  ○ down  peer 192.0.2.2\n"), "\(status.output)")
        let json = try daemon.martlet("status", "--json")
        let report = try JSONDecoder().decode(StatusReport.self, from: Data(json.output.utf8))
        #expect(report.connections.map(\.name) == ["my-site"])
        #expect(report.connections.first?.children == ["net", "always"])

        let unknown = try daemon.martlet("up", "nosuch")
        #expect(unknown.status == 1)
        #expect(unknown.errors == "Error: No connection or child is called 'nosuch'. There are: 'my-site'.\n")

        for command in ["log", "watch", "doctor"] {
            let outcome = try daemon.martlet(command, "nosuch")
            #expect(outcome.status == 1)
            #expect(outcome.errors == "Error: No connection is called 'nosuch'. There are: 'my-site'.\n", "\(command)")
            let json = try daemon.martlet(command, "nosuch", "--json")
            #expect(json.status == 1 && json.errors.isEmpty && json.output.contains("\"error\""))
        }
        #expect(try daemon.martlet("watch", "my-site", "--seconds", "0").status == 0)
        let rekeying = try daemon.martlet("rekey", "my-site", "--children")
        #expect(rekeying.status == 1 && rekeying.errors.contains("No child of 'my-site' is up"))

        // There is no route in this namespace: that is said at once, in words, once.
        let failed = try daemon.martlet("up", "net")
        #expect(failed.status == 1)
        #expect(failed.output == "Connecting to 192.0.2.2 …\n", "\(failed.output)")
        #expect(failed.errors.hasPrefix("Error: 'net' is not up.\n  E-NO-PATH: "), "\(failed.errors)")
        #expect(failed.errors.split(separator: "\n").allSatisfy { $0.count <= 80 })
        #expect(try daemon.martlet("status").output.contains("! E-"))
        #expect(try daemon.martlet("down", "net").output == "'net' was not up.\n")

        #expect(daemon.stop() == 0)
        #expect(try daemon.log().contains("stopped; routes, rules and device are removed"))
        #expect(try daemon.space.isClean())
        #expect(!daemon.folder.has("vici"))
        #expect(try daemon.folder.text("out").isEmpty)
    }

    @Test func aBrokenFileDoesNotHurtTheRunningConfiguration() throws {
        let daemon = try Running("reload")
        try daemon.folder.write("swanctl.conf", "connections {\n  other {\n    remote_adrs = 1.2.3.4\n  }\n}\n")
        kill(daemon.process.processIdentifier, SIGHUP)
        try daemon.wait("the log says what is wrong") { try daemon.log().contains("nothing was changed") }
        #expect(try daemon.log().contains("swanctl.conf:3:5: error:"))
        #expect(try daemon.martlet("status").output.hasPrefix("my-site"))

        try daemon.folder.write(
            "swanctl.conf", Self.configuration().replacing("my-site", with: "new").replacing("10.3.", with: "10.4."))
        kill(daemon.process.processIdentifier, SIGHUP)
        try daemon.wait("the new one is loaded") { try daemon.log().contains("configuration loaded: 1 connections") }
        #expect(try daemon.martlet("status").output.hasPrefix("new"))
        let routes = try daemon.space.shows("route", "show", "table", "220")
        #expect(routes.contains("10.4.0.0/16") && !routes.contains("10.3.0.0/16"), "\(routes)")
        #expect(daemon.stop() == 0)
        #expect(try daemon.space.isClean())
    }

    /// `swanctl --load-conns --file`: what is in the file takes the place of what there was; a broken one of nothing.
    @Test func theSwanctlDoorSendsAFile() throws {
        let daemon = try Running("load")
        func load(_ command: String, _ name: String) -> Int32 {
            SwanctlDoor.run([
                command, "--file", daemon.folder.file(name), "--uri", "unix://" + daemon.folder.file("vici"),
            ])
        }
        func names() throws -> [String] {
            let json = try daemon.martlet("status", "--json").output
            return try JSONDecoder().decode(StatusReport.self, from: Data(json.utf8)).connections.map(\.name)
        }
        try daemon.folder.write("broken.conf", "connections {\n  other {\n    remote_adrs = 1.2.3.4\n  }\n}\n")
        #expect(load("--load-all", "broken.conf") == 1 && load("--load-all", "nowhere.conf") == 1)
        #expect(try names() == ["my-site"])
        try daemon.folder.write(
            "new.conf",
            Self.configuration().replacing("my-site", with: "new")
                + "pools {\n  vip {\n    addrs = 10.9.0.0/24\n  }\n}\n")
        #expect(load("--load-pools", "new.conf") == 0)
        #expect(try names() == ["my-site"])
        #expect(load("--load-all", "new.conf") == 0)
        #expect(try names() == ["new"])
        #expect(daemon.stop() == 0)
    }

    /// What a restart fails for is in the command's answer.
    @Test func aRestartThatFailsSaysWhy() throws {
        let daemon = try Running("trial")
        try daemon.folder.write("swanctl.conf", "connections {\n  other {\n    remote_adrs = 1.2.3.4\n  }\n}\n")
        let refused = try daemon.martlet("restart")
        #expect(
            refused.status == 1 && refused.errors.contains("swanctl.conf:3:5: error: connections.other.remote_adrs"))
        #expect(try daemon.martlet("status").output.hasPrefix("my-site"))
        #expect(daemon.stop() == 0)
    }

    /// A gateway that runs with another file has not got what was written into this one.
    @Test func anotherFileThanTheGatewaysOwn() throws {
        let (daemon, site) = (try Running("otherfile"), try Folder())
        let file = ["--config", site.file("swanctl.conf")]
        _ = try Executable.run(["init", "hq", "--lan", "192.168.10.0/24", "--address", "127.0.0.1"] + file)
        let invited = try daemon.martlet("invite", "branch", "--lan", "192.168.20.0/24", file[0], file[1])
        #expect(invited.status == 1 && invited.errors.contains("started with another file"), "\(invited)")
        // The line is not lost.
        let line = invited.output.replacing("\n", with: "")
        #expect(line.hasPrefix("martlet1:"))
        let guest = ["--config", site.file("guest/swanctl.conf")]
        for _ in 1...2 {
            let joined = try daemon.martlet("join", line, guest[0], guest[1])
            #expect(joined.status == 1 && joined.errors.contains("started with another file"), "\(joined)")
        }
        #expect(daemon.stop() == 0)
    }

    /// A gateway that does not start: the command ends with its words, and the same line goes on later.
    @Test func aStartThatFails() throws {
        let (space, site) = (try Namespace("nostart"), try Folder())
        let line = try Invitation(
            gateway: "hq", address: "192.0.2.1", networks: ["192.168.10.0/24"], you: "branch",
            your_networks: ["192.168.20.0/24"], key: String(repeating: "0f", count: 32)
        ).line()
        for _ in 1...2 {
            let joined = try Executable.run(
                [
                    "join", line, "--config", site.file("swanctl.conf"), "--vici", site.file("nowhere/vici"),
                    "--log-file", site.file("log"),
                ], in: space.name)
            #expect(joined.status == 1 && joined.errors.contains("The gateway does not run."), "\(joined)")
            #expect(joined.errors.contains("the same `martlet join` goes on"))
        }
        #expect(site.has("conf.d/hq.conf"))
    }

    /// Where the peer's address is not known, its networks are closed all the same.
    @Test func anInvitedSitesNetworksAreClosed() throws {
        let (daemon, site) = (try Running("invited"), try Folder())
        let file = ["--config", daemon.folder.file("swanctl.conf")]
        _ = try Executable.run(
            ["init", "hq", "--lan", "192.168.10.0/24", "--address", "127.0.0.1", "--config", site.file("swanctl.conf")])
        try daemon.folder.write("swanctl.conf", site.text("swanctl.conf"))
        let invited = try daemon.martlet("invite", "branch", "--lan", "192.168.20.0/24", file[0], file[1])
        #expect(invited.status == 0, "\(invited)")
        let routes = try daemon.space.shows("route", "show", "table", "220")
        #expect(routes.contains("192.168.20.0/24"), "\(routes)")
        #expect(daemon.stop() == 0)
    }

    @Test func aPortInUseIsNamedWithWhatToDo() throws {
        let daemon = try Running("port")
        let second = try Executable.run(
            [
                "run", "--config", daemon.folder.file("swanctl.conf"), "--vici", daemon.folder.file("vici2"), "--tun",
                "martlet1",
            ], in: daemon.space.name)
        #expect(second.status == 1)
        #expect(second.errors.contains("[500]") && second.errors.contains("another IKE daemon"), "\(second.errors)")
        #expect(!daemon.folder.has("vici2"))
        #expect(try !daemon.space.shows("-o", "link").contains("martlet1"))
        // The first one is none the worse for it.
        #expect(try daemon.martlet("status").status == 0)
        #expect(daemon.stop() == 0)
    }

    @Test(arguments: ["/nowhere/at/all/vici", "/proc/version"])
    func aControlSocketThatCannotBeLeavesNothing(_ path: String) throws {
        let space = try Namespace("sock")
        let folder = try Folder()
        try folder.write("swanctl.conf", Self.configuration())
        let outcome = try Executable.run(
            ["run", "--config", folder.file("swanctl.conf"), "--vici", path], in: space.name)
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains(path), "\(outcome.errors)")
        #expect(try space.isClean())
    }

    /// A device that is taken away under a running gateway ends it, with the reason; no packet leaves in clear after it.
    @Test func aDeviceThatGoesIsNoticed() throws {
        let daemon = try Running("gone")
        _ = try daemon.space.shows("link", "delete", "martlet0")
        daemon.process.waitUntilExit()
        #expect(daemon.process.terminationStatus == 1)
        let log = try daemon.log()
        #expect(log.contains("the TUN device can't be used any more"), "\(log)")
        #expect(log.contains("what was protected stays blocked until martlet runs again"), "\(log)")
        #expect(!log.contains("are removed"), "\(log)")
        let routes = try daemon.space.shows("route", "show", "table", "220")
        #expect(routes.contains("unreachable 10.3.0.0/16"), "\(routes)")
        #expect(try daemon.space.shows("rule").contains("220"))
        // The next one takes them over, and its end in order is the end of them.
        let next = try Executable.begin(
            ["run", "--config", daemon.folder.file("swanctl.conf"), "--vici", daemon.folder.file("vici")],
            in: daemon.space.name, output: daemon.folder.file("out2"), errors: daemon.folder.file("log2"))
        let end = Date() + 20
        while Date() < end, try !daemon.folder.text("log2").contains("martlet 0.1.0 runs") {
            Thread.sleep(forTimeInterval: 0.02)
        }
        next.terminate()
        next.waitUntilExit()
        #expect(next.terminationStatus == 0)
        #expect(try daemon.space.isClean())
    }
}
