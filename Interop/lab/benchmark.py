"""The command line of the benchmark: rounds of strongSwan and Martlet by turns on one pair of namespaces."""

import argparse
import json
import os
import shutil
import sys
import tempfile

from . import measure
from .figures import OURS, PEER, Figures
from .network import PREFIX, Network
from .processes import Failure
from .readiness import ready
from .runner import ROOT

KINDS = (PEER, OURS)


def main(arguments):
    options = _options(arguments)
    if not ready("bench", options, set(KINDS)):
        return 2
    figures = Figures()
    network = Network()
    directory = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
    status = 0
    loads = []
    try:
        network.up()
        network.prove_guard()
        for number in range(1, options.rounds + 1):
            loads.append(os.getloadavg()[0])
            _round(number, network, directory, options, figures)
    except Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 130
    finally:
        loads.append(os.getloadavg()[0])
        network.down()
        if status == 0:
            shutil.rmtree(directory, ignore_errors=True)
    _report(figures, options, loads)
    return status


def _options(arguments):
    parser = argparse.ArgumentParser(prog="Interop/bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="seconds of TCP in each direction (10)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each gateway has its turn (3)")
    parser.add_argument("--handshakes", type=int, default=1000, help="handshakes in each round (1000)")
    parser.add_argument("--outstanding", type=int, default=16, help="handshakes under way at once (16)")
    parser.add_argument("--only", choices=["tcp", "handshakes"], help="one kind of measurement")
    release = os.path.join(ROOT, ".build/release")
    parser.add_argument("--martlet", default=os.path.join(release, "martlet"), help="the executable to measure")
    parser.add_argument(
        "--martlet-bench", default=os.path.join(release, "martlet-bench"), help="the executable that makes handshakes")
    parser.add_argument(
        "--summary", default=os.path.join(ROOT, ".build/interop/bench.json"),
        help="where all samples go; a Markdown table goes beside it")
    options = parser.parse_args(arguments)
    if min(options.seconds, options.rounds, options.handshakes, options.outstanding) < 1:
        parser.error("the numbers must be above zero")
    return options


def _round(number, network, directory, options, figures):
    """Each measurement for one gateway, then at once for the other, so that both see the same machine."""
    if options.only != "handshakes":
        for suite in measure.suites():
            for kind in KINDS:
                _progress(f"round {number}: TCP, {suite.esp}, {kind}")
                place = measure.directory_for(directory, number, "tcp", suite.esp, kind)
                measure.tunnel(kind, suite, network, place, options, figures)
    if options.only != "tcp":
        for group in measure.GROUPS:
            for kind in KINDS:
                _progress(f"round {number}: handshakes, {group}, {kind}")
                place = measure.directory_for(directory, number, "handshakes", group, kind)
                measure.handshakes(kind, group, network, place, options, figures)


def _progress(text):
    print(f"bench: {text} (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)


def _report(figures, options, loads):
    for line in figures.lines():
        print(line, flush=True)
    os.makedirs(os.path.dirname(os.path.abspath(options.summary)), exist_ok=True)
    with open(options.summary, "w", encoding="utf-8") as sink:
        tree = {
            "seconds": options.seconds, "rounds": options.rounds, "handshakes": options.handshakes,
            "outstanding": options.outstanding, "load": loads, "figures": figures.tree(),
        }
        json.dump(tree, sink, indent=2)
        sink.write("\n")
    with open(os.path.splitext(options.summary)[0] + ".md", "w", encoding="utf-8") as sink:
        sink.write(figures.table())
