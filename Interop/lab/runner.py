"""The command line, the clock over each case, the report, and the promise that nothing stays behind."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

from .bench import Bench
from .cases import all_cases
from .gateways import Martlet, missing
from .newer import StrongSwanNewer
from .network import PREFIX, owner_is_dead, sweep
from .processes import Failure, TimedOut

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main(arguments):
    options = _options(arguments)
    cases = [case for case in all_cases() if _wanted(case, options)]
    if options.list:
        for case in cases:
            print(f"{'ci ' if case.ci else '   '} {case.name}")
        return 0
    if not cases:
        print("interop: no case has such a name; see --list", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("interop: network namespaces need root: run it with sudo", file=sys.stderr)
        return 2
    Martlet.executable = os.path.abspath(options.martlet)
    StrongSwanNewer.root = os.path.abspath(options.newer)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    signal.signal(signal.SIGALRM, _too_long)
    sweep()
    for name in os.listdir(tempfile.gettempdir()):
        if owner_is_dead(name):
            shutil.rmtree(os.path.join(tempfile.gettempdir(), name), ignore_errors=True)
    results = []
    try:
        for case in cases:
            results.append(_run(case, options))
            _print(results[-1])
    except KeyboardInterrupt:
        print("interop: interrupted, everything removed", file=sys.stderr)
        _report(results, options)
        return 130
    _report(results, options)
    return 0 if all(result["passed"] for result in results) else 1


def _options(arguments):
    parser = argparse.ArgumentParser(prog="Interop/run", description=__doc__)
    parser.add_argument("--only", action="append", metavar="CASE", help="cases whose name contains this (repeatable)")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and stop")
    parser.add_argument("--keep", action="store_true", help="leave the last case's gateways running, until Enter")
    parser.add_argument("--ci", action="store_true", help="the dozen cases of continuous integration, 3 s of TCP")
    parser.add_argument("--seconds", type=int, help="seconds of TCP in each direction (10; with --ci 3)")
    parser.add_argument(
        "--martlet", default=os.path.join(ROOT, ".build/release/martlet"), help="the executable to test")
    parser.add_argument(
        "--summary", default=os.path.join(ROOT, ".build/interop/summary.json"), help="where the JSON summary goes")
    parser.add_argument(
        "--newer", default=os.path.join(ROOT, ".build/interop/strongswan-newer"),
        help="where the newest strongSwan is unpacked, for the cases that need it")
    options = parser.parse_args(arguments)
    options.seconds = options.seconds or (3 if options.ci else 10)
    return options


def _wanted(case, options):
    if options.only:
        return any(word in case.name for word in options.only)
    if case.optional:
        return False
    return case.ci or not options.ci


def _too_long(*_):
    raise TimedOut("the case took longer than it may")


def _run(case, options):
    """One case, from nothing to nothing."""
    directory = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
    begin = time.monotonic()
    passed, note, bench = False, "", None
    try:
        kinds = {case.left, case.right}
        absent = missing(kinds, Martlet.executable)
        if StrongSwanNewer.kind in kinds:
            StrongSwanNewer.unpack()
        if absent:
            raise Failure("; ".join(absent))
        signal.alarm(case.timeout)
        bench = Bench(case.left, case.right, case.scenario(), directory)
        note = case.procedure(bench, options) or ""
        passed = True
    except Failure as failure:
        note = str(failure)
    except Exception as error:  # A fault of the lab itself is a failure of the case, with its place.
        note = f"{type(error).__name__}: {error} ({traceback.extract_tb(error.__traceback__)[-1].name})"
    finally:
        signal.alarm(0)
        if options.keep and bench and sys.exc_info()[0] is None:
            _keep(bench, directory)
        _clean(bench, directory, None if passed else _logs(case, options))
    return {"name": case.name, "passed": passed, "seconds": round(time.monotonic() - begin, 2),
            "note": " ".join(note.split())}


def _keep(bench, directory):
    print(f"kept: {bench.network.a.netns}, {bench.network.b.netns}, {directory}; Enter removes them", flush=True)
    sys.stdin.readline()


def _clean(bench, directory, logs):
    """Nobody may interrupt this: a second Ctrl-C waits until the namespaces are gone."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if bench:
            bench.tear_down()
        if logs:
            _save(directory, logs)
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _logs(case, options):
    name = case.name.replace("/", "-").replace(" ", "-")
    return os.path.join(os.path.dirname(os.path.abspath(options.summary)), "logs", name)


def _save(directory, logs):
    """Keeps what the gateways of a failed case said."""
    shutil.rmtree(logs, ignore_errors=True)
    for parent, _, names in os.walk(directory):
        for name in names:
            source = os.path.join(parent, name)
            if os.path.isfile(source) and name != "swanctl.conf":
                target = os.path.join(logs, os.path.relpath(source, directory))
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copyfile(source, target)


def _print(result):
    verdict = "PASS" if result["passed"] else "FAIL"
    print(f"{verdict}  {result['seconds']:6.1f} s  {result['name']:<50}  {result['note']}", flush=True)


def _report(results, options):
    failed = [result for result in results if not result["passed"]]
    summary = {
        "suite": "interop", "tests": len(results), "failures": len(failed),
        "seconds": round(sum(result["seconds"] for result in results), 2), "cases": results,
    }
    os.makedirs(os.path.dirname(os.path.abspath(options.summary)), exist_ok=True)
    with open(options.summary, "w", encoding="utf-8") as sink:
        json.dump(summary, sink, indent=2)
        sink.write("\n")
    if failed:
        place = os.path.join(os.path.dirname(os.path.relpath(options.summary)), "logs")
        print(f"interop: logs of the failed cases are in {place}")
    print(f"interop: {len(results) - len(failed)} passed, {len(failed)} failed", flush=True)
