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
        let lan = try Networks.blocks(self.lan)
        let files = site.files
        guard !files.exists else {
            throw CommandFailure("\(files.path) is there already, and stays as it is. Name another one with --config.")
        }
        if let address, IPAddress(address) == nil { throw ValidationError("'\(address)' is not an address.") }
        let own = address ?? Networks.outwardAddress()
        let isHere = own.map(Networks.isHere) ?? false
        let text = SiteFiles.main(
            name: name, address: isHere ? own : nil, elsewhere: isHere ? nil : own, networks: lan)
        _ = try files.loaded(with: [(path: files.path, text: text)])
        try files.write([(path: files.path, text: text)])
        var warnings = [own.flatMap(Networks.unreachable), Networks.forwardingIsOff(lan)].compactMap { $0 }
        if let own, !isHere {
            warnings.append(
                "No interface here has \(own): what stands in front of this machine has to pass UDP 500 and 4500 on to it."
            )
        }
        try format.tell(
            [
                "file": .text(files.path), "site": .text(name), "networks": JSONValue(lan), "address": JSONValue(own),
                "warnings": JSONValue(warnings),
            ],
            [
                "Wrote \(files.path): site '\(name)', \(lan.joined(separator: ", "))\(own.map { ", at \($0)" } ?? "").",
                "Next: `martlet invite NAME --lan CIDR` for each site that is to join.",
            ])
        format.warn(warnings)
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
        let lan = try Networks.blocks(self.lan)
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
        guard try !files.loaded(with: []).connections.contains(where: { $0.name == name }) else {
            throw CommandFailure("\(files.path) has a connection '\(name)' already. Invite by another name.")
        }
        // The site's own name stands in the main file: it is read back with the tunnel in it.
        let draft = (path: path, text: SiteFiles.invited(name, networks: lan, gateway: "draft", key: key))
        let drafted = try files.loaded(including: draft)
        guard let connection = drafted.connections.first(where: { $0.name == name }),
            let gateway = connection.local.identity?.description, let child = connection.children.first
        else { throw CommandFailure("\(files.path) has no section 'site', as `martlet init` writes it.") }
        guard name != gateway else {
            throw CommandFailure("'\(name)' is this site's own name. Give the name of the site that is to join.")
        }
        try Networks.review(lan, of: connection, among: drafted.connections)
        guard
            let own = address ?? files.addressElsewhere
                ?? connection.localAddresses.compactMap(\.single).first?.description
        else {
            throw CommandFailure("At which address does '\(name)' reach us? Say it with --address.")
        }
        // Another program at our socket would be found out too late.
        _ = try GatewayClient.running(start.control)
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
        let (taken, failure) = start.tryToTake(files.path, connection: name)
        var other: String?
        if let emitted {
            other = PeerFiles.text(emitted)
        } else if dialect != nil {
            other = files.guest(invitation)
        }
        let warnings = Networks.unreachable(own).map { [$0] } ?? []
        if format.json {
            var fields: [String: JSONValue] = [
                "file": .text(path), "site": .text(name), "gateway": .text(gateway),
                "outcome": .text(failure?.description ?? taken), "taken": .truth(failure == nil),
                "warnings": JSONValue(warnings),
            ]
            if let emitted { fields["demands"] = JSONValue(emitted.demands) }
            if let other {
                fields["configuration"] = .text(other)
            } else {
                fields["line"] = .text(try invitation.line())
            }
            try format.tell(fields, [])
        } else {
            FileHandle.standardError.write(Data("Wrote \(path). \(taken)\n".utf8))
            if let emitted { PeerFiles.tellDemands(emitted) }
            if let other {
                print(other, terminator: "")
            } else {
                FileHandle.standardError.write(Data("On \(name), paste this after `martlet join`:\n".utf8))
                print(try invitation.line())
            }
            format.warn(warnings)
        }
        // The invitation is good all the same: it was not to be lost.
        if let failure {
            if format.json { throw ExitCode(1) }
            throw CommandFailure(
                "\(failure)\nThe invitation above is good as soon as a gateway has read \(path): `martlet run --config "
                    + "\(StatusScreen.word(files.path))` starts one, `swanctl --load-all` or SIGHUP lets one that runs read it."
            )
        }
    }
}

extension Invite {
    /// The other end's key and certificate. The authority, and our own certificate, are made where they are not there.
    private func certify(_ files: SiteFiles, _ gateway: String) throws -> SiteAuthority.Credentials {
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
        let tunnel = (path: path, text: "# Written by `martlet join`.\n" + files.guest(invitation))
        let running = try GatewayClient.running(start.control)
        if FileManager.default.fileExists(atPath: path) {
            // The same line again goes on where the last time failed.
            let isSame = (try? RawFile.readText(path)) == tunnel.text
            guard isSame, try running?.has(invitation.gateway) != true else {
                throw CommandFailure(
                    "'\(invitation.gateway)' was joined already (\(path)). Remove that file to join it anew.")
            }
        }
        var written = [tunnel]
        if !files.exists { written.insert((path: files.path, text: SiteFiles.joining), at: 0) }
        var validity = ""
        if let credentials = invitation.credentials {
            let ends = try SiteAuthority.check(credentials, of: invitation.you)
            validity = " Its certificate is valid until \(CalendarText.moment(ends))."
            let label = SiteFiles.label(invitation)
            written = files.authority.files(credentials, label: label, authority: invitation.gateway) + written
        }
        guard try files.loaded(with: written).files.contains(path) else { throw files.includesNothing }
        try files.write(written)
        let (taken, failure) = start.tryToTake(files.path, connection: invitation.gateway)
        if let failure {
            throw CommandFailure(
                "Wrote \(path), but no gateway has it. \(failure)\nOnce that is put right, the same `martlet join` goes on."
            )
        }
        let warnings = Networks.forwardingIsOff(invitation.your_networks).map { [$0] } ?? []
        try format.tell(
            [
                "file": .text(path), "gateway": .text(invitation.gateway), "address": .text(invitation.address),
                "outcome": .text(taken), "warnings": JSONValue(warnings),
            ],
            [
                "Wrote \(path): a tunnel to '\(invitation.gateway)' at \(invitation.address).\(validity)", taken,
                "Next: `martlet up \(invitation.gateway)\(start.control.asWritten)` waits until traffic can flow.",
            ])
        format.warn(warnings)
    }
}
