/// Why a known key is refused, and what to write instead.
///
/// It owns words only: a key that is not in here, and that no reader asks for, is refused without a reason.
enum UnsupportedKeys {
    /// Why, in one clause, and what to do.
    struct Reason: Sendable {
        let why: String
        let remedy: String
    }

    /// The reason for a key or a section of this pattern; nil when there is none.
    static func reason(_ pattern: String) -> Reason? { table.first { $0.patterns.contains(pattern) }?.reason }

    private static let table: [(patterns: Set<String>, reason: Reason)] = [
        (
            ["dscp"],
            Reason(
                why: "how IKE's own packets are marked is left to the system",
                remedy:
                    "remove it, and mark UDP ports 500 and 4500 with nftables; packets in the tunnel keep their own "
                    + "marks (copy_dscp)")
        ),
        (
            ["if_id_in", "if_id_out"],
            Reason(
                why: "XFRM interfaces are the kernel's IPsec's, and packets are carried in user space here",
                remedy: "give the child a device of its own: tunnel_interface = vti%02d")
        ),
        (
            ["mark_in", "mark_out", "mark_in_sa"],
            Reason(
                why: "such marks choose among the policies of the kernel's IPsec",
                remedy: "give the child a device of its own: tunnel_interface = vti%02d")
        ),
        (
            ["set_mark_in", "set_mark_out"],
            Reason(
                why: "packets that come out of a tunnel are given no mark",
                remedy: "remove it, and mark what comes from the TUN device with nftables")
        ),
        (
            ["interface"],
            Reason(
                why: "policies are not bound to a device outside the tunnel",
                remedy: "give the child a device of its own: tunnel_interface = vti%02d")
        ),
        (
            ["mediation", "mediated_by", "mediation_peer"],
            Reason(
                why: "mediation was an experiment of strongSwan's and never a standard",
                remedy: "remove it; one end needs an address or a forwarded port that the other can reach")
        ),
        (
            ["xauth_id", "xauth<suffix>"],
            Reason(why: "XAuth belongs to IKEv1", remedy: "remove it, and use EAP: auth = eap-mschapv2, eap_id = …")
        ),
        (
            ["handle", "slot", "module", "pin", "token<suffix>"],
            Reason(
                why: "smart cards and other tokens (PKCS #11) are not read: keys and certificates come from files",
                remedy: "name a file")
        ),
        (
            ["cert_uri_base"],
            Reason(
                why:
                    "certificates by hash and URL (RFC 7296 §3.6) are never fetched: the address would be the peer's choice",
                remedy: "remove it; certificates are sent whole")
        ),
        (
            ["hostaccess"],
            Reason(
                why: "the gateway's own addresses are reachable through a tunnel whose local_ts holds them, always",
                remedy: "remove it, and let the firewall say who may reach them")
        ),
        (
            ["policies"],
            Reason(
                why: "an SA without policies would leave it to routes whether packets go out in clear",
                remedy: "remove it; a child that is to take whatever is routed to it has tunnel_interface = vti%02d")
        ),
        (
            ["policies_fwd_out", "reqid"],
            Reason(
                why: "it speaks of the kernel's IPsec, and packets are carried in user space here", remedy: "remove it")
        ),
        (
            ["label", "label_mode"],
            Reason(why: "security labels need SELinux and the kernel's IPsec", remedy: "remove it on both sides")
        ),
        (
            ["icmp"],
            Reason(
                why: "nothing crosses a tunnel that its selectors do not name, errors included",
                remedy: "remove it, and add selectors for the routers that send them")
        ),
    ]
}
