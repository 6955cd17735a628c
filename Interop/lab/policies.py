"""Policies without a Child SA: traps, what is let through, and what never leaves in clear."""

import os
import re
import time
from dataclasses import dataclass, field

from .network import PREFIX, Plumbing, open_routes, ping
from .processes import Failure, eventually, run
from .scenario import CHILD, Scenario


@dataclass
class PolicyScenario(Scenario):
    """The usual tunnel, with more lines in the child of one side, or of both, and more children beside it."""

    child_a: str = ""
    child_b: str = ""
    others_a: str = ""
    others_b: str = ""

    def configuration(self, side, other):
        lines, others = (self.child_a, self.others_a) if side.letter == "a" else (self.child_b, self.others_b)
        text = super().configuration(side, other)
        head = f"      {CHILD} {{\n"
        if text.count(head) != 1:
            raise Failure("the scenario's text has no place for more lines")
        return text.replace(head, f"{others}\n{head}{lines}\n")


def trapped(**more):
    return lambda: PolicyScenario(child_a="        start_action = trap", **more)


def trap(bench, options):
    """Nobody initiates: the first packet does, and gets through where Martlet traps it; strongSwan drops it. What is ended
    comes back with the next packet."""
    bench.set_up()
    here, there = bench.left.side, bench.right.side
    if bench.left.sas():
        raise Failure("a trap brought the tunnel up without a packet")
    begin = _first_ping if bench.left.kind == "martlet" else _lost_ping
    begin(here, there, 4)
    bench.require_up(count=1)
    bench.require_pings()
    bench.require_counted()
    bench.left.terminate().require()
    eventually(lambda: not bench.left.sas(), 5, "the tunnel is down")
    begin(here, there, 6)
    bench.require_up(count=1)
    bench.require_pings()
    bench.network.require_nothing_plain()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"the first ping of each family was {'answered' if begin is _first_ping else 'dropped, and made the tunnel'}"


def trap_after_close(bench, options):
    """The peer closes the child of a connection that was brought up by hand: the next packet brings it back."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.right.swanctl("--terminate", "--child", CHILD, "--timeout", 10).require()
    eventually(lambda: not bench.left.children(), 5, "the peer has closed the child")
    _first_ping(bench.left.side, bench.right.side, 4)
    bench.require_up()
    bench.require_pings()
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_clean_stop()


def _first_ping(here, there, family):
    if ping(here, there.inner[family], source=here.inner[family], count=1, wait=8) != 1:
        raise Failure(f"the first packet over IPv{family} did not get through")


def _lost_ping(here, there, family):
    """A packet that only says that a tunnel is wanted."""
    if ping(here, there.inner[family], source=here.inner[family], count=1, wait=1) != 0:
        raise Failure(f"the first packet over IPv{family} got through: strongSwan drops it no longer")


def closed(bench, options):
    """No plain packet leaves: while the peer is absent, while the tunnel is made, up, ended by us, expired, and while
    the gateway is dead. Before that, without gateways, the same packets left and were counted."""
    bench.set_up()
    here, there = bench.left.side, bench.right.side
    pings = [
        bench.helper(["ping", f"-{family}", "-n", "-i", "0.05", "-I", here.inner[family], there.inner[family]], here,
                     f"ping-{family}")
        for family in (4, 6)
    ]
    stages = []

    def stage(name, seconds=1.0):
        time.sleep(seconds)
        # A ping that was told that nothing is reachable goes on.
        if any(not each.running for each in pings):
            raise Failure(f"the ping ended early: {[each.output()[-120:] for each in pings]}")
        try:
            bench.network.require_nothing_plain()
        except Failure as failure:
            raise Failure(f"{name}: {failure}") from None
        stages.append(name)

    bench.require_up()
    stage("up")
    bench.right.crash()
    bench.left.terminate()
    # A farewell that nobody answers is repeated.
    eventually(lambda: not bench.left.sas() or _is_connecting(bench.left), 40, "the old tunnel is gone")
    stage("without a peer", 2.5)
    bench.right.start()
    eventually(lambda: _answered(here, there), 40, "packets bring the tunnel up again", interval=0.5)
    stage("made again")
    bench.left.terminate().require()
    stage("ended by us", 0.3)
    eventually(lambda: _answered(here, there), 20, "packets bring the tunnel up again", interval=0.5)
    stage("made again")
    bench.left.crash()
    stage("killed")
    bench.left.start()
    stage("started again")
    eventually(lambda: _answered(here, there), 20, "packets bring the tunnel up again", interval=0.5)
    for each in pings:
        each.kill()
    repeated = Plumbing(bench.left.side).repeated()
    if repeated:
        raise Failure(f"the restart repeated what was there: {repeated}")
    bench.left.terminate()
    bench.require_clean_stop()
    return ", ".join(stages)


def _is_connecting(gateway):
    return all(facts["state"] == "CONNECTING" for _, facts in gateway.sas())


def _answered(here, there):
    return ping(here, there.inner[4], source=here.inner[4], count=1, wait=1) == 1


def expired(bench, options):
    """The Child SA's life ends without a successor; what it protected stays closed, until somebody asks for it."""
    bench.set_up()
    here, there = bench.left.side, bench.right.side
    bench.left.initiate().require()
    bench.require_up(count=1)
    helper = bench.helper(
        ["ping", "-n", "-i", "0.05", "-I", here.inner[4], there.inner[4]], here, "ping-4")
    eventually(lambda: not bench.left.children(), 15, "the Child SA has expired")
    time.sleep(1)
    if not helper.running:
        raise Failure("the ping ended early")
    if _answered(here, there):
        raise Failure("a packet was answered although nothing protects it")
    bench.network.require_nothing_plain()
    helper.kill()
    bench.left.terminate()
    bench.require_clean_stop()


def configured_start(bench, options):
    """What starts by itself is closed by configuration: also when somebody ends it by hand."""
    bench.set_up()
    here, there = bench.left.side, bench.right.side
    bench.require_up()
    bench.require_pings()
    bench.left.terminate().require()
    eventually(lambda: not bench.left.sas(), 5, "the tunnel is down")
    for family in (4, 6):
        if ping(here, there.inner[family], source=here.inner[family], count=2, wait=1):
            raise Failure("a packet was answered without a tunnel")
    bench.network.require_nothing_plain()
    bench.require_clean_stop()


def pass_scenario():
    """IPv6 echo is let through at both ends, everything else is protected."""
    def shunt(mine, theirs):
        return f"""      echo {{
        local_ts = {mine}[ipv6-icmp]
        remote_ts = {theirs}[ipv6-icmp]
        mode = pass
        start_action = trap
      }}"""
    return PolicyScenario(
        others_a=shunt("fd01::/64", "fd02::/64"), others_b=shunt("fd02::/64", "fd01::/64"))


def let_through(bench, options):
    """A policy with mode = pass: its packets are seen in clear and are answered, their neighbours are not seen."""
    bench.set_up()
    here, there = bench.left.side, bench.right.side
    bench.left.initiate().require()
    bench.require_up(count=1)
    if ping(here, there.inner[4], source=here.inner[4]) != 3:
        raise Failure("the tunnel carries nothing")
    bench.network.require_nothing_plain()
    answered = ping(here, there.inner[6], source=here.inner[6])
    count = bench.network.plain_packets(here)
    if answered != 3 or count < 3:
        raise Failure(f"{answered} of 3 answers, {count} packets seen in clear")
    # Of the same family, but not of the protocol.
    bench.network.reset_guard()
    here.run(["ping", "-6", "-c", "1", "-W", "1", "-I", here.inner[6], there.inner[6]])
    before = bench.network.plain_packets(here)
    here.run(["timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/{there.inner[6]}/7"])
    if bench.network.plain_packets(here) != before:
        raise Failure("a packet that is not let through was seen in clear")
    bench.left.terminate().require()
    return f"{count} packets in clear, as configured"


def restarted(bench, options):
    """kill -9 under load, then start: the tunnel that starts by itself is renewed, and the peer drops the old one."""
    bench.set_up()
    here, there = bench.left.side, bench.right.side
    bench.require_up()
    load = bench.helper(
        ["ping", "-n", "-D", "-i", "0.01", "-s", "1200", "-I", here.inner[4], there.inner[4]], here, "load")
    time.sleep(1)
    bench.left.crash()
    time.sleep(1)
    bench.network.require_nothing_plain()
    begin = time.time()
    bench.left.start()
    eventually(lambda: any(moment > begin for moment in _replies(load)), 10, "traffic after the start")
    first = min(moment for moment in _replies(load) if moment > begin) - begin
    bench.network.require_nothing_plain()
    # An old SA that is young may be the other half of a collision: Martlet asks it before it believes that it is dead.
    eventually(
        lambda: len(bench.right.sas()) == 1, 45, "the peer has dropped the dead gateway's IKE SA (INITIAL_CONTACT)")
    load.kill()
    bench.require_up(count=1)
    bench.require_pings()
    bench.network.require_nothing_plain()
    bench.left.terminate()
    bench.require_clean_stop()
    if first > 2:
        raise Failure(f"traffic came {first:.2f} s after the start")
    return f"traffic {first:.2f} s after the start"


def _replies(load):
    return [float(moment) for moment in re.findall(r"^\[(\d+\.\d+)\] \d+ bytes from", load.output(), re.MULTILINE)]


def clear_inbound(bench, options):
    """What the other side sends in clear: it arrives without gateways, and does not while a policy protects it. strongSwan,
    killed, is the one that sends in clear."""
    here, there = bench.left.side, bench.right.side
    bench.network.up()
    bench.network.prove_guard()
    listener = bench.helper(
        ["python3", "-uc", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
         f"s.bind(('{here.inner[4]}', 7777)); print('ready')\nwhile True: print(s.recv(99).decode())"], here, "listener")
    eventually(lambda: "ready" in listener.output(), 5, "the listener is there")
    said = []

    def arrives(word):
        said.append(word)
        bench.network.reset_guard()
        there.run(
            ["python3", "-c", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
             f"s.bind(('{there.inner[4]}', 0)); s.sendto(b'{word}', ('{here.inner[4]}', 7777))"]).require()
        time.sleep(0.3)
        if bench.network.plain_packets(there) == 0:
            raise Failure(f"{word}: the other side did not send in clear, so nothing is shown")
        return word in listener.output()

    if not arrives("bare"):
        raise Failure("without gateways the packet did not arrive")
    bench.start()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.right.crash()
    for stage, action in (("up", None), ("killed", bench.left.crash), ("started", bench.left.start)):
        if action:
            action()
        if arrives(stage):
            raise Failure(f"a packet in clear arrived in the stage '{stage}'")
    bench.left.stop()
    if not arrives("stopped"):
        raise Failure("after a clean stop packets do not arrive")
    return ", ".join(said)


ALL = "0.0.0.0/0,::/0"


def route_scenario():
    return PolicyScenario(
        child_a="        tunnel_interface = vti%02d\n        tunnel_interface_mtu = 1390",
        change_a={"local_ts": ALL, "remote_ts": ALL},
        change_b={"local_ts": ALL})


def route_based(bench, options):
    """A device for the tunnel alone, with selectors for everything: what somebody routes into it is carried."""
    bench.set_up()
    here, there = bench.left.side, bench.right.side
    if "mtu 1390" not in here.run(["ip", "link", "show", "vti00"]).require().out:
        raise Failure("the device has another MTU")
    bench.left.initiate().require()
    bench.require_up(count=1)
    for family in (4, 6):
        made = open_routes(here, there.protected[family])
        if made:
            raise Failure(f"a route-based tunnel made routes: {made}")
        here.run(["ip", f"-{family}", "route", "add", there.protected[family], "dev", "vti00"]).require()
    bench.network.reset_guard()
    bench.require_pings()
    bench.require_counted()
    bench.network.require_nothing_plain()
    rates = bench.transfer(min(options.seconds, 3))
    bench.left.terminate().require()
    eventually(lambda: not bench.left.sas(), 5, "the tunnel is down")
    # The routes lead into the device still, and the device nowhere.
    for family in (4, 6):
        if ping(here, there.inner[family], source=here.inner[family], count=1, wait=1):
            raise Failure("a packet was answered without a tunnel")
    if bench.network.plain_packets(here):
        raise Failure("packets left in clear although they were routed into the device")
    bench.require_clean_stop()
    return f"TCP {rates[0]:.2f} and {rates[1]:.2f} Gbit/s"


@dataclass
class TenantScenario(Scenario):
    """Two connections between the same gateways, for two tenants whose networks have the same addresses."""

    #: Namespaces by (side, tenant).
    places: dict = field(default_factory=dict)

    def configuration(self, side, other):
        both = ""
        number = {"a": 1, "b": 2}[side.letter]
        for tenant in (1, 2):
            text = super().configuration(side, other)
            for old, new in (
                    ("  lab {", f"  tenant{tenant} {{"), ("ike-lab {", f"ike-tenant{tenant} {{"), (".lab", f".t{tenant}"),
                    (f"  {CHILD} {{", f"  net{tenant} {{\n        tunnel_interface = vti%02d\n"
                     f"        tunnel_interface_addresses = 10.0.0.{number}/24\n"
                     f"        tunnel_interface_netns = {self.places[side.letter, tenant]}")):
                text = text.replace(old, new)
            both += text
        return both


def tenants_scenario():
    every = {"local_ts": "0.0.0.0/0", "remote_ts": "0.0.0.0/0"}
    return TenantScenario(change_a=every, change_b=every, places={
        (letter, tenant): f"{PREFIX}{os.getpid()}-{letter}t{tenant}" for letter in "ab" for tenant in (1, 2)})


def tenants(bench, options):
    """Both tenants have 10.0.0.0/24 on both sides; each reaches its own other end, and only while its tunnel is up."""
    places = bench.scenario.places
    try:
        for name in places.values():
            run(["ip", "netns", "add", name]).require()
        bench.set_up()

        def answered(tenant):
            command = ["ping", "-n", "-c", "2", "-i", "0.1", "-W", "1", "10.0.0.2"]
            return run(command, netns=places["a", tenant]).code == 0

        bench.left.swanctl("--initiate", "--child", "net1", "--timeout", 15).require()
        if not answered(1):
            raise Failure("tenant 1 does not reach its other end")
        if answered(2):
            raise Failure("tenant 2 reaches somebody without a tunnel")
        bench.left.swanctl("--initiate", "--child", "net2", "--timeout", 15).require()
        packets = _packets(bench.right)
        if not answered(2):
            raise Failure("tenant 2 does not reach its other end")
        after = _packets(bench.right)
        if after["net1"] != packets["net1"] or after["net2"] == packets["net2"]:
            raise Failure(f"tenant 2's packets were counted as {packets} before and {after} after")
        bench.network.require_nothing_plain()
        bench.require_clean_stop()
    finally:
        for name in places.values():
            run(["ip", "netns", "delete", name])


def _packets(gateway):
    return {child["name"]: int(child.get("packets-in", "0")) for child in gateway.children()}


#: (name, scenario, procedure, pairings that have it)
CASES = [
    ("clear-inbound", PolicyScenario, clear_inbound, {("martlet", "strongswan")}),
    ("route-based", route_scenario, route_based, {("martlet", "strongswan"), ("martlet", "martlet")}),
    ("tenants", tenants_scenario, tenants, {("martlet", "martlet")}),
    ("trap", trapped(), trap, {("martlet", "strongswan"), ("martlet", "martlet")}),
    ("trap-after-close", lambda: PolicyScenario(child_a="        close_action = trap"), trap_after_close,
     {("martlet", "strongswan"), ("martlet", "martlet")}),
    ("closed", lambda: PolicyScenario(child_a="        start_action = trap|start\n        close_action = trap"),
     closed, {("martlet", "strongswan"), ("martlet", "martlet")}),
    ("expired", lambda: PolicyScenario(child_a="        rekey_time = 0s\n        life_time = 4s"), expired,
     {("martlet", "strongswan")}),
    ("configured-start", lambda: PolicyScenario(child_a="        start_action = start"), configured_start,
     {("martlet", "strongswan")}),
    ("bypass", pass_scenario, let_through, {("martlet", "strongswan"), ("martlet", "martlet")}),
    ("restarted", lambda: PolicyScenario(child_a="        start_action = start"), restarted,
     {("martlet", "strongswan"), ("martlet", "martlet")}),
]

#: The same with the newest strongSwan, whose user-space plane knows traps: only when asked for by name.
NEWEST_CASES = [
    ("trap", trapped(), trap,
     {("strongswan-newer", "martlet"), ("martlet", "strongswan-newer"), ("strongswan-newer", "strongswan-newer")}),
]
