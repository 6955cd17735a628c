import Foundation
import IPsecCrypto
import WireFormat

/// A UUID that follows from words (RFC 9562 §5.8), so that what is made twice replaces itself.
struct StableIdentifier {
    /// The UUID, in capital letters as Apple writes them.
    let text: String

    /// From these words, in this order.
    init(of words: [String]) {
        let octets: [UInt8] = Array(words.joined(separator: "\0").utf8)
        let key = SecretBytes(Array("martlet client profile".utf8))
        var bytes = Array((PRF(.prfsha256)?.compute(key: key, octets).exposedBytes() ?? []).prefix(16))
        bytes += Array(repeating: 0, count: 16 - bytes.count)
        bytes[6] = bytes[6] & 0x0F | 0x80
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = Hex.encode(bytes).uppercased()
        let cuts = [0, 8, 12, 16, 20, 32].map { digits.index(digits.startIndex, offsetBy: $0) }
        text = zip(cuts, cuts.dropFirst()).map { String(digits[$0..<$1]) }.joined(separator: "-")
    }
}
