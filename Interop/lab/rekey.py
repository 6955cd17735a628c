"""SAs that are replaced while packets flow: by either side, and not one packet is lost."""

import time

from .processes import Failure, eventually, last_lines
from .scenario import CHILD, CONNECTION

#: A ping every hundredth of a second, through the whole of it.
COUNT = 500


def child(bench, options):
    """A Child SA is replaced by each side in turn: other SPIs, the same IKE SA."""
    return _rekey(bench, ("--child", CHILD), _children)


def ike(bench, options):
    """The IKE SA is replaced by each side in turn: other SPIs, the same Child SA."""
    return _rekey(bench, ("--ike", CONNECTION), _ike_sas)


def _rekey(bench, arguments, of_interest):
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    for gateway in bench.gateways:
        before, kept = _children(bench), _ike_sas(bench)
        known = of_interest(bench)
        pings = [_ping(bench, here, family) for here in bench.gateways for family in (4, 6)]
        time.sleep(0.5)
        gateway.swanctl("--rekey", *arguments).require()
        eventually(
            lambda known=known: not known & of_interest(bench), 10, f"{gateway.name} has other SPIs after --rekey")
        bench.require_up(count=1)
        # What was not to be replaced is still there.
        if of_interest is _children and _ike_sas(bench) != kept:
            raise Failure(f"{gateway.name} replaced the IKE SA as well")
        if of_interest is _ike_sas and _children(bench) != before:
            raise Failure(f"{gateway.name} replaced the Child SA as well")
        for process in pings:
            if process.wait(30) != 0 or f"{COUNT} received" not in process.output():
                raise Failure(f"packets were lost while {gateway.name} rekeyed: {last_lines(process.output())}")
        bench.require_pings()
    bench.require_counted()
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"{8 * COUNT} pings, none lost"


def _ping(bench, gateway, family):
    here, there = gateway.side, bench.other(gateway).side
    return bench.helper(
        ["ping", f"-{family}", "-n", "-q", "-c", COUNT, "-i", "0.01", "-W", "2", "-I", here.inner[family],
         there.inner[family]], here, f"rekey-ping-{here.letter}-{family}-{time.monotonic_ns()}")


def _children(bench):
    return {child["spi-in"] for gateway in bench.gateways for child in gateway.children()}


def _ike_sas(bench):
    return {facts["initiator-spi"] for gateway in bench.gateways for _, facts in gateway.sas()}
