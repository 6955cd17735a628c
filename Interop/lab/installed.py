"""Traps that a control client puts in force and takes out again: `swanctl --install`, `--uninstall` and `--list-pols`."""

from .network import ping
from .policies import PolicyScenario
from .processes import Failure, eventually
from .scenario import CHILD, CONNECTION


def installed(bench, options):
    """What was installed by hand traps until it is uninstalled; the SAs that it raised stay, and what is not there is
    refused in strongSwan's words."""
    bench.set_up()
    gateway = bench.left
    here, there = gateway.side, bench.right.side
    if _policies(gateway):
        raise Failure(f"policies that nobody installed: {_policies(gateway)}")
    for arguments, words in (
            (("--install", "--child", "nobody"), "not found"), (("--uninstall", "--child", CHILD), "not found")):
        refused = gateway.swanctl(*arguments)
        if refused.code == 0 or words not in refused.text:
            raise Failure(f"{' '.join(arguments)} ended with {refused.code}: {refused.text}")
    gateway.swanctl("--install", "--child", CHILD, "--ike", CONNECTION).require()
    _require_listed(gateway, there, "--trap")
    if gateway.sas():
        raise Failure("the trap brought the tunnel up without a packet")
    for family in (4, 6):
        if ping(here, there.inner[family], source=here.inner[family], count=1, wait=8) != 1:
            raise Failure(f"the first packet over IPv{family} did not get through")
    bench.require_up(count=1)
    gateway.terminate().require()
    eventually(lambda: not gateway.sas(), 5, "the tunnel is down")
    _require_listed(gateway, there, "--trap")
    # It stays what it is when its SAs are there.
    gateway.initiate().require()
    bench.require_up(count=1)
    gateway.swanctl("--uninstall", "--child", CHILD, "--ike", CONNECTION).require()
    if _policies(gateway):
        raise Failure(f"after `--uninstall`: {_policies(gateway)}")
    bench.require_up(count=1)
    bench.require_pings()
    gateway.terminate().require()
    eventually(lambda: not gateway.sas(), 5, "the tunnel is down")
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return "trapped while it was installed"


def _policies(gateway):
    return gateway.swanctl("--list-pols").require().out.strip()


def _require_listed(gateway, there, kind):
    """The one policy, with its selectors, where it belongs and nowhere else."""
    text = gateway.swanctl("--list-pols", kind).require().out
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or lines[0] != f"{CONNECTION}/{CHILD}, TUNNEL":
        raise Failure(f"`--list-pols {kind}` says: {text}")
    for name, side in (("local", gateway.side), ("remote", there)):
        wanted = f"{name}: {side.protected[4]} {side.protected[6]}"
        if wanted not in [" ".join(line.split()) for line in lines]:
            raise Failure(f"`--list-pols {kind}` does not say `{wanted}`: {text}")
    for other in ("--drop", "--pass"):
        if gateway.swanctl("--list-pols", other).require().out.strip():
            raise Failure(f"the trap is among `--list-pols {other}`")


#: (name, scenario, procedure, pairings that have it)
CASES = [("install", PolicyScenario, installed, {("martlet", "strongswan"), ("martlet", "martlet")})]
