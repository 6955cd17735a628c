import NetworkTypes
import Testing

@testable import IKEMessages

@Suite struct RedirectNotificationTests {
    @Test func gatewaysTravelBothWays() throws {
        let six = try #require(IPAddress("2001:db8::9"))
        let gateways: [Host] = [.address(IPAddress(v4: 0xc000_0209)), .address(six), .name("gw-2.example.net")]
        for gateway in gateways {
            for nonce in [[], [UInt8](repeating: 7, count: 32)] {
                let notification = RedirectNotification(gateway, nonce: nonce)
                #expect(RedirectNotification(notification.data) == notification)
            }
        }
        #expect(RedirectNotification(.address(IPAddress(v4: 0x0a00_0001)), nonce: [9]).data == [1, 4, 10, 0, 0, 1, 9])
        #expect(RedirectNotification(.name("a.b")).data == [3, 3] + Array("a.b".utf8))
    }

    @Test(arguments: [
        [], [1], [1, 4, 10, 0, 0], [1, 3, 10, 0, 0], [2, 4, 10, 0, 0, 1], [0, 4, 10, 0, 0, 1], [4, 1, 65], [3, 0],
        [3, 2, 65], [3, 4, 0x1b, 0x5b, 0x33, 0x6d], [3, 2, 0xff, 0xfe], [3, 8] + Array("10.0.0.1".utf8),
        [3, 2] + Array("-a".utf8), [3, 4] + Array("a..b".utf8),
    ]) func whatNamesNoHostIsNone(data: [UInt8]) {
        #expect(RedirectNotification(data) == nil)
    }

    @Test func hostsAreAddressesOrNames() {
        #expect(Host("192.0.2.1") == .address(IPAddress(v4: 0xc000_0201)))
        #expect(Host("gw.example.") == .name("gw.example"))
        #expect(Host("a_b-1.example")?.description == "a_b-1.example")
        let wrong = ["", ".", "a b", "10.0.0.256", "1.2.3", "gw-.example", String(repeating: "a", count: 64), "gw/24"]
        for text in wrong { #expect(Host(text) == nil, "\(text)") }
        #expect(Host((0..<64).map { _ in "abc" }.joined(separator: ".")) == nil)
    }
}
