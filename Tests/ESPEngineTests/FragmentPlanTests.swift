import Clockwork
import IPPackets
import NetworkTypes
import Testing

/// IPv4 packets cut as a router cuts them, put together again by another rule.
struct FragmentPlanTests {
    /// A packet with these options and so much payload.
    private func packet(_ payload: Int, options: [UInt8] = [], flags: UInt16 = 0) throws -> [UInt8] {
        var entropy = SeededEntropy(seed: UInt64(payload))
        var bytes = try Fixtures.packet(payload: entropy.bytes(payload))
        bytes.insert(contentsOf: options, at: 20)
        bytes[0] = UInt8(0x45 + options.count / 4)
        (bytes[2], bytes[3]) = (UInt8(bytes.count >> 8), UInt8(bytes.count & 255))
        (bytes[4], bytes[5]) = (0xab, 0xcd)
        (bytes[6], bytes[7]) = (UInt8(flags >> 8), UInt8(flags & 255))
        return bytes
    }

    private func cut(_ packet: [UInt8], _ mtu: Int) throws -> [[UInt8]] {
        let plan = try #require(FragmentPlan(unsafe packet.span.bytes, mtu: mtu))
        return (0..<plan.count).map { index in
            var buffer = [UInt8](repeating: 0xee, count: plan.length(of: index) + 5)
            var span = buffer.mutableSpan
            var raw = unsafe span.mutableBytes
            let isWritten = plan.write(index, of: unsafe packet.span.bytes, into: &raw, at: 5)
            #expect(isWritten)
            return Array(buffer.dropFirst(5))
        }
    }

    @Test(arguments: [1, 8, 540, 547, 548, 549, 1200, 4000, 65_000], [576, 577, 583, 1400])
    func fragmentsComeTogetherAgain(payload: Int, mtu: Int) throws {
        let whole = try packet(payload)
        var body: [UInt8?] = Array(repeating: nil, count: whole.count - 20)
        let fragments = try cut(whole, mtu)
        for (index, fragment) in fragments.enumerated() {
            let header = try IPv4Header(parsing: unsafe fragment.span.bytes)
            #expect(fragment.count <= mtu && header.totalLength == fragment.count)
            #expect(OnesSumCheck.isRight(Array(fragment[..<header.headerLength])))
            #expect(header.hasMoreFragments == (index < fragments.count - 1))
            #expect(header.identification == 0xabcd)
            for (offset, octet) in fragment[header.headerLength...].enumerated() {
                #expect(body[header.fragmentOffset + offset] == nil)
                body[header.fragmentOffset + offset] = octet
            }
        }
        #expect(body.compactMap { $0 } == Array(whole[20...]))
    }

    @Test func someOptionsAreRepeated() throws {
        // Record route (not repeated), filler, a repeated one of three octets, end.
        let fragments = try cut(try packet(3000, options: [7, 3, 4, 1, 0x94, 3, 9, 0]), 1000)
        #expect(fragments[0][0] == 0x47)
        #expect(Array(fragments[0][20..<28]) == [7, 3, 4, 1, 0x94, 3, 9, 0])
        for fragment in fragments.dropFirst() {
            #expect(fragment[0] == 0x46)
            #expect(Array(fragment[20..<24]) == [0x94, 3, 9, 0])
        }
    }

    @Test func aFragmentIsCutAgain() throws {
        // The middle of something larger: at 800, and more follows.
        let fragments = try cut(try packet(2000, flags: 0x2000 | 100), 1000)
        #expect(fragments.count == 3)
        for fragment in fragments {
            let header = try IPv4Header(parsing: unsafe fragment.span.bytes)
            #expect(header.hasMoreFragments)
            #expect(header.fragmentOffset >= 800)
        }
    }

    @Test func whatMayNotBeCutIsNot() throws {
        let forbidden = try packet(2000, flags: 0x4000)
        #expect(FragmentPlan(unsafe forbidden.span.bytes, mtu: 1000) == nil)
        let v6 = try Fixtures.packet(from: "fd01::1", to: "fd02::1", payload: [UInt8](repeating: 0, count: 2000))
        #expect(FragmentPlan(unsafe v6.span.bytes, mtu: 1000) == nil)
        let narrow = try packet(100)
        #expect(FragmentPlan(unsafe narrow.span.bytes, mtu: 27) == nil)
        // Past the end of what an offset can say.
        let end = try packet(100, flags: 0x1fff)
        #expect(FragmentPlan(unsafe end.span.bytes, mtu: 64) == nil)
    }
}

/// A header's checksum, a word at a time.
enum OnesSumCheck {
    static func isRight(_ header: [UInt8]) -> Bool {
        var sum = 0
        for index in stride(from: 0, to: header.count, by: 2) {
            sum += Int(header[index]) << 8 | Int(index + 1 < header.count ? header[index + 1] : 0)
        }
        while sum > 0xffff { sum = (sum & 0xffff) + sum >> 16 }
        return sum == 0xffff
    }
}
