"""How many SAs there are: a child that nobody uses, a key exchange that may be left out, a second IKE SA of one peer."""

import time
from dataclasses import dataclass

from .extensions import ExtendedScenario
from .mobility import ELSEWHERE
from .network import ping
from .processes import Failure, eventually
from .scenario import CHILD, CONNECTION

#: Seconds without a packet after which a child is closed.
INACTIVITY = 4


@dataclass
class Idle(ExtendedScenario):
    """One side closes what nobody uses."""

    letter: str = "a"

    def settings(self, side, other):
        mine = super().settings(side, other)
        if side.letter == self.letter:
            mine.child += f"\n        inactivity = {INACTIVITY}s"
        return mine


def inactivity(bench, options):
    """The child lives while packets pass, in one direction at least; it goes after them, and the IKE SA stays."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    a, b = bench.network.a, bench.network.b
    first = {child["spi-in"] for child in bench.left.children()}
    flow = bench.helper(
        ["ping", "-4", "-n", "-q", "-c", "20", "-i", "0.5", "-I", a.inner[4], b.inner[4]], a, "busy-ping")
    flow.wait(30)
    if {child["spi-in"] for child in bench.left.children()} != first:
        raise Failure("the child was closed while packets passed")
    eventually(
        lambda: not any(gateway.children() for gateway in bench.gateways), 2 * INACTIVITY + 4,
        "the child that nobody uses is closed at both sides", interval=0.5)
    for gateway in bench.gateways:
        if [facts["state"] for _, facts in gateway.sas()] != ["ESTABLISHED"]:
            raise Failure(f"{gateway.name} has {gateway.sas()} where one IKE SA should be left")
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    _finish(bench)


@dataclass
class OptionalExchange(ExtendedScenario):
    """One side would like a key exchange when a child is rekeyed and can do without, the other has none."""

    letter: str = "a"

    def settings(self, side, other):
        mine = super().settings(side, other)
        mine.esp = "aes128gcm16-x25519-none" if side.letter == self.letter else "aes128gcm16"
        return mine


def optional_exchange(bench, options):
    """Each side rekeys the child, and no key exchange takes part; nothing is lost."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    for gateway in bench.gateways:
        before = {child["spi-in"] for child in bench.left.children()}
        gateway.swanctl("--rekey", "--child", CHILD).require()
        eventually(
            lambda before=before: not before & {child["spi-in"] for child in bench.left.children()}, 10,
            f"{gateway.name} rekeys the child")
        bench.require_up(count=1)
        for each in bench.gateways:
            groups = [child["dh-group"] for child in each.children() if "dh-group" in child]
            if groups:
                raise Failure(f"{each.name} exchanged keys by {groups}")
        bench.require_pings()
    bench.require_counted()
    _finish(bench)


@dataclass
class Unique(ExtendedScenario):
    """The responder's policy; whether the initiator says INITIAL_CONTACT goes by its own."""

    policy: str = "no"
    #: What the initiator has.
    starter: str = "never"
    #: The initiator's address the second time: at the same one, strongSwan takes it for a reauthentication.
    elsewhere: bool = False

    def configuration(self, side, other):
        text = super().configuration(side, other)
        word = self.starter if side.letter == "a" else self.policy
        text = text.replace("    mobike = no\n", f"    mobike = no\n    unique = {word}\n")
        if side.letter == "b":
            return text.replace(f"remote_addrs = {other.outer[4]}", f"remote_addrs = {other.outer[4]},{ELSEWHERE}")
        return text.replace(f"local_addrs = {side.outer[4]}", f"local_addrs = {ELSEWHERE}") if self.elsewhere else text


#: How many IKE SAs the responder has once the same peer has come a second time, without and with INITIAL_CONTACT.
COUNTS = {"never": (2, 2), "no": (2, 1), "keep": (1, 1), "replace": (1, 1)}


def unique(bench, options):
    """The initiator loses all memory and comes again: the responder keeps both, the old or the new one."""
    policy = bench.scenario.policy
    for starter, count in zip(("never", "no"), COUNTS[policy]):
        bench.scenario.starter, bench.scenario.elsewhere = starter, False
        if starter == "never":
            bench.set_up()
            a = bench.network.a
            a.run(["ip", "-n", a.netns, "addr", "add", f"{ELSEWHERE}/24", "dev", a.device]).require()
        else:
            for gateway in bench.gateways:
                gateway.write(bench.scenario.configuration(gateway.side, bench.other(gateway).side))
            bench.right.start()
            bench.left.start()
        bench.left.initiate().require()
        bench.require_up(count=1)
        old = _established(bench.right)
        bench.left.crash()
        bench.scenario.elsewhere = True
        bench.left.write(bench.scenario.configuration(bench.left.side, bench.right.side))
        bench.left.start()
        done = bench.left.initiate(timeout=10)
        # Only who keeps the old one refuses, unless the peer says that it has nothing else.
        refused = policy == "keep" and starter == "never"
        if (done.code != 0) != refused:
            raise Failure(f"the second attempt ended with {done.code} ({starter}): {done.text[-200:]}")
        eventually(
            lambda count=count: len(_established(bench.right)) == count, 8,
            f"the responder has {count} IKE SAs with unique = {policy}, the initiator's {starter}", interval=0.5)
        now = _established(bench.right)
        if count == 1 and (now == old) != refused:
            raise Failure(f"the wrong one is left with unique = {policy}, the initiator's {starter}")
        if not refused:
            a, b = bench.network.a, bench.network.b
            if ping(a, b.inner[4], source=a.inner[4]) != 3:
                raise Failure("the new one carries nothing")
        for gateway in bench.gateways:
            gateway.crash()
    time.sleep(0.2)
    bench.require_secrets_kept()


def _established(gateway):
    return {facts["initiator-spi"] for name, facts in gateway.sas()
            if name == CONNECTION and facts["state"] == "ESTABLISHED"}


def _finish(bench):
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()


MIXED = {("martlet", "strongswan"), ("strongswan", "martlet")}
ALL = MIXED | {("strongswan", "strongswan"), ("martlet", "martlet")}

#: (name, scenario, procedure, pairings that have it)
CASES = [
    ("inactivity-initiator", lambda: Idle(letter="a"), inactivity, ALL),
    ("inactivity-responder", lambda: Idle(letter="b"), inactivity, ALL),
    ("optional-exchange-initiator", lambda: OptionalExchange(letter="a"), optional_exchange, ALL),
    ("optional-exchange-responder", lambda: OptionalExchange(letter="b"), optional_exchange, ALL),
    *((f"unique-{policy}", lambda policy=policy: Unique(policy=policy), unique, ALL) for policy in COUNTS),
]
