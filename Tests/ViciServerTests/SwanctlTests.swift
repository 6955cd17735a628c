import Testing
import ViciServer

/// Debian's unmodified swanctl drives the server: what it prints and how it ends.
@Suite(.enabled(if: Swanctl.isExpected, "swanctl is not installed (Debian: strongswan-swanctl)"))
struct SwanctlTests {
    /// A server whose gateway does everything at once, but for two children.
    private func obedientServer() throws -> ServerThread {
        try ServerThread { gateway, server in
            gateway.onCommand = { [unowned server] ticket, name in
                server.log(ticket, ViciLogLine(group: "IKE", connection: "gw", text: "working on \(name)"))
                switch name {
                case "bad": server.complete(ticket, .failure("there is no child 'bad'"))
                case "slow": break
                case "terminate": server.complete(ticket, .terminated(1, of: 1))
                default: server.complete(ticket, .success)
                }
            }
        }
    }

    private func run(_ arguments: String...) throws -> (status: Int32, output: String) {
        let server = try obedientServer()
        defer { server.stop() }
        return try Swanctl.run(arguments, server.path)
    }

    @Test func statistics() throws {
        let (status, output) = try run("--stats")
        #expect(status == 0)
        #expect(
            output == """
                uptime: 2 hours, since Nov 21 09:58:20 2026
                worker threads: 3 total, 2 idle, working: 0/0/1/0
                job queues: 0/0/0/0
                jobs scheduled: 5
                IKE_SAs: 1 total, 0 half-open
                loaded plugins: ikev2 esp

                """)
    }

    @Test func version() throws {
        let (status, output) = try run("--version", "--daemon")
        #expect(status == 0)
        #expect(output == "strongSwan 0.1.0 martlet (Linux, 6.1.0, x86_64)\n")
    }

    @Test func securityAssociations() throws {
        let (status, output) = try run("--list-sas")
        #expect(status == 0)
        #expect(
            output == """
                gw: #7, ESTABLISHED, IKEv2, 0123456789abcdef_i* 00fedcba98765432_r
                  local  'moon.example.net' @ 192.0.2.1[4500]
                  remote 'sun.example.net' @ 192.0.2.2[4500]
                  AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519
                  established 600s ago, rekeying in 13000s
                  queued:  CHILD_REKEY
                  net: #9, reqid 9, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-128/ESN
                    installed 500s ago, rekeying in 3000s, expires in 3360s
                    in  c0ffee01,   3456 bytes,    12 packets,     3s ago
                    out 00c0ffee,      0 bytes,     0 packets
                    local  10.1.0.0/16
                    remote 10.2.0.0/16 10.3.0.0/24[tcp/443]

                """)
    }

    @Test func rawSecurityAssociations() throws {
        let (status, output) = try run("--list-sas", "--raw")
        #expect(status == 0)
        #expect(
            output == """
                list-sa event {gw {uniqueid=7 version=2 state=ESTABLISHED local-host=192.0.2.1 local-port=4500 \
                local-id=moon.example.net remote-host=192.0.2.2 remote-port=4500 remote-id=sun.example.net initiator=yes \
                initiator-spi=0123456789abcdef responder-spi=00fedcba98765432 nat-local=yes nat-any=yes encr-alg=AES_CBC \
                encr-keysize=256 integ-alg=HMAC_SHA2_256_128 prf-alg=PRF_HMAC_SHA2_256 dh-group=CURVE_25519 \
                established=600 rekey-time=13000 tasks-queued=[CHILD_REKEY] child-sas {net-9 {name=net uniqueid=9 reqid=9 \
                state=INSTALLED mode=TUNNEL protocol=ESP encap=yes spi-in=c0ffee01 spi-out=00c0ffee encr-alg=AES_GCM_16 \
                encr-keysize=128 esn=1 bytes-in=3456 packets-in=12 use-in=3 bytes-out=0 packets-out=0 rekey-time=3000 \
                life-time=3360 install-time=500 local-ts=[10.1.0.0/16] remote-ts=[10.2.0.0/16 10.3.0.0/24[tcp/443]]}}}}
                list-sas reply {}

                """)
    }

    @Test func connections() throws {
        let (status, output) = try run("--list-conns")
        #expect(status == 0)
        #expect(
            output == """
                gw: IKEv2, no reauthentication, rekeying every 14400s, dpd delay 20s
                  local:  192.0.2.1
                  remote: vpn.example.net
                  remote: 192.0.2.2
                  local pre-shared key authentication:
                    id: moon.example.net
                  remote pre-shared key authentication:
                    id: sun.example.net
                  net: TUNNEL, rekeying every 3600s, dpd action is start
                    local:  10.1.0.0/16
                    remote: 10.2.0.0/16 10.3.0.0/24[tcp/443]

                """)
    }

    @Test(
        arguments: [
            (["--initiate", "--child", "net"], 0, ["[IKE] working on net", "initiate completed successfully"]),
            (["--initiate", "--ike", "gw"], 0, ["[IKE] working on gw", "initiate completed successfully"]),
            (
                ["--initiate", "--child", "bad"], 1,
                ["[IKE] working on bad", "initiate failed: there is no child 'bad'"]
            ),
            (
                ["--initiate", "--child", "slow", "--timeout", "1"], 1,
                ["[IKE] working on slow", "initiate failed: not done in the time given; it goes on"]
            ),
            (["--terminate", "--ike", "gw"], 0, ["[IKE] working on terminate", "terminate completed successfully"]),
            (
                ["--terminate", "--child-id", "9"], 0,
                ["[IKE] working on terminate", "terminate completed successfully"]
            ),
            (["--reload-settings"], 0, []),
            (["--list-algs"], 0, ["encryption:", "  AES_CBC[martlet]", "  AES_GCM_16[martlet]"]),
            (["--list-certs"], 0, []),
            (["--list-pools"], 0, ["p                    10.9.0.0                            1 / 0 / 254"]),
            (["--flush-certs"], 0, []),
            (
                ["--list-pols", "--trap"], 0,
                ["gw/net, TUNNEL", "  local:  10.1.0.0/16", "  remote: 10.2.0.0/16 10.3.0.0/24[tcp/443]"]
            ),
            (["--list-authorities"], 0, []), (["--install", "--child", "net"], 1, ["install failed: not here"]),
        ] as [([String], Int32, [String])])
    func commands(_ arguments: [String], _ status: Int32, _ lines: [String]) throws {
        let server = try obedientServer()
        defer { server.stop() }
        let result = try Swanctl.run(arguments, server.path)
        #expect(result.status == status)
        // Errors and results come on two streams, so that their order among each other is chance.
        #expect(Set(result.output.split(separator: "\n").map(String.init)) == Set(lines))
    }
}
