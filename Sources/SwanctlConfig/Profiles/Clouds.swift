import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes
import WireFormat

/// The VPN gateways of AWS, Azure and Google as the peer.
extension PeerProfile {
    static let aws = PeerProfile(
        name: "aws", peer: "AWS",
        connection: [
            "version": "2", "proposals": "aes256gcm16-prfsha384-ecp384, aes256-sha256-modp2048", "rekey_time": "8h",
            "dpd_delay": "10s", "mobike": "no",
        ],
        child: [
            "esp_proposals": "aes256gcm16-ecp384, aes256-sha256-modp2048", "rekey_time": "1h", "replay_window": "1024",
            "dpd_action": "restart",
        ],
        ike: AlgorithmTable(
            encryption: ["aes128", "aes256", "aes128gcm16", "aes256gcm16"],
            integrity: ["sha1", "sha256", "sha384", "sha512"],
            prf: ["prfsha1", "prfsha256", "prfsha384", "prfsha512"],
            groups: [
                "modp1024", "modp2048", "modp3072", "modp4096", "modp6144", "modp8192", "ecp256", "ecp384", "ecp521",
                "modp1024s160", "modp2048s224", "modp2048s256",
            ]),
        esp: AlgorithmTable(
            encryption: ["aes128", "aes256", "aes128gcm16", "aes256gcm16"],
            integrity: ["sha1", "sha256", "sha384", "sha512"],
            groups: [
                "modp1024", "modp1536", "modp2048", "modp3072", "modp4096", "modp6144", "modp8192", "ecp256", "ecp384",
                "ecp521", "modp1024s160", "modp2048s224", "modp2048s256",
            ]),
        ikeLifetime: seconds(900, 28_800), childLifetime: seconds(900, 3_600), replayWindow: 64...2048,
        allowsExtendedSequenceNumbers: false, secretRule: awsSecretProblem, largestChildCount: 1,
        rules: [
            { connection in
                connection.children.filter { child in
                    connection.rekeyTime > .zero && child.rekeyTime > .zero && child.rekeyTime >= connection.rekeyTime
                }.map { child in
                    Violation(
                        key: "rekey_time", child: child.name,
                        message: "AWS wants the lifetime of phase 2 shorter than that of phase 1",
                        remedy: "write a shorter rekey_time in the child")
                }
            }
        ])

    static let azure = PeerProfile(
        name: "azure", peer: "Azure",
        connection: [
            "version": "2", "proposals": "aes256-sha256-modp1024, aes256-sha1-modp1024", "rekey_time": "28800s",
            "dpd_delay": "45s", "mobike": "no",
        ],
        child: [
            "esp_proposals": "aes256gcm16, aes256-sha256, aes256-sha1", "rekey_time": "27000s", "dpd_action": "restart",
            "mtu": "1400", "mss": "1350",
        ],
        ike: AlgorithmTable(
            encryption: ["aes256", "aes192", "aes128", "3des", "aes128gcm16", "aes256gcm16"],
            integrity: ["sha1", "sha256", "sha384"], prf: ["prfsha1", "prfsha256", "prfsha384"],
            groups: ["modp1024", "modp2048", "modp2048s256", "ecp256", "ecp384"]),
        esp: AlgorithmTable(
            encryption: ["aes256gcm16", "aes192gcm16", "aes128gcm16", "aes256", "aes192", "aes128", "3des"],
            integrity: ["sha1", "sha256"],
            groups: ["none", "modp768", "modp1024", "modp2048", "modp2048s256", "ecp256", "ecp384"]),
        needsSharedKeys: true, allowsExtendedSequenceNumbers: false,
        rules: [
            { connection in
                let delay = connection.dpdDelay.wholeSeconds
                guard delay > 0, !(9...3600).contains(delay) else { return [] }
                return [
                    Violation(
                        key: "dpd_delay", message: "Azure takes 9 to 3600 s", remedy: "write dpd_delay = 45s")
                ]
            }, azurePolicy, { sizes($0, "Azure", mtu: 1400, segment: 1350, either: true) },
        ])

    static let google = PeerProfile(
        name: "google", peer: "Google Cloud",
        connection: [
            "version": "2", "proposals": "aes256gcm16-prfsha256-modp2048", "rekey_time": "36000s", "dpd_delay": "20s",
            "mobike": "no",
        ],
        child: [
            "esp_proposals": "aes256gcm16-modp2048", "rekey_time": "10800s", "dpd_action": "restart", "mtu": "1460",
        ],
        needsSharedKeys: true, ikeLifetime: seconds(300, 36_000), childLifetime: seconds(300, 10_800),
        largestChildCount: 1,
        rules: [
            { connection in
                onePerRole(connection.proposals, "proposals", nil)
                    + connection.children.flatMap { onePerRole($0.proposals, "esp_proposals", $0.name) }
            },
            { connection in
                guard connection.fragmentation == .no else { return [] }
                return [
                    Violation(
                        key: "fragmentation", message: "Google Cloud needs IKE fragmentation",
                        remedy: "write fragmentation = yes")
                ]
            },
            { connection in
                guard let identity = connection.local.identity,
                    identity.kind != .ipv4Address && identity.kind != .ipv6Address
                else { return [] }
                return [
                    Violation(
                        key: "local", message: "Google Cloud knows its peers by their public addresses only",
                        remedy: "write that address as id in the section 'local'")
                ]
            }, { sizes($0, "Google Cloud", mtu: 1460, segment: nil) },
        ])

    /// AWS takes 8 to 64 letters, digits, dots and underscores, of which a zero is not the first.
    @Sendable private static func awsSecretProblem(_ secret: SecretBytes) -> String? {
        let isFitting = secret.withSpan { octets in
            guard (8...64).contains(octets.count), octets[0] != UInt8(ascii: "0") else { return false }
            for index in octets.indices {
                switch octets[index] {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"):
                    continue
                default: return false
                }
            }
            return true
        }
        return isFitting
            ? nil : "AWS takes pre-shared keys of 8 to 64 letters, digits, '.' and '_', not beginning with 0"
    }

    /// What Azure has without a policy of its own is group 2; with one it has a single combination, whatever we offer.
    @Sendable private static func azurePolicy(_ connection: Connection) -> [Violation] {
        let groups = connection.proposals.flatMap { $0.transforms(of: .keyExchange) }.map(\.description)
        guard groups.contains(where: { $0 != "modp1024" }) else { return [] }
        let lists = [(connection.proposals, "proposals", String?.none)]
        let children = connection.children.filter { $0.shunt == nil }.map { ($0.proposals, "esp_proposals", $0.name) }
        return (lists + children).filter { proposals, _, _ in
            proposals.count > 1
                || proposals.contains { proposal in
                    [.encryption, .integrity, .prf, .keyExchange].contains { proposal.transforms(of: $0).count > 1 }
                }
        }.map { _, key, child in
            Violation(
                key: key, child: child,
                message:
                    "with another group than modp1024 Azure needs a policy of its own, which is one full combination",
                remedy: "write the one that its policy has", isAdvice: true)
        }
    }

    /// One algorithm for each role in every proposal.
    private static func onePerRole(_ proposals: [Proposal], _ key: String, _ child: String?) -> [Violation] {
        for proposal in proposals {
            for type: TransformType in [.encryption, .integrity, .prf, .keyExchange]
            where proposal.transforms(of: type).count > 1 {
                let names = proposal.transforms(of: type).map(\.description).joined(separator: ", ")
                return [
                    Violation(
                        key: key, child: child,
                        message: "Google Cloud wants one algorithm for each role in a proposal, not \(names)",
                        remedy: "write several proposals, or one algorithm")
                ]
            }
        }
        return []
    }
}
