"""Planned restarts of every kind of tunnel: afterwards it is the same tunnel, and the wire tells nothing of it."""

import fcntl
import os
import time
from dataclasses import dataclass

from . import planned
from .addresses import NAME_SERVER, Clients
from .manager import Kept, missing_manager
from .nat import TranslatedScenario
from .network import ping
from .policies import route_scenario
from .processes import Failure, eventually, last_lines
from .resources import WORKERS, Resources
from .rounds import RoundScenario
from .scenario import CHILD, CONNECTION, Scenario
from .updown import Told, calls

#: What the kernel calls the seals of a memory file: seal, shrink, grow, write.
_SEALS = 1 | 2 | 4 | 8
_ADD_SEALS = 1033
#: The octet of a mark that lets somebody go on.
_GOOD = b"\x47"


def _usual(bench):
    bench.left.initiate().require()
    bench.require_up(count=1)


def _inner(bench):
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


def _pings(flows):
    for side, source, target in flows:
        answered = ping(side, target, source=source)
        if answered != 3:
            raise Failure(f"{answered} of 3 pings answered from {source} to {target}")


def _martlets(bench):
    return [gateway for gateway in bench.gateways if gateway.kind == "martlet"]


def restarted(up=_usual, flows=_inner, tunnels=1, after=None, finish=None):
    """A procedure: up, each Martlet restarted under pings both ways, everything the same, rekeyed, down."""
    def procedure(bench, options):
        bench.set_up()
        up(bench)
        ways = flows(bench)
        _pings(ways)
        results = []
        for gateway in _martlets(bench):
            # What an IKE SA says when it is young has been said.
            time.sleep(3)
            results.append(_once(bench, gateway, ways, tunnels))
            if after:
                after(bench, gateway)
        _pings(ways)
        bench.network.require_nothing_plain()
        for gateway in bench.gateways:
            before = planned.spis(bench.left)
            gateway.swanctl("--rekey", "--child", CHILD).require()
            eventually(lambda before=before: planned.spis(bench.left) != before, 10, f"{gateway.name} has new keys")
            _pings(ways)
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
    _usual(bench)
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
    _usual(bench)
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
    _usual(bench)
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


# Service managers.


def managed(bench, options):
    """Debian's systemd restarts the service, and later stops it: tunnels stay, and then their peer is told."""
    absent = missing_manager()
    if absent:
        raise Failure("; ".join(absent))
    return restarted(finish=lambda bench: _stopped(bench))(bench, options)


def hung(bench, options):
    """A gateway that gives no sign of life is killed and started by systemd: new SAs, nothing in clear, none resumed."""
    absent = missing_manager()
    if absent:
        raise Failure("; ".join(absent))
    bench.left.lines = ("WatchdogSec=4", "TimeoutAbortSec=1")
    bench.set_up()
    _usual(bench)
    gateway = bench.left
    _pings(_inner(bench))
    # Signs of life come in between.
    time.sleep(6)
    before, pid = planned.spis(gateway), gateway.main_pid()
    gateway.inside("kill", "-STOP", pid).require()
    eventually(lambda: gateway.main_pid() not in (pid, "0"), 20, "systemd starts another process", interval=0.5)
    eventually(lambda: gateway.swanctl("--stats", timeout=5).code == 0, 10, "the new process answers")
    if gateway.sas():
        raise Failure(f"it goes on with {gateway.sas()}")
    _usual(bench)
    _pings(_inner(bench))
    if {spi for pair in before for spi in pair} & {spi for pair in planned.spis(gateway) for spi in pair}:
        raise Failure("an SPI came again")
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_clean_stop()


def _stopped(bench):
    """A stop by the manager is no restart."""
    for gateway in bench.gateways:
        if gateway.kind == "martlet":
            gateway.stop()
            other = bench.other(gateway)
            eventually(lambda other=other: not other.sas(), 5, f"{other.name} was told of the stop")
            gateway.start()


def no_room(bench, options):
    """A manager that does not keep everything: the restart is a stop, with a word to the peer and one in the log."""
    Kept.room = 3
    try:
        bench.set_up()
    finally:
        Kept.room = 4096
    _usual(bench)
    gateway, other = bench.left, bench.right
    status = gateway.leave()
    if status != 0:
        raise Failure(f"it ended with {status}")
    for word in ("the tunnels can't be kept, and their peers are told", "FileDescriptorStoreMax="):
        if word not in gateway.log_text():
            raise Failure(f"the log does not say '{word}': {last_lines(gateway.log_text())}")
    eventually(lambda: not other.sas(), 5, f"{other.name} was told")
    eventually(lambda: not gateway.store.names(), 5, "the manager was told to keep nothing")
    if gateway.store.names():
        raise Failure(f"the manager keeps {gateway.store.names()}")
    gateway.begin([])
    gateway.answers()
    _usual(bench)
    _pings(_inner(bench))
    bench.network.require_nothing_plain()
    bench.require_clean_stop()


def _anew(bench, passed, reason, before):
    """The gateway starts with these descriptors, uses none, says why, and makes the tunnel anew."""
    gateway = bench.left
    gateway.begin(passed)
    gateway.answers()
    if reason not in gateway.log_text():
        raise Failure(f"the log does not say '{reason}': {last_lines(gateway.log_text())}")
    if gateway.sas():
        raise Failure(f"it goes on with {gateway.sas()}")
    eventually(lambda: not gateway.store.names(), 5, "the manager keeps nothing any longer")
    _usual(bench)
    _pings(_inner(bench))
    now = {spi for pair in planned.spis(gateway) for spi in pair}
    if now & {spi for pair in before for spi in pair}:
        raise Failure("an SPI came again")
    return planned.spis(gateway)


def after_a_crash(bench, options):
    """What a manager still has after a crash is used by nobody: new SAs, and no IV of the old ones again."""
    bench.set_up()
    _usual(bench)
    tap, capture = planned.watch(bench)
    _pings(_inner(bench))
    gateway = bench.left
    before = planned.spis(gateway)
    # Left behind, taken over, and then killed: the manager gives the same once more.
    if gateway.leave() != 0:
        raise Failure("it did not leave")
    copies, again = gateway.store.copies(), gateway.store.copies()
    gateway.begin(copies)
    gateway.answers()
    if planned.spis(gateway) != before:
        raise Failure("the first restart lost the tunnel")
    _pings(_inner(bench))
    gateway.crash()
    _anew(bench, again, "it was used before", before)
    planned.stop(tap)
    seen, ivs = [packet for packet in planned.packets(capture) if packet.kind == "ESP"], set()
    for packet in seen:
        if (packet.source, packet.spi, packet.iv) in ivs:
            raise Failure(f"SPI {packet.spi:08x}: IV {packet.iv.hex()} came twice")
        ivs.add((packet.source, packet.spi, packet.iv))
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_clean_stop()
    return f"{len(seen)} packets of ESP, no IV twice"


def _replaced(copies, octets, good=True):
    """The same descriptors with another record in place of the one that was left."""
    changed = []
    for name, number in copies:
        if name == "martlet-state":
            os.close(number)
            number = os.memfd_create("martlet-state", os.MFD_ALLOW_SEALING)
            os.write(number, octets(copies) if callable(octets) else octets)
            fcntl.fcntl(number, _ADD_SEALS, _SEALS)
        if name == "martlet-mark" and good:
            os.pwrite(number, _GOOD, 0)
        changed.append((name, number))
    return changed


def broken(bench, options):
    """Records that are of no use: each is refused with its reason, and the gateway starts as after a crash."""
    bench.set_up()
    _usual(bench)
    gateway = bench.left
    before = planned.spis(gateway)
    rounds = 0
    for change, reason in (
            (lambda octets: b"nothing of ours" * 40, "it is no state of a gateway"),
            (lambda octets: octets[:8] + b"\0\x63" + octets[10:], "it has version 99"),
            (lambda octets: octets[:len(octets) // 2], "what an earlier process has left is not used"),
            (lambda octets: _engine_broken(octets), "what an earlier process has left is not used"),
    ):
        if gateway.leave() != 0:
            raise Failure("it did not leave")
        copies = gateway.store.copies()
        state = next(number for name, number in copies if name == "martlet-state")
        octets = os.pread(state, 1 << 26, 0)
        before = _anew(bench, _replaced(copies, change(octets)), reason, before)
        rounds += 1
    # Some of the descriptors are missing.
    if gateway.leave() != 0:
        raise Failure("it did not leave")
    gateway.store.kept.sort(key=lambda entry: entry[0] in ("martlet-state", "martlet-mark"), reverse=True)
    gateway.store.lose(1)
    _anew(bench, gateway.store.copies(), "its descriptors are not those that are there", before)
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"{rounds + 1} records refused"


def _engine_broken(octets):
    """A record whose parts are all there, the engine's with other octets."""
    place = 10
    parts = []
    for _ in range(4):
        length = int.from_bytes(octets[place:place + 4], "big")
        parts.append((place + 4, length))
        place += 4 + length
    start, length = parts[3]
    return octets[:start] + bytes([0xff]) * length + octets[start + length:]


def told_by_nobody(bench, options):
    """The signal of a restart where no manager is: a stop, and the peer is told."""
    bench.set_up()
    _usual(bench)
    gateway, other = bench.left, bench.right
    status = gateway.daemon.stop(with_signal=10)
    if status != 0:
        raise Failure(f"it ended with {status}")
    if "there is none: stopping" not in gateway.log_text():
        raise Failure(f"the log does not say why: {last_lines(gateway.log_text())}")
    eventually(lambda: not other.sas(), 5, f"{other.name} was told")


def _terminated(bench):
    bench.left.terminate().require()
    bench.require_down()


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
    ("systemd-restart", Scenario, managed, {("martlet-managed", _SS), (_SS, "martlet-managed")}, 120),
    ("systemd-watchdog", Scenario, hung, {("martlet-managed", _SS)}, 120),
    ("manager-restart", Scenario, restarted(), {("martlet-kept", _SS), (_SS, "martlet-kept")}, 120),
    ("manager-restart workers", Resources, restarted(_many), {("martlet-kept", _M)}, 120),
    ("manager-restart route-based", route_scenario, restarted(_routed, finish=_routed_end), {("martlet-kept", _SS)}, 120),
    ("manager-restart updown", Told, restarted(_told, after=_told_nothing, finish=_told_down), {("martlet-kept", _SS)}, 120),
    ("manager-without-room", Scenario, no_room, {("martlet-kept", _SS)}, 90),
    ("manager-after-a-crash", Scenario, after_a_crash, {("martlet-kept", _SS)}, 90),
    ("manager-broken-record", Scenario, broken, {("martlet-kept", _SS)}, 180),
    ("restart-signal-alone", Scenario, told_by_nobody, {(_M, _SS)}, 60),
]
