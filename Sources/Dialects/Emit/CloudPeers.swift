import Clockwork
import GatewayModel
import IPsecCrypto
import NetworkTypes

/// The other end as a service in a cloud: the commands of its own tool, or the request that its interface takes.
enum CloudPeers {
    private static let sizes = [("aes128", 128), ("aes192", 192), ("aes256", 256)]

    private static func file(
        _ side: PeerSide, _ lines: [String], _ notes: [String], demands: [String] = []
    ) -> EmittedPeer {
        EmittedPeer(
            files: [.init(name: "\(side.name).sh", text: lines.joined(separator: "\n") + "\n")], notes: notes,
            demands: demands)
    }

    /// What our end has to say where a service knows both ends by their addresses only, and takes one suite of algorithms.
    private static func addressesOnly(
        _ side: PeerSide, _ service: String, profile: String, ike: String, esp: String
    ) -> [String] {
        var demands: [String] = []
        let own = Identity(side.ourAddress)
        if side.ourIdentity != own {
            demands.append(
                "write `local { id = \(own) }`, and the same in the secret's `id-1`: \(service) takes our address as our "
                    + "identity, and '\(side.ourIdentity)' is refused.")
        }
        let its = side.itsAddress?.description ?? "ADDRESS"
        let isKnown = side.itsAddress.map { Identity($0) == side.itsIdentity } ?? false
        if !isKnown {
            let whose = side.itsAddress == nil ? " ADDRESS is the one that \(service) gives its end." : ""
            demands.append(
                "write `remote_addrs = \(its)`, `remote { id = \(its) }`, and the same in the secret's `id-2`: \(service) "
                    + "calls itself by its address.\(whose)")
        }
        var lines = ["`profile = \(profile)`"]
        if side.proposals.map(\.description) != [ike] { lines.append("`proposals = \(ike)`") }
        let present = Set(side.children.map { $0.proposals.map(\.description) })
        if present != [[esp]] { lines.append("in its child `esp_proposals = \(esp)`") }
        demands.append(
            lines.count == 1
                ? "write in the connection \(lines[0]), where it is not so: `martlet check` then says what \(service) would "
                    + "refuse."
                : "write in the connection \(lines.joined(separator: ", ")), where it is not so: \(service) refuses others, as "
                    + "`martlet check` then says.")
        return demands
    }

    private static func pair(_ side: PeerSide) -> (its: String, ours: String) {
        (side.pairs.first?.its.description ?? "0.0.0.0/0", side.pairs.first?.ours.description ?? "0.0.0.0/0")
    }

    // MARK: AWS

    static func aws(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let key = try side.readableKey(.aws)
        let octets = key.utf8
        let isAllowed = octets.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) || $0 == 0x2e
                || $0 == 0x5f
        }
        guard (8...64).contains(octets.count), isAllowed, key.first != "0" else {
            throw .impossible(.aws, "a key that is not 8 to 64 letters, digits, dots and underscores, or begins with 0")
        }
        let (ike, esp) = try side.suites(.aws, awsWords, awsWords)
        let pair = pair(side)
        func values(_ name: String, _ value: String) -> String { "\"\(name)\":[{\"Value\":\(value)}]" }
        let tunnel = [
            "\"PreSharedKey\":\"\(key)\"", values("IKEVersions", "\"ikev2\""),
            values("Phase1EncryptionAlgorithms", "\"\(ike.encryption)\""),
            values("Phase1IntegrityAlgorithms", "\"\(ike.isAEAD ? ike.prf : ike.integrity)\""),
            values("Phase1DHGroupNumbers", ike.group), values("Phase2EncryptionAlgorithms", "\"\(esp.encryption)\""),
            values("Phase2IntegrityAlgorithms", "\"\(esp.isAEAD ? "SHA2-256" : esp.integrity)\""),
            values("Phase2DHGroupNumbers", esp.group.isEmpty ? "14" : esp.group),
            "\"Phase1LifetimeSeconds\":\(max(900, min(28_800, side.ikeSeconds)))",
            "\"Phase2LifetimeSeconds\":\(max(900, min(3_600, side.childSeconds)))", "\"StartupAction\":\"add\"",
        ].joined(separator: ",")
        let lines = [
            "gateway=$(aws ec2 create-customer-gateway --type ipsec.1 --ip-address \(side.ourAddress) --bgp-asn 65000 \\",
            "  --query CustomerGateway.CustomerGatewayId --output text)",
            "aws ec2 create-vpn-connection --type ipsec.1 --customer-gateway-id \"$gateway\" --vpn-gateway-id \"$VGW\" \\",
            "  --options '{\"StaticRoutesOnly\":true,\"LocalIpv4NetworkCidr\":\"\(pair.ours)\","
                + "\"RemoteIpv4NetworkCidr\":\"\(pair.its)\",\"TunnelOptions\":[{\(tunnel)}]}'",
        ]
        let notes = [
            "Set VGW to the virtual private gateway. AWS chooses the address of its end: it stands in the answer."
        ]
        var demands = addressesOnly(
            side, "AWS", profile: "aws", ike: ike.keywords(), esp: esp.keywords(group: .modp2048))
        let others = side.pairs.dropFirst().map { "\($0.ours) with \($0.its)" }
        if !others.isEmpty {
            demands.append(
                "name one network that holds all, or make more tunnels: AWS tunnels one pair only, here \(pair.ours) with "
                    + "\(pair.its). Left out: \(others.joined(separator: ", ")).")
        }
        return file(side, lines, notes, demands: demands)
    }

    private static let awsHashes = [
        ("sha1", "SHA1"), ("sha256", "SHA2-256"), ("sha384", "SHA2-384"), ("sha512", "SHA2-512"),
    ]
    private static let awsWords = PeerWords(
        encryption: [
            ("aes128", "AES128"), ("aes256", "AES256"), ("aes128gcm16", "AES128-GCM-16"),
            ("aes256gcm16", "AES256-GCM-16"),
        ], integrity: awsHashes, prf: awsHashes.map { ("prf" + $0.0, $0.1) }, groups: PeerWords.groups(""))

    // MARK: Azure

    static func azure(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let key = try side.readableKey(.azure)
        let (ike, esp) = try side.suites(.azure, azureWords, azureESPWords)
        let name = side.name
        let networks = side.pairs.map(\.ours.description).joined(separator: " ")
        let lines = [
            "az network local-gateway create --resource-group \"$GROUP\" --name \(name) \\",
            "  --gateway-ip-address \(side.ourAddress) --local-address-prefixes \(networks)",
            "az network vpn-connection create --resource-group \"$GROUP\" --name \(name) --vnet-gateway1 \"$GATEWAY\" \\",
            "  --local-gateway2 \(name) --shared-key '\(key)' --use-policy-based-traffic-selectors true",
            "az network vpn-connection ipsec-policy add --resource-group \"$GROUP\" --connection-name \(name) \\",
            "  --ike-encryption \(ike.encryption) --ike-integrity \(ike.isAEAD ? ike.prf : ike.integrity)"
                + " --dh-group \(ike.group) \\",
            "  --ipsec-encryption \(esp.encryption) --ipsec-integrity \(esp.isAEAD ? esp.encryption : esp.integrity)"
                + " --pfs-group \(azurePFS(esp)) \\",
            "  --sa-lifetime \(max(300, side.childSeconds)) --sa-max-size 102400000",
        ]
        return file(
            side, lines,
            ["Set GROUP to the resource group and GATEWAY to the gateway. Azure's identity is its public address."],
            demands: addressesOnly(
                side, "Azure", profile: "azure", ike: ike.keywords(), esp: esp.keywords()))
    }

    private static func azurePFS(_ suite: PeerSuite) -> String {
        switch suite.group {
        case "": "None"
        case "DHGroup14": "PFS2048"
        case "DHGroup2": "PFS2"
        case "DHGroup24": "PFS24"
        default: suite.group
        }
    }

    private static let azureHashes = [("sha1", "SHA1"), ("sha256", "SHA256"), ("sha384", "SHA384")]
    private static let azureGroups = [
        ("modp1024", "DHGroup2"), ("modp2048", "DHGroup14"), ("ecp256", "ECP256"), ("ecp384", "ECP384"),
    ]
    private static let azureCiphers = [
        ("aes128", "AES128"), ("aes192", "AES192"), ("aes256", "AES256"), ("aes128gcm16", "GCMAES128"),
        ("aes256gcm16", "GCMAES256"),
    ]
    private static let azureWords = PeerWords(
        encryption: azureCiphers, integrity: azureHashes, prf: azureHashes.map { ("prf" + $0.0, $0.1) },
        groups: azureGroups)
    private static let azureESPWords = PeerWords(
        encryption: azureCiphers + [("aes192gcm16", "GCMAES192")], integrity: azureHashes, groups: azureGroups)

    // MARK: Google

    static func gcp(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let key = try side.readableKey(.gcp)
        let locals = Set(side.pairs.map(\.its)).sorted().map(\.description).joined(separator: ",")
        let remotes = Set(side.pairs.map(\.ours)).sorted().map(\.description).joined(separator: ",")
        let lines = [
            "gcloud compute vpn-tunnels create \(side.name.lowercased()) --region \"$REGION\" \\",
            "  --target-vpn-gateway \"$GATEWAY\" --peer-address \(side.ourAddress) --ike-version 2 \\",
            "  --shared-secret '\(key)' --local-traffic-selector \(locals) --remote-traffic-selector \(remotes)",
        ]
        return file(
            side, lines,
            [
                "Set REGION and GATEWAY. Google's end has a fixed list of algorithms.",
                "Google takes our address as our identity unless it is told another.",
            ],
            demands: addressesOnly(
                side, "Google", profile: "google", ike: "aes256gcm16-prfsha256-modp2048", esp: "aes256gcm16-modp2048"))
    }

    // MARK: Cloudflare and Zscaler

    static func cloudflare(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let key = try side.readableKey(.cloudflare)
        let lines = [
            "curl -X POST \"https://api.cloudflare.com/client/v4/accounts/$ACCOUNT/magic/ipsec_tunnels\" \\",
            "  -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' --data @- <<'END'",
            "{\"name\":\"\(side.name.lowercased().prefix(15))\",\"customer_endpoint\":\"\(side.ourAddress)\","
                + "\"cloudflare_endpoint\":\"\(try side.knownAddress())\",",
            " \"interface_address\":\"169.254.250.0/31\",\"psk\":\"\(key)\",\"replay_protection\":false,",
            " \"health_check\":{\"enabled\":true,\"type\":\"request\",\"direction\":\"bidirectional\"}}", "END",
        ]
        return file(
            side, lines,
            [
                "Set ACCOUNT and TOKEN, and choose an interface address that is free.",
                "Its answer holds the identity that it expects (fqdn_id).",
            ],
            demands: [
                "write `local { id = … }`, and the same in the secret's `id-1`, with the identity that is in its answer "
                    + "(fqdn_id), and `profile = cloudflare`."
            ])
    }

    static func zscaler(_ side: PeerSide) throws(PeerEmissionProblem) -> EmittedPeer {
        let key = try side.readableKey(.zscaler)
        let kind: String
        switch side.ourIdentity.kind {
        case .rfc822Address: kind = "\"type\":\"UFQDN\",\"fqdn\":\"\(side.ourIdentity)\""
        case .ipv4Address: kind = "\"type\":\"IP\",\"ipAddress\":\"\(side.ourIdentity)\""
        default:
            throw .impossible(
                .zscaler, "an identity of type \(side.ourIdentity.kind); use an e-mail address (user@domain)")
        }
        let lines = [
            "curl -X POST \"https://$CLOUD/api/v1/vpnCredentials\" -b cookies -H 'Content-Type: application/json' \\",
            "  --data '{\(kind),\"preSharedKey\":\"\(key)\",\"comments\":\"\(side.name)\"}'",
        ]
        return file(
            side, lines,
            ["Set CLOUD (such as zsapi.zscaler.net), log in first, and bind the credential to a location."],
            demands: [
                "write `profile = zscaler` in the connection, if it is not there; then `martlet check` says what Zscaler would refuse."
            ])
    }
}
