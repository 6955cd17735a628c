import ArgumentParser
import Clockwork
import ESPEngine
import Foundation
import GatewayModel
import IPsecCrypto
import LinuxSystem
import NetworkTypes
import UserspacePlane
import WireFormat

/// `martlet-bench plane`: the user-space data plane with static keys, for tests against other implementations.
///
/// It owns a plane and obeys lines on its standard input; when that ends, the plane is taken down. Nobody negotiates: it is
/// no way to run a gateway.
struct Plane: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the data plane with static keys, for tests against other implementations.",
        discussion: """
            Reads commands: `load FILE` installs and protects the Child SAs of a file, `remove CHILD` takes one away, \
            `counters` prints the packets of every SA and what was dropped as a line of JSON, `quit` ends. Each other \
            command is answered by `ok` or `error` with the reason.

            A file has a line of words `name=value` for each Child SA: child (its number), proposal (in swanctl.conf's \
            spelling, with esn where wanted), protocol (esp or ah), mode (tunnel or transport), udp (yes or no), local \
            and remote (outer addresses), spi-in, spi-out, keys-in, keys-out (hexadecimal: encryption key with its \
            salt, a colon, integrity key), local-ts and remote-ts (blocks, separated by commas, with the number of a \
            protocol in brackets where wanted), window, dummies (after so many milliseconds without another packet).
            """)

    @Option(help: "Name of the TUN device.")
    var device = "martlet0"

    @Option(help: "auto or off.")
    var offload = "auto"

    @Option(help: "Largest inner packet, in octets.")
    var mtu = 1400

    func validate() throws {
        guard ["auto", "off"].contains(offload) else { throw ValidationError("--offload is auto or off.") }
    }

    func run() throws {
        var configuration = PlaneConfiguration()
        configuration.inside = .tun(name: device)
        configuration.offload = offload == "auto" ? .automatic : .off
        configuration.mtu = mtu
        let plane = try UserspacePlane(configuration)
        var children: [UInt32: StaticChild] = [:]
        Self.say("ok")
        while let line = readLine() {
            let words = line.split(separator: " ").map(String.init)
            do {
                switch (words.first, words.count) {
                case ("load", 2):
                    for child in try StaticChild.read(RawFile.readText(words[1])) {
                        try child.install(in: plane)
                        children[child.number] = child
                    }
                    plane.settle()
                    Self.say("ok")
                case ("remove", 2):
                    guard let number = UInt32(words[1]), let child = children.removeValue(forKey: number) else {
                        throw StaticChild.Mistake("no child \(words[1])")
                    }
                    try child.remove(from: plane)
                    plane.settle()
                    Self.say("ok")
                case ("counters", 1): Self.say(Self.counters(plane, children.values.sorted { $0.number < $1.number }))
                case ("quit", 1):
                    try plane.stop()
                    Self.say("ok")
                    return
                default: throw StaticChild.Mistake("unknown command '\(line)'")
                }
            } catch { Self.say("error \(error)") }
        }
        try plane.stop()
    }

    private static func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

    /// `{"sas": {"1/inbound": {"packets": 3, …}}, "drops": {"replayed": 1}}`.
    private static func counters(_ plane: UserspacePlane, _ children: [StaticChild]) -> String {
        var sas: [String] = []
        for child in children {
            for association in [child.inbound, child.outbound] {
                guard let found = plane.counters(association.direction, spi: association.spi) else { continue }
                sas.append(
                    "\"\(child.number)/\(association.direction.rawValue)\": {\"packets\": \(found.packets), "
                        + "\"bytes\": \(found.bytes), \"replays\": \(found.replays), "
                        + "\"forgeries\": \(found.forgeries)}")
            }
        }
        let drops = DropReason.allCases.filter { plane.drops($0) > 0 }.map { "\"\($0)\": \(plane.drops($0))" }
        return "{\"sas\": {\(sas.joined(separator: ", "))}, \"drops\": {\(drops.joined(separator: ", "))}}"
    }
}

/// A Child SA whose keys somebody has written down.
struct StaticChild {
    /// What is wrong with a file or a command.
    struct Mistake: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    let number: UInt32
    let inbound: SecurityAssociation
    let outbound: SecurityAssociation

    /// All of a file.
    static func read(_ text: String) throws -> [StaticChild] {
        try text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { try StaticChild(String($0)) }
    }

    private init(_ line: String) throws {
        var words: [String: String] = [:]
        for word in line.split(separator: " ") {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { throw Mistake("'\(word)' is not name=value") }
            words[parts[0]] = parts[1]
        }
        func word(_ name: String) throws -> String {
            guard let value = words[name] else { throw Mistake("\(name) is missing") }
            return value
        }
        func address(_ name: String) throws -> IPAddress {
            guard let address = IPAddress(try word(name)) else { throw Mistake("\(name) is no address") }
            return address
        }
        guard let number = UInt32(try word("child")) else { throw Mistake("child is no number") }
        self.number = number
        let isAH = words["protocol"] == "ah"
        let isInUDP = words["udp"] == "yes"
        let proposal = try Proposal(parsing: try word("proposal"), for: isAH ? .ah : .esp)
        let port: UInt16 = isInUDP ? 4500 : 0
        let path = Path(local: Endpoint(try address("local"), port), remote: Endpoint(try address("remote"), port))
        let selectors = (
            local: try Self.selectors(try word("local-ts")), remote: try Self.selectors(try word("remote-ts"))
        )
        func association(_ direction: SecurityAssociation.Direction) throws -> SecurityAssociation {
            let suffix = direction == .inbound ? "in" : "out"
            let keys = try word("keys-\(suffix)").split(separator: ":", omittingEmptySubsequences: false)
            guard keys.count == 2, let cipherKey = Hex.decode(keys[0]), let macKey = Hex.decode(keys[1]),
                let spi = UInt32(try word("spi-\(suffix)"), radix: 16)
            else { throw Mistake("keys-\(suffix) or spi-\(suffix) is not what it should be") }
            let encryption = proposal.first(.encryption) ?? Transform(.encryption, 0)
            var made = SecurityAssociation(
                direction: direction, spi: spi, child: ChildSAID(rawValue: number),
                mode: words["mode"] == "transport" ? .transport : .tunnel, encryption: encryption,
                integrity: AlgorithmRegistry.isAEAD(encryption) ? nil : proposal.first(.integrity),
                usesExtendedSequenceNumbers: proposal.first(.sequenceNumbers) == .esn,
                encryptionKey: SecretBytes(cipherKey), integrityKey: SecretBytes(macKey), path: path,
                encapsulation: isInUDP ? .udp : .none, replayWindow: words["window"].flatMap { Int($0) } ?? 64,
                localSelectors: selectors.local, remoteSelectors: selectors.remote)
            made.securityProtocol = isAH ? .ah : .esp
            made.tunnel.dummyInterval = .milliseconds(words["dummies"].flatMap { Int64($0) } ?? 0)
            return made
        }
        inbound = try association(.inbound)
        outbound = try association(.outbound)
    }

    private static func selectors(_ text: String) throws -> [TrafficSelector] {
        try text.split(separator: ",").map { part in
            let pieces = part.split(separator: "[", maxSplits: 1)
            guard let prefix = pieces.first.flatMap({ IPPrefix(String($0)) }) else {
                throw Mistake("'\(part)' is no block")
            }
            guard pieces.count == 2 else { return TrafficSelector(prefix) }
            guard let number = UInt8(pieces[1].dropLast()) else { throw Mistake("'\(part)' has no protocol's number") }
            return TrafficSelector(prefix.range, ipProtocol: IPProtocolNumber(rawValue: number))
        }
    }

    /// Inbound, outbound, then the policies, as a negotiation does it.
    func install(in plane: UserspacePlane) throws {
        try plane.obey(.install(inbound))
        try plane.obey(.install(outbound))
        try plane.obey(
            .protect(
                ChildSAID(rawValue: number), local: outbound.localSelectors, remote: outbound.remoteSelectors,
                spi: outbound.spi))
    }

    /// Outbound first, as a negotiation does it.
    func remove(from plane: UserspacePlane) throws {
        let child = ChildSAID(rawValue: number)
        try plane.obey(.remove(.outbound, spi: outbound.spi, of: child))
        try plane.obey(.remove(.inbound, spi: inbound.spi, of: child))
        try plane.obey(.unprotect(child, staysBlocked: false))
    }
}
