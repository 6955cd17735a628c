"""The life of a tunnel: up, used in every direction, down, and nothing left."""

from .processes import Failure
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


def both_initiate(bench, options):
    """Both sides initiate at once. One SA pair or two may result; the sides must agree and traffic must pass."""
    bench.set_up()
    starts = [
        bench.helper(["swanctl", "--initiate", "--child", CHILD, "--timeout", 15, "--uri", gateway.uri],
                     gateway.side, f"initiate-{gateway.side.letter}")
        for gateway in bench.gateways
    ]
    for start in starts:
        if start.wait(25) != 0:
            raise Failure(f"one of two simultaneous initiations failed: {start.output()[-200:]}")
    count = len(bench.require_up())
    bench.require_pings()
    bench.require_counted()
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"{count} IKE SA{'s' if count > 1 else ''}"
