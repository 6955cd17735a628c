import NetworkTypes
import Testing

@testable import Fetching

/// Where a certificate may send us (attack 19).
@Suite struct AddressReachTests {
    @Test(
        "Our own doors are closed, however the address is written",
        arguments: [
            "127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
            "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
            "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "::127.0.0.1", "2002:7f00:1::1",
        ])
    func closed(_ text: String) throws {
        #expect(!AddressReach.isPublic(try #require(IPAddress(text))))
    }

    @Test("The internet is open", arguments: ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"])
    func open(_ text: String) throws {
        #expect(AddressReach.isPublic(try #require(IPAddress(text))))
    }
}
