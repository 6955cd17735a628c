"""The life of a tunnel: up, used in every direction, down, and nothing left."""

import time

from .processes import Failure, last_lines
from .scenario import CHILD


def tunnel(bench, options):
    """The left side initiates; the tunnel carries pings and TCP both ways; the left side terminates."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_suite()
    bench.require_pings()
    bench.require_counted()
    rates = bench.transfer(options.seconds)
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"TCP {rates[0]:.2f} and {rates[1]:.2f} Gbit/s"


def reach(bench, options):
    """The same without TCP: for rows that ask only whether both sides mean the same by an algorithm."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_suite()
    bench.require_pings()
    bench.require_counted()
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()


def both_initiate(bench, options):
    """Both sides initiate at once. One SA pair or two may result; the sides must agree and traffic must pass.

    When one side's tunnel is up a moment earlier, strongSwan drops its own attempt as a duplicate and says "failed":
    one of the two commands may fail, not both.
    """
    bench.set_up()
    starts = [
        bench.helper(["swanctl", "--initiate", "--child", CHILD, "--timeout", 15, "--uri", gateway.uri],
                     gateway.side, f"initiate-{gateway.side.letter}")
        for gateway in bench.gateways
    ]
    if all([start.wait(25) != 0 for start in starts]):
        raise Failure(f"both initiations failed: {' and '.join(last_lines(start.output()) for start in starts)}")
    count = len(bench.require_up())
    # With two tunnels strongSwan lays its routes a second time, which may cost a packet that comes in between.
    time.sleep(1)
    bench.require_pings()
    bench.require_counted()
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"{count} IKE SA{'s' if count > 1 else ''}"
