"""Extensions of IKEv2 that ride along: fragments, a post-quantum preshared key, IKE SAs that begin without a child."""

import re
import time
from dataclasses import dataclass

from .network import ping
from .processes import Failure, eventually
from .scenario import CHILD, CONNECTION, Scenario


@dataclass
class ExtendedScenario(Scenario):
    """The usual tunnel, with more lines in the connection and the secrets of a side."""

    lines: str = ""
    lines_a: str = ""
    lines_b: str = ""
    secrets_a: str = ""
    secrets_b: str = ""
    #: More networks behind this side, to make messages long.
    networks: int = 0
    networks_side: str = "a"

    def settings(self, side, other):
        mine = super().settings(side, other)
        more = "".join(f",fd0a:0:0:{number:x}::/64" for number in range(self.networks))
        if side.letter == self.networks_side:
            mine.local_ts += more
        else:
            mine.remote_ts += more
        return mine

    def configuration(self, side, other):
        text = super().configuration(side, other)
        lines = self.lines + (self.lines_a if side.letter == "a" else self.lines_b)
        head, tail = "    mobike = no\n", "secrets {\n"
        if text.count(head) != 1 or text.count(tail) != 1:
            raise Failure("the scenario's text has no place for more lines")
        secrets = self.secrets_a if side.letter == "a" else self.secrets_b
        return text.replace(head, head + lines).replace(tail, tail + secrets)


def _strongswans(bench):
    return [gateway for gateway in bench.gateways if gateway.kind.startswith("strongswan")]


def _require_said(bench, *patterns):
    """Every strongSwan has logged these: that the tunnel is up does not show that the extension was used."""
    for gateway in _strongswans(bench):
        for pattern in patterns:
            if not re.search(pattern, gateway.log_text()):
                raise Failure(f"{gateway.name} never logged '{pattern}'")


def fragments(bench, options):
    """IKE_AUTH has some 8 kB in each direction: cut by both sides, and joined again."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    _require_said(bench, r"splitting IKE message \(\d{4} bytes\) into \d+ fragments", r"reassembled fragmented IKE message")
    for gateway in bench.gateways:
        count = max(len(child["local-ts"]) + len(child["remote-ts"]) for child in gateway.children())
        if count < bench.scenario.networks:
            raise Failure(f"{gateway.name} has only {count} selectors")
    bench.require_pings()
    bench.require_counted()
    # A rekeyed Child SA names all networks again.
    before = {child["spi-in"] for child in bench.left.children()}
    bench.right.swanctl("--rekey", "--child", CHILD).require()
    eventually(lambda: not before & {child["spi-in"] for child in bench.left.children()}, 10, "the child is rekeyed")
    bench.require_up(count=1)
    _finish(bench)


def ppk(bench, options):
    """The keys come from a post-quantum preshared key as well."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    _require_said(bench, r"using PPK for PPK_ID")
    bench.require_pings()
    bench.require_counted()
    for target in (("--child", CHILD), ("--ike", CONNECTION)):
        before = _spis(bench)
        bench.right.swanctl("--rekey", *target).require()
        eventually(lambda before=before: before != _spis(bench), 10, f"{target[0]} is rekeyed")
        bench.require_up(count=1)
        bench.require_pings()
    _finish(bench)


def ppk_refused(bench, options):
    """A side that demands a key which the other does not have lets nobody in."""
    bench.set_up()
    if bench.left.initiate(timeout=8).code == 0:
        raise Failure("the tunnel came up although the keys differ")
    if any(gateway.children() for gateway in bench.gateways):
        raise Failure("a Child SA is there although the keys differ")
    bench.require_clean_stop()
    bench.require_secrets_kept()


def ppk_optional(bench, options):
    """The responder knows no such key, and neither demands one: NO_PPK_AUTH lets both go on without."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    bench.require_counted()
    _finish(bench)


@dataclass
class CookieScenario(ExtendedScenario):
    """The responder asks for a cookie as soon as one IKE SA is half open."""

    def prepare(self, gateway, other):
        if gateway.kind == "strongswan":
            gateway.settings = "cookie_threshold = 1\n  half_open_timeout = 5"

    def configuration(self, side, other):
        return super().configuration(side, other) + "martlet {\n  cookie_threshold = 1\n  half_open_timeout = 5\n}\n"


#: Sends IKE_SA_INIT requests of nobody's, who never goes on: AES-GCM-128, PRF-HMAC-SHA-256, X25519.
_STRANGER = """
import os, socket, struct, sys
def payload(following, body):
    return struct.pack("!BBH", following, 0, 4 + len(body)) + body
transforms = (struct.pack("!BBHBBHHH", 3, 0, 12, 1, 0, 20, 0x800e, 128) + struct.pack("!BBHBBH", 3, 0, 8, 2, 0, 5)
              + struct.pack("!BBHBBH", 0, 0, 8, 4, 0, 31))
proposal = struct.pack("!BBHBBBB", 0, 0, 8 + len(transforms), 1, 1, 0, 3) + transforms
wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
wire.bind((sys.argv[1], 5555))
for _ in range(int(sys.argv[3])):
    body = (payload(34, proposal) + payload(40, struct.pack("!HH", 31, 0) + os.urandom(32))
            + payload(0, os.urandom(32)))
    wire.sendto(os.urandom(8) + bytes(8) + struct.pack("!BBBBII", 33, 0x20, 34, 8, 0, 28 + len(body)) + body,
                (sys.argv[2], 500))
"""


def cookies(bench, options):
    """A stranger leaves the responder with half-open IKE SAs; who comes then has to show a cookie, and gets in."""
    bench.set_up()
    side, other = bench.left.side, bench.right.side
    side.run(["python3", "-c", _STRANGER, side.outer[4], other.outer[4], 3]).require()
    eventually(lambda: bench.right.sas(), 5, "the responder has half-open IKE SAs")
    time.sleep(0.5)
    bench.left.initiate().require()
    _require_said(bench, r"IKE_SA_INIT request 0 \[ N\(COOKIE\)")
    # The strangers' IKE SAs end by themselves.
    eventually(lambda: len(bench.right.sas()) == 1, 15, "the half-open IKE SAs are gone", interval=0.5)
    bench.require_up(count=1)
    bench.require_pings()
    bench.require_counted()
    _finish(bench)


def two_children(bench, options):
    """A second child of the same IKE SA, of other networks; each is rekeyed and ended by itself."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.left.swanctl("--initiate", "--child", "other", "--timeout", 10, timeout=20).require()
    bench.require_up(count=1)
    for gateway in bench.gateways:
        names = sorted(child["name"] for child in gateway.children())
        if names != [CHILD, "other"]:
            raise Failure(f"{gateway.name} has the children {names}")
    a, b = bench.network.a, bench.network.b
    for here, there in ((a, b), (b, a)):
        for family in (4, 6):
            if ping(here, there.inner[family], source=here.inner[family]) != 3:
                raise Failure(f"no ping over IPv{family} from side {here.letter}")
    counted = {child["name"]: int(child["packets-in"]) for child in bench.right.children()}
    if min(counted.values()) < 3:
        raise Failure(f"the two children carried {counted}")
    for gateway in bench.gateways:
        before = {child["name"]: child["spi-in"] for child in bench.left.children()}
        gateway.swanctl("--rekey", "--child", "other").require()

        def replaced(before=before):
            now = {child["name"]: child["spi-in"] for child in bench.left.children()}
            return len(bench.left.children()) == 2 and now["other"] != before["other"] and now[CHILD] == before[CHILD]

        eventually(replaced, 10, f"{gateway.name} rekeys the second child and nothing else")
        bench.require_up(count=1)
    bench.left.swanctl("--terminate", "--child", "other", "--timeout", 10).require()
    eventually(lambda: [child["name"] for child in bench.right.children()] == [CHILD], 5, "the second child has ended")
    if ping(a, b.inner[4], source=a.inner[4]) != 3:
        raise Failure("the first child ended too")
    _finish(bench)


@dataclass
class TwoChildren(ExtendedScenario):
    """IPv4 in one child, IPv6 in the other."""

    def configuration(self, side, other):
        text = super().configuration(side, other)
        mine = self.settings(side, other)
        local, remote = mine.local_ts.split(","), mine.remote_ts.split(",")
        for both, one in ((mine.local_ts, local[0]), (mine.remote_ts, remote[0])):
            text = text.replace(f"_ts = {both}\n", f"_ts = {one}\n")
        head = f"      {CHILD} {{\n"
        return text.replace(head, f"""      other {{
        local_ts = {local[1]}
        remote_ts = {remote[1]}
        esp_proposals = {mine.esp}
      }}
{head}""")


def childless(bench, options):
    """The IKE SA comes first, and the child in an exchange of its own."""
    bench.set_up()
    if bench.left.kind == "martlet":
        # It always brings the children of a connection up, here after the IKE SA.
        bench.left.initiate().require()
    else:
        bench.left.swanctl("--initiate", "--ike", CONNECTION, "--timeout", 10, timeout=20).require()
        eventually(lambda: all(gateway.sas() for gateway in bench.gateways), 5, "the IKE SA is there")
        if any(gateway.children() for gateway in bench.gateways):
            raise Failure("a Child SA came with the IKE SA")
    _require_said(bench, r"CHDLESS_SUP|CHILDLESS_IKEV2_SUPPORTED")
    if bench.left.kind == "martlet":
        _require_said(bench, r"parsed CREATE_CHILD_SA request \d+ \[")
        bench.left.swanctl("--terminate", "--child", CHILD, "--timeout", 10).require()
        eventually(lambda: not any(each.children() for each in bench.gateways), 5, "the child is gone at both sides")
    for gateway in (bench.left, bench.right):
        gateway.initiate().require()
        bench.require_up(count=1)
        bench.require_pings()
        bench.require_counted()
        gateway.swanctl("--terminate", "--child", CHILD, "--timeout", 10).require()
        eventually(lambda: not any(each.children() for each in bench.gateways), 5, "the child is gone at both sides")
    _finish(bench)


def _spis(bench):
    return {facts["initiator-spi"] for _, facts in bench.left.sas()} | {
        child["spi-in"] for child in bench.left.children()}


def _finish(bench):
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()


MIXED = {("martlet", "strongswan"), ("strongswan", "martlet")}
CONTROLLED = MIXED | {("strongswan", "strongswan")}
_PPK = '  ppk-lab {\n    id-1 = ppk.lab\n    secret = "post quantum, pre shared, of no use elsewhere"\n  }\n'

#: (name, scenario, procedure, pairings that have it)
CASES = [
    ("cookies", CookieScenario, cookies, CONTROLLED),
    ("two-children", TwoChildren, two_children, CONTROLLED | {("martlet", "martlet")}),
    # strongSwan's user-space plane wants an address of its own in each of its own networks: they are Martlet's.
    ("fragments", lambda: ExtendedScenario(networks=190), fragments, {("martlet", "strongswan")}),
    ("fragments", lambda: ExtendedScenario(networks=190, networks_side="b"), fragments, {("strongswan", "martlet")}),
    ("childless", lambda: ExtendedScenario(lines="    childless = force\n"), childless, CONTROLLED),
    ("ppk-required",
     lambda: ExtendedScenario(
         lines="    ppk_required = yes\n", lines_a="    ppk_id = ppk.lab\n", secrets_a=_PPK,
         secrets_b=_PPK), ppk, CONTROLLED),
    ("ppk-missing",
     lambda: ExtendedScenario(lines_a="    ppk_id = ppk.lab\n    ppk_required = yes\n",
                              secrets_a=_PPK), ppk_refused, MIXED),
    ("ppk-optional",
     lambda: ExtendedScenario(lines_a="    ppk_id = ppk.lab\n", secrets_a=_PPK), ppk_optional, MIXED),
]
