"""A thousand tunnels between two processes: up, used, down, three times over, and nothing grows."""

import json
import os
import secrets
import time
from dataclasses import dataclass, field

from .network import Plumbing, ping
from .processes import Failure, eventually, run
from .usage import usage
from .vici import Vici, together

ROUNDS = 3
SAMPLE = 20
#: How much the memory after the last round may be above that after the first.
GROWTH = 1.10


def block(side_number, number):
    """The /28 of one tunnel on one side, and its first address."""
    base = number * 16
    prefix = f"10.{side_number}.{base >> 8}"
    return f"{prefix}.{base & 255}/28", f"{prefix}.{(base & 255) + 1}"


@dataclass
class ManyTunnels:
    """As many connections as wanted between the same two addresses, each with its own identities, key and blocks."""

    count: int = 1000
    keys: list = field(default_factory=list)
    #: No router, and no network of its own.
    narrow = None
    network = None

    def __post_init__(self):
        self.keys = ["key-" + secrets.token_urlsafe(24) for _ in range(self.count)]

    def prepare(self, gateway, other):
        """There is nothing besides swanctl.conf."""

    def configuration(self, side, other):
        parts = ["connections {"]
        mine, theirs = (1, 2) if side.letter == "a" else (2, 1)
        for number in range(self.count):
            parts.append(f"""  t{number} {{
    version = 2
    local_addrs = {side.outer[4]}
    remote_addrs = {other.outer[4]}
    proposals = aes128gcm16-prfsha256-x25519
    mobike = no
    local {{
      auth = psk
      id = {side.letter}{number}.lab
    }}
    remote {{
      auth = psk
      id = {other.letter}{number}.lab
    }}
    children {{
      n{number} {{
        local_ts = {block(mine, number)[0]}
        remote_ts = {block(theirs, number)[0]}
        esp_proposals = aes128gcm16
      }}
    }}
  }}""")
        parts.append("}\nsecrets {")
        for number, key in enumerate(self.keys):
            parts.append(f"""  ike-t{number} {{
    id-1 = a{number}.lab
    id-2 = b{number}.lab
    secret = "{key}"
  }}""")
        return "\n".join(parts + ["}\n"])

    def secrets(self):
        return self.keys


@dataclass
class Inventory:
    """What one side holds at one moment."""

    resident: int
    descriptors: int
    sockets: int
    threads: int
    ike: int
    children: int
    routes: int
    open_routes: int
    rules: int
    tun: int


def inventory(gateway):
    with Vici(gateway.socket) as client:
        listed = [facts for event in client.listing("list-sas", "list-sa") for facts in event.values()]
    plumbing = Plumbing(gateway.side)
    used = usage(gateway.daemon.pid)
    tun = run(["ip", "-o", "-n", gateway.side.netns, "link", "show", "type", "tun"]).require().out.splitlines()
    return Inventory(
        resident=used.resident, descriptors=used.descriptors, sockets=used.sockets, threads=used.threads,
        ike=len(listed), children=sum(len(facts.get("child-sas", {})) for facts in listed),
        routes=len(plumbing.routes), open_routes=sum("type=" not in route for route in plumbing.routes),
        rules=len(plumbing.rules), tun=len(tun))


def set_up(bench):
    """The networks, with a host behind each end of a few of the tunnels. Returns which those are."""
    count = bench.scenario.count
    sample = [count * index // SAMPLE for index in range(min(SAMPLE, count))]
    bench.network.up()
    bench.network.prove_guard()
    for side, number in ((bench.network.a, 1), (bench.network.b, 2)):
        lines = [f"addr replace {block(number, tunnel)[1]}/32 dev lo" for tunnel in sample]
        run(["ip", "-n", side.netns, "-batch", "-"], stdin="\n".join(lines) + "\n").require()
    return sample


def procedure(bench, options):
    """Three rounds; whatever there is after the third, there was after the first."""
    count = bench.scenario.count
    sample = set_up(bench)
    bench.start()
    rounds = [{"what": "start", "sides": _inventories(bench)}]
    for number in range(1, ROUNDS + 1):
        rounds.append(_round(bench, count, sample, number))
        _note(rounds, options)
    bench.network.require_nothing_plain()
    _require_return(rounds)
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return _summary(rounds)


def _round(bench, count, sample, number):
    begin = time.monotonic()
    failures = together(
        bench.left.socket,
        [("initiate", {"ike": f"t{tunnel}", "child": f"n{tunnel}", "timeout": 100_000}) for tunnel in range(count)])
    up = time.monotonic() - begin
    if failures:
        raise Failure(f"round {number}: {len(failures)} of {count} did not come up: {failures[0]}")
    full = _inventories(bench)
    for letter, side in full.items():
        if (side["ike"], side["children"]) != (count, count):
            raise Failure(f"round {number}: side {letter} has {side['ike']} IKE SAs, {side['children']} Child SAs")
    for tunnel in sample:
        here, there = bench.network.a, block(2, tunnel)[1]
        answered = ping(here, there, source=block(1, tunnel)[1])
        if 0 < answered < 3:
            # After a first answer ping waits no longer than an interval for the last one: a busy machine takes more.
            answered = ping(here, there, source=block(1, tunnel)[1], interval=1)
        if answered != 3:
            raise Failure(
                f"round {number}: tunnel {tunnel} carried {answered} of 3 pings ({_traffic(bench, tunnel)})")
    begin = time.monotonic()
    failures = together(
        bench.left.socket, [("terminate", {"ike": f"t{tunnel}", "timeout": 60_000}) for tunnel in range(count)])
    down = time.monotonic() - begin
    if failures:
        raise Failure(f"round {number}: {len(failures)} of {count} did not come down: {failures[0]}")
    for gateway in bench.gateways:
        eventually(lambda: not _left(gateway), 10, f"round {number}: {gateway.name} has no SA", interval=0.5)
    return {
        "what": f"round {number}", "up-seconds": round(up, 2), "down-seconds": round(down, 2), "full": full,
        "sides": _inventories(bench),
    }


def _traffic(bench, tunnel):
    """What both sides count of one tunnel."""
    found = []
    for gateway in bench.gateways:
        with Vici(gateway.socket) as client:
            for event in client.listing("list-sas", "list-sa", {"ike": f"t{tunnel}"}):
                for facts in event.values():
                    for child in facts.get("child-sas", {}).values():
                        found.append(
                            f"{gateway.side.letter}: {child.get('packets-in')} in, {child.get('packets-out')} out, "
                            f"SPIs {child.get('spi-in')} {child.get('spi-out')}")
    return "; ".join(found)


def _left(gateway):
    with Vici(gateway.socket) as client:
        return int(client.require("stats")["ikesas"]["total"])


def _inventories(bench):
    return {gateway.side.letter: vars(inventory(gateway)) for gateway in bench.gateways}


def _require_return(rounds):
    """Memory stays within its bound, and nothing else is there that was not there before the first tunnel.

    Routes that refuse are the configuration's: a tunnel that somebody takes down takes them along. The rule that
    looks into the gateway's table comes with the first tunnel of a family and stays until the gateway stops.
    """
    for letter, last in rounds[-1]["sides"].items():
        start, first = rounds[0]["sides"][letter], rounds[1]["sides"][letter]
        for what in ("descriptors", "sockets", "threads", "ike", "children", "open_routes", "tun"):
            if last[what] != start[what]:
                raise Failure(f"side {letter}: {what} were {start[what]} at the start, are {last[what]} at the end")
        if last["routes"] > start["routes"] or last["routes"] != first["routes"]:
            raise Failure(
                f"side {letter}: {start['routes']} routes at the start, {first['routes']} after the first round, "
                f"{last['routes']} at the end")
        if last["rules"] != first["rules"] or not 0 <= last["rules"] - start["rules"] <= 2:
            raise Failure(
                f"side {letter}: {start['rules']} rules at the start, {first['rules']} after the first round, "
                f"{last['rules']} at the end")
        if last["resident"] > first["resident"] * GROWTH:
            raise Failure(
                f"side {letter}: {_mebibytes(first['resident'])} after the first round, "
                f"{_mebibytes(last['resident'])} after the last")


def _note(rounds, options):
    path = os.path.join(os.path.dirname(os.path.abspath(options.summary)), "thousand-tunnels.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as sink:
        json.dump(rounds, sink, indent=2)
        sink.write("\n")


def _mebibytes(octets):
    return f"{octets / 2**20:.1f} MiB"


def _summary(rounds):
    ups = " ".join(f"{each['up-seconds']:.1f}" for each in rounds[1:])
    downs = " ".join(f"{each['down-seconds']:.1f}" for each in rounds[1:])
    memory = "; ".join(
        f"{letter}: " + " ".join(_mebibytes(each["sides"][letter]["resident"]) for each in rounds)
        + f", full {_mebibytes(rounds[1]['full'][letter]['resident'])}" for letter in rounds[0]["sides"])
    return f"up {ups} s, down {downs} s; memory {memory}"
