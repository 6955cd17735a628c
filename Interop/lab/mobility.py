"""An end that moves to another address while packets flow (RFC 4555)."""

import time
from dataclasses import dataclass

from .network import ping
from .processes import Failure, eventually, last_lines
from .scenario import Scenario

#: Side a's other address.
ELSEWHERE = "10.99.0.3"
#: A ping every hundredth of a second.
COUNT = 600
#: A second of silence is allowed: the change is seen, told, checked.
LOSSES = 100


@dataclass
class Moving(Scenario):
    """A tunnel whose ends name no address of their own, and may move."""

    def configuration(self, side, other):
        text = super().configuration(side, other).replace("mobike = no", "mobike = yes")
        return text.replace(f"    local_addrs = {side.outer[self.outside]}\n", "")


def moves(bench, options):
    """Side a loses its address and gets another one; the same SAs go on from there."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    before = _spis(bench)
    a, b = bench.network.a, bench.network.b
    flow = bench.helper(
        ["ping", "-4", "-n", "-q", "-c", COUNT, "-i", "0.01", "-W", "2", "-I", a.inner[4], b.inner[4]], a, "moving-ping")
    time.sleep(1)
    commands = [
        # In this order: a second address of the same network goes with the first.
        f"addr del {a.outer[4]}/24 dev {a.device}", f"addr add {ELSEWHERE}/24 dev {a.device}",
        f"route replace default via {b.outer[4]}",
    ]
    a.run(["ip", "-n", a.netns, "-batch", "-"], stdin="\n".join(commands) + "\n").require()

    def moved():
        ours = {facts.get("local-host") for _, facts in bench.left.sas()}
        theirs = {facts.get("remote-host") for _, facts in bench.right.sas()}
        return ours == theirs == {ELSEWHERE}

    eventually(moved, 10, f"both sides know the address {ELSEWHERE}")
    flow.wait(30)
    received = next((int(part.split()[0]) for part in flow.output().split(",") if "received" in part), 0)
    if received < COUNT - LOSSES:
        raise Failure(f"{received} of {COUNT} packets arrived while the address changed: {last_lines(flow.output())}")
    bench.require_up(count=1)
    if _spis(bench) != before:
        raise Failure(f"other SAs after the move: {_spis(bench)} in place of {before}")
    for here, there in ((a, b), (b, a)):
        if ping(here, there.inner[4], source=here.inner[4]) != 3:
            raise Failure(f"no ping from side {here.letter} after the move")
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_secrets_kept()
    return f"{COUNT - received} of {COUNT} pings lost"


def _spis(bench):
    return {(facts["initiator-spi"], child["spi-in"]) for _, facts in bench.left.sas()
            for child in facts["child-sas"].values()}
