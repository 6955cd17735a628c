"""A peer that dies without a word: liveness checks find out, `dpd_action = restart` begins anew, and goes on trying until
the peer is there again."""

import re
import time
from dataclasses import dataclass

from .extensions import ExtendedScenario
from .processes import Failure, eventually

#: Seconds without a sign of life after which a gateway asks, and within which it has to know.
DELAY = 1
NOTICED = 12


@dataclass
class Mortal(ExtendedScenario):
    """One side asks whether the other one lives, and begins anew when it does not; the other one asks nothing."""

    #: The side that lives on.
    letter: str = "a"

    def settings(self, side, other):
        mine = super().settings(side, other)
        if side.letter == self.letter:
            mine.child += "\n        dpd_action = restart"
        return mine

    def prepare(self, gateway, other):
        if gateway.kind.startswith("strongswan"):
            gateway.settings = "retransmit_tries = 3\n  retransmit_timeout = 1.0\n  retransmit_base = 1.0"
            self.lines_of(gateway.side, f"    dpd_delay = {DELAY}s\n    keyingtries = 0\n")
        else:
            self.lines_of(
                gateway.side, f"    dpd_delay = {DELAY}s\n    dpd_interval = 1s\n    dpd_tries = 3\n    keyingtries = 0\n")

    def lines_of(self, side, lines):
        if side.letter != self.letter:
            return
        if side.letter == "a":
            self.lines_a = lines
        else:
            self.lines_b = lines

    def configuration(self, side, other):
        text = super().configuration(side, other)
        return text + ("martlet {\n  retransmit_tries = 3\n  retransmit_timeout = 1.0\n  retransmit_base = 1.0\n"
                       "  retry_initiate_interval = 1s\n}\n")


def restart(bench, options):
    """kill -9 of one gateway under pings: the other one knows soon, tries again while nobody is there, and carries traffic
    once the dead one runs again. Nothing leaves a Martlet's side in clear meanwhile."""
    bench.set_up()
    alive, dead = bench.gateways if bench.scenario.letter == "a" else reversed(bench.gateways)
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    old = _spis(alive)
    pings = _steady(bench, alive, dead)
    time.sleep(1)
    if not all(_replies(each) for each in pings):
        raise Failure("the pings are not answered before anybody dies")
    killed = time.time()
    dead.crash()
    try:
        eventually(lambda: _is_trying(alive, old), NOTICED, f"{alive.name} knows that its peer is dead and begins anew")
    except Failure as failure:
        raise Failure(f"{failure}: {[(facts['state'], facts['initiator-spi']) for _, facts in alive.sas()]}") from None
    noticed = time.time() - killed
    _require_closed(bench)
    # It goes on for longer than one attempt takes. Between two of them Martlet makes a pause.
    time.sleep(6)
    eventually(lambda: _is_trying(alive, old), 4, f"{alive.name} tries again")
    late = [moment for each in pings for moment in _replies(each) if moment > killed + 0.5]
    # Two strongSwans reach each other in clear once one is dead.
    ours = "martlet" in (alive.kind, dead.kind)
    if late and ours:
        raise Failure(f"{len(late)} pings were answered while {dead.name} was dead")
    _require_closed(bench)
    begin = time.time()
    dead.start()
    for each in pings:
        eventually(
            lambda each=each: any(moment > begin for moment in _replies(each)), 20, "pings are answered after the start")
    first = max(min(moment for moment in _replies(each) if moment > begin) for each in pings) - begin
    bench.require_up(count=1)
    if [facts.get("initiator") for _, facts in alive.sas()] != ["yes"]:
        raise Failure(f"{alive.name} did not begin the new IKE SA")
    for each in pings:
        each.kill()
    bench.require_pings()
    bench.require_counted()
    _require_closed(bench)
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"noticed after {noticed:.1f} s" + (f", traffic {first:.1f} s after the peer's start" if ours else "")


def _steady(bench, alive, dead):
    """Pings of both families from who lives on, and from the dead one where it is a Martlet: strongSwan's user-space plane
    leaks when it is killed, which the row `killed` shows."""
    pings = []
    for gateway in [alive] + ([dead] if dead.kind == "martlet" else []):
        here, there = gateway.side, bench.other(gateway).side
        pings += [
            bench.helper(
                ["ping", f"-{family}", "-n", "-D", "-i", "0.05", "-I", here.inner[family], there.inner[family]], here,
                f"steady-{here.letter}-{family}")
            for family in (4, 6)
        ]
    return pings


def _replies(each):
    return [float(moment) for moment in re.findall(r"^\[(\d+\.\d+)\] \d+ bytes from", each.output(), re.MULTILINE)]


def _spis(gateway):
    return {facts["initiator-spi"] for _, facts in gateway.sas()}


def _is_trying(gateway, old):
    """Whether it has a new IKE SA on its way and nothing of the old one."""
    sas = [facts for _, facts in gateway.sas()]
    return bool(sas) and all(
        facts["state"] == "CONNECTING" and facts["initiator-spi"] not in old and facts.get("initiator") == "yes"
        for facts in sas)


def _require_closed(bench):
    """No plain packet from the side of a Martlet, dead or alive."""
    for gateway in bench.gateways:
        count = bench.network.plain_packets(gateway.side) if gateway.kind == "martlet" else 0
        if count:
            raise Failure(f"{count} packets left {gateway.name} in clear")


ALL = {("martlet", "strongswan"), ("strongswan", "martlet"), ("martlet", "martlet"), ("strongswan", "strongswan")}

#: (name, scenario, procedure, pairings that have it)
CASES = [
    ("dpd-restart-initiator", lambda: Mortal(letter="a"), restart, ALL),
    ("dpd-restart-responder", lambda: Mortal(letter="b"), restart, ALL),
]
