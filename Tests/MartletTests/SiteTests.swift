import Foundation
import GatewayModel
import LinuxSystem
import SwanctlConfig
import Testing
import ViciMessages

@testable import martlet

/// What `init`, `invite` and `join` find out before they promise a tunnel. No gateway runs here.
@Suite struct SiteTests {
    private let folder: Folder
    private var config: String { folder.file("swanctl.conf") }

    init() throws { folder = try Folder() }

    private func run(_ arguments: String...) throws -> Executable.Outcome {
        let socket = arguments.first == "init" ? [] : ["--vici", folder.file("vici"), "--no-start"]
        return try Executable.run(arguments + ["--config", config] + socket)
    }

    @Test(arguments: [
        ("192.168.10.128/25", "overlaps our own network 192.168.10.0/24"),
        ("192.168.0.0/16", "overlaps our own network"), ("192.168.20.0/25", "which lies behind 'branch'"),
        ("0.0.0.0/0", "overlaps our own network"), ("fd00:1::/64", "is IPv6, and none of our networks is"),
    ])
    func networksThatWouldBreakTheHub(_ network: String, _ words: String) throws {
        #expect(try run("init", "hq", "--lan", "192.168.10.0/24", "--address", "127.0.0.1").status == 0)
        #expect(try run("invite", "branch", "--lan", "192.168.20.0/24").status == 0)
        let refused = try run("invite", "third", "--lan", "192.168.30.0/24", "--lan", network)
        #expect(refused.status == 1 && refused.errors.contains(words), "\(refused)")
        #expect(refused.output.isEmpty && !folder.has("conf.d/third.conf"))
        let good = try run("invite", "third", "--lan", "192.168.30.0/24")
        #expect(good.status == 0 && good.output.hasPrefix("martlet1:"), "\(good)")
    }

    @Test func aSiteDoesNotInviteItself() throws {
        #expect(try run("init", "hq", "--lan", "192.168.10.0/24", "--address", "127.0.0.1").status == 0)
        let refused = try run("invite", "hq", "--lan", "192.168.20.0/24")
        #expect(refused.status == 1 && refused.errors.contains("this site's own name"), "\(refused)")
        #expect(!folder.has("conf.d/hq.conf"))
    }

    /// Behind a NAT the public address is in the invitation, and in no place where the gateway would look for it here.
    @Test func anAddressThatNoInterfaceHas() throws {
        let made = try run("init", "hq", "--lan", "192.168.10.0/24", "--address", "203.0.113.77")
        #expect(made.status == 0 && made.errors.contains("No interface here has 203.0.113.77"), "\(made)")
        #expect(!(try folder.text("swanctl.conf")).contains("local_addrs"))
        let line = try run("invite", "branch", "--lan", "192.168.20.0/24").output
        #expect(try Invitation(line: line).address == "203.0.113.77")
        let loaded = try LoadedConfiguration(path: config, source: FilesWithAdditions([]))
        #expect(loaded.connections.map(\.name) == ["branch"] && loaded.warnings.isEmpty, "\(loaded.warnings)")
        // Another one for one invitation.
        let other = try run("invite", "third", "--lan", "192.168.30.0/24", "--address", "192.168.1.1")
        #expect(try Invitation(line: other.output).address == "192.168.1.1")
        #expect(other.errors.contains("192.168.1.1 is a private address"), "\(other)")
    }

    @Test func anAddressThatAnInterfaceHas() throws {
        #expect(try run("init", "hq", "--lan", "192.168.10.0/24", "--address", "127.0.0.1").status == 0)
        #expect(try folder.text("swanctl.conf").contains("local_addrs = 127.0.0.1"))
    }

    /// What a main file does not include, no gateway would load.
    @Test func aMainFileThatReadsNoOthers() throws {
        #expect(try run("init", "hq", "--lan", "192.168.10.0/24", "--address", "127.0.0.1").status == 0)
        let line = try run("invite", "branch", "--lan", "192.168.20.0/24").output
        try folder.write("swanctl.conf", folder.text("swanctl.conf").replacing("include conf.d/*.conf", with: ""))
        for refused in [
            try run("invite", "third", "--lan", "192.168.30.0/24"), try run("join", line.replacing("\n", with: "")),
        ] {
            #expect(refused.status == 1 && refused.errors.contains("include conf.d/*.conf"), "\(refused)")
            #expect(refused.errors.contains("Nothing was written"))
        }
        #expect(!folder.has("conf.d/third.conf") && !folder.has("conf.d/hq.conf"))
    }

    /// While nobody has loaded what a line says, the same line goes on.
    @Test func theSameLineAgain() throws {
        let there = try Folder()
        let hub = ["--config", there.file("swanctl.conf")]
        _ = try Executable.run(["init", "hq", "--lan", "192.168.10.0/24", "--address", "127.0.0.1"] + hub)
        let invitation = ["invite", "branch", "--lan", "192.168.20.0/24", "--no-start", "--vici", there.file("vici")]
        let line = try Executable.run(invitation + hub).output.replacing("\n", with: "")
        for _ in 1...2 {
            let joined = try run("join", line)
            #expect(joined.status == 0 && joined.output.contains("No gateway is running"), "\(joined)")
        }
        try folder.write("conf.d/hq.conf", folder.text("conf.d/hq.conf") + "# changed by hand\n")
        #expect(try run("join", line).errors.contains("was joined already"))
    }

    /// Another program at our socket: every command says so, and nothing is written.
    @Test func strongSwanAtOurSocket() throws {
        #expect(try run("init", "hq", "--lan", "192.168.10.0/24", "--address", "127.0.0.1").status == 0)
        let charon = try OtherDaemon(folder.file("vici"))
        defer { charon.stop() }
        for arguments in [["status"], ["up", "x"], ["explain", "x"]] {
            let refused = try Executable.run(arguments + ["--vici", folder.file("vici")])
            #expect(refused.status == 1 && refused.errors.contains("strongSwan's charon"), "\(refused)")
        }
        let refused = try run("invite", "branch", "--lan", "192.168.20.0/24")
        #expect(refused.status == 1 && refused.errors.contains("answers strongSwan's charon"), "\(refused)")
        #expect(!folder.has("conf.d/branch.conf"))
    }

    @Test func theUnitIsUsedOnlyWhereSystemdRuns() throws {
        let unit = ServiceUnit(root: folder.path)
        #expect(!unit.isThere)
        let lib = folder.file("usr/lib/systemd/system")
        try FileManager.default.createDirectory(atPath: lib, withIntermediateDirectories: true)
        try folder.write("usr/lib/systemd/system/martlet.service", "[Unit]\n")
        #expect(!unit.isThere)
        try FileManager.default.createDirectory(
            atPath: folder.file("run/systemd/system"), withIntermediateDirectories: true)
        #expect(unit.isThere)
    }

    @Test func privateAddresses() {
        for address in ["10.1.2.3", "172.31.0.1", "192.168.0.1", "100.64.0.1", "fd00::1", "fe80::1", "127.0.0.1"] {
            #expect(Networks.unreachable(address) != nil, "\(address)")
        }
        for address in ["198.51.100.1", "172.32.0.1", "2001:db8::1"] {
            #expect(Networks.unreachable(address) == nil, "\(address)")
        }
    }
}

/// A daemon that calls itself charon and knows nothing else.
private final class OtherDaemon: Sendable {
    private let listener: UnixListener
    private let wakeup: Wakeup
    private let ended = DispatchSemaphore(value: 0)

    init(_ path: String) throws {
        listener = try UnixListener(path)
        wakeup = try Wakeup()
        Thread.detachNewThread { [self] in
            while (try? wakeup.descriptor.wait(milliseconds: 0)) == false {
                guard (try? listener.descriptor.wait(milliseconds: 20)) == true, let stream = try? listener.accept()
                else { continue }
                answer(stream)
            }
            ended.signal()
        }
    }

    private func answer(_ stream: UnixStream) {
        var (framer, buffer) = (ViciFramer(), [UInt8](repeating: 0, count: 4096))
        while (try? stream.descriptor.wait(milliseconds: 2000)) == true,
            case .octets(let count)? = try? stream.read(into: &buffer),
            let packets = try? framer.receive(buffer[..<count])
        {
            for packet in packets {
                let reply: ViciPacket =
                    if case .request("version", _) = packet {
                        .response(ViciTree { $0.set("daemon", "charon") })
                    } else { .unknownCommand }
                if let octets = try? reply.framed() { _ = try? stream.write(octets, from: 0) }
            }
        }
    }

    func stop() {
        wakeup.signal()
        ended.wait()
    }
}
