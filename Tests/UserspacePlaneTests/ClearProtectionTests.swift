import LinuxSystem
import NetworkTypes
import Testing

@testable import UserspacePlane

/// What becomes of changes that the kernel does not take.
@Suite struct ClearProtectionTests {
    private func selectors(_ count: Int) throws -> [ClearSelector] {
        let local = try Support.selectors(["10.1.0.0/16"])
        let remote = (0..<count).map { number in
            TrafficSelector(AddressRange(host: IPAddress(v4: 0x0a02_0000 + UInt32(number))))
        }
        return ClearSelector.pairs(from: remote, to: local)
    }

    @Test func anErrorKeepsNothingElseFromBeingDone() throws {
        var protection = ClearProtection()
        for selector in try selectors(600) { protection.add(selector) }
        let refused = SystemError(call: "nftables", errno: .messageTooLong, context: "once")
        // Only the first of the large batches, with what is tried in its place, is refused.
        var large = 0
        var sizes: [Int] = []
        #expect(throws: refused) {
            try protection.flush("test") { batch throws(SystemError) in
                if batch.count > 80 { large += 1 }
                if large == 1 { throw refused }
                sizes.append(batch.count)
            }
        }
        // A set and its rule, elements, and rules in messages of a bounded size for what was refused.
        #expect(sizes == [258, 66, 66, 66, 66, 88])
        #expect(!protection.isPending)
        sizes = []
        for selector in try selectors(601).suffix(1) { protection.add(selector) }
        try protection.flush("test") { batch throws(SystemError) in sizes.append(batch.count) }
        #expect(sizes == [1])
    }
}
