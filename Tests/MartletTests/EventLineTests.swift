import Foundation
import Testing
import ViciMessages

@testable import martlet

/// Events as lines, levels of the log, and metrics.
@Suite struct EventLineTests {
    private let plain = Terminal(hasColour: false)

    private func updown(_ isUp: Bool) -> ViciTree {
        ViciTree { tree in
            if isUp { tree.set("up", true) }
            tree.setSection("gw") { sa in
                sa.set("local-host", "192.0.2.1")
                sa.set("local-id", "moon")
                sa.set("remote-host", "192.0.2.2")
                sa.set("remote-id", "sun")
                sa.setSection("child-sas") { children in
                    children.setSection("net-1") {
                        $0.set("name", "net")
                        $0.setList("local-ts", ["10.1.0.0/16"])
                        $0.setList("remote-ts", ["10.2.0.0/16"])
                    }
                }
            }
        }
    }

    @Test func lines() {
        #expect(
            EventLine(name: "ike-updown", tree: updown(true)).text(plain)
                == "gw: IKE SA ● up 192.0.2.1 ['moon'] with 192.0.2.2 ['sun']")
        #expect(
            EventLine(name: "child-updown", tree: updown(false)).text(plain)
                == "gw: child 'net' ✕ down 10.1.0.0/16 === 10.2.0.0/16")
        let log = ViciTree {
            $0.set("group", "IKE")
            $0.set("ikesa-name", "gw")
            $0.set("ikesa-uniqueid", 3)
            $0.set("msg", "sent")
        }
        #expect(EventLine(name: "log", tree: log).text(plain) == "[IKE] <gw|3> sent")
        #expect(EventLine(name: "log", tree: log).connection == "gw")
        let alert = ViciTree {
            $0.set("type", "ts-mismatch")
            $0.set("message", "no")
        }
        #expect(EventLine(name: "alert", tree: alert).text(plain) == "gateway: ! ts-mismatch no")
    }

    @Test func aLineOfJSON() throws {
        let json = EventLine(name: "child-updown", tree: updown(true)).json(at: Date(timeIntervalSince1970: 7))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        #expect(object["event"] as? String == "child-updown" && object["time"] as? Int == 7)
        #expect(!json.contains("\n"))
    }

    @Test func linesOfTheDaemonsLogAsJSON() throws {
        let line = EventLine.json(logged: "2026-11-22T01:09:11Z [IKE] <gw|3> \"sent\"")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["group"] as? String == "IKE" && object["connection"] as? String == "gw")
        #expect(object["ike_sa"] as? Int == 3 && object["message"] as? String == "\"sent\"")
        #expect(EventLine.json(logged: "no line of ours") == "{\"message\":\"no line of ours\"}")
    }

    @Test func packetsAreToldOfOnceTheyAreNew() {
        func report(_ packets: Int64, _ forgeries: Int64, _ strays: Int64) -> StatusReport {
            let child = StatusReport.ChildStatus(
                id: 7, name: "net", state: "INSTALLED", local_ts: [], remote_ts: [], spi_in: "c1", spi_out: "c2",
                bytes_in: packets * 84, packets_in: packets, bytes_out: 0, packets_out: 0, forgeries: forgeries)
            let sa = StatusReport.IKESAStatus(
                id: 2, connection: "gw", state: "ESTABLISHED", local: "", remote: "", initiator: true,
                children: [child])
            return StatusReport(
                connections: [.init(name: "gw", state: "up", remote_addrs: [], children: ["net"], ike_sas: [sa])],
                other_ike_sas: [], refusals: [], drops: ["noPolicy": strays])
        }
        var news = PacketNews()
        #expect(news.lines(report(5, 1, 2)) == [])
        #expect(news.lines(report(5, 1, 2)) == [])
        let lines = news.lines(report(8, 2, 3))
        #expect(
            lines.map(\.text) == [
                "child 'net': 1 packets failed their integrity check, dropped",
                "child 'net': 3 packets in (252 octets), SPI c1", "dropped 1 packets: noPolicy",
            ])
        #expect(lines.map(\.level) == [1, 2, 1])
        #expect(
            lines.first?.event.text(plain)
                == "[ESP] <gw|2> child 'net': 1 packets failed their integrity check, dropped")
    }

    @Test func levels() {
        let levels = LogLevels("ike=2,net=0,1")
        #expect(levels?.includes("IKE", 2) == true && levels?.includes("IKE", 3) == false)
        #expect(levels?.includes("NET", 1) == false && levels?.includes("CHD", 1) == true)
        #expect(LogLevels("ike=2,esp=1")?.includes("ESP", 1) == true && LogLevels("any=0")?.includes("ESP", 1) == false)
        for text in ["ike", "ike=", "ike=9", "=1=2", "a=b", "foo=1", "ike=1,eps=2"] {
            #expect(LogLevels(text) == nil, "\(text)")
        }
    }

    @Test func metricsHaveStableNamesAndEscapedLabels() {
        let sa = StatusReport.IKESAStatus(
            id: 1, connection: "g\"w", state: "ESTABLISHED", local: "", remote: "", initiator: true,
            children: [
                .init(
                    id: 2, name: "net", state: "INSTALLED", local_ts: ["10.1.0.0/16"], remote_ts: ["10.2.0.0/16"],
                    spi_in: "", spi_out: "", bytes_in: 5, packets_in: 1, bytes_out: 7, packets_out: 2)
            ])
        let report = StatusReport(
            connections: [
                .init(name: "g\"w", state: "up", remote_addrs: [], children: ["net", "other"], ike_sas: [sa]),
                .init(
                    name: "b", state: "down", remote_addrs: [], children: [],
                    last_error: .init(code: "E-SELECTORS", text: "", time: 0, age: 3), ike_sas: []),
            ], other_ike_sas: [], refusals: [])
        let counters = ViciTree { $0.setSection("b") { $0.set("info-in-req", 4) } }
        let lines = MetricsPage(report, [ViciTree()], counters, ViciTree()).text.split(separator: "\n").map(String.init)
        #expect(lines.contains("strongswan_ike_status{ike_name=\"g\\\"w\",ike_id=\"1\"} 1"))
        #expect(lines.contains("martlet_tunnel_up{connection=\"g\\\"w\",tunnel=\"other\"} 0"))
        #expect(lines.contains("martlet_connection_failed{connection=\"b\",cause=\"E-SELECTORS\"} 1"))
        #expect(lines.contains("martlet_ike_messages_total{connection=\"b\",kind=\"info-in-req\"} 4"))
        #expect(lines.contains { $0.hasPrefix("strongswan_sa_inbound_bytes{") && $0.hasSuffix("} 5") })
    }
}

/// What `martlet check` says.
@Suite struct CheckReportTests {
    @Test func mistakesAreSortedAndCounted() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("check-\(UUID().uuidString).conf").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data("connections {\n a {\n  rekey_tiem = 3\n }\n b {\n  local {\n   auht = psk\n  }\n }\n}\n".utf8).write(
            to: URL(fileURLWithPath: path))
        let report = CheckReport(path)
        #expect(!report.loadable && report.errors.count >= 2)
        #expect(report.errors.map(\.line) == report.errors.map(\.line).sorted())
        let lines = report.lines(Terminal(hasColour: false), showsNotes: false)
        #expect(lines.contains { $0.contains(":3:3: error: connections.a.rekey_tiem: unknown key") })
        #expect(lines.last?.contains("can't be loaded: \(report.errors.count) mistakes") == true)
    }

    @Test func aFileThatIsNotThere() {
        #expect(CheckReport("/nowhere/at/all.conf").errors.first?.remedy == "check the name and who may read it")
    }
}
