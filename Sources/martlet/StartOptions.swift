import ArgumentParser
import Foundation
import LinuxSystem
import ViciMessages

/// How a gateway gets to know of files that were written.
///
/// It owns who is started where nobody runs: the packaged service, else a process of its own. It says that a gateway has a
/// connection only when the gateway says so.
struct StartOptions: ParsableArguments {
    @Flag(inversion: .prefixedNo, help: "Start a gateway in the background when none is running.") var start = true
    @Option(help: ArgumentHelp("Where a gateway in the background logs to.", valueName: "FILE"))
    var logFile = Self.usualLog
    @Option(help: ArgumentHelp("The TUN device of a gateway that is started.", valueName: "NAME")) var tun = Self
        .usualDevice
    @OptionGroup var control: ControlSocketOption

    private static let usualLog = "/var/log/martlet.log"
    private static let usualDevice = "martlet0"

    /// ``take(_:connection:)``, with its failure beside what to say.
    func tryToTake(_ configuration: String, connection: String) -> (taken: String, failure: CommandFailure?) {
        do { return (try take(configuration, connection: connection), nil) } catch let failure as CommandFailure {
            return ("No gateway has read it.", failure)
        } catch { return ("No gateway has read it.", CommandFailure("\(error)")) }
    }

    /// Lets the running gateway read its file again, or starts one; says what was done.
    func take(_ configuration: String, connection: String) throws -> String {
        if let gateway = try GatewayClient.running(control) {
            let answer = try gateway.call("reload-settings")
            guard answer["success"] == "yes" else {
                throw CommandFailure("The running gateway did not take it: \(answer["errmsg"] ?? "no reason given")")
            }
            guard try gateway.has(connection) else {
                throw CommandFailure(
                    "The running gateway has read its own configuration again, and that has no '\(connection)': it was "
                        + "started with another file than \(configuration). Name its file with --config, or start it anew: "
                        + "`martlet run --config \(StatusScreen.word(configuration))\(control.asWritten)`.")
            }
            return "The running gateway has read its configuration again."
        }
        guard start, geteuid() == 0 else {
            return
                "No gateway is running; start one: `martlet run --config \(StatusScreen.word(configuration))\(control.asWritten)`, as root."
        }
        let unit = ServiceUnit()
        if unit.isThere, isUsual(configuration) {
            try unit.start()
            try wait(for: connection, at: ControlAddress(ServiceUnit.socket), log: "journalctl -u martlet")
            return "Started martlet.service, which systemd starts again with the machine."
        }
        try launch(configuration)
        try wait(for: connection, at: control.address(), log: logFile)
        return "Started a gateway in the background (log: \(logFile)). It ends with the machine: to have one after the "
            + "next start, let it run `martlet run --config \(StatusScreen.word(configuration))\(control.asWritten)`."
    }

    /// Whether nothing was asked for that the packaged service has otherwise.
    private func isUsual(_ configuration: String) -> Bool {
        configuration == ServiceUnit.configuration && logFile == Self.usualLog && tun == Self.usualDevice
            && control.isUsual
    }

    private func wait(for connection: String, at address: ControlAddress, log: String) throws {
        for _ in 0..<100 {
            if let gateway = try GatewayClient.running(at: address) {
                if try gateway.has(connection) { return }
                throw CommandFailure("The gateway that was started has no '\(connection)'; \(log) says why.")
            }
            if let said = Self.text(log), said.contains("The gateway does not run.") {
                throw CommandFailure("The gateway that was started has ended (log: \(log)):\n\(said.suffix(2000))")
            }
            Thread.sleep(forTimeInterval: 0.1)
        }
        throw CommandFailure("The gateway that was started does not answer; \(log) says why.")
    }

    /// What is in a file of the log; nil for what can't be read to an end.
    private static func text(_ path: String) -> String? {
        let type = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
        return type == .typeRegular ? try? RawFile.readText(path) : nil
    }

    private func launch(_ configuration: String) throws {
        guard let executable = Bundle.main.executablePath else {
            throw CommandFailure("Where this program lies is unknown.")
        }
        // A device or a pipe is written to, and never replaced by a file.
        let type = try? FileManager.default.attributesOfItem(atPath: logFile)[.type] as? FileAttributeType
        let isFile = type == nil || type == .typeRegular || type == .typeSymbolicLink
        guard
            !isFile
                || FileManager.default.createFile(
                    atPath: logFile, contents: nil, attributes: [.posixPermissions: 0o600]),
            let log = FileHandle(forWritingAtPath: logFile)
        else {
            throw CommandFailure("\(logFile) can't be written.")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        // A session of its own: the terminal's end is not the gateway's.
        process.arguments = [
            "setsid", executable, "run", "--config", configuration, "--vici", control.uri, "--tun", tun,
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = log
        process.standardError = log
        try process.run()
    }
}

/// The packaged service, where systemd runs.
struct ServiceUnit {
    /// What the unit's process reads.
    static let configuration = "/etc/martlet/swanctl.conf"
    /// Where it listens.
    static let socket = "unix:///run/martlet/charon.vici"

    /// What all paths begin with.
    var root = ""

    /// Whether systemd runs here and knows the unit.
    var isThere: Bool {
        RawFile.exists(root + "/run/systemd/system")
            && ["/etc", "/usr/lib", "/lib"].contains { RawFile.exists("\(root)\($0)/systemd/system/martlet.service") }
    }

    /// Starts it, now and with the machine.
    func start() throws {
        let process = Process()
        let said = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["systemctl", "enable", "--now", "martlet.service"]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = said
        process.standardError = said
        try process.run()
        let words = String(decoding: said.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw CommandFailure(
                "`systemctl enable --now martlet.service` failed; `journalctl -u martlet` says why.\n\(words)")
        }
    }
}
