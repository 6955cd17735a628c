import NetworkTypes
import Testing

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"), ("::", "::"), ("::1", "::1"), ("1::", "1::"),
        ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("::ffff:192.0.2.1", "::ffff:c000:201"), ("fd00:0099::0001", "fd00:99::1"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ])
    func printsCanonicalText(_ input: String, _ output: String) {
        #expect(IPAddress(input)?.description == output)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.-4", "+1.2.3.4", "1..2.3", ":", ":::", "1::2::3",
        "12345::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "g::", "::1.2.3", "1.2.3.4::",
        "fe80::1%eth0",
        "::-1", ":1::",
    ])
    func refuses(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func goesThroughItsOctets() {
        for text in ["192.0.2.1", "2001:db8::42", "255.255.255.255", "::"] {
            let address = IPAddress(text)
            #expect(address.map { IPAddress(bytes: $0.bytes) } == address)
        }
        #expect(IPAddress(bytes: [1, 2, 3]) == nil)
    }
}

@Suite struct IPPrefixTests {
    @Test func dropsHostBits() {
        #expect(IPPrefix("10.1.2.3/16")?.description == "10.1.0.0/16")
        #expect(IPPrefix("10.1.2.3")?.description == "10.1.2.3/32")
        #expect(IPPrefix("2001:db8::1/0")?.description == "::/0")
        #expect(IPPrefix("10.1.2.3/16")?.last.description == "10.1.255.255")
    }

    @Test(arguments: ["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/1/2", "/8"])
    func refuses(_ text: String) {
        #expect(IPPrefix(text) == nil)
    }
}

@Suite struct AddressRangeTests {
    @Test func isCoveredByTheFewestPrefixes() throws {
        let lower = try #require(IPAddress("10.0.0.1"))
        let upper = try #require(IPAddress("10.0.0.10"))
        let range = try #require(AddressRange(lower, upper))
        #expect(
            range.prefixes.map(\.description) == [
                "10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/30", "10.0.0.8/31", "10.0.0.10/32",
            ])
        #expect(range.prefix == nil)
        #expect(range.description == "10.0.0.1..10.0.0.10")
        #expect(AddressRange(upper, lower) == nil)
    }

    @Test(arguments: ["0.0.0.0/0", "::/0", "10.1.0.0/16", "255.255.255.255/32", "ffff:ffff::/32"])
    func knowsThatItIsAPrefix(_ text: String) throws {
        let prefix = try #require(IPPrefix(text))
        #expect(prefix.range.prefix == prefix)
        #expect(prefix.range.prefixes == [prefix])
    }

    /// Against a count: the prefixes of a range neither overlap nor leave a gap.
    @Test func prefixesAddUp() throws {
        for lower in stride(from: UInt32(0), to: 40, by: 3) {
            for upper in stride(from: lower, to: 90, by: 7) {
                let range = try #require(AddressRange(IPAddress(v4: lower), IPAddress(v4: upper)))
                var next = UInt128(lower)
                for prefix in range.prefixes {
                    #expect(prefix.address.bits == next)
                    next = prefix.last.bits + 1
                }
                #expect(next == UInt128(upper) + 1)
            }
        }
    }
}
