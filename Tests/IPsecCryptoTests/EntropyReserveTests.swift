import Clockwork
import IPsecCrypto
import Testing

/// What comes out of the reserve is as random as what went in, and nothing comes twice.
struct EntropyReserveTests {
    @Test func nothingComesTwice() {
        var reserve = EntropyReserve()
        // Several fillings' worth; two equal draws of 64 bits among so few mean that something was given twice.
        let draws = (0..<4096).map { _ in reserve.uint64() }
        #expect(Set(draws).count == draws.count)
        #expect(!draws.contains(0))
    }

    @Test(arguments: [0, 1, 63, 64, 65, 1024, 5000])
    func everyOctetIsWritten(_ count: Int) {
        var reserve = EntropyReserve()
        // An octet that is never written stays zero in all of 64 draws; a random one does so once in 2⁵¹².
        var seen = [UInt8](repeating: 0, count: count)
        for _ in 0..<64 {
            let draw = reserve.bytes(count)
            #expect(draw.count == count)
            for index in seen.indices { seen[index] |= draw[index] }
        }
        #expect(!seen.contains(0))
    }
}
