"""What runs in the guest: the cases, one after the other, a row for each."""

import argparse
import json
import os
import re
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab.processes import Daemon, Failure, TimedOut, run  # noqa: E402  (the path must be set first)

from kernel import moving, negotiated, static  # noqa: E402
from kernel.network import Network  # noqa: E402
from kernel.planes import StaticPlane  # noqa: E402


class Case:
    """One row."""

    def __init__(self, name, procedure, smoke=False, timeout=120):
        self.name, self.procedure, self.smoke, self.timeout = name, procedure, smoke, timeout


class Pings:
    """Pings that go on while something else happens: so many, or until it is over."""

    #: Seconds after which pings without a count end by themselves.
    LONGEST = 120

    def __init__(self, side, address, source, count, interval, log):
        if os.path.exists(log):
            os.unlink(log)
        self.count, self.sent = count, None
        self.longest = (count * interval if count else 0) + 20
        limit = ["-c", count] if count else ["-w", self.LONGEST]
        origin = ["-I", source] if source else []
        self.process = Daemon(
            ["ping", "-n", "-q", *limit, "-i", interval, "-W", 3, *origin, address], log, netns=side)

    def lost(self):
        """Waits for the end, which those without a count are told to come to; how many did not come back."""
        if not self.count:
            if not self.process.running:
                raise Failure(f"the pings ended too early: {self.process.output().strip()[-160:]}")
            self.process.send(signal.SIGINT)
        self.process.wait(self.longest)
        found = re.search(r"(\d+) packets transmitted, (\d+) received", self.process.output())
        if found is None or (self.count and int(found.group(1)) != self.count):
            raise Failure(f"ping said: {self.process.output().strip()[-160:]}")
        self.sent = int(found.group(1))
        return self.sent - int(found.group(2))


class Guest:
    """What the cases share."""

    def __init__(self, directory, seconds, martlet):
        self.directory, self.seconds, self.martlet = directory, seconds, martlet
        self.network = Network()

    def path(self, name):
        return os.path.join(self.directory, name)

    def pings(self, side, address, source, interval, count=None):
        return Pings(side, address, source, count, interval, self.path(f"ping-{side}"))


def all_cases():
    return static.cases(Case) + negotiated.cases(Case) + moving.cases(Case)


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--control", required=True)
    parser.add_argument("--release", required=True)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args(arguments)
    StaticPlane.executable = os.path.join(options.release, "martlet-bench")
    directory = os.path.join(options.control, "logs")
    os.makedirs(directory, exist_ok=True)
    signal.signal(signal.SIGALRM, _too_long)
    run(["sysctl", "-qw", "net.ipv4.ping_group_range=0 0"])
    guest = Guest(directory, options.seconds, os.path.join(options.release, "martlet"))
    results = []
    for case in all_cases():
        if options.only and not any(word in case.name for word in options.only):
            continue
        if options.smoke and not case.smoke:
            continue
        results.append(_run(case, guest))
        with open(os.path.join(options.control, "results.json"), "w", encoding="utf-8") as sink:
            json.dump(results, sink, indent=2)
    return 0 if results and all(each["passed"] for each in results) else 1


def _too_long(*_):
    raise TimedOut("the case took longer than it may")


def _run(case, guest):
    begin = time.monotonic()
    passed, note = False, ""
    try:
        signal.alarm(case.timeout + 4 * guest.seconds)
        note = case.procedure(guest) or ""
        passed = True
    except Failure as failure:
        note = str(failure)
    except Exception as error:  # A fault of the lab itself is a failure of the case, with its place.
        place = traceback.extract_tb(error.__traceback__)[-1]
        note = f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"
    finally:
        signal.alarm(0)
    seconds = time.monotonic() - begin
    note = " ".join(note.split())
    print(f"{'PASS' if passed else 'FAIL'}  {seconds:6.1f} s  {case.name:<46}  {note}", flush=True)
    return {"name": case.name, "passed": passed, "seconds": round(seconds, 2), "note": note}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
