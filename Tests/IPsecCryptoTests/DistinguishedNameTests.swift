import Clockwork
import Testing
import WireFormat

@testable import IPsecCrypto

@Suite("DistinguishedName")
struct DistinguishedNameTests {
    /// The subject of a certificate that `pki --self` of strongSwan 5.9.8 made for this text, taken out of it with
    /// `openssl asn1parse`: peers compare octets, so ours must be the same.
    @Test(
        arguments: [
            (
                "C=CH, O=lab, CN=a.lab",
                "302b310b3009060355040613024348310c300a060355040a13036c6162310e300c06035504031305612e6c6162"
            ),
            (
                "CN=*.lab, E=a@b.c",
                "3026310e300c06035504030c052a2e6c61623114301206092a864886f70d01090116056140622e63"
            ),
        ])
    func encodesAsPeersDo(text: String, der: String) throws {
        let name = try #require(DistinguishedName(text: text))
        #expect(Hex.encode(name.der) == der)
        #expect(name.description == text)
        #expect(DistinguishedName(der: name.der) == name)
    }

    /// The text, and what comes back: the same name whichever way it is written.
    @Test(
        arguments: [
            ("c=CH,o=lab,cn=a.lab", "C=CH, O=lab, CN=a.lab"), ("/C=CH/O=lab/CN=a.lab", "C=CH, O=lab, CN=a.lab"),
            ("/C=CH/O=lab, limited/CN=x", #"C=CH, O=lab\, limited, CN=x"#), ("CN=x,", "CN=x"),
            (", CN=x", "CN=x"), ("O=lab/sub, CN=a=b", "O=lab/sub, CN=a=b"), ("O=", "O="),
            (#"O=Acme\, Inc., CN=x"#, #"O=Acme\, Inc., CN=x"#), (#"O="Acme, Inc.", CN=x"#, #"O=Acme\, Inc., CN=x"#),
            ("CN=  spaced  value  ,O=x", "CN=spaced  value, O=x"), (#"CN=\ kept\ "#, #"CN=\ kept\ "#),
            (#"CN=DOMAIN\admin"#, #"CN=DOMAIN\\admin"#), ("CN=a+b", "CN=a+b"),
            ("CN=a + UID=b, O=c", "CN=a + UID=b, O=c"),
            (#"CN=a\+UID=b"#, #"CN=a\+UID=b"#), ("ST=Zürich", "ST=Zürich"), ("emailAddress=a@b, Email=c", "E=a@b, E=c"),
            ("2.5.4.3=x, 1.2.3.4=y", "CN=x, 1.2.3.4=y"), ("SN=Doe, G=Jo, S/N=12", "SN=Doe, G=Jo, serialNumber=12"),
            (#"CN=a\x0ab"#, #"CN=a\x0ab"#),
            ("DC=net, DC=example, UID=u, L=l, OU=ou, T=t", "DC=net, DC=example, UID=u, L=l, OU=ou, T=t"),
        ])
    func readsAndPrints(text: String, printed: String) throws {
        let name = try #require(DistinguishedName(text: text))
        #expect(name.description == printed)
        #expect(try #require(DistinguishedName(text: printed)) == name)
    }

    @Test(
        arguments: [
            "", ",", "/", "lab", "a=b", "CN", "=x", "CN=x, y", "CN=x, Q=y", "1=x", "1..2=x", "2.5.4.3.=x", "99.1=x",
            #"CN="x"#, #"CN="x"y"#, #"CN=\xff"#, "S=x",
        ])
    func isNoDistinguishedName(text: String) {
        #expect(DistinguishedName(text: text) == nil)
    }

    @Test func encodesCharactersByWhatTheyAre() throws {
        func tags(_ text: String) throws -> [UInt8] {
            // SEQUENCE, SET, SEQUENCE, the identifier (5 octets with its header), the value's tag.
            let der = try #require(DistinguishedName(text: text)).der
            return [der[6 + Int(der[7]) + 2]]
        }
        #expect(try tags("CN=A z0'()+,-./:=?".replacing(",", with: #"\,"#)) == [0x13])
        #expect(try tags("CN=a_b") == [0x0c])
        #expect(try tags("CN=é") == [0x0c])
        #expect(try tags("E=a_b@c") == [0x16])
        #expect(try tags("DC=lab") == [0x13])
    }

    @Test func escapesWhatDoesNotPrint() throws {
        let name = try #require(DistinguishedName(text: "CN=a\u{1b}[31m\u{202e}b\u{0}\u{85}\u{2028}c"))
        #expect(name.description == #"CN=a\x1b[31m\xe2\x80\xaeb\x00\xc2\x85\xe2\x80\xa8c"#)
        #expect(try #require(DistinguishedName(text: name.description)) == name)
    }

    @Test func boundsItsDescription() throws {
        let name = try #require(DistinguishedName(text: "CN=" + String(repeating: "x", count: 3000) + ", O=y"))
        #expect(name.description.count == DistinguishedName.maximumDescription + 1)
        #expect(name.description.hasSuffix("x…"))
        #expect(DistinguishedName(text: "CN=" + String(repeating: "x", count: 8300)) == nil)
        let many = String(repeating: "CN=x,", count: 1000)
        #expect(DistinguishedName(text: many) == nil, "more than \(DistinguishedName.maximumLength) octets of DER")
    }

    @Test func showsValuesThatAreNoText() throws {
        // CN is a BIT STRING.
        let der: [UInt8] = [0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x03, 0x03, 0x02, 0x00, 0x05]
        let name = try #require(DistinguishedName(der: der))
        #expect(name.description == "CN=#03020005")
        #expect(name.attributes.first?.isText == false)
        #expect(DistinguishedName(der: [0x30, 0x00])?.description == "", "nobody at all")
    }

    @Test func refusesMalformedDER() throws {
        let der = try #require(DistinguishedName(text: "C=CH, O=lab, CN=a.lab")).der
        for length in 0..<der.count { #expect(DistinguishedName(der: Array(der.prefix(length))) == nil) }
        #expect(DistinguishedName(der: der + [0]) == nil)
        #expect(DistinguishedName(der: [UInt8](repeating: 0x30, count: 9000)) == nil)
    }

    /// Whatever the octets, there is a name or there is none, and a name can be printed and compared.
    @Test func survivesAnyOctets() throws {
        let der = try #require(DistinguishedName(text: "C=CH, O=lab + OU=x, CN=a.lab, E=a@b, ST=Zürich")).der
        var entropy = SeededEntropy(seed: 4)
        var names = 0
        for round in 0..<20_000 {
            var bytes = round % 4 == 0 ? entropy.bytes(Int(entropy.uint64() % 64)) : der
            for _ in 0..<(1 + round % 3) where !bytes.isEmpty {
                let place = Int(entropy.uint64() % UInt64(bytes.count))
                bytes[place] = UInt8(truncatingIfNeeded: entropy.uint64())
            }
            guard let name = DistinguishedName(der: bytes) else { continue }
            names += 1
            #expect(name.description.unicodeScalars.allSatisfy { $0.value >= 0x20 })
            #expect(name.isSame(as: name))
        }
        #expect(names > 1000)
    }

    @Test(
        arguments: [
            ("C=CH, O=lab, CN=a.lab", "C=ch, O=LAB, CN=A.Lab", true), ("CN=a b", "CN=A   B", true),
            ("CN=a_b", "CN=A_B", true), ("CN=a", "CN=b", false), ("C=CH, CN=a", "CN=a, C=CH", false),
            ("CN=a", "CN=a, O=b", false), ("CN=a", "O=a", false), ("CN=a + O=b", "CN=a, O=b", false),
            ("ST=Zürich", "ST=ZüRICH", true),
        ])
    func comparesAsPeopleDo(left: String, right: String, same: Bool) throws {
        let (one, other) = (try #require(DistinguishedName(text: left)), try #require(DistinguishedName(text: right)))
        #expect(one.isSame(as: other) == same)
        #expect(other.isSame(as: one) == same)
        #expect(one.covers(other) == same)
        #expect(one != other)
    }

    /// The same characters as a PrintableString and as a UTF8String.
    @Test func comparesAcrossEncodings() throws {
        let printable = try #require(DistinguishedName(text: "CN=lab"))
        var octets = printable.der
        octets[octets.count - 5] = 0x0c
        let other = try #require(DistinguishedName(der: octets))
        #expect(other != printable)
        #expect(other.isSame(as: printable))
    }

    @Test(
        arguments: [
            ("C=CH, O=lab, CN=*", "C=CH, O=LAB, CN=anybody", true), ("CN=*", "CN=x", true), ("CN=*", "O=x", false),
            ("C=CH, CN=*", "C=DE, CN=x", false), ("C=CH, CN=*", "C=CH, O=x, CN=y", false),
            ("C=CH, CN=*", "C=CH + CN=y", false), ("CN=*, O=lab", "CN=x, O=lab", true), ("CN=a*", "CN=ab", false),
        ])
    func coversWithStars(pattern: String, name: String, covered: Bool) throws {
        let pattern = try #require(DistinguishedName(text: pattern))
        #expect(pattern.covers(try #require(DistinguishedName(text: name))) == covered)
    }
}
