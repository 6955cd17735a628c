"""What is measured: TCP through two gateways of one kind, and handshakes against one as responder."""

import os
import secrets

from .bench import Bench
from .gateways import KINDS
from .network import Plumbing
from .processes import Failure, TimedOut, last_lines, run
from .scenario import SUITES, Scenario
from .usage import run_time, usage

#: Handshakes before the measured ones: code and tables are warm then, on both sides alike.
WARM_UP = 100

GROUPS = {
    "x25519": "aes128gcm16-prfsha256-x25519", "ecp384": "aes128gcm16-prfsha256-ecp384",
    "modp2048": "aes128gcm16-prfsha256-modp2048",
}


def tunnel(kind, suite, network, directory, options, figures):
    """One tunnel between two gateways of a kind: TCP left to right and back, and what it cost both processes."""
    bench = Bench(kind, kind, Scenario(suite=suite), directory, network)
    for gateway in bench.gateways:
        gateway.is_quiet = True
    try:
        bench.start()
        bench.left.initiate().require()
        bench.require_up(count=1)
        bench.require_suite()
        before = [usage(gateway.daemon.pid).cpu for gateway in bench.gateways]
        forward, backward = bench.transfers(options.seconds)
        after = [usage(gateway.daemon.pid) for gateway in bench.gateways]
        sent, lost = _losses(bench)
        network.require_nothing_plain()
        bench.left.terminate().require()
        bench.require_down()
        bench.require_clean_stop()
    finally:
        bench.end()
    octets = sum(report["sum_received"]["bytes"] for report in (forward, backward))
    gigabytes = octets / 1e9
    cpu = sum(each.cpu - earlier for each, earlier in zip(after, before))
    name = suite.esp
    for direction, report in (("forward", forward), ("backward", backward)):
        rate = report["sum_received"]["bits_per_second"] / 1e9
        figures.add(f"tcp/{name}/{direction}", "Gbit/s", kind, rate)
    figures.add(f"cpu/{name}", "cpu-s/GB", kind, cpu / gigabytes)
    figures.add(f"memory/{name}", "MiB", kind, max(each.resident for each in after) / 2**20)
    resent = sum(report["sum_sent"]["retransmits"] for report in (forward, backward))
    figures.add(f"resent/{name}", "segments/GB", kind, resent / gigabytes)
    figures.add(f"lost/{name}", "packets/million", kind, lost * 1e6 / sent)


def _losses(bench):
    """Packets that one side's SA counted out, and how many of them the other's did not count in."""
    counts = []
    for gateway in bench.gateways:
        children = gateway.children()
        if len(children) != 1:
            raise Failure(f"{gateway.name} has {len(children)} Child SAs after the transfer")
        counts.append({key: int(children[0][f"packets-{key}"]) for key in ("in", "out")})
    sent = sum(each["out"] for each in counts)
    if not sent:
        raise Failure("the SAs counted no packet")
    return sent, sent - sum(each["in"] for each in counts)


class Responder:
    """The scenario of a responder that takes any initiator with the key: what `martlet-bench handshakes` wants."""

    def __init__(self, ike):
        self.ike = ike
        self.secret = "bench-" + secrets.token_urlsafe(24)

    def configuration(self, side):
        return f"""connections {{
  lab {{
    version = 2
    local_addrs = {side.outer[4]}
    remote_addrs = %any
    proposals = {self.ike}
    mobike = no
    unique = never
    local {{
      auth = psk
      id = responder.bench
    }}
    remote {{
      auth = psk
      id = %any
    }}
    children {{
      net {{
        local_ts = {side.protected[4]}
        remote_ts = 10.128.0.0/9
        esp_proposals = aes128gcm16
      }}
    }}
  }}
}}
secrets {{
  ike-bench {{
    secret = "{self.secret}"
  }}
}}
"""


def handshakes(kind, group, network, directory, options, figures):
    """Handshakes, each with its Child SA, per second of the responder's processor time: such as are deleted at once, the
    deletion counted in, and then such as stay."""
    responder = Responder(GROUPS[group])
    gateway = KINDS[kind](network.b, directory)
    gateway.is_quiet = True
    # Nothing of strongSwan's protection against floods may count: all initiators have one address.
    gateway.settings = "dos_protection = no\n  ikesa_table_size = 4096\n  ikesa_table_segments = 16"
    gateway.write(responder.configuration(network.b))
    before = Plumbing(network.b)
    count = options.handshakes
    try:
        gateway.start()
        pid = gateway.daemon.pid
        _load(network, responder, options, first=0, count=WARM_UP)
        times = [run_time(pid)]
        wall = _load(network, responder, options, first=WARM_UP, count=count)
        times.append(run_time(pid))
        _require_sas(gateway, 0)
        times.append(run_time(pid))
        establish(network, responder, options, first=WARM_UP + count, count=count)
        times.append(run_time(pid))
        _require_sas(gateway, count)
        resident = usage(pid).resident
        gateway.stop()
        left = Plumbing(network.b).open_leftovers(before)
        if left:
            raise Failure(f"{gateway.name} left behind: {'; '.join(left)}")
    finally:
        gateway.abandon()
    figures.add(f"handshakes/{group}", "1/cpu-s", kind, count / (times[3] - times[2]))
    figures.add(f"handshakes-deleted/{group}", "1/cpu-s", kind, count / (times[1] - times[0]))
    figures.add(f"handshakes-wall/{group}", "1/s", kind, count / wall)
    figures.add(f"handshakes-memory/{group}", "MiB", kind, resident / 2**20)


def _require_sas(gateway, count):
    found = len(gateway.sas())
    if found != count:
        raise Failure(f"{gateway.name} has {found} IKE SAs where {count} should be")


def establish(network, responder, options, first, count):
    """Brings so many IKE SAs up and leaves them there."""
    return _load(network, responder, options, first, count, "--keep")


def hand_shake(network, responder, options, first, count):
    """Handshakes with their deletions; the seconds that they took."""
    return _load(network, responder, options, first, count)


def _load(network, responder, options, first, count, *more):
    """Drives the responder from the other side; returns the seconds that it took."""
    try:
        done = run(
            [options.martlet_bench, "handshakes", network.b.outer[4], "--count", count, "--first", first,
             "--outstanding", options.outstanding, "--ike", responder.ike, "--esp", "aes128gcm16",
             "--secret", responder.secret, *more], netns=network.a.netns, timeout=120 + count / 10)
    except TimedOut as failure:
        # The message repeats the command line, and with it the key, which is of this run only.
        raise Failure(str(failure).replace(responder.secret, "…")) from None
    figures = dict(line.split()[:2] for line in done.out.splitlines() if not line.startswith("#"))
    if done.code != 0 or float(figures.get("handshakes/established", 0)) != count:
        raise Failure(f"not all of {count} handshakes succeeded: {last_lines(done.text)}")
    return float(figures["handshakes/wall"])


def suites():
    """The suites under which TCP is measured: one AEAD, one cipher with a MAC."""
    return [suite for suite in SUITES if suite.esp in ("aes128gcm16", "aes256-sha256")]


def directory_for(parent, *words):
    path = os.path.join(parent, "-".join(str(word) for word in words))
    os.makedirs(path)
    return path
