"""The rules of two services: Martlet in their place, with strongSwan as the customer, and the other way round."""

import ipaddress
import re
from dataclasses import dataclass

from .network import ping
from .processes import Failure, eventually
from .scenario import CHILD, CONNECTION, Scenario, Suite

CLOUDFLARE = Suite(
    "cloudflare", "aes256gcm16-prfsha512-ecp384", "aes256gcm16-modp2048",
    {"encr-alg": "AES_GCM_16", "encr-keysize": "256", "prf-alg": "PRF_HMAC_SHA2_512", "dh-group": "ECP_384"},
    {"encr-alg": "AES_GCM_16", "encr-keysize": "256"})
ZSCALER = Suite(
    "zscaler", "aes256-sha256-modp2048", "aes256gcm16",
    {"encr-alg": "AES_CBC", "encr-keysize": "256", "integ-alg": "HMAC_SHA2_256_128",
     "prf-alg": "PRF_HMAC_SHA2_256", "dh-group": "MODP_2048"},
    {"encr-alg": "AES_GCM_16", "encr-keysize": "256"})
#: How many Child SAs Zscaler has for a tunnel.
MOST = 8


@dataclass
class Served(Scenario):
    """Side a is the customer, side b the service. Martlet's end says no more than the profile and who is who."""

    suite: Suite = CLOUDFLARE
    service: str = "cloudflare"
    #: The customer's identity; its address when empty.
    identity: str = ""
    #: What a customer that is not Martlet has to be told.
    lines: str = ""
    child_lines: str = ""
    #: The end that is Martlet.
    ours: str = "b"
    #: Into so many children the customer cuts the network behind the service.
    parts: int = 1

    def configuration(self, side, other):
        customer, service = (side, other) if side.letter == "a" else (other, side)
        names = {"a": self.identity or customer.outer[4], "b": service.outer[4]}
        head, child = [], []
        if side.letter == self.ours:
            head.append(f"profile = {self.service}{'-gateway' if side.letter == 'b' else ''}")
        else:
            head += ["version = 2", f"proposals = {self.suite.ike}", "mobike = no", self.lines]
            child += [f"esp_proposals = {self.suite.esp}", self.child_lines]
        children = []
        for number, theirs in enumerate(self.networks(side, other)):
            name = CHILD if number == 0 else f"{CHILD}-{number + 1}"
            children += [f"{name} {{", f"local_ts = {side.protected[4]}", f"remote_ts = {theirs}", *child, "}"]
        return "\n".join([
            "connections {", f"{CONNECTION} {{", f"local_addrs = {side.outer[4]}", f"remote_addrs = {other.outer[4]}",
            *head,
            "local {", "auth = psk", f"id = {names[side.letter]}", "}",
            "remote {", "auth = psk", f"id = {names[other.letter]}", "}",
            "children {", *children, "}", "}", "}",
            "secrets {", "ike-lab {", f"id-1 = {names['a']}", f"id-2 = {names['b']}", f'secret = "{self.secret}"', "}",
            "}", ""])

    def networks(self, side, other):
        """Where each child of this side leads, the host that is pinged in the first."""
        whole = ipaddress.ip_network(other.protected[4])
        if side.letter != "a" or self.parts == 1:
            return [str(whole)]
        pieces = list(whole.subnets(prefixlen_diff=(self.parts - 1).bit_length()))
        pieces.sort(key=lambda piece: ipaddress.ip_address(other.inner[4]) not in piece)
        return [str(piece) for piece in pieces[:self.parts]]


def _ping(bench):
    for gateway in bench.gateways:
        here, there = gateway.side, bench.other(gateway).side
        if ping(here, there.inner[4], source=here.inner[4]) != 3:
            raise Failure(f"not all pings were answered from side {here.letter}")


def tunnel(bench, options):
    """Up, with the service's algorithms; packets both ways; rekeyed by the customer."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_suite()
    _ping(bench)
    bench.require_counted()
    if bench.scenario.service == "cloudflare":
        _require_high_ports(bench)
    before = {child["spi-in"] for child in bench.left.children()}
    bench.left.swanctl("--rekey", "--child", CHILD).require()
    eventually(lambda: not before & {child["spi-in"] for child in bench.left.children()}, 10, "the child is rekeyed")
    bench.require_up(count=1)
    _ping(bench)
    bench.left.terminate().require()
    bench.require_clean_stop()
    bench.require_secrets_kept()


def _require_high_ports(bench):
    """From port 4500 to port 4500 from the first message on, in UDP, and without a replay window."""
    for gateway in bench.gateways:
        if gateway.kind.startswith("strongswan"):
            ports = set(re.findall(r"sending packet: from \S+\[(\d+)\] to \S+\[(\d+)\]", gateway.log_text()))
            if ports != {("4500", "4500")}:
                raise Failure(f"IKE went between the ports {sorted(ports)}")
        if any(child.get("encap") != "yes" for child in gateway.children()):
            raise Failure(f"{gateway.name}: ESP is not in UDP")


def limited(bench, options):
    """The service has eight Child SAs for a tunnel: the ninth is refused, and the eight go on, new keys included."""
    bench.set_up()
    names = [CHILD] + [f"{CHILD}-{number + 2}" for number in range(MOST)]
    for name in names[:MOST]:
        bench.left.swanctl("--initiate", "--child", name, "--timeout", 10).require()
    bench.require_up(count=1)
    if bench.left.swanctl("--initiate", "--child", names[MOST], "--timeout", 10).code == 0:
        raise Failure("the ninth Child SA came up")
    customer = bench.left.log_text()
    if not re.search("NO_ADD_SAS|NO_ADDITIONAL_SAS", customer):
        raise Failure("the customer was not told NO_ADDITIONAL_SAS")
    bench.require_up(count=1)
    if len(bench.right.children()) != MOST:
        raise Failure(f"the service has {len(bench.right.children())} Child SAs")
    _ping(bench)
    before = {child["spi-in"] for child in bench.left.children()}
    bench.left.swanctl("--rekey", "--child", CHILD).require()
    eventually(
        lambda: len(before & {child["spi-in"] for child in bench.left.children()}) == MOST - 1
        and len(bench.left.children()) == MOST, 10, "one of eight is rekeyed")
    _ping(bench)
    bench.left.terminate().require()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"{MOST} up, the next refused with NO_ADDITIONAL_SAS"


_HIGH = "local_port = 4500\nremote_port = 4500\nencap = yes"
#: What Cloudflare gives to a tunnel, by what it is called in a case's name.
IDENTITIES = {
    "fqdn": "branch-7.0123456789abcdef.ipsec.cloudflare.com",
    "custom-fqdn": "label.0123456789abcdef.custom.ipsec.cloudflare.com",
    "user-fqdn": "ipsec@branch-7.0123456789abcdef.ipsec.cloudflare.com",
    "key-id": "keyid:0123456789abcdef_branch-7",
    "address": "",
}


def _rows():
    for ours, pairing in (("b", ("strongswan", "martlet")), ("a", ("martlet", "strongswan"))):
        for name, identity in IDENTITIES.items():
            yield (f"cloudflare {name}",
                   lambda identity=identity, ours=ours: Served(
                       identity=identity, ours=ours, lines=_HIGH, child_lines="replay_window = 0"),
                   tunnel, [pairing])
        yield ("zscaler",
               lambda ours=ours: Served(suite=ZSCALER, service="zscaler", identity="branch@example.com", ours=ours),
               tunnel, [pairing])
    yield ("zscaler nine-children",
           lambda: Served(suite=ZSCALER, service="zscaler", identity="branch.example.com", parts=MOST + 1),
           limited, [("strongswan", "martlet")])


CASES = list(_rows())
