"""Restarts by a service manager, real or played: what it keeps, what it cannot keep, and what nobody may go on from."""

import fcntl
import os
import time

from . import planned
from .manager import Kept, missing_manager
from .processes import Failure, eventually, last_lines
from .restarts import inner, pings, restarted, usual
from .scenario import Scenario

#: What the kernel calls the seals of a memory file: seal, shrink, grow, write.
_SEALS = 1 | 2 | 4 | 8
_ADD_SEALS = 1033
#: The octet of a mark that lets somebody go on.
_GOOD = b"\x47"


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
    usual(bench)
    gateway = bench.left
    pings(inner(bench))
    # Signs of life come in between.
    time.sleep(6)
    before, pid = planned.spis(gateway), gateway.main_pid()
    gateway.inside("kill", "-STOP", pid).require()
    eventually(lambda: gateway.main_pid() not in (pid, "0"), 20, "systemd starts another process", interval=0.5)
    eventually(lambda: gateway.swanctl("--stats", timeout=5).code == 0, 10, "the new process answers")
    if gateway.sas():
        raise Failure(f"it goes on with {gateway.sas()}")
    usual(bench)
    pings(inner(bench))
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
    usual(bench)
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
    usual(bench)
    pings(inner(bench))
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
    usual(bench)
    pings(inner(bench))
    now = {spi for pair in planned.spis(gateway) for spi in pair}
    if now & {spi for pair in before for spi in pair}:
        raise Failure("an SPI came again")
    return planned.spis(gateway)


def after_a_crash(bench, options):
    """What a manager still has after a crash is used by nobody: new SAs, and no IV of the old ones again."""
    bench.set_up()
    usual(bench)
    tap, capture = planned.watch(bench)
    pings(inner(bench))
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
    pings(inner(bench))
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
    usual(bench)
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
    usual(bench)
    gateway, other = bench.left, bench.right
    status = gateway.daemon.stop(with_signal=10)
    if status != 0:
        raise Failure(f"it ended with {status}")
    if "there is none: stopping" not in gateway.log_text():
        raise Failure(f"the log does not say why: {last_lines(gateway.log_text())}")
    eventually(lambda: not other.sas(), 5, f"{other.name} was told")


_SS = "strongswan"
#: (name, scenario, procedure, pairings, seconds)
ROWS = [
    ("systemd-restart", Scenario, managed, {("martlet-managed", _SS), (_SS, "martlet-managed")}, 120),
    ("systemd-watchdog", Scenario, hung, {("martlet-managed", _SS)}, 120),
    ("manager-without-room", Scenario, no_room, {("martlet-kept", _SS)}, 90),
    ("manager-after-a-crash", Scenario, after_a_crash, {("martlet-kept", _SS)}, 90),
    ("manager-broken-record", Scenario, broken, {("martlet-kept", _SS)}, 180),
    ("restart-signal-alone", Scenario, told_by_nobody, {("martlet", _SS)}, 60),
]
