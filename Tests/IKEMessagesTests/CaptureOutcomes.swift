import Testing

/// What must become of the packets of one capture.
struct CaptureOutcomes: CustomTestStringConvertible, Sendable {
    let name: String
    let outcomes: [String]
    var testDescription: String { name }

    /// IKEv1, whose grammar is another one.
    static let version1 = "refused: IKE version 1.0 is not 2.x"
    /// ESP, or a NAT keepalive.
    static let other = "not IKE"

    static let all: [CaptureOutcomes] = [
        CaptureOutcomes(name: "ISAKMP_sa_setup.pcap", outcomes: [String](repeating: version1, count: 9)),
        CaptureOutcomes(name: "esp_truncated.pcap", outcomes: [other]),
        CaptureOutcomes(name: "espudp1.pcap", outcomes: [String](repeating: other, count: 8)),
        CaptureOutcomes(name: "ikev1_id_ipv6_addr_subnet-oobr.pcap", outcomes: [version1]),
        CaptureOutcomes(
            name: "ikev2-id-normal.pcap", outcomes: ["refused: IDi: length of an ID_IPV4_ADDR: 1 is not allowed"]),
        CaptureOutcomes(
            name: "ikev2-id-short.pcap", outcomes: ["refused: IDi: identification type: needed 4 octets, had 1"]),
        CaptureOutcomes(
            name: "ikev2four.pcap",
            outcomes: [
                "IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) ]", "IKE_SA_INIT response 0 [ N(COOKIE) ]",
                "IKE_SA_INIT request 0 [ N(COOKIE) SA KE No N(NATD_S_IP) N(NATD_D_IP) ]",
                "IKE_SA_INIT response 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) ]", "IKE_AUTH request 1 [ SK ]",
                "IKE_AUTH response 1 [ SK ]", "CREATE_CHILD_SA request 2 [ SK ]", "CREATE_CHILD_SA request 3 [ SK ]",
                "CREATE_CHILD_SA response 2 [ SK ]", "CREATE_CHILD_SA response 3 [ SK ]",
                "CREATE_CHILD_SA request 4 [ SK ]", "CREATE_CHILD_SA request 5 [ SK ]",
                "CREATE_CHILD_SA response 4 [ SK ]", "CREATE_CHILD_SA response 5 [ SK ]",
                "CREATE_CHILD_SA request 6 [ SK ]", "CREATE_CHILD_SA request 7 [ SK ]",
                "CREATE_CHILD_SA response 6 [ SK ]", "CREATE_CHILD_SA response 7 [ SK ]",
                "CREATE_CHILD_SA request 8 [ SK ]", "CREATE_CHILD_SA response 8 [ SK ]",
                "INFORMATIONAL request 0 [ SK ]",
            ]),
        CaptureOutcomes(name: "ikev2pI2-segfault.pcapng", outcomes: ["refused: SA: last transform: 46 is not allowed"]),
        CaptureOutcomes(
            name: "ikev2pI2.pcap", outcomes: ["IKE_SA_INIT request 0 [ SA KE No V ]", "IKE_AUTH request 0 [ SK ]"]),
        CaptureOutcomes(name: "isakmp-3948-oobr-2.pcap", outcomes: [other]),
        CaptureOutcomes(name: "isakmp-delete-segfault.pcap", outcomes: ["refused: IKE version 11.14 is not 2.x"]),
        CaptureOutcomes(name: "isakmp-identification-segfault.pcap", outcomes: [version1]),
        CaptureOutcomes(
            name: "isakmp-ikev1_n_print-oobr.pcap",
            outcomes: [
                "refused: the header says 4278190080 octets, the datagram has 42",
                "refused: the header says 620756992 octets, the datagram has 42",
            ]),
        CaptureOutcomes(name: "isakmp-no-none-np.pcapng", outcomes: [version1]),
        CaptureOutcomes(name: "isakmp-pointer-loop.pcap", outcomes: [version1]),
        // One frame of 23 is IP.
        CaptureOutcomes(name: "isakmp-rfc3948-oobr.pcap", outcomes: [other]),
        CaptureOutcomes(name: "isakmp-various-oobr.pcap", outcomes: [version1]),
        CaptureOutcomes(
            name: "isakmp4500.pcap",
            outcomes: [String](repeating: version1, count: 9) + [
                other, version1, version1, other, other, other, version1, version1,
            ] + [String](repeating: other, count: 6) + [version1, other, other, version1]),
        CaptureOutcomes(name: "isakmpv1-attr-oobr.pcap", outcomes: [version1]),
    ]
}
