"""`Interop/plane`: the data plane against its targets, its peers beside it in the same run."""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

from . import crowd, wireguard
from .bench import Bench
from .network import PREFIX, Network, remove_namespace
from .processes import ENVIRONMENT, Failure, eventually, last_lines, run
from .readiness import ready
from .runner import ROOT
from .scenario import SUITES, Scenario
from .targets import Row, at_least, at_most, keep, machine, render
from .usage import usage

PEER, OURS = "strongswan", "martlet"
GCM, CBC = "aes128gcm16", "aes256-sha256"
#: Tunnels of the run with many.
MANY = 100_000


def main(arguments):
    options = _options(arguments)
    if not ready("plane", options, {PEER, OURS}):
        return 2
    directory = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
    measurement = Measurement(options, directory)
    status = 0
    for step in (step for name, step in STEPS if not options.only or name in options.only):
        # One that fails leaves its rows out with the reason, and the others are measured all the same.
        try:
            step(measurement)
        except Failure as failure:
            print(f"plane: {failure}", file=sys.stderr)
            measurement.rows.append(Row(step.__name__.strip("_"), None, "", note=str(failure)[:200]))
            status = 1
    text = f"{machine(measurement.loads)}\n{render(measurement.rows)}"
    print(text)
    if not options.only:
        print(f"plane: kept as {os.path.relpath(keep('plane', 'The data plane', text), ROOT)}", file=sys.stderr)
    shutil.rmtree(directory, ignore_errors=True)
    return status


def _options(arguments):
    parser = argparse.ArgumentParser(prog="Interop/plane", description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="seconds of traffic for each figure (8)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each gateway has its turn (3)")
    parser.add_argument("--flood", type=int, default=60, help="seconds of UDP flood (60)")
    parser.add_argument("--rekeys", type=int, default=1000, help="rekeyings (1000)")
    parser.add_argument(
        "--only", action="append", choices=[name for name, _ in STEPS], help="some steps; nothing is kept then")
    parser.add_argument(
        "--quick", action="store_true", help="a third of the time: 3 s, one round, 10 s of flood, 300 rekeyings")
    release = os.path.join(ROOT, ".build/release")
    parser.add_argument("--martlet", default=os.path.join(release, "martlet"), help="the executable to measure")
    parser.add_argument(
        "--martlet-bench", default=os.path.join(release, "martlet-bench"), help="the executable with the harnesses")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seconds, options.rounds, options.flood, options.rekeys = 3, 1, 10, 300
    if min(options.seconds, options.rounds, options.flood, options.rekeys) < 1:
        parser.error("the numbers must be above zero")
    return options


class Measurement:
    """One run: its options, its rows so far, and how busy the machine was."""

    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.rows = []
        self.loads = []
        self._serial = 0

    def progress(self, text):
        self.loads.append(os.getloadavg()[0])
        print(f"plane: {text} (load {self.loads[-1]:.1f})", file=sys.stderr, flush=True)

    def place(self, name):
        self._serial += 1
        path = os.path.join(self.directory, f"{self._serial}-{name}")
        os.makedirs(path)
        return path

    def add(self, *row, **more):
        self.rows.append(Row(*row, **more))


class Wire:
    """A pair of namespaces with a tunnel between two gateways of a kind, up as long as the block."""

    def __init__(self, measurement, kind, esp):
        suite = next(suite for suite in SUITES if suite.esp == esp)
        self.network = Network()
        self.bench = Bench(kind, kind, Scenario(suite=suite), measurement.place(f"{kind}-{esp}"), self.network)
        for gateway in self.bench.gateways:
            gateway.is_quiet = True

    def __enter__(self):
        try:
            self.network.up()
            self.bench.start()
            self.bench.left.initiate().require()
            self.bench.require_up(count=1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.bench.end()
        self.network.down()

    def cpu(self):
        return sum(usage(gateway.daemon.pid).cpu for gateway in self.bench.gateways)

    def delivered(self):
        """Packets that the right side's SA counted in."""
        return sum(int(child["packets-in"]) for child in self.bench.right.children())

    def resident(self):
        return [usage(gateway.daemon.pid).resident for gateway in self.bench.gateways]

    def flood(self, seconds, payload):
        """UDP as fast as it goes, from the left network to the right."""
        here, there = self.network.a, self.network.b
        server = self.bench.helper(["iperf3", "--server", "--one-off", "--bind", there.inner[4]], there, "udp-server")
        eventually(lambda: there.run(["ss", "-Hltn", "sport = :5201"]).out.strip(), 5, "iperf3 listens")
        # The end of a run under flood may be lost: the SAs' counters count, not what iperf3 says.
        here.run(
            ["iperf3", "--client", there.inner[4], "--bind", here.inner[4], "--udp", "--bandwidth", 0, "--length",
             payload, "--time", seconds, "--connect-timeout", 3000], timeout=seconds + 60)
        server.kill()


# ---- Streams ----


def _streams(measurement):
    """TCP, one stream: two strongSwans, two Martlets with each suite, two wireguard-gos, by turns."""
    options = measurement.options
    runs = [(PEER, GCM), (OURS, GCM), (OURS, CBC)]
    others = {"packaged": wireguard.packaged(), "newest": wireguard.newest()}
    rates, cpu = {}, {}
    for number in range(1, options.rounds + 1):
        for key in runs:
            measurement.progress(f"round {number}: TCP, {' '.join(key)}")
            with Wire(measurement, *key) as wire:
                before = wire.cpu()
                reports = wire.bench.transfers(options.seconds)
                gigabytes = sum(report["sum_received"]["bytes"] for report in reports) / 1e9
                cpu.setdefault(key, []).append((wire.cpu() - before) / gigabytes)
                rates.setdefault(key, []).append(_rate(reports))
        for name, (executable, _) in others.items():
            if executable is None:
                continue
            measurement.progress(f"round {number}: TCP, wireguard-go, {name}")
            network = Network()
            try:
                network.up()
                both, work = wireguard.transfer(executable, network, measurement.place("wireguard"), options.seconds)
                rates.setdefault(name, []).append(statistics.mean(both))
                cpu.setdefault(name, []).append(work)
            finally:
                network.down()
    _stream_rows(measurement, others, *({key: statistics.median(values) for key, values in each.items()}
                                         for each in (rates, cpu)))


def _stream_rows(measurement, others, rate, cpu):
    ours, peer, blocks = (OURS, GCM), (PEER, GCM), (OURS, CBC)
    add = measurement.add
    add("TCP, 1 stream, AES-128-GCM, over strongSwan's", rate[ours] / rate[peer], "×", "≥ 15", at_least(15),
        f"{rate[ours]:.2f} against {rate[peer]:.3f} Gbit/s")
    add("CPU-seconds for a gigabyte, strongSwan's over ours", cpu[peer] / cpu[ours], "×", "≥ 25", at_least(25),
        f"{cpu[peer]:.1f} against {cpu[ours]:.3f}, both ends")
    for name, words, bound in (("packaged", "Debian's wireguard-go", 8), ("newest", "the newest wireguard-go", 3)):
        if name in rate:
            add(f"TCP, 1 stream, over {words}", rate[ours] / rate[name], "×", f"≥ {bound}", at_least(bound),
                f"{rate[name]:.3f} Gbit/s, {cpu[name]:.2f} CPU-s/GB")
        else:
            add(f"TCP, 1 stream, over {words}", None, "×", f"≥ {bound}", at_least(bound), others[name][1])
    add("AES-256-CBC with HMAC-SHA2-256, over our AES-128-GCM", rate[blocks] / rate[ours], "×", "≥ 0.5", at_least(0.5),
        f"{rate[blocks]:.2f} Gbit/s, {cpu[blocks]:.3f} CPU-s/GB")


def _rate(reports):
    return statistics.mean(report["sum_received"]["bits_per_second"] for report in reports) / 1e9


# ---- Packets ----


def _engine(measurement):
    """Sealing and opening by themselves."""
    measurement.progress("the engine by itself")
    done = run([measurement.options.martlet_bench, "engine", "--groups", "none"], timeout=300).require()
    for line in done.out.splitlines():
        name, value, _, ratio = line.split()
        words = name.split("/")
        if words[2] == GCM and words[4] == "1420":
            measurement.add(
                f"{words[1]} 1,420 octets, over {words[3]} alone", float(ratio), "×", "≤ 1.25", at_most(1.25),
                f"{float(value):.0f} ns")


def _lean(measurement):
    """Allocations and reference counts."""
    measurement.progress("allocations and reference counts")
    done = run([measurement.options.martlet_bench, "lean"], timeout=600)
    figures = {words[0]: float(words[1]) for words in map(str.split, done.out.splitlines()) if len(words) == 4}
    counts = {name: value for name, value in figures.items() if name.split("/")[-1] in ("allocations", "retains")}
    if not counts:
        raise Failure(f"`martlet-bench lean` says nothing: {last_lines(done.text)}")
    for place, words, bound in (
        ("engine", "engine", 0.001), ("workers", "packet threads", 0.02), ("trains", "packet threads, trains", 0.02)
    ):
        most = max((name for name in counts if name.split("/")[1] == place), key=counts.get)
        measurement.add(
            f"allocations or retains for each of a million packets, {words}", counts[most] / 1e6, "", f"≤ {bound}",
            at_most(bound), f"most: {'/'.join(most.split('/')[2:])}" + ("; one for a batch of 64" if bound > 0.01 else ""))
    if done.code != 0:
        raise Failure("`martlet-bench lean` finds more than there may be")


def _small(measurement):
    """UDP packets of 64 octets, one flow."""
    figures = {}
    for number in range(1, measurement.options.rounds + 1):
        for kind in (PEER, OURS):
            measurement.progress(f"round {number}: packets of 64 octets, {kind}")
            with Wire(measurement, kind, GCM) as wire:
                before, already = wire.cpu(), wire.delivered()
                wire.flood(measurement.options.seconds, 36)
                packets = wire.delivered() - already
                figures.setdefault(kind, []).append(packets / (wire.cpu() - before))
    ours, peer = (statistics.median(figures[kind]) for kind in (OURS, PEER))
    measurement.add(
        "UDP packets of 64 octets for each CPU-second, over strongSwan's", ours / peer, "×", "≥ 4", at_least(4),
        f"{ours:,.0f} against {peer:,.0f}, both ends, delivered packets only")


def _flood(measurement):
    """Resident memory after a flood."""
    seconds = measurement.options.flood
    growth = {}
    for kind in (OURS, PEER):
        measurement.progress(f"{seconds} s of UDP flood, {kind}")
        with Wire(measurement, kind, GCM) as wire:
            wire.flood(1, 1372)
            before = wire.resident()
            wire.flood(seconds, 1372)
            growth[kind] = max(after - earlier for after, earlier in zip(wire.resident(), before)) / 2**20
    measurement.add(
        f"resident memory after {seconds} s of UDP flood", growth[OURS], "MiB more", "≤ 64", at_most(64),
        f"strongSwan: {growth[PEER]:.1f} MiB more")


# ---- The plane, driven through its interface ----


def _many(measurement):
    """The cost of a packet with many SAs, over that with one."""
    for size in (64, 1400):
        few, misses_few, _ = _harness(measurement, ["--tunnels", 1, "--size", size])
        many, misses_many, figures = _harness(measurement, ["--tunnels", MANY, "--size", size])
        note = f"{many:.0f} against {few:.0f} ns"
        if misses_few is not None and misses_many is not None:
            note += f"; cache misses a packet: {misses_many:.1f} against {misses_few:.1f}"
        else:
            note += "; the processor's cache misses cannot be counted here"
        measurement.add(
            f"packet of {size} octets with {MANY:,} SAs and policies, over 1 SA", many / few, "×", "≤ 1.5",
            at_most(1.5), note)
        if size == 64:
            measurement.add(
                "memory for an AES-GCM SA pair with policies, window 2,048", figures["plane/memory"], "octets",
                "≤ 4,096", at_most(4096), f"{MANY:,} pairs, with what the gateway itself notes of them")
    crowd.rows(measurement, MANY)


def _rekeys(measurement):
    """Loss while rekeying."""
    _, _, figures = _harness(measurement, ["--size", 1400, "--rekeys", measurement.options.rekeys])
    calm, busy = (figures[f"plane/rekeys/lost/{name}"] for name in ("calm", "rekeyed"))
    measurement.add(
        f"packets lost across {measurement.options.rekeys:,} rekeyings, more than without", max(0.0, busy - calm),
        "packets", "0", at_most(0),
        f"{busy:.0f} of {figures['plane/rekeys/sent/rekeyed']:.0f} at {figures['plane/rekeys/rate']:.0f} a second; "
        f"without: {calm:.0f} of {figures['plane/rekeys/sent/calm']:.0f}")


def _harness(measurement, arguments):
    """Runs `martlet-bench planes` in a namespace; the cost of a packet, its cache misses, and all figures."""
    measurement.progress("planes " + " ".join(map(str, arguments)))
    name = f"{PREFIX}{os.getpid()}-plane"
    remove_namespace(name)
    run(["ip", "netns", "add", name]).require()
    command = ["ip", "netns", "exec", name, measurement.options.martlet_bench, "planes", "--seconds",
               min(measurement.options.seconds, 5), *arguments]
    process = None
    try:
        run(["ip", "-n", name, "link", "set", "lo", "up"]).require()
        run(["ip", "-n", name, "addr", "add", "10.1.0.1/32", "dev", "lo"]).require()
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=ENVIRONMENT)
        head, counting = [], None
        if "--rekeys" not in arguments:
            for line in process.stdout:
                if line.strip() == "ready":
                    break
                head.append(line)
            counting = _count_misses(process.pid)
        out, err = process.communicate("\n" if process.poll() is None else None, timeout=900)
    except subprocess.TimeoutExpired:
        raise Failure("`martlet-bench planes` does not end") from None
    finally:
        if process and process.poll() is None:
            process.kill()
        remove_namespace(name)
    if process.returncode != 0:
        raise Failure(f"`martlet-bench planes` ended with {process.returncode}: {last_lines(err)}")
    figures = {words[0]: float(words[1]) for words in map(str.split, head + out.splitlines()) if len(words) == 4}
    misses = _misses(counting)
    packets = figures.get("plane/packets", 0)
    return figures.get("plane/cost", 0), misses / packets if misses is not None and packets else None, figures


def _count_misses(pid):
    """Starts to count cache misses of the packet threads; None where that can't be."""
    if shutil.which("perf", path="/usr/bin:/usr/local/bin") is None:
        return None
    threads = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm", encoding="utf-8") as source:
            if source.read().startswith("martlet-"):
                threads.append(thread)
    return subprocess.Popen(
        ["perf", "stat", "-x", ",", "-e", "cache-misses", "-t", ",".join(threads)], stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def _misses(counting):
    if counting is None:
        return None
    try:
        _, text = counting.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        counting.send_signal(signal.SIGINT)
        _, text = counting.communicate()
    values = [line.split(",")[0] for line in text.splitlines() if "cache-misses" in line]
    return float(values[0]) if values and values[0].isdigit() else None


STEPS = [
    ("engine", _engine), ("lean", _lean), ("streams", _streams), ("small", _small), ("many", _many), ("rekeys", _rekeys),
    ("flood", _flood),
]
