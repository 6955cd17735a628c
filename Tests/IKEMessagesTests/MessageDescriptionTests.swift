import IKEMessages
import IPsecCrypto
import Testing
import WireFormat

@Suite struct MessageDescriptionTests {
    @Test func aRequestReadsAsInALog() {
        let header = ExchangeTests.header(.ikeAuth, response: false, id: 1)
        let payloads: [Payload] = [
            .initiatorIdentification(Samples.identity), .responderIdentification(Samples.identity),
            .authentication(Samples.authentication), .configuration(Samples.configuration),
            .securityAssociation(ExchangeTests.offer), .initiatorSelectors(Samples.selectors4),
            .responderSelectors(Samples.selectors4), .notify(NotifyPayload(.mobikeSupported)),
            .notify(NotifyPayload(NotifyType(rawValue: 50000))), .eap(Samples.eap),
            .unknown(.unknown200, UnknownPayload([])),
        ]
        #expect(
            Message(header, payloads).description
                == "IKE_AUTH request 1 [ IDi IDr AUTH CPRQ(ADDR DNS) SA TSi TSr N(MOBIKE_SUP) N(50000) "
                + "EAP/REQ/MSCHAPV2 payload 200 ]")
    }

    @Test func anEmptyResponse() {
        let header = ExchangeTests.header(.informational, response: true, id: 7)
        #expect(Message(header, []).description == "INFORMATIONAL response 7 [ ]")
    }

    @Test func whatIsSealedShowsOnlyThat() throws {
        let header = ExchangeTests.header(.ikeAuth, response: true, id: 1)
        let message = Message(header, [.vendorID(VendorIDPayload(Codec.octets(200)))])
        let cipher = FakeSKCipher()
        let whole = try SealedMessage(parsing: message.sealed(with: cipher, iv: Codec.octets(8)))
        #expect(whole.description == "IKE_AUTH response 1 [ SK ]")
        let parts = try message.sealedFragments(with: cipher, maximumLength: 150) { Codec.octets(8) }
        #expect(try SealedMessage(parsing: parts[1]).description == "IKE_AUTH response 1 [ EF(2/3) ]")
        #expect(try message.opened().description == "IKE_AUTH response 1 [ V ]")
    }

    @Test(
        arguments: [
            (.malformed(.nonce, .short(field: "nonce", needed: 16, had: 3)), "No: nonce: needed 16 octets, had 3"),
            (.unsupportedVersion(.v1), "IKE version 1.0 is not 2.x"),
            (.missing(.keyExchange, .ikeSAInit), "IKE_SA_INIT without KE"),
            (
                .missingNotify(.additionalKeyExchange, .ikeFollowupKE),
                "IKE_FOLLOWUP_KE without N(ADDITIONAL_KEY_EXCHANGE)"
            ),
            (.lengthMismatch(stated: 30, datagram: 28), "the header says 30 octets, the datagram has 28"),
        ] as [(GrammarError, String)])
    func anErrorIsOneClause(_ error: GrammarError, _ text: String) {
        #expect(error.description == text)
    }
}
