import Clockwork
import Testing
import ViciServer

/// Debian's unmodified swanctl drives the server.
@Suite(.enabled(if: Swanctl.isExpected, "swanctl is not installed (Debian: strongswan-swanctl)"))
struct SwanctlTests {
    @Test func probe() throws {
        let server = try ServerThread { gateway, server in
            gateway.onCommand = { [unowned server] ticket, name in
                server.log(ticket, ViciLogLine(group: "IKE", connection: "gw", text: "hello \(name)"))
                server.complete(ticket, name == "bad" ? .failure("no such child") : name == "terminate" ? .terminated(1, of: 1) : .success)
            }
        }
        defer { server.stop() }
        for arguments in [
            ["--version"], ["--stats"], ["--list-sas"], ["--list-sas", "--raw"], ["--list-conns"], ["--list-conns", "--raw"],
            ["--initiate", "--child", "net"], ["--initiate", "--child", "bad"], ["--terminate", "--ike", "gw"], ["--list-algs"],
            ["--list-pols"], ["--reload-settings"], ["--list-sas", "--ike", "other"], ["--stats", "--raw"],["--list-pools"],["--list-certs"], ["--counters"],
        ] {
            let result = try Swanctl.run(arguments, server.path)
            print("### \(arguments) → \(result.status)\n\(result.output)")
        }
    }
}
