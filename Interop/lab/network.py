"""Two network namespaces joined by a veth pair, with a guard that counts plain packets.

Side `a` is 10.99.0.1 and fd00:99::1 outside and protects 10.1.0.0/16 and fd01::/64; side `b` is .2 and protects
10.2.0.0/16 and fd02::/64. Each side's default route points at the other one: a packet to a protected network that no
gateway takes *does* leave in clear, so that the guard on the veth's egress can see it. Without these routes "nothing
leaked" would be true of an empty machine too.
"""

import ipaddress
import itertools
import json
import os

from .processes import Failure, eventually, run

_SERIAL = itertools.count(1)
#: Names of namespaces and directories: this, the runner's process id, and a suffix.
PREFIX = "martlet-lab-"

#: Route types that swallow packets: a gateway may leave these behind, to fail closed.
CLOSED_ROUTES = {"blackhole", "unreachable", "prohibit"}


class Side:
    """One end of the wire: its namespace, device and addresses."""

    def __init__(self, letter, netns):
        number = {"a": 1, "b": 2}[letter]
        self.letter = letter
        self.netns = netns
        self.device = f"wire-{letter}"
        self.outer = {4: f"10.99.0.{number}", 6: f"fd00:99::{number}"}
        self.inner = {4: f"10.{number}.0.1", 6: f"fd0{number}::1"}
        self.protected = {4: f"10.{number}.0.0/16", 6: f"fd0{number}::/64"}

    def run(self, command, **options):
        return run(command, netns=self.netns, **options)


class Network:
    """The pair of namespaces. Made by `up`, removed by `down`; `down` may be called at any moment and twice."""

    def __init__(self):
        serial = next(_SERIAL)
        self.a, self.b = (Side(letter, f"{PREFIX}{os.getpid()}-{serial}{letter}") for letter in "ab")
        self.sides = (self.a, self.b)

    def up(self):
        for side in self.sides:
            run(["ip", "netns", "add", side.netns]).require()
        run(["ip", "link", "add", self.a.device, "netns", self.a.netns, "type", "veth",
             "peer", "name", self.b.device, "netns", self.b.netns]).require()
        for side, other in ((self.a, self.b), (self.b, self.a)):
            commands = [
                "link set lo up", f"link set {side.device} up",
                f"addr add {side.outer[4]}/24 dev {side.device}",
                f"addr add {side.outer[6]}/64 dev {side.device} nodad",
                f"addr add {side.inner[4]}/32 dev lo", f"addr add {side.inner[6]}/128 dev lo",
                f"route add default via {other.outer[4]}",
                f"route add ::/0 via {other.outer[6]} dev {side.device}",
            ]
            run(["ip", "-n", side.netns, "-batch", "-"], stdin="\n".join(commands) + "\n").require()
            self._guard(side)

    def down(self):
        for side in self.sides:
            remove_namespace(side.netns)

    def _guard(self, side):
        four = ", ".join(each.protected[4] for each in self.sides)
        six = ", ".join(each.protected[6] for each in self.sides)
        table = f"""
        table netdev guard {{
          counter plain {{ }}
          chain out {{
            type filter hook egress device "{side.device}" priority 0; policy accept;
            ip saddr {{ {four} }} counter name plain return
            ip daddr {{ {four} }} counter name plain return
            ip6 saddr {{ {six} }} counter name plain return
            ip6 daddr {{ {six} }} counter name plain return
          }}
        }}
        """
        side.run(["nft", "-f", "-"], stdin=table).require()

    def plain_packets(self, side):
        """Packets of a protected network that left this side's wire unencrypted since the last reset."""
        listing = json.loads(side.run(["nft", "-j", "list", "counters"]).require().out)
        counters = [entry["counter"] for entry in listing["nftables"] if "counter" in entry]
        return sum(counter["packets"] for counter in counters if counter["table"] == "guard")

    def reset_guard(self):
        for side in self.sides:
            side.run(["nft", "reset", "counters"]).require()

    def prove_guard(self):
        """The positive control: with no gateway running, a ping to the other network passes and is counted."""
        for side, other in ((self.a, self.b), (self.b, self.a)):
            for family in (4, 6):
                eventually(
                    lambda: ping(side, other.inner[family], source=side.inner[family], count=1, wait=1) == 1,
                    5, f"the bare wire carries IPv{family} from {side.letter}")
            if self.plain_packets(side) < 2:
                raise Failure(f"the guard of side {side.letter} did not count plain packets")
        self.reset_guard()

    def require_nothing_plain(self):
        for side in self.sides:
            count = self.plain_packets(side)
            if count:
                raise Failure(f"{count} packets left side {side.letter} in clear")


def ping(side, address, source, count=3, wait=2, interval=0.2):
    """How many of `count` echo requests were answered."""
    family = "-6" if ":" in address else "-4"
    done = side.run(
        ["ping", family, "-n", "-q", "-c", count, "-i", interval, "-W", wait, "-I", source, address],
        timeout=count * interval + wait + 10)
    for part in done.out.split(","):
        words = part.split()
        if "received" in words:
            return int(words[0])
    return 0


class Plumbing:
    """The links, routes and rules of one side at one moment, to see what a gateway left behind."""

    def __init__(self, side):
        self.links = sorted(link["ifname"] for link in _listing(side, "link"))
        self.routes = []
        self.rules = []
        for family in ("-4", "-6"):
            for route in _listing(side, family, "route", "show", "table", "all"):
                if not route["dst"].startswith(("fe80:", "ff00:", "multicast")):
                    self.routes.append(_line(route, ("type", "dst", "dev", "gateway", "table", "metric", "prefsrc")))
            for rule in _listing(side, family, "rule"):
                self.rules.append(f"{family} {_line(rule, sorted(rule))}")

    def open_leftovers(self, before):
        """What is here, was not there before, and could still carry a packet."""
        left = [f"link {name}" for name in _added(before.links, self.links)]
        left += [f"route {route}" for route in _added(before.routes, self.routes) if not _closed(route)]
        left += [f"rule {rule}" for rule in _added(before.rules, self.rules) if not self._fails_closed(rule, before)]
        return left

    def repeated(self):
        """Routes and rules that are here more than once: what a restart added without looking."""
        return sorted({line for line in self.routes + self.rules if (self.routes + self.rules).count(line) > 1})

    def _fails_closed(self, rule, before):
        if any(f"action={kind}" in rule for kind in CLOSED_ROUTES):
            return True
        tables = [word.partition("=")[2] for word in rule.split() if word.startswith("table=")]
        routes = [route for route in _added(before.routes, self.routes) if f"table={''.join(tables)}" in route.split()]
        return bool(tables) and bool(routes) and all(_closed(route) for route in routes)


def open_routes(side, network):
    """Routes of this side to a prefix inside `network` that would carry a packet."""
    inside = ipaddress.ip_network(network)
    found = []
    for route in _listing(side, f"-{inside.version}", "route", "show", "table", "all"):
        try:
            prefix = ipaddress.ip_network(route["dst"], strict=False)
        except ValueError:
            continue
        if prefix.version == inside.version and prefix.subnet_of(inside) and route.get("type") not in CLOSED_ROUTES:
            found.append(_line(route, ("type", "dst", "dev", "table", "metric")))
    return found


def _closed(route):
    return any(f"type={kind}" in route.split() for kind in CLOSED_ROUTES)


def _added(before, after):
    left = list(before)
    added = []
    for entry in after:
        if entry in left:
            left.remove(entry)
        else:
            added.append(entry)
    return added


def _listing(side, *words):
    done = run(["ip", "-j", "-n", side.netns, *words])
    if done.code != 0 and "FIB table does not exist" not in done.err:
        done.require()
    return json.loads(done.out) if done.out.strip() else []


def _line(entry, keys):
    return " ".join(f"{key}={entry[key]}" for key in keys if key in entry)


def remove_namespace(name):
    """Kills what runs inside a namespace of ours and removes it. Nothing happens when it is gone already."""
    inside = run(["ip", "netns", "pids", name])
    if inside.code == 0 and inside.out.split():
        run(["kill", "-KILL", *inside.out.split()])
    run(["ip", "netns", "delete", name])


def owner_is_dead(name):
    """Whether a namespace or directory is named after a runner that is no more."""
    owner = name.removeprefix(PREFIX).split("-")[0]
    return name.startswith(PREFIX) and owner.isdigit() and not os.path.exists(f"/proc/{owner}")


def sweep():
    """Removes namespaces whose runner is dead: only a runner killed by SIGKILL leaves any."""
    for line in run(["ip", "netns", "list"]).out.splitlines():
        if line.strip() and owner_is_dead(line.split()[0]):
            remove_namespace(line.split()[0])
