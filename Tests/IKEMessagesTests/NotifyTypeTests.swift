import IKEMessages
import Testing

@Suite struct NotifyTypeTests {
    /// Numbers as the RFCs give them; RFC 7296 §3.10.1 and those that extend it.
    @Test(
        arguments: [
            (1, "UNSUPPORTED_CRITICAL_PAYLOAD"), (4, "INVALID_IKE_SPI"), (5, "INVALID_MAJOR_VERSION"),
            (7, "INVALID_SYNTAX"), (9, "INVALID_MESSAGE_ID"), (11, "INVALID_SPI"), (14, "NO_PROPOSAL_CHOSEN"),
            (17, "INVALID_KE_PAYLOAD"), (24, "AUTHENTICATION_FAILED"), (34, "SINGLE_PAIR_REQUIRED"),
            (35, "NO_ADDITIONAL_SAS"), (36, "INTERNAL_ADDRESS_FAILURE"), (37, "FAILED_CP_REQUIRED"),
            (38, "TS_UNACCEPTABLE"), (39, "INVALID_SELECTORS"), (40, "UNACCEPTABLE_ADDRESSES"),
            (41, "UNEXPECTED_NAT_DETECTED"), (43, "TEMPORARY_FAILURE"), (44, "CHILD_SA_NOT_FOUND"),
            (47, "STATE_NOT_FOUND"), (16384, "INITIAL_CONTACT"), (16385, "SET_WINDOW_SIZE"),
            (16386, "ADDITIONAL_TS_POSSIBLE"), (16387, "IPCOMP_SUPPORTED"), (16388, "NAT_DETECTION_SOURCE_IP"),
            (16389, "NAT_DETECTION_DESTINATION_IP"), (16390, "COOKIE"), (16391, "USE_TRANSPORT_MODE"),
            (16392, "HTTP_CERT_LOOKUP_SUPPORTED"), (16393, "REKEY_SA"), (16394, "ESP_TFC_PADDING_NOT_SUPPORTED"),
            (16395, "NON_FIRST_FRAGMENTS_ALSO"), (16396, "MOBIKE_SUPPORTED"), (16397, "ADDITIONAL_IP4_ADDRESS"),
            (16398, "ADDITIONAL_IP6_ADDRESS"), (16399, "NO_ADDITIONAL_ADDRESSES"), (16400, "UPDATE_SA_ADDRESSES"),
            (16401, "COOKIE2"), (16402, "NO_NATS_ALLOWED"), (16403, "AUTH_LIFETIME"),
            (16404, "MULTIPLE_AUTH_SUPPORTED"),
            (16405, "ANOTHER_AUTH_FOLLOWS"), (16406, "REDIRECT_SUPPORTED"), (16407, "REDIRECT"),
            (16408, "REDIRECTED_FROM"), (16409, "TICKET_LT_OPAQUE"), (16413, "TICKET_OPAQUE"),
            (16417, "EAP_ONLY_AUTHENTICATION"), (16418, "CHILDLESS_IKEV2_SUPPORTED"), (16419, "QUICK_CRASH_DETECTION"),
            (16420, "IKEV2_MESSAGE_ID_SYNC_SUPPORTED"), (16423, "IPSEC_REPLAY_COUNTER_SYNC"),
            (16424, "SECURE_PASSWORD_METHODS"), (16430, "IKEV2_FRAGMENTATION_SUPPORTED"),
            (16431, "SIGNATURE_HASH_ALGORITHMS"), (16432, "CLONE_IKE_SA_SUPPORTED"), (16434, "PUZZLE"),
            (16435, "USE_PPK"), (16436, "PPK_IDENTITY"), (16437, "NO_PPK_AUTH"),
            (16438, "INTERMEDIATE_EXCHANGE_SUPPORTED"), (16439, "IP4_ALLOWED"), (16441, "ADDITIONAL_KEY_EXCHANGE"),
        ] as [(UInt16, String)])
    func aTypeHasItsName(_ number: UInt16, _ name: String) {
        #expect(NotifyType(rawValue: number).description == name)
    }

    @Test func anUnknownTypeIsItsNumber() {
        #expect(NotifyType(rawValue: 40961).description == "40961")
        #expect(NotifyType(rawValue: 40961).shortName == "40961")
        #expect(NotifyType(rawValue: 40961).isPrivate)
        #expect(!NotifyType.cookie.isPrivate)
    }

    @Test func errorsAreBelow16384() {
        #expect(NotifyType.stateNotFound.isError)
        #expect(NotifyType(rawValue: 16383).isError)
        #expect(!NotifyType.initialContact.isError)
    }

    @Test func noTwoTypesShareAName() {
        let named = (0...UInt16.max).map { NotifyType(rawValue: $0) }.filter { $0.description != String($0.rawValue) }
        #expect(Set(named.map { $0.description }).count == named.count)
        #expect(Set(named.map { $0.shortName }).count == named.count)
        #expect(named.count == 88)
    }
}
