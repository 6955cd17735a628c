import ArgumentParser
import Clockwork
import Dialects
import Foundation
import GatewayModel
import LinuxSystem
import NetworkTypes
import SwanctlConfig
import Telemetry
import ViciMessages
import WireFormat

/// `--config`, for the commands that write files.
struct SiteOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The configuration file.", valueName: "FILE"))
    var config = "/etc/martlet/swanctl.conf"

    /// The files, by an absolute path.
    var files: SiteFiles { SiteFiles(path: URL(fileURLWithPath: config).standardizedFileURL.path) }
}

/// `martlet init`.
struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a first configuration for this site.",
        discussion: """
            NAME is what this gateway calls itself. `martlet invite` then makes tunnels to other sites. Nothing that is there \
            already is overwritten.
            """)

    @Argument(help: ArgumentHelp("This site's name.", valueName: "NAME")) var name: String
    @Option(help: ArgumentHelp("A network behind this gateway; repeat it for more.", valueName: "CIDR")) var lan:
        [String]
    @Option(help: ArgumentHelp("The address at which other sites reach it.", valueName: "ADDRESS")) var address: String?
    @OptionGroup var site: SiteOptions
    @OptionGroup var format: OutputFormat

    func run() throws {
        try SiteFiles.check(name)
        try Networks.check(lan)
        let files = site.files
        guard !files.exists else {
            throw CommandFailure("\(files.path) is there already, and stays as it is. Name another one with --config.")
        }
        if let address, IPAddress(address) == nil { throw ValidationError("'\(address)' is not an address.") }
        let own = address ?? Networks.outwardAddress()
        let main = (path: files.path, text: SiteFiles.main(name: name, address: own, networks: lan))
        _ = try files.loaded(with: [main])
        try files.write([main])
        try format.tell(
            ["file": .text(files.path), "site": .text(name), "networks": JSONValue(lan), "address": JSONValue(own)],
            [
                "Wrote \(files.path): site '\(name)', \(lan.joined(separator: ", "))\(own.map { ", at \($0)" } ?? "").",
                "Next: `martlet invite NAME --lan CIDR` for each site that is to join.",
            ])
    }
}

/// `martlet invite`.
struct Invite: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a tunnel to another site, and the one line that it needs.",
        discussion: """
            Makes a shared key of 256 bits, adds the tunnel to this site's configuration, and prints a line to paste behind \
            `martlet join` on the other gateway. The line holds the key: send it over something that you trust.

            With --certificate both prove themselves by certificates instead, of an authority that is made in `pki` beside \
            the configuration the first time. The line then holds the other gateway's certificate and its private key, of \
            which no copy stays here, and the authority's certificate: whoever reads it on its way can pose as the other \
            gateway. `martlet pki revoke --dir /etc/martlet/pki NAME` ends it.
            """)

    @Argument(help: ArgumentHelp("The other site's name.", valueName: "NAME")) var name: String
    @Option(help: ArgumentHelp("A network behind the other gateway; repeat it for more.", valueName: "CIDR"))
    var lan: [String]
    @Option(help: ArgumentHelp("The address at which it reaches us, when init found another.", valueName: "ADDRESS"))
    var address: String?
    @Flag(help: "Prove both ends by certificates of this site's own authority, not by a shared key.")
    var certificate = false
    @Option(
        help: ArgumentHelp(
            "Print the other end's configuration instead, in one of the dialects of `martlet peer emit`.",
            valueName: "DIALECT"))
    var dialect: String?
    @Option(help: ArgumentHelp("The other end's address, which some dialects have to be told.", valueName: "ADDRESS"))
    var theirAddress: String?
    @OptionGroup var site: SiteOptions
    @OptionGroup var format: OutputFormat
    @OptionGroup var start: StartOptions

    func run() throws {
        try SiteFiles.check(name)
        try Networks.check(lan)
        let isForeign = dialect.map { !["strongswan", "swanctl", "martlet"].contains($0) } ?? false
        if isForeign, let dialect, PeerDialect(rawValue: dialect) == nil {
            throw ValidationError(
                "--dialect is one of \(PeerDialect.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        guard !certificate || dialect == nil else {
            throw ValidationError(
                "--certificate goes into the line for `martlet join`; --dialect has shared keys only.")
        }
        let theirs = try PeerFiles.address(theirAddress)
        let files = site.files
        guard files.exists else {
            throw CommandFailure("\(files.path) is not there yet: `martlet init NAME --lan CIDR` writes it.")
        }
        let path = files.tunnelPath(name)
        guard !FileManager.default.fileExists(atPath: path) else {
            throw CommandFailure("'\(name)' was invited already (\(path)). Remove that file to invite it anew.")
        }
        var generator = SystemRandomNumberGenerator()
        // Devices that take readable keys only get one of letters and digits, of 256 bits as well.
        let key =
            isForeign
            ? Self.readableKey(&generator)
            : "0x" + Hex.encode((0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
        // The site's own name stands in the main file: it is read back with the tunnel in it.
        let draft = (path: path, text: SiteFiles.invited(name, networks: lan, gateway: "draft", key: key))
        guard let connection = try files.loaded(with: [draft]).connections.first(where: { $0.name == name }),
            let gateway = connection.local.identity?.description, let child = connection.children.first
        else { throw CommandFailure("\(files.path) has no section 'site', as `martlet init` writes it.") }
        guard let own = address ?? connection.localAddresses.compactMap(\.single).first?.description else {
            throw CommandFailure("At which address does '\(name)' reach us? Say it with --address.")
        }
        let credentials = certificate ? try certify(files, gateway) : nil
        let text =
            certificate
            ? files.invited(name, networks: lan, certifiedBy: gateway)
            : SiteFiles.invited(name, networks: lan, gateway: gateway, key: key)
        let tunnel = (path: path, text: text)
        let loaded = try files.loaded(with: [tunnel])
        // What the other end can't be told is no invitation: nothing is written then.
        var emitted: EmittedPeer?
        if isForeign, let dialect, let made = loaded.connections.first(where: { $0.name == name }) {
            emitted = try PeerFiles.emit(made, loaded, dialect: dialect, ours: IPAddress(own), theirs: theirs)
        }
        try files.write([tunnel])
        let invitation = Invitation(
            gateway: gateway, address: own, networks: child.localSelectors.map(\.description), you: name,
            your_networks: lan, key: certificate ? "" : String(key.dropFirst(2)), credentials: credentials)
        let taken = try start.take(files.path)
        var other: String?
        if let emitted {
            other = PeerFiles.text(emitted)
        } else if dialect != nil {
            other = files.guest(invitation)
        }
        if format.json {
            var fields: [String: JSONValue] = [
                "file": .text(path), "site": .text(name), "gateway": .text(gateway), "outcome": .text(taken),
            ]
            if let emitted { fields["demands"] = JSONValue(emitted.demands) }
            if let other {
                fields["configuration"] = .text(other)
            } else {
                fields["line"] = .text(try invitation.line())
            }
            return try format.tell(fields, [])
        }
        FileHandle.standardError.write(Data("Wrote \(path). \(taken)\n".utf8))
        if let emitted { PeerFiles.tellDemands(emitted) }
        if let other { return print(other, terminator: "") }
        FileHandle.standardError.write(Data("On \(name), paste this after `martlet join`:\n".utf8))
        print(try invitation.line())
    }
}

extension Invite {
    /// The other end's key and certificate. The authority, and our own certificate, are made where they are not there.
    private func certify(_ files: SiteFiles, _ gateway: String) throws -> SiteAuthority.Credentials {
        guard name != gateway else { throw CommandFailure("'\(name)' is this site's own name.") }
        let authority = files.authority
        try authority.prepare(for: gateway)
        if !authority.has(gateway) {
            try files.write(authority.files(try authority.issue(gateway), label: gateway, authority: gateway))
        }
        return try authority.issue(name)
    }

    /// 44 letters and digits, the first a letter: 256 bits and a little more, in what every device takes as a key.
    private static func readableKey(_ generator: inout SystemRandomNumberGenerator) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        let all = letters + Array("0123456789")
        return String(
            (0..<44).map { index in
                let choice = index == 0 ? letters : all
                return choice[Int.random(in: 0..<choice.count, using: &generator)]
            })
    }
}

/// `martlet join`.
struct Join: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take an invitation: write the tunnel's configuration and start it.",
        discussion: "LINE is what `martlet invite` printed on the other gateway, with or without line breaks.")

    @Argument(help: ArgumentHelp("The invitation.", valueName: "LINE")) var line: [String]
    @OptionGroup var site: SiteOptions
    @OptionGroup var format: OutputFormat
    @OptionGroup var start: StartOptions

    func run() throws {
        let invitation = try Invitation(line: line.joined())
        try SiteFiles.check(invitation.gateway)
        try SiteFiles.check(invitation.you)
        try Networks.check(invitation.networks + invitation.your_networks)
        let files = site.files
        let path = files.tunnelPath(invitation.gateway)
        guard !FileManager.default.fileExists(atPath: path) else {
            throw CommandFailure(
                "'\(invitation.gateway)' was joined already (\(path)). Remove that file to join it anew.")
        }
        var written = [
            (path: path, text: "# Written by `martlet join`.\n" + files.guest(invitation))
        ]
        if !files.exists { written.insert((path: files.path, text: SiteFiles.joining), at: 0) }
        var validity = ""
        if let credentials = invitation.credentials {
            let ends = try SiteAuthority.check(credentials, of: invitation.you)
            validity = " Its certificate is valid until \(CalendarText.moment(ends))."
            let label = SiteFiles.label(invitation)
            written = files.authority.files(credentials, label: label, authority: invitation.gateway) + written
        }
        _ = try files.loaded(with: written)
        try files.write(written)
        let taken = try start.take(files.path)
        try format.tell(
            [
                "file": .text(path), "gateway": .text(invitation.gateway), "address": .text(invitation.address),
                "outcome": .text(taken),
            ],
            [
                "Wrote \(path): a tunnel to '\(invitation.gateway)' at \(invitation.address).\(validity)", taken,
                "Next: `martlet up \(invitation.gateway)` waits until traffic can flow.",
            ])
    }
}

/// Networks and addresses on the command line.
enum Networks {
    /// Refuses what is no network.
    static func check(_ networks: [String]) throws {
        guard !networks.isEmpty else { throw ValidationError("Name a network with --lan, such as 192.168.10.0/24.") }
        for network in networks where IPPrefix(network) == nil {
            throw ValidationError("'\(network)' is not a network; write it as 192.168.10.0/24.")
        }
    }

    /// Our address towards the Internet; nil when there is no way there.
    static func outwardAddress() -> String? {
        guard let target = IPAddress("192.0.2.1"), let routes = try? RouteSocket(),
            case .reachable(let route)? = try? routes.lookup(target, mark: nil)
        else { return nil }
        return route.preferredSource?.description
    }
}

/// How a gateway gets to know of files that were written.
struct StartOptions: ParsableArguments {
    @Flag(inversion: .prefixedNo, help: "Start a gateway in the background when none is running.") var start = true
    @Option(help: ArgumentHelp("Where a gateway in the background logs to.", valueName: "FILE"))
    var logFile = "/var/log/martlet.log"
    @Option(help: ArgumentHelp("The TUN device of a gateway that is started.", valueName: "NAME")) var tun = "martlet0"
    @OptionGroup var control: ControlSocketOption

    /// Lets the running gateway read its file again, or starts one; says what was done.
    func take(_ configuration: String) throws -> String {
        if let gateway = try? GatewayClient(control) {
            let answer = try gateway.call("reload-settings")
            guard answer["success"] == "yes" else {
                throw CommandFailure("The running gateway did not take it: \(answer["errmsg"] ?? "no reason given")")
            }
            return "The running gateway has read its configuration again."
        }
        guard start, geteuid() == 0 else {
            return "No gateway is running; start one: `martlet run --config \(configuration)`, as root."
        }
        try launch(configuration)
        for _ in 0..<100 {
            if (try? GatewayClient(control)) != nil { return "Started a gateway in the background (log: \(logFile))." }
            Thread.sleep(forTimeInterval: 0.1)
        }
        throw CommandFailure("The gateway that was started does not answer; \(logFile) says why.")
    }

    private func launch(_ configuration: String) throws {
        guard let executable = Bundle.main.executablePath else {
            throw CommandFailure("Where this program lies is unknown.")
        }
        guard FileManager.default.createFile(atPath: logFile, contents: nil, attributes: [.posixPermissions: 0o600]),
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
