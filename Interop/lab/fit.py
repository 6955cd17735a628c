"""How packets are fitted to the path: sizes, marks, padding, and how many an SA may carry."""

import json
import re
import time

from .processes import Failure, eventually, last_lines
from .routed import NARROW

#: What TCP is held to in the case that looks at it: less than any device here asks for.
SEGMENT = 1200


def volume(bench, options):
    """Martlet replaces the Child SA each time it has carried its octets; of a ping meanwhile nothing is lost."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    seen = _spis(bench)
    pings = [_ping(bench, here, family) for here in bench.gateways for family in (4, 6)]
    end = time.monotonic() + 60
    while any(process.running for process in pings) and time.monotonic() < end:
        seen |= _spis(bench)
        time.sleep(0.05)
    for process in pings:
        if process.wait(30) != 0 or "400 received" not in process.output():
            raise Failure(f"packets were lost: {last_lines(process.output())}")
    bench.require_up(count=1)
    # Four pings and their answers, 400 of 1,028 octets each way: more than a megabyte and a half in all.
    if len(seen) < 4:
        raise Failure(f"only {len(seen)} Child SAs for more than 1,600,000 octets, at 400,000 each")
    _finish(bench)
    return f"{len(seen)} Child SAs, 1,600 pings, none lost"


def segment_size(bench, options):
    """A connection's segments are no longer than Martlet lets both ends ask for, whichever opens it."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    found = []
    for gateway in bench.gateways:
        here, there = bench.other(gateway).side, gateway.side
        server = bench.helper(["iperf3", "--server", "--one-off", "--bind", there.inner[4]], there, "mss-server")
        eventually(lambda there=there: there.run(["ss", "-Hltn", "sport = :5201"]).out.strip(), 5, "iperf3 listens")
        client = bench.helper(
            ["iperf3", "--client", there.inner[4], "--bind", here.inner[4], "--time", 2], here, "mss-client")
        sizes = eventually(lambda: _sizes(here) and _sizes(there) and (_sizes(here), _sizes(there)), 5, "they talk")
        for size in sizes:
            # Timestamps take twelve octets of each segment.
            if size > SEGMENT:
                raise Failure(f"segments of {size} octets where {SEGMENT} is the limit")
        found += sizes
        client.wait(20)
        server.wait(10)
    _finish(bench)
    return f"segments of {min(found)} to {max(found)} octets"


def marks(bench, options):
    """DSCP and ECN of a packet stand in the outer header; congestion marked outside arrives inside."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    for gateway in bench.gateways:
        here, there = gateway.side, bench.other(gateway).side
        if gateway.kind == "martlet":
            _count(here, f'type filter hook egress device "{here.device}" priority 1;',
                   {"marked": "ip dscp ef ip ecn ect0 udp dport 4500"}, "netdev")
        if bench.other(gateway).kind == "martlet":
            # Somebody on the way is congested: what comes out of the wire says so.
            table = f"""table netdev congestion {{
              chain in {{
                type filter hook ingress device "{there.device}" priority 0;
                ip ecn ect0 udp dport 4500 ip ecn set ce
              }}
            }}
            """
            if gateway.kind == "martlet":
                there.run(["nft", "-f", "-"], stdin=table).require()
                _count(there, "type filter hook input priority 0;", {"marked": "ip ecn ce ip protocol icmp"}, "inet")
    for gateway in bench.gateways:
        here, there = gateway.side, bench.other(gateway).side
        done = here.run(["ping", "-4", "-n", "-q", "-c", 5, "-i", "0.1", "-W", 2, "-Q", "0xba", "-I", here.inner[4],
                         there.inner[4]])
        if " 5 received" not in done.out:
            raise Failure(f"marked pings are not answered: {last_lines(done.text)}")
    notes = []
    for gateway in bench.gateways:
        if gateway.kind != "martlet":
            continue
        counted = _counted(gateway.side)
        if any(count < 5 for count in counted.values()):
            raise Failure(f"{gateway.name}: {counted} packets had the marks, not 5 or more")
        notes.append(f"{gateway.side.letter}: {counted}")
    _finish(bench)
    return "; ".join(notes)


def path(bench, options):
    """A router on the way has a narrow link: TCP gets through, hosts are told how long packets may be."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    here = next(gateway for gateway in bench.gateways if gateway.side.letter != bench.scenario.narrow)
    there = bench.other(here)
    sizes = []
    for family in (4, 6):
        # Too long for the narrow link once it is sealed: the first is lost on its way, then the sender is told.
        def told(family=family):
            done = here.side.run(
                ["ping", f"-{family}", "-n", "-c", 1, "-W", 1, "-M", "do", "-s", 1340, "-I", here.side.inner[family],
                 there.side.inner[family]])
            return re.search(r"mtu[ =:]+(\d+)", done.text)

        sizes.append(int(eventually(told, 15, f"an IPv{family} host is told how long its packets may be").group(1)))
    for size in sizes:
        if not NARROW - 100 < max(size, 1280) <= NARROW:
            raise Failure(f"told {size} octets on a path of {NARROW}")
    bench.transfer(2)
    # A packet that may be cut is cut, and arrives.
    done = here.side.run(
        ["ping", "-4", "-n", "-q", "-c", 3, "-i", "0.2", "-W", 2, "-M", "dont", "-s", 4000, "-I", here.side.inner[4],
         there.side.inner[4]])
    if " 3 received" not in done.out:
        raise Failure(f"long packets that may be cut do not arrive: {last_lines(done.text)}")
    _finish(bench)
    return f"told {sizes[0]} and {sizes[1]} octets"


def padding(bench, options):
    """Short packets leave as long ones, and arrive as they were."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    for gateway in bench.gateways:
        if gateway.kind == "martlet":
            side = gateway.side
            _count(side, f'type filter hook egress device "{side.device}" priority 1;',
                   {"long": "ip length >= 900 udp dport 4500", "short": "ip length 100-899 udp dport 4500"}, "netdev")
    bench.require_pings()
    for gateway in bench.gateways:
        if gateway.kind == "martlet":
            counted = _counted(gateway.side)
            if counted["long"] < 6:
                raise Failure(f"{gateway.name}: only {counted['long']} packets were padded")
    _finish(bench)


def _finish(bench):
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()


def _spis(bench):
    return {child["spi-in"] for child in bench.left.children()}


def _ping(bench, gateway, family):
    here, there = gateway.side, bench.other(gateway).side
    return bench.helper(
        ["ping", f"-{family}", "-n", "-q", "-c", 400, "-i", "0.02", "-W", "2", "-s", 1000, "-I", here.inner[family],
         there.inner[family]], here, f"volume-ping-{here.letter}-{family}")


def _sizes(side):
    """The largest segment that an open connection of iperf3 sends now."""
    listing = side.run(["ss", "-Htin", "state", "established", "( sport = :5201 or dport = :5201 )"]).out
    sizes = [int(size) for size in re.findall(r"\bmss:(\d+)", listing)]
    return max(sizes) if sizes else 0


def _count(side, hook, rules, family):
    lines = "\n".join(f'{rule} counter name "{name}"' for name, rule in rules.items())
    counters = "\n".join(f"counter {name} {{ }}" for name in rules)
    table = f"table {family} look {{\n{counters}\nchain see {{\n{hook} policy accept;\n{lines}\n}}\n}}\n"
    side.run(["nft", "-f", "-"], stdin=table).require()


def _counted(side):
    """Packets by rule, in every table of this side that looks."""
    listing = json.loads(side.run(["nft", "-j", "list", "counters"]).require().out)
    counted = {}
    for entry in listing["nftables"]:
        counter = entry.get("counter")
        if counter and counter["table"] == "look":
            counted[f"{counter['name']}" if counter["family"] == "netdev" else f"{counter['name']} inside"] = (
                counter["packets"])
    return counted
