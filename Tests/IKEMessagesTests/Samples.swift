import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

/// One good payload of every kind, with every field in use.
enum Samples {
    static let ikeProposal = WireProposal(
        number: 1,
        Proposal(
            .ike,
            [
                Transform(.encryption, 12, keyBits: 256), Transform(.encryption, 20, keyBits: 128),
                Transform(.prf, 5), Transform(.integrity, 12), Transform(.keyExchange, 31),
            ]), spi: [])
    static let rekeyProposal = WireProposal(
        number: 1, Proposal(.ike, [Transform(.encryption, 20, keyBits: 256), Transform(.prf, 5)]),
        spi: WireProposal.octets(UInt64(0xa1a2_a3a4_a5a6_a7a8)))
    static let espProposal = WireProposal(
        number: 2, Proposal(.esp, [Transform(.encryption, 20, keyBits: 256), Transform(.sequenceNumbers, 0)]),
        spi: WireProposal.octets(UInt32(0xc1c2_c3c4)))
    static let oddProposal = WireProposal(
        number: 3, .ah, spi: [1, 2, 3, 4],
        transforms: [
            WireTransform(
                Transform(.integrity, 12),
                unknownAttributes: [
                    TransformAttribute(type: 77, value: .short(5)),
                    TransformAttribute(type: 78, value: .long([9, 8, 7])),
                ])
        ])

    static let nonce = NoncePayload(Codec.octets(32))
    static let keyExchange = KeyExchangePayload(method: 31, data: Codec.octets(32, from: 64))
    static let selectors4 = TrafficSelectorPayload(
        [IPPrefix("10.1.0.0/16"), IPPrefix("192.0.2.7/32")].compactMap { $0.map { TrafficSelector($0) } })
    static let selectors6 = TrafficSelectorPayload(
        [IPPrefix("2001:db8::/48")].compactMap {
            $0.map { TrafficSelector($0.range, ipProtocol: .udp, ports: .opaque) }
        })
    static let identity = IdentificationPayload(.fullyQualifiedDomainName, Array("gateway.example".utf8))
    static let authentication = AuthenticationPayload(.sharedKey, Codec.octets(32))
    static let configuration = ConfigurationPayload(
        .request,
        [ConfigurationAttribute(.internalIP4Address), ConfigurationAttribute(.internalIP4DNS, [192, 0, 2, 53])])
    static let eap = EAPPayload([1, 7, 0, 6, 26, 1])

    /// Each with whether its end is free octets.
    static let all: [(payload: Payload, hasOpenEnd: Bool)] = [
        (.securityAssociation(SecurityAssociationPayload([ikeProposal, espProposal, oddProposal])), false),
        (.securityAssociation(SecurityAssociationPayload([rekeyProposal])), false),
        (.keyExchange(keyExchange), true),
        (.initiatorIdentification(identity), true),
        (.responderIdentification(IdentificationPayload(.ipv6Address, Codec.octets(16))), false),
        (.initiatorIdentification(IdentificationPayload(.ipv4Address, [192, 0, 2, 1])), false),
        (.certificate(CertificatePayload(.x509Signature, Codec.octets(40))), true),
        (
            .certificateRequest(
                CertificateRequestPayload(authorities: [Codec.octets(20), Codec.octets(20, from: 90)])), true
        ),
        (.authentication(authentication), true),
        (.nonce(nonce), true),
        (.notify(NotifyPayload(.cookie, Codec.octets(20))), true),
        (.notify(NotifyPayload(.rekeySA, .esp, spi: 0xdead_beef)), false),
        (.delete(DeletePayload(.ikeSA)), false),
        (.delete(DeletePayload(.children(.esp, spis: [0xc1c2_c3c4, 7]))), false),
        (.vendorID(VendorIDPayload(Codec.octets(16))), true),
        (.initiatorSelectors(selectors4), false),
        (.responderSelectors(selectors6), false),
        (.configuration(configuration), true),
        (.eap(eap), false),
        (.unknown(PayloadType(rawValue: 200), UnknownPayload(Codec.octets(9))), true),
    ]
}
