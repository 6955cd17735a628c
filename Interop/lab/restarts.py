"""Planned restarts of every kind of tunnel: afterwards it is the same tunnel, and the wire tells nothing of it."""

import os
import time
from dataclasses import dataclass

from . import planned
from .addresses import NAME_SERVER, Clients
from .nat import TranslatedScenario
from .network import ping
from .policies import route_scenario
from .processes import Failure, eventually
from .resources import WORKERS, Resources
from .rounds import RoundScenario
from .scenario import CHILD, CONNECTION, Scenario
from .updown import Told, calls

def usual(bench):
    bench.left.initiate().require()
    bench.require_up(count=1)


def inner(bench):
    """Who pings whom: side, its address, the other's address, both families, both ways."""
    a, b = bench.network.a, bench.network.b
    return [(here, here.inner[family], there.inner[family]) for here, there in ((a, b), (b, a)) for family in (4, 6)]


def _outer(bench):
    a, b = bench.network.a, bench.network.b
    return [(a, a.outer[4], b.outer[4]), (b, b.outer[4], a.outer[4])]


def _virtual(bench):
    """From and to the virtual addresses."""
    a, b = bench.network.a, bench.network.b
    flows = []
    for _, facts in bench.left.sas():
        for address in facts["local-vips"]:
            family = 6 if ":" in address else 4
            flows += [(a, address, b.inner[family]), (b, b.inner[family], address)]
    return flows


def pings(flows):
    for side, source, target in flows:
        answered = ping(side, target, source=source)
        if answered != 3:
            raise Failure(f"{answered} of 3 pings answered from {source} to {target}")


def _martlets(bench):
    return [gateway for gateway in bench.gateways if gateway.kind == "martlet"]


def restarted(up=usual, flows=inner, tunnels=1, after=None, finish=None):
    """A procedure: up, each Martlet restarted under pings both ways, everything the same, rekeyed, down."""
    def procedure(bench, options):
        bench.set_up()
        up(bench)
        ways = flows(bench)
        pings(ways)
        results = []
        for gateway in _martlets(bench):
            # What an IKE SA says when it is young has been said.
            time.sleep(3)
            results.append(_once(bench, gateway, ways, tunnels))
            if after:
                after(bench, gateway)
        pings(ways)
        bench.network.require_nothing_plain()
        for gateway in bench.gateways:
            before = planned.spis(bench.left)
            gateway.swanctl("--rekey", "--child", CHILD).require()
            eventually(lambda before=before: planned.spis(bench.left) != before, 10, f"{gateway.name} has new keys")
            pings(ways)
        if finish:
            finish(bench)
        else:
            bench.left.terminate().require()
            bench.require_down()
        bench.require_clean_stop()
        bench.network.require_nothing_plain()
        bench.require_secrets_kept()
        return "; ".join(results)

    return procedure


def _once(bench, gateway, ways, tunnels=1):
    before = planned.spis(gateway)
    steady = [
        bench.helper(["ping", "-n", "-i", str(planned.PACE), "-I", source, target], side,
                     f"ping-{gateway.side.letter}-{place}-{time.monotonic_ns()}")
        for place, (side, source, target) in enumerate(ways)]
    time.sleep(1)
    tap, capture = planned.watch(bench)
    time.sleep(0.3)
    outcome = planned.restart(gateway)
    time.sleep(1.5)
    planned.stop(tap)
    losses = [planned.missed(each) for each in steady]
    worst = max(losses)
    if worst[0] > planned.LONGEST_GAP:
        raise Failure(f"{worst[1]} of {worst[2]} pings lost: {worst[0]:.2f} s")
    if (outcome["ikeSAs"], outcome["left"]) != (tunnels, 0):
        raise Failure(f"restarted with {outcome}")
    if planned.spis(gateway) != before:
        raise Failure(f"the SPIs were {before} and are {planned.spis(gateway)}")
    count = planned.require_wire(capture, tunnels)
    return (f"{gateway.side.letter}: packets waited {outcome['gapMilliseconds']} ms, "
            f"{sum(lost for _, lost, _ in losses)} of {sum(sent for _, _, sent in losses)} lost, {count} on the wire")


# Kinds of tunnels.


@dataclass
class Worded(Scenario):
    """The usual tunnel with other words for the child."""

    #: In place of the line of ESP's proposals.
    proposals: str = ""
    #: Whether the two hosts themselves are protected, without a tunnel.
    transport: bool = False
    lines: str = ""

    def configuration(self, side, other):
        text = super().configuration(side, other)
        mine = self.settings(side, other)
        if self.proposals:
            text = text.replace(f"        esp_proposals = {mine.esp}\n", f"        {self.proposals}\n")
        if self.transport:
            text = text.replace(f"        local_ts = {mine.local_ts}\n        remote_ts = {mine.remote_ts}\n",
                                "        mode = transport\n")
        return text.replace("    mobike = no\n", "    mobike = no\n" + self.lines)


def _many(bench):
    bench.left.initiate().require()
    for gateway in bench.gateways:
        eventually(lambda gateway=gateway: len(gateway.children()) == WORKERS, 10,
                   f"{gateway.name} has {WORKERS} Child SAs")
    bench.require_up(count=1)


def _routed(bench):
    usual(bench)
    here, there = bench.left.side, bench.right.side
    for family in (4, 6):
        here.run(["ip", f"-{family}", "route", "add", there.protected[family], "dev", "vti00"]).require()
    bench.network.reset_guard()


def _routed_end(bench):
    bench.left.terminate().require()
    eventually(lambda: not bench.left.sas(), 5, "the tunnel is down")
    if "vti00" not in bench.left.side.run(["ip", "link"]).require().out:
        raise Failure("the device is gone although it is configured")


# What programs on the machine were told.


@dataclass
class NamedClients(Clients):
    """Clients whose host has a `resolvconf` that writes down how it is called."""

    clients: int = 1

    def prepare(self, gateway, other):
        if gateway.kind != "martlet" or gateway.side.letter != "a":
            return
        tools = os.path.join(gateway.directory, "tools")
        os.makedirs(tools, exist_ok=True)
        path = os.path.join(tools, "resolvconf")
        with open(path, "w", encoding="utf-8") as sink:
            sink.write(f'#!/bin/sh\n{{ echo "$*"; cat; }} >>{gateway.directory}/resolvconf.log\n')
        os.chmod(path, 0o755)
        gateway.place = [
            "unshare", "--mount", "--propagation", "private", "sh", "-c",
            f'mount --bind {tools} /usr/sbin && exec "$@"', "sh"]


def _resolver(gateway):
    path = os.path.join(gateway.directory, "resolvconf.log")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as source:
        return source.read().splitlines()


_INSTALLED = ["-a martlet0.martlet", f"nameserver {NAME_SERVER}"]


def _named(bench):
    usual(bench)
    if bench.left.kind == "martlet":
        eventually(lambda: _resolver(bench.left) == _INSTALLED, 5, "the name server is handed to resolvconf")


def _still_named(bench, gateway):
    if gateway is bench.left and _resolver(gateway) != _INSTALLED:
        raise Failure(f"a restart called resolvconf: {_resolver(gateway)}")


def _unnamed(bench):
    bench.left.terminate().require()
    bench.require_down()
    if bench.left.kind == "martlet":
        eventually(lambda: _resolver(bench.left) == _INSTALLED + ["-d martlet0.martlet"], 5,
                   "the name server is taken back")


def _told(bench):
    usual(bench)
    for gateway in _martlets(bench):
        eventually(lambda gateway=gateway: len(calls(gateway)) == 2, 8, f"{gateway.name} has told of both families")


def _told_nothing(bench, gateway):
    if len(calls(gateway)) != 2:
        raise Failure(f"a restart was told: {calls(gateway)[2:]}")


def _told_down(bench):
    bench.left.terminate().require()
    bench.require_down()
    for gateway in _martlets(bench):
        eventually(lambda gateway=gateway: len(calls(gateway)) == 4, 8, f"{gateway.name} has told of the end")
        up, down = calls(gateway)[:2], calls(gateway)[2:]
        if {call["PLUTO_VERB"] for call in down} != {"down-client", "down-client-v6"}:
            raise Failure(f"{gateway.name} told {down}")
        for first, last in zip(sorted(up, key=_family), sorted(down, key=_family)):
            first, last = ({key: value for key, value in call.items() if key != "PLUTO_VERB"} for call in (first, last))
            if first != last:
                raise Failure(f"{gateway.name} was told {first} of the beginning and {last} of the end")


def _family(call):
    return call["PLUTO_MY_CLIENT"]


_SS, _M = "strongswan", "martlet"
#: (name, scenario, procedure, pairings, seconds)
ROWS = [
    ("planned-restart workers", Resources, restarted(_many), {(_M, _M)}, 120),
    ("planned-restart ah", lambda: Worded(proposals="ah_proposals = sha256-x25519"), restarted(), {(_M, _M)}, 120),
    ("planned-restart ipcomp", lambda: Worded(lines="", change_a={"child": "ipcomp = yes"}, change_b={"child": "ipcomp = yes"}),
     restarted(), {(_M, _M)}, 120),
    ("planned-restart transport", lambda: Worded(transport=True), restarted(flows=_outer), {(_M, _M)}, 120),
    ("planned-restart transport-udp", lambda: Worded(transport=True, lines="    encap = yes\n"), restarted(flows=_outer),
     {(_M, _M)}, 120),
    ("planned-restart cbc", lambda: Scenario(suite=planned.CBC), restarted(), {(_M, _SS), (_SS, _M)}, 120),
    ("planned-restart route-based", route_scenario, restarted(_routed, finish=_routed_end), {(_M, _SS), (_M, _M)}, 120),
    ("planned-restart virtual-addresses", NamedClients, restarted(_named, _virtual, after=_still_named, finish=_unnamed),
     {(_M, _SS), (_SS, _M), (_M, _M)}, 120),
    ("planned-restart eap", lambda: RoundScenario(rounds_a=("eap",), rounds_b=("cert",)), restarted(),
     {(_M, _SS), (_SS, _M)}, 120),
    ("planned-restart nat-initiator", lambda: TranslatedScenario(before_a=1), restarted(), {(_M, _SS), (_SS, _M)}, 120),
    ("planned-restart nat-responder", lambda: TranslatedScenario(before_b=1), restarted(), {(_M, _SS)}, 120),
    ("planned-restart updown", Told, restarted(_told, after=_told_nothing, finish=_told_down), {(_M, _SS), (_M, _M)}, 120),
    ("manager-restart", Scenario, restarted(), {("martlet-kept", _SS), (_SS, "martlet-kept")}, 120),
    ("manager-restart workers", Resources, restarted(_many), {("martlet-kept", _M)}, 120),
    ("manager-restart route-based", route_scenario, restarted(_routed, finish=_routed_end), {("martlet-kept", _SS)}, 120),
    ("manager-restart updown", Told, restarted(_told, after=_told_nothing, finish=_told_down), {("martlet-kept", _SS)}, 120),
]
