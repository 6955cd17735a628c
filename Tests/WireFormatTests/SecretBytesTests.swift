import Testing
import WireFormat

@Suite struct SecretBytesTests {
    @Test func neverPrintsItsOctets() {
        let secret = SecretBytes(Array("swordfish".utf8))
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped, "\([secret])"] {
            #expect(!text.contains("swordfish") && !text.contains("115"), "\(text)")
        }
    }

    @Test func comparesByContents() {
        #expect(SecretBytes([1, 2, 3]) == SecretBytes([1, 2, 3]))
        #expect(SecretBytes([1, 2, 3]) != SecretBytes([1, 2, 4]))
        #expect(SecretBytes([1, 2, 3]) != SecretBytes([1, 2]))
        #expect(SecretBytes([]) == SecretBytes([]))
    }

    @Test func slicesWithinBounds() {
        let secret = SecretBytes([1, 2, 3, 4])
        #expect(secret.slice(1..<3)?.exposedBytes() == [2, 3])
        #expect(secret.slice(2..<5) == nil)
        #expect(secret.slice(0..<0)?.isEmpty == true)
    }
}

@Suite struct HexTests {
    @Test func goesBothWays() {
        #expect(Hex.encode([0x00, 0xff, 0x1a]) == "00ff1a")
        #expect(Hex.decode("00 FF:1a\n") == [0x00, 0xff, 0x1a])
        #expect(Hex.encode(UInt32(0xc0ffee)) == "00c0ffee")
    }

    @Test(arguments: ["0", "0g", "f f", "0x00"]) func refuses(_ text: String) {
        #expect(Hex.decode(text) == nil)
    }
}

@Suite struct InternetChecksumTests {
    /// The example of RFC 1071 §3.
    @Test func addsWords() {
        var checksum = InternetChecksum()
        let words: [UInt8] = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]
        checksum.add(words.span)
        #expect(checksum.value == ~0xddf2)
    }

    @Test func padsAnOddOctet() {
        var odd = InternetChecksum()
        let three: [UInt8] = [1, 2, 3]
        odd.add(three.span)
        var even = InternetChecksum()
        let four: [UInt8] = [1, 2, 3, 0]
        even.add(four.span)
        #expect(odd.value == even.value)
    }
}
