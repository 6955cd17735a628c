import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@Suite struct PayloadCodecTests {
    @Test(arguments: 0..<Samples.all.count)
    func everyPayloadWithstandsTheCodecTest(_ index: Int) throws {
        let sample = Samples.all[index]
        try Codec.check(sample.payload, hasOpenEnd: sample.hasOpenEnd)
    }

    @Test func theSamplesCoverEveryKindOfPayload() {
        let covered = Set(Samples.all.map { $0.payload.type.rawValue })
        #expect(covered.isSuperset(of: [33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 47, 48]))
    }

    @Test(arguments: [0, 15, 257]) func aNonceOfAnotherLengthIsRefused(_ count: Int) {
        #expect(throws: WireError.self) { try NoncePayload(parsing: Codec.octets(count)) }
    }

    @Test(arguments: [16, 256]) func aNonceOfTheExtremeLengthsIsRead(_ count: Int) throws {
        #expect(try NoncePayload(parsing: Codec.octets(count)).nonce == Codec.octets(count))
    }

    @Test func aKeyExchangeWithoutDataIsRefused() {
        #expect(throws: WireError.short(field: "key exchange data", needed: 1, had: 0)) {
            try KeyExchangePayload(parsing: [0, 31, 0, 0])
        }
    }

    @Test func anIdentityKeepsItsReservedOctetsForTheSignature() throws {
        let bytes: [UInt8] = [2, 0xaa, 0xbb, 0xcc] + Array("a.example".utf8)
        let identity = try IdentificationPayload(parsing: bytes)
        #expect(identity.type == .fullyQualifiedDomainName)
        #expect(identity.body == bytes)
    }

    @Test(arguments: [(1, 3), (1, 5), (1, 16), (5, 4), (5, 15)])
    func anAddressIdentityOfTheWrongLengthIsRefused(_ type: Int, _ count: Int) {
        #expect(throws: WireError.self) {
            try IdentificationPayload(parsing: [UInt8(type), 0, 0, 0] + Codec.octets(count))
        }
    }

    @Test func anAddressIdentityIsItsAddress() throws {
        let address = try #require(IPAddress("2001:db8::5"))
        let identity = IdentificationPayload(address)
        #expect(identity.type == .ipv6Address)
        #expect(try IdentificationPayload(parsing: identity.body).address == address)
    }

    @Test func certificateAuthoritiesAreWholeHashes() throws {
        let request = CertificateRequestPayload(authorities: [Codec.octets(20), Codec.octets(20, from: 50)])
        #expect(try CertificateRequestPayload(parsing: request.body).authorities.count == 2)
        #expect(throws: WireError.trailing(structure: "certification authority hashes", count: 1)) {
            try CertificateRequestPayload(parsing: [4] + Codec.octets(21))
        }
        #expect(try CertificateRequestPayload(parsing: [7] + Codec.octets(21)).authorities.isEmpty)
    }

    @Test(
        arguments: [
            ([1, 4, 0, 1, 1, 2, 3, 4], "SPI size for IKE"), ([1, 0, 0, 1], "number of SPIs for IKE"),
            ([3, 8, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8], "SPI size"), ([3, 4, 0, 2, 1, 2, 3, 4], "number of SPIs"),
            ([2, 4, 0, 0, 1, 2, 3, 4], "number of SPIs"), ([9, 4, 0, 0], "protocol"),
        ] as [([UInt8], String)])
    func aDeletionThatMakesNoSenseIsRefused(_ bytes: [UInt8], _ field: String) {
        #expect {
            try DeletePayload(parsing: bytes)
        } throws: { error in
            guard case .forbidden(field, _)? = error as? WireError else { return false }
            return true
        }
    }

    @Test func anEAPLengthMustBeTheBodys() {
        #expect(throws: WireError.forbidden(field: "EAP length", value: 5)) {
            try EAPPayload(parsing: [3, 1, 0, 5])
        }
        #expect(throws: WireError.short(field: "EAP header", needed: 4, had: 3)) { try EAPPayload(parsing: [3, 1, 0]) }
    }

    @Test func aNotifySPIOfAChildMustHaveFourOctets() {
        #expect(throws: WireError.forbidden(field: "SPI size", value: 3)) {
            try NotifyPayload(parsing: [3, 3, 0x40, 9, 1, 2, 3])
        }
    }

    @Test func notificationsAreFoundByType() {
        let notifies = [NotifyPayload(.mobikeSupported), NotifyPayload(.tsUnacceptable)]
        #expect(notifies.contains(.mobikeSupported))
        #expect(!notifies.contains(.cookie))
        #expect(notifies.firstError?.type == .tsUnacceptable)
    }

    @Test func configurationAttributesShowAddressesAndPrefixes() throws {
        let prefix = try #require(IPPrefix("10.20.0.0/14"))
        #expect(ConfigurationAttribute(prefix).prefix == prefix)
        let prefix6 = try #require(IPPrefix("2001:db8:5::/48"))
        #expect(ConfigurationAttribute(prefix6).prefix == prefix6)
        let address6 = try #require(IPAddress("2001:db8::9"))
        #expect(ConfigurationAttribute(.internalIP6Address, address6).address == address6)
        #expect(ConfigurationAttribute(.internalIP6Address, address6).value.count == 17)
        #expect(ConfigurationAttribute(.internalIP4Address, [1, 2, 3]).address == nil)
        // A mask with a hole is no prefix.
        #expect(ConfigurationAttribute(.internalIP4Subnet, [10, 0, 0, 0, 255, 0, 255, 0]).prefix == nil)
        #expect(ConfigurationAttribute(.internalIP4Subnet, [0, 0, 0, 0, 0, 0, 0, 0]).prefix == IPPrefix("0.0.0.0/0"))
        #expect(ConfigurationAttribute(.internalIP6Subnet, Codec.octets(16) + [129]).prefix == nil)
    }
}
