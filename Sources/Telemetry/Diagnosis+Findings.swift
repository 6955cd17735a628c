/// What `martlet doctor` can find without anybody having refused anything.
///
/// It owns sentences, as the rest of ``Diagnosis`` does.
extension Diagnosis {
    /// Packets leave and none come back, or the other way round. Where both have once been seen, `silence` is for how many
    /// seconds the missing ones have been missing.
    public static func oneWay(
        _ child: String, packetsOut: Int64, packetsIn: Int64, isDeaf: Bool, silence: Int64? = nil
    ) -> Diagnosis {
        let since = silence.map { " for \($0) s" } ?? ""
        return Diagnosis(
            code: "E-ONE-WAY",
            summary: "Traffic of '\(child)' goes one way only: "
                + "\(isDeaf ? "nothing has come back\(since)" : "we have sent nothing\(since)").",
            facts: ["\(packetsOut) packets were sent and \(packetsIn) were received"],
            causes: isDeaf
                ? (silence == nil ? [] : ["the peer has lost this tunnel, or its way to us, since"]) + [
                    "the hosts behind the peer have no route back to our network",
                    "a firewall at the peer drops what comes out of the tunnel",
                    "IP protocol 50 or UDP 4500 is blocked on the way to us", "the host that is asked does not answer",
                ]
                : [
                    "our hosts have no route to the peer's network by this gateway",
                    "a firewall here drops what is to go into the tunnel",
                    "IP forwarding is off here (`sysctl net.ipv4.ip_forward`)",
                ],
            remedy: isDeaf
                ? "Ask the peer whether its counters rise; set `encap = yes` if only protocol 50 is blocked."
                : "Check `ip route` on a host behind us, and `sysctl net.ipv4.ip_forward` here.")
    }

    /// The kernel does not pass packets on between its interfaces.
    public static let forwardingIsOff = Diagnosis(
        code: "E-FORWARDING", summary: "This machine does not forward packets, so hosts behind it can't use a tunnel.",
        facts: ["net.ipv4.ip_forward is 0"], causes: ["forwarding was never switched on"],
        remedy: "`sysctl -w net.ipv4.ip_forward=1`, and a line in /etc/sysctl.d to keep it.")

    /// A child's rekeying was refused for want of a key exchange.
    public static func rekeyFails(_ child: String, _ reason: String) -> Diagnosis {
        Diagnosis(
            code: "E-PFS",
            summary: "The child '\(child)' is up, but its rekeying fails: it will go down when its lifetime ends.",
            facts: ["The rekeying said: \(reason)"],
            causes: [
                "the two sides want different groups for perfect forward secrecy: the first Child SA needs none, so that "
                    + "this shows only now", "the peer never rekeys a Child SA",
            ],
            remedy: "Name the same group at the end of `esp_proposals` on both sides, or none on both.")
    }

    /// Large packets do not arrive, small ones do.
    public static func mtuBlackHole(_ largest: Int, _ tried: Int) -> Diagnosis {
        Diagnosis(
            code: "E-MTU", summary: "Large packets get lost on the way through the tunnel, small ones arrive.",
            facts: ["\(largest) octets arrive, \(tried) do not, and nobody says why"],
            causes: [
                "a link on the way has a smaller MTU, and a firewall drops the ICMP messages that say so",
                "the peer's tunnel has a smaller MTU than ours",
            ], remedy: "Clamp the MSS of TCP to \(max(536, largest - 40)) at either gateway, or let ICMP through.")
    }

    /// The peer ended an IKE SA that was just established.
    public static func deletedAtOnce(_ connection: String) -> Diagnosis {
        Diagnosis(
            code: "E-DELETED-AT-ONCE",
            summary: "The peer accepted '\(connection)' and ended it right away, without saying why.",
            facts: ["The IKE SA was deleted by the peer within 10 s of its establishment; no error was reported"],
            causes: [
                "somebody took it down at the peer, or the peer was stopped",
                "the peer could not set up its side of the Child SA",
                "the peer allows one tunnel per identity, and another one has ours",
                "the peer's policy refuses us after authentication (a group, a licence, a time of day)",
            ], remedy: "If nobody did that, the peer's log says why; give each gateway an identity of its own.")
    }

    /// Port 500 answers, port 4500 does not.
    public static func natTraversalBlocked(_ remote: String) -> Diagnosis {
        Diagnosis(
            code: "E-PORT-4500", summary: "\(remote) answers on UDP port 500 and is silent on 4500.",
            facts: ["IKE_SA_INIT was answered; IKE_AUTH, which moves to port 4500 because of a NAT, was not"],
            causes: [
                "a firewall lets UDP 500 through and not UDP 4500",
                "large packets are lost: IKE_AUTH with certificates may need `fragmentation = yes`",
            ], remedy: "Let UDP 4500 through on both sides and between them.")
    }

    /// Our clock can't be right: by itself, or because a certificate of our own would begin only later.
    public static func clockSkew(_ now: String, certificate: (name: String, begins: String)? = nil) -> Diagnosis {
        let own = certificate.map {
            ", by which its own certificate '\($0.name)' is not valid before \($0.begins): peers refuse it or the clock "
                + "is wrong"
        }
        return Diagnosis(
            code: "E-CLOCK", summary: "This machine's clock says \(now)\(own ?? ", which can't be right").",
            facts: ["Certificates are valid only between two dates, and would all be refused"],
            causes: [
                "the machine has no battery for its clock and was not synchronised yet",
                "the clock of the authority that issued the certificate was ahead",
            ],
            remedy: "Set the clock (`timedatectl set-ntp true`); if it is right, issue the certificate again.")
    }

    /// One of each, with made-up values.
    static let findings: [Diagnosis] = [
        oneWay("net", packetsOut: 120, packetsIn: 0, isDeaf: true), forwardingIsOff,
        rekeyFails("net", "the peer refused with NO_PROPOSAL_CHOSEN"), mtuBlackHole(1372, 1400),
        deletedAtOnce("branch"), natTraversalBlocked("198.51.100.2"), clockSkew("1970-01-01"),
    ]
}
