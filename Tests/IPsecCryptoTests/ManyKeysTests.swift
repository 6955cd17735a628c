import Clockwork
import IPsecCrypto
import Testing
import WireFormat

/// Keys that come and go by the thousand: each has memory of its own, whatever was there before.
@Suite("Keys by the thousand")
struct ManyKeysTests {
    private struct Pair {
        let seal: PacketCipher
        let open: PacketCipher

        init(_ chance: inout SeededEntropy) throws {
            let keys = PacketKeys(encryption: SecretBytes(chance.bytes(20)), integrity: SecretBytes([]))
            seal = try PacketCipher(encryption: .aes128gcm16, integrity: nil, keys: keys, direction: .seal)
            open = try PacketCipher(encryption: .aes128gcm16, integrity: nil, keys: keys, direction: .open)
        }

        /// Whether what this one seals is opened by `other` as it was.
        func isRead(by other: Pair, _ number: Int) -> Bool {
            var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 16 + 64 + 16)
            let plain = bytes
            var span = bytes.mutableSpan
            // Octets have no padding: a span of them is a raw span.
            var raw = unsafe span.mutableBytes
            let isSealed = seal.seal(
                &raw, associatedData: 0..<8, extraAssociatedData: nil, iv: 8..<16, text: 16..<80, icv: 80)
            let isOpened = other.open.open(
                &raw, associatedData: 0..<8, extraAssociatedData: nil, iv: 8..<16, text: 16..<80, icv: 80)
            return isSealed && isOpened && bytes[..<80] == plain[..<80]
        }
    }

    /// More than fill a block of memory, of which some go and others take their places, three times over.
    @Test func everyKeyStaysItself() throws {
        var chance = SeededEntropy(seed: 0x6b65_7973)
        var pairs: [Pair] = []
        for round in 0..<3 {
            while pairs.count < 3000 { pairs.append(try Pair(&chance)) }
            var wrong = 0
            for index in pairs.indices {
                if !pairs[index].isRead(by: pairs[index], index + round) { wrong += 1 }
                if pairs[index].isRead(by: pairs[(index + 1) % pairs.count], index + round) { wrong += 1 }
            }
            #expect(wrong == 0)
            // Every third goes, and in one round nearly all of them: whole blocks are given back.
            let survivors = round == 1 ? pairs.prefix(10) : pairs[...]
            pairs = survivors.enumerated().filter { $0.offset % 3 != round }.map(\.element)
        }
        #expect(pairs.count > 1000)
    }
}
