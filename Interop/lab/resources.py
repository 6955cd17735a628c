"""Several workers, each with a Child SA of its own for the same packets (RFC 9611)."""

import json
from dataclasses import dataclass

from .processes import Failure, eventually, last_lines
from .scenario import CHILD, Scenario

#: Workers of both gateways, and TCP streams: enough that no worker is without one, but by bad luck.
WORKERS = 2
STREAMS = 16


@dataclass
class Resources(Scenario):
    """A tunnel with as many Child SAs as there are workers. `starter` initiates."""

    starter: str = "a"

    def settings(self, side, other):
        mine = super().settings(side, other)
        mine.child += "\n        per_cpu_sas = yes"
        return mine

    def configuration(self, side, other):
        return super().configuration(side, other) + f"\nmartlet {{\n  workers = {WORKERS}\n}}\n"


def spread(bench, options):
    """Traffic both ways goes by all Child SAs, whoever initiates; one of them is replaced; all end together."""
    bench.set_up()
    starter = bench.left if bench.scenario.starter == "a" else bench.right
    starter.initiate().require()
    _require_all(bench)
    bench.require_pings()
    first = _traffic(bench)
    for gateway in bench.gateways:
        for child in gateway.children():
            for direction in ("packets-in", "packets-out"):
                if int(child[direction]) == 0:
                    raise Failure(f"{gateway.name}: {child['name']}-{child['uniqueid']} counts no {direction}")
    before = _spis(starter)
    starter.swanctl("--rekey", "--child", CHILD).require()
    eventually(lambda: not before & _spis(starter), 10, "both Child SAs are replaced")
    _require_all(bench)
    second = _traffic(bench)
    for gateway in bench.gateways:
        lost = sum(int(child.get("replay", 0) or 0) for child in gateway.children())
        if lost:
            raise Failure(f"{gateway.name} dropped {lost} packets as replayed")
    bench.network.require_nothing_plain()
    starter.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"{WORKERS} Child SAs, {first:.2f} and {second:.2f} Gbit/s there and back together"


def _require_all(bench):
    """Both sides have as many Child SAs as workers, and agree on them."""
    for gateway in bench.gateways:
        eventually(lambda: len(gateway.children()) == WORKERS, 10, f"{gateway.name} has {WORKERS} Child SAs")
    bench.require_up(count=1)


def _spis(gateway):
    return {child["spi-in"] for child in gateway.children()}


def _traffic(bench):
    """TCP both ways at once for three seconds; Gbit/s of both together."""
    here, there = bench.network.a, bench.network.b
    server = bench.helper(["iperf3", "--server", "--one-off", "--bind", there.inner[4]], there, "iperf3-server")
    eventually(lambda: there.run(["ss", "-Hltn", "sport = :5201"]).out.strip(), 5, "iperf3 listens")
    done = here.run(
        ["iperf3", "--client", there.inner[4], "--bind", here.inner[4], "--time", 3, "--json", "--bidir",
         "--parallel", STREAMS, "--connect-timeout", 3000], timeout=30)
    report = json.loads(done.out) if done.out.strip() else {}
    if done.code != 0 or "error" in report:
        raise Failure(f"iperf3: {report.get('error') or last_lines(done.text)}")
    server.wait(5)
    ends = [report["end"][key]["bits_per_second"] / 1e9 for key in ("sum_received", "sum_received_bidir_reverse")]
    if min(ends) < 1e-3:
        raise Failure(f"almost nothing went one way: {ends} Gbit/s")
    return sum(ends)
