"""Both ends prove again who they are, after a short time and under traffic."""

import time
from dataclasses import dataclass

from .processes import Failure, eventually, last_lines
from .scenario import CONNECTION, Scenario

COUNT = 1200
#: strongSwan breaks before it makes, as initiator and, without virtual addresses, as responder too: packets wait for a
#: handshake, and in between it has no policy at all; the other side, told that the tunnel is over, has none either.
LOSSES = {"martlet": 0, "strongswan": 300}


@dataclass
class Brief(Scenario):
    """An authentication that lasts for six seconds, on the side that starts or on the other one."""

    letter: str = "a"

    def configuration(self, side, other):
        text = super().configuration(side, other)
        if side.letter != self.letter:
            # Its margin has to fit into the lifetime that the other side tells.
            return text.replace("    mobike = no\n", "    mobike = no\n    over_time = 2s\n    rand_time = 0s\n")
        return text.replace("    mobike = no\n", "    mobike = no\n    reauth_time = 6s\n    rand_time = 1s\n"
                                                 "    over_time = 20s\n")


def renewed(bench, options):
    """The IKE SA is replaced by another one with new SPIs, by the side that began; the tunnel carries on."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    first = _ike(bench)
    a, b = bench.network.a, bench.network.b
    flow = bench.helper(
        ["ping", "-4", "-n", "-q", "-c", COUNT, "-i", "0.01", "-W", "2", "-I", a.inner[4], b.inner[4]], a, "renewed-ping")
    eventually(lambda: _ike(bench) and not _ike(bench) & first, 15, "the IKE SA is another one after six seconds")
    flow.wait(40)
    received = next((int(part.split()[0]) for part in flow.output().split(",") if "received" in part), 0)
    # Where both could, it is the left one's to do; a strongSwan on the right does it by itself.
    breaks = "strongswan" in (bench.left.kind, bench.right.kind if bench.scenario.letter == "b" else bench.left.kind)
    allowed = LOSSES["strongswan" if breaks else "martlet"]
    if received < COUNT - allowed:
        raise Failure(f"{received} of {COUNT} packets arrived over a reauthentication: {last_lines(flow.output())}")
    time.sleep(0.5)
    if not bench.left.children():
        raise Failure("no Child SA after the reauthentication")
    if not breaks:
        bench.network.require_nothing_plain()
    bench.left.terminate()
    bench.require_secrets_kept()
    return f"{COUNT - received} of {COUNT} pings lost"


def on_command(bench, options):
    """`swanctl --rekey --reauth`: by who began, now; the other end is told that it can't."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    first = _ike(bench)
    if bench.right.kind == "martlet":
        refused = bench.right.swanctl("--rekey", "--ike", CONNECTION, "--reauth")
        if refused.code == 0 or "RFC 7296" not in refused.text:
            raise Failure(f"the responder's --reauth ended with {refused.code}: {refused.text}")
    bench.left.swanctl("--rekey", "--ike", CONNECTION, "--reauth").require()
    eventually(lambda: _ike(bench) and not _ike(bench) & first, 10, "the IKE SA is another one")
    bench.require_up(count=1)
    bench.require_pings()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()


def _ike(bench):
    return {facts["initiator-spi"] for _, facts in bench.left.sas()}
