import NetworkTypes
import Testing
import WireFormat

@testable import LinuxSystem

/// Messages spelled out, as a little-endian host writes them.
@Suite struct NetlinkMessageTests {
    private func hex(_ lines: String...) throws -> [UInt8] {
        try #require(
            Hex.decode(lines.map { $0.split(separator: "//", omittingEmptySubsequences: false)[0] }.joined()))
    }

    @Test("A route, as RTM_NEWROUTE")
    func routeRequest() throws {
        let route = Route(
            to: try Support.prefix("10.1.0.0/16"), table: 220, interface: 3,
            gateway: try Support.address("192.0.2.1"), preferredSource: try Support.address("10.2.0.1"), metric: 50,
            protocolNumber: 99, mtu: 1400)
        #expect(
            try route.request(24, [.create, .exclusive, .acknowledge]).encoded(sequence: 7)
                == hex(
                    "58000000 1800 0506 07000000 00000000  // struct nlmsghdr: 88 octets, NEWROUTE, flags, 7, port",
                    "02 10 00 00 dc 63 00 01 00000000      // struct rtmsg: INET, /16, table 220, protocol 99, unicast",
                    "0800 0100 0a010000                    // RTA_DST 10.1.0.0",
                    "0800 0f00 dc000000                    // RTA_TABLE 220",
                    "0800 0400 03000000                    // RTA_OIF 3",
                    "0800 0500 c0000201                    // RTA_GATEWAY 192.0.2.1",
                    "0800 0700 0a020001                    // RTA_PREFSRC 10.2.0.1",
                    "0800 0600 32000000                    // RTA_PRIORITY 50",
                    "0c00 0880                             // RTA_METRICS, nested",
                    "  0800 0200 78050000                  //   RTAX_MTU 1400"))
    }

    @Test("A rule, as RTM_NEWRULE; text is padded")
    func ruleRequest() throws {
        let rule = Rule(
            .v4, priority: 100, table: 1000, from: try Support.prefix("10.0.0.0/8"), mark: 0x42, markMask: 0xff,
            inputInterface: "lo", inverted: true, protocolNumber: 99)
        #expect(
            try rule.request(32, []).encoded(sequence: 1)
                == hex(
                    "54000000 2000 0100 01000000 00000000  // struct nlmsghdr: 84 octets, NEWRULE, request, 1, port",
                    "02 00 08 00 00 00 00 01 02000000      // struct fib_rule_hdr: INET, from /8, to table, inverted",
                    "0800 0600 64000000                    // FRA_PRIORITY 100",
                    "0800 0f00 e8030000                    // FRA_TABLE 1000",
                    "0500 1500 63000000                    // FRA_PROTOCOL 99, padded",
                    "0800 0200 0a000000                    // FRA_SRC 10.0.0.0",
                    "0800 0a00 42000000                    // FRA_FWMARK",
                    "0800 1000 ff000000                    // FRA_FWMASK",
                    "0700 0300 6c6f0000                    // FRA_IIFNAME lo, padded"))
    }

    @Test("An address, as RTM_NEWADDR")
    func addressRequest() throws {
        let address = InterfaceAddress(
            interface: 5, address: try Support.address("fd00::1"), prefixLength: 64, skipsDuplicateDetection: true)
        #expect(
            try address.request(20, [.create, .replace]).encoded(sequence: 2)
                == hex(
                    "48000000 1400 0105 02000000 00000000  // struct nlmsghdr: 72 octets, NEWADDR",
                    "0a 40 00 00 05000000                  // struct ifaddrmsg: INET6, /64, universe, link 5",
                    "1400 0100 fd000000000000000000000000000001 // IFA_ADDRESS",
                    "1400 0200 fd000000000000000000000000000001 // IFA_LOCAL",
                    "0800 0800 02000000                    // IFA_FLAGS: no duplicate address detection"))
    }

    @Test("A link change, as RTM_NEWLINK")
    func linkRequest() throws {
        #expect(
            try LinkChange(mtu: 1400, up: true).request(9).encoded(sequence: 3)
                == hex(
                    "28000000 1000 0100 03000000 00000000  // struct nlmsghdr: 40 octets, NEWLINK",
                    "00 00 0000 09000000 01000000 01000000 // struct ifinfomsg: link 9, up, of which up changes",
                    "0800 0400 78050000                    // IFLA_MTU 1400"))
    }

    private func answer() throws -> [UInt8] {
        try hex(
            "44000000 1800 0200 05000000 01020000  // struct nlmsghdr: 68 octets, NEWROUTE, multipart, 5, port",
            "02 18 00 00 fe 04 00 01 00000000      // struct rtmsg: INET, /24, table main, static, unicast",
            "0800 0f00 fe000000                    // RTA_TABLE",
            "0800 0100 c6336400                    // RTA_DST 198.51.100.0",
            "1800 0900                             // RTA_MULTIPATH",
            "  1000 00 00 04000000                 //   struct rtnexthop: 16 octets, link 4",
            "  0800 0500 c0000202                  //   RTA_GATEWAY 192.0.2.2",
            "  00000000                            //   the start of another",
            "14000000 0300 0200 05000000 01020000  // struct nlmsghdr: 20 octets, NLMSG_DONE",
            "00000000                              // no error")
    }

    @Test("Two messages in one answer; a route over several routers shows the first")
    func parse() throws {
        let messages = try NetlinkMessage.parse(answer()[...])
        #expect(messages.map(\.type) == [24, 3])
        #expect(messages.map(\.sequence) == [5, 5])
        let route = try #require(try Route(parsing: messages[0]))
        #expect(
            route
                == Route(
                    to: try Support.prefix("198.51.100.0/24"), interface: 4, gateway: try Support.address("192.0.2.2")))
    }

    @Test("What is cut short is an error that names the field, never a trap")
    func truncated() throws {
        let whole = try answer()
        for length in 1..<whole.count where length != 68 {
            #expect(throws: WireError.self) { try NetlinkMessage.parse(whole[..<length]) }
        }
        #expect(throws: WireError.short(field: "message length", needed: 4, had: 2)) {
            try NetlinkMessage.parse([1, 0])
        }
        // A length smaller than the header that carries it.
        #expect(throws: WireError.short(field: "message", needed: -16, had: 0)) {
            try NetlinkMessage.parse([UInt8](repeating: 0, count: 16)[...])
        }
    }

    @Test("Whatever the octets are, parsing ends in a value or an error")
    func mutated() throws {
        let whole = try answer()
        var state: UInt64 = 42
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var parsed = 0
        for round in 0..<20_000 {
            var bytes = whole
            for _ in 0...next(4) { bytes[next(bytes.count)] = UInt8(next(256)) }
            guard let messages = try? NetlinkMessage.parse(bytes[...]) else { continue }
            for message in messages {
                let retyped = NetlinkMessage(
                    type: [16, 20, 24][round % 3], flags: message.flags, sequence: 0, payload: message.payload)
                if (try? RouteMonitor.event(retyped)) != nil { parsed += 1 }
                if (try? Rule(parsing: message)) != nil { parsed += 1 }
            }
        }
        #expect(parsed > 1000)
    }

    @Test("An attribute that is too long to say so is never sent")
    func overflow() throws {
        let request = NetlinkRequest(24) { $0.attribute(1, [UInt8](repeating: 0, count: 65536)) }
        #expect(request.body.overflowed)
        let error = try #require(throws: SystemError.self) {
            try NetlinkSocket(family: 0).perform(request, call: "test", context: "")
        }
        #expect(error.errno == .messageTooLong)
    }
}
