"""A gateway killed while it works: what then leaves the machine, and what its successor finds."""

import time

from .network import Plumbing
from .processes import Failure, eventually


def _kill_under_traffic(bench):
    """A steady ping of both families to the protected network, and kill -9 in the middle of it."""
    here, there = bench.network.a, bench.network.b
    pings = [
        bench.helper(
            ["ping", f"-{family}", "-n", "-i", "0.02", "-I", here.inner[family], there.inner[family]], here,
            f"ping-{family}")
        for family in (4, 6)
    ]
    time.sleep(1)
    if any(not ping.running for ping in pings):
        raise Failure(f"the ping ended early: {[ping.output()[-120:] for ping in pings]}")
    bench.network.require_nothing_plain()
    bench.left.crash()
    time.sleep(2)
    return pings


def killed(bench, options):
    """Nothing leaves in clear, not at once, not later, not during the restart; the restarted gateway takes over."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    pings = _kill_under_traffic(bench)
    bench.network.require_nothing_plain()
    bench.left.start()
    bench.network.require_nothing_plain()
    bench.left.initiate().require()
    # The peer may hold the dead gateway's SAs until it has heard INITIAL_CONTACT: what counts is that traffic passes.
    eventually(lambda: _passes(bench), 10, "traffic passes after the restart", interval=0.5)
    bench.network.require_nothing_plain()
    for ping in pings:
        ping.kill()
    bench.left.terminate().require()
    bench.require_clean_stop()
    repeated = Plumbing(bench.left.side).repeated()
    if repeated:
        raise Failure(f"the restart repeated what was there: {repeated}")
    bench.network.require_nothing_plain()
    bench.require_secrets_kept()
    return "0 plain packets"


def _passes(bench):
    try:
        bench.require_pings()
    except Failure:
        return False
    return True


def killed_leaks(bench, options):
    """The control: strongSwan's user-space plane does leak when it is killed, and the guard sees it."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    _kill_under_traffic(bench)
    count = bench.network.plain_packets(bench.network.a)
    if count == 0:
        raise Failure("the guard saw no plain packet although nothing holds them back: the lab cannot see a leak")
    return f"the guard saw {count} plain packets, as it must"
