"""`Interop/ike`: what handshakes and tunnels cost, against their targets; strongSwan beside it in the same run."""

import argparse
import os
import shutil
import sys
import tempfile

from . import manybench, measure
from .figures import OURS, PEER, Figures
from .network import PREFIX, Network
from .processes import Failure, run
from .readiness import ready
from .runner import ROOT
from .targets import Row, at_least, at_most, keep, machine, render

#: Groups, and how many times as many handshakes as strongSwan a processor second should make.
GROUPS = {"x25519": 5, "ecp384": 4, "modp2048": 4}


def main(arguments):
    options = _options(arguments)
    if not ready("ike", options, {PEER, OURS}):
        return 2
    rows, loads, status = [], [], 0
    for step in (_handshakes, _many, _tunnels):
        try:
            rows += step(options, loads)
        except Failure as failure:
            print(f"ike: {failure}", file=sys.stderr)
            rows.append(Row(step.__name__.strip("_"), None, "", note=str(failure)[:200]))
            status = 1
    text = f"{machine(loads)}\n{render(rows)}"
    print(text)
    print(f"ike: kept as {os.path.relpath(keep('ike', 'Handshakes and tunnels', text), ROOT)}", file=sys.stderr)
    return status


def _options(arguments):
    parser = argparse.ArgumentParser(prog="Interop/ike", description=__doc__)
    parser.add_argument("--handshakes", type=int, default=1000, help="handshakes in each round (1000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each gateway has its turn (3)")
    parser.add_argument("--outstanding", type=int, default=16, help="handshakes under way at once (16)")
    parser.add_argument("--connections", type=int, default=10_000, help="connections loaded, IKE SAs listed (10000)")
    parser.add_argument("--tunnels", type=int, default=100_000, help="tunnels that are kept alive (100000)")
    release = os.path.join(ROOT, ".build/release")
    parser.add_argument("--martlet", default=os.path.join(release, "martlet"), help="the executable to measure")
    parser.add_argument(
        "--martlet-bench", default=os.path.join(release, "martlet-bench"), help="the executable with the harnesses")
    options = parser.parse_args(arguments)
    if min(options.handshakes, options.rounds, options.outstanding, options.tunnels, options.connections) < 1:
        parser.error("the numbers must be above zero")
    return options


def _progress(text, loads):
    loads.append(os.getloadavg()[0])
    print(f"ike: {text} (load {loads[-1]:.1f})", file=sys.stderr, flush=True)


def _handshakes(options, loads):
    """Both responders by turns, driven by the same initiator."""
    figures, network = Figures(), Network()
    directory = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
    try:
        network.up()
        for number in range(1, options.rounds + 1):
            for group in GROUPS:
                for kind in (PEER, OURS):
                    _progress(f"round {number}: handshakes, {group}, {kind}", loads)
                    place = measure.directory_for(directory, number, group, kind)
                    measure.handshakes(kind, group, network, place, options, figures)
    finally:
        network.down()
        shutil.rmtree(directory, ignore_errors=True)
    rows = []
    for group, bound in GROUPS.items():
        rows.append(_row(figures, f"handshakes/{group}", f"handshakes, {group}", f"≥ {bound}", at_least(bound)))
    for group in GROUPS:
        rows.append(_row(figures, f"handshakes-deleted/{group}", f"handshakes and their deletion, {group}"))
    return rows


def _row(figures, name, title, target="", reached=None):
    figure = figures.all[name]
    ours, peer = figure.median(OURS), figure.median(PEER)
    return Row(
        f"{title}, for each CPU-second of the responder, over strongSwan's", ours / peer, "×", target, reached,
        f"{ours:.0f} against {peer:.0f}; {1e6 / ours:.0f} against {1e6 / peer:.0f} µs each")


def _many(options, loads):
    """Control clients of both daemons, with much to load and to list."""
    return manybench.rows(options, lambda text: _progress(text, loads))


def _tunnels(options, loads):
    """The engine by itself, with a plane that installs nothing."""
    _progress(f"{options.tunnels} tunnels in one process", loads)
    done = run([options.martlet_bench, "tunnels", "--alive", options.tunnels], timeout=3600).require()
    figures = {words[0]: float(words[1]) for words in map(str.split, done.out.splitlines())}
    return [
        Row("memory for an IKE SA with its Child SA", figures["tunnels/memory"], "octets", "≤ 5,120", at_most(5120),
            "the engine with a plane that installs nothing"),
        Row(f"{options.tunnels:,} tunnels kept alive with DPD every 30 s", figures["tunnels/keepalive-cpu"], "cores",
            "≤ 0.3", at_most(0.3),
            f"{figures['tunnels/checks']:.0f} checks a second; the checking engine's own time, no system calls"),
    ]
