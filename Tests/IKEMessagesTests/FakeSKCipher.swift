import IKEMessages
import WireFormat

/// A cipher that hides nothing but behaves like one: XOR with a key and the IV, and a checksum over everything.
struct FakeSKCipher: SKCipher {
    var key: UInt8 = 0x5a
    var ivLength = 8
    var icvLength = 12
    var blockLength = 16

    func seal(associatedData: Span<UInt8>, iv: Span<UInt8>, plaintext: Span<UInt8>) -> [UInt8]? {
        guard plaintext.count.isMultiple(of: blockLength) else { return nil }
        let ciphertext = xor(plaintext, iv)
        return ciphertext + check(associatedData, iv, ciphertext.span)
    }

    func open(associatedData: Span<UInt8>, iv: Span<UInt8>, sealed: Span<UInt8>) -> [UInt8]? {
        let ciphertext = sealed.extracting(droppingLast: icvLength)
        let expected = check(associatedData, iv, ciphertext)
        guard ConstantTime.equal(expected.span, sealed.extracting(last: icvLength)) else { return nil }
        return xor(ciphertext, iv)
    }

    private func xor(_ bytes: Span<UInt8>, _ iv: Span<UInt8>) -> [UInt8] {
        bytes.indices.map { index in
            let stream = key &+ UInt8(truncatingIfNeeded: index) &+ (iv.count == 0 ? 0 : iv[index % iv.count])
            return bytes[index] ^ stream
        }
    }

    private func check(_ parts: borrowing Span<UInt8>, _ iv: Span<UInt8>, _ ciphertext: Span<UInt8>) -> [UInt8] {
        var state: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(key)
        func mix(_ octet: UInt8) { state = (state ^ UInt64(octet)) &* 0x100_0000_01b3 }
        for index in parts.indices { mix(parts[index]) }
        for index in iv.indices { mix(iv[index]) }
        for index in ciphertext.indices { mix(ciphertext[index]) }
        return (0..<icvLength).map { index in
            mix(UInt8(truncatingIfNeeded: index))
            return UInt8(truncatingIfNeeded: state >> 56)
        }
    }
}

extension Message {
    /// The message sealed and opened again, as a typed exchange needs it.
    func opened() throws -> OpenedMessage {
        let cipher = FakeSKCipher()
        return try SealedMessage(parsing: sealed(with: cipher, iv: Codec.octets(8))).open(with: cipher)
    }
}
