"""Socket activation: a service manager holds UDP 500 and 4500, and the gateway works with these sockets."""

import os
import shutil
import socket
import subprocess
import sys

from .gateways import KINDS, Martlet
from .manager import Kept, Managed, UNIT, missing_manager
from .processes import ENVIRONMENT, Failure, eventually, last_lines, run
from .restarts import inner, pings, usual
from .scenario import CONNECTION, Scenario

ACTIVATE = "/usr/bin/systemd-socket-activate"
#: The packaged unit.
SOCKETS = os.path.join(os.path.dirname(UNIT), "martlet.socket")
_PORTS = ((socket.AF_INET, "0.0.0.0", 500), (socket.AF_INET6, "::", 500), (socket.AF_INET, "0.0.0.0", 4500), (socket.AF_INET6, "::", 4500))

#: Opens sockets in a namespace, sends them here, and ends.
_OPENER = """
import array, socket, sys
out = socket.socket(fileno=int(sys.argv[1]))
for text in sys.argv[2:]:
    family, kind, address, port, only = text.split(",")
    each = socket.socket(int(family), int(kind))
    if int(family) == socket.AF_INET6:
        each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only))
    each.bind((address, int(port)))
    if int(kind) == socket.SOCK_STREAM:
        each.listen()
    socket.send_fds(out, [b"x"], [each.fileno()])
"""


def opened(side, wanted):
    """Sockets of a side's namespace, opened by somebody else than the gateway: their descriptors."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        os.set_inheritable(theirs.fileno(), True)
        words = [f"{int(family)},{int(kind)},{address},{port},{int(only)}" for family, kind, address, port, only in wanted]
        subprocess.run(
            ["ip", "netns", "exec", side.netns, sys.executable, "-c", _OPENER, str(theirs.fileno()), *words],
            env=ENVIRONMENT, pass_fds=(theirs.fileno(),), check=True, timeout=20)
        return [number for _ in words for number in socket.recv_fds(ours, 1, 1)[1]]


def _usual_ports():
    return [(family, socket.SOCK_DGRAM, address, port, True) for family, address, port in _PORTS]


class Activated(Kept):
    """A Martlet whose ports the manager has opened, and keeps open."""

    ports = None

    def held(self):
        """Duplicates of the manager's sockets, as it passes them each time: all have the unit's name."""
        if self.ports is None:
            self.ports = opened(self.side, _usual_ports())
        return [("martlet.socket", os.dup(number)) for number in self.ports]

    def _spawn(self):
        self.prepare_store()
        self.begin(self.held())

    def restart(self):
        status = self.leave()
        if status != 0:
            raise Failure(f"{self.name} ended with {status}: {last_lines(self.log_text())}")
        self.begin(self.held() + self.store.copies())
        self.answers()

    def abandon(self):
        super().abandon()
        for number in self.ports or ():
            os.close(number)
        self.ports = ()


class Triggered(Martlet):
    """A Martlet that systemd's own tool starts when the first packet comes to its ports."""

    def command(self):
        command, env = super().command()
        if not os.access(ACTIVATE, os.X_OK):
            raise Failure(f"no {ACTIVATE}: run `make setup`")
        return [ACTIVATE, "--datagram", "-l", "0.0.0.0:500", "-l", "0.0.0.0:4500", *command], env

    def start(self):
        """Nothing is to run yet."""
        self._spawn()
        eventually(lambda: "Listening on 0.0.0.0:4500" in self.log_text(), 5, "systemd-socket-activate listens")


class ManagedSockets(Managed):
    """A Martlet under a systemd of its own, whose socket unit is the packaged one."""

    def command(self):
        made = super().command()
        shutil.copy(SOCKETS, os.path.join(self.directory, "units", "martlet.socket"))
        return [word.replace("--unit=martlet.service", "--unit=martlet.socket") for word in made[0]], made[1]

    def start(self):
        """The ports are there, the gateway is not."""
        self._spawn()
        eventually(self._has_ports, 20, "systemd has opened the ports", interval=0.1)
        if self.main_pid() != "0":
            raise Failure("systemd has started the gateway before anybody sent a packet")

    def _has_ports(self):
        if not os.path.isdir(os.path.join(self.directory, "run", "systemd")):
            return False
        return "martlet.socket" in self.systemctl("list-units", "--type=socket", "--state=listening", "--no-legend").out


def _held(gateway):
    """How many sockets there are at each port of the namespace: those of a manager, and no others."""
    lines = gateway.side.run(["ss", "-Hlun", "( sport = :500 or sport = :4500 )"]).require().out.splitlines()
    if len(lines) != 4:
        raise Failure(f"{len(lines)} sockets at UDP 500 and 4500: {lines}")


def activated(bench, options):
    """A tunnel through the manager's sockets; restarts of both kinds; a crash, after which the ports are still there."""
    bench.set_up()
    gateway = bench.left if isinstance(bench.left, Activated) else bench.right
    if "the service manager has opened UDP" not in gateway.log_text():
        raise Failure(f"the log does not speak of the ports: {last_lines(gateway.log_text())}")
    _held(gateway)
    usual(bench)
    pings(inner(bench))
    before = gateway.sas()[0][1]["initiator-spi"]
    gateway.restart()
    pings(inner(bench))
    run([gateway.executable, "restart", "--vici", gateway.uri], timeout=30).require()
    pings(inner(bench))
    _held(gateway)
    if gateway.sas()[0][1]["initiator-spi"] != before:
        raise Failure("a restart made another IKE SA")
    gateway.crash()
    gateway.begin(gateway.held())
    gateway.answers()
    _held(gateway)
    # Nobody answers its DELETE.
    bench.other(gateway).swanctl("--terminate", "--ike", CONNECTION, "--force", "--timeout", "1")
    usual(bench)
    pings(inner(bench))
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_clean_stop()
    _held(gateway)


def anew(bench, options):
    """What an earlier process has left is damaged: the next one starts anew, and still has the manager's ports."""
    bench.set_up()
    usual(bench)
    gateway = bench.left
    if gateway.leave() != 0:
        raise Failure("it did not leave")
    gateway.store.lose(1)
    gateway.begin(gateway.held() + gateway.store.copies())
    gateway.answers()
    if "tunnels are made anew" not in gateway.log_text() or gateway.sas():
        raise Failure(f"it did not start anew: {last_lines(gateway.log_text())}")
    _held(gateway)
    usual(bench)
    pings(inner(bench))
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_clean_stop()


def refused(bench, options):
    """What can't be a port of ours is refused by name, with what would be one, and the gateway does not run."""
    bench.network.up()
    bench.scenario.prepare(bench.left, bench.right)
    gateway = bench.left
    gateway.write(bench.scenario.configuration(gateway.side, bench.right.side))
    gateway.prepare_store()
    dgram, stream = socket.SOCK_DGRAM, socket.SOCK_STREAM
    cases = (
        ((socket.AF_INET, stream, "0.0.0.0", 500, True), "is a TCP socket, and what Martlet needs is UDP"),
        ((socket.AF_INET6, dgram, "::", 500, False), "BindIPv6Only=ipv6-only"),
        ((socket.AF_INET, dgram, "0.0.0.0", 501, True), "is UDP 0.0.0.0[501], and what Martlet needs"),
        ((socket.AF_INET, dgram, "127.0.0.1", 500, True), "is UDP 127.0.0.1[500], and what Martlet needs"),
        ((socket.AF_UNIX, dgram, "@martlet-lab", 0, True), "of another family than IPv4 and IPv6"),
    )
    for wanted, reason in cases:
        if wanted[0] == socket.AF_UNIX:
            plain = socket.socket(socket.AF_UNIX, dgram)
            number = plain.detach()
        else:
            number = opened(gateway.side, [wanted])[0]
        gateway.begin([("martlet.socket", number)])
        status = gateway.daemon.wait(10)
        if status != 1 or reason not in gateway.log_text():
            raise Failure(f"status {status}, without '{reason}': {last_lines(gateway.log_text())}")
    return f"{len(cases)} refused"


def triggered(bench, options):
    """Nobody runs until strongSwan's first message: systemd starts the gateway with it, and the tunnel comes up."""
    absent = missing_manager()
    if absent:
        raise Failure("; ".join(absent))
    bench.set_up()
    bench.left.initiate().require()
    gateway = bench.right
    eventually(lambda: os.path.exists(gateway.socket) and gateway.swanctl("--stats", timeout=5).code == 0, 10, "it answers")
    bench.require_up(count=1)
    pings(inner(bench))
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    if isinstance(gateway, ManagedSockets):
        before = gateway.main_pid()
        usual(bench)
        gateway.restart()
        pings(inner(bench))
        if gateway.main_pid() == before:
            raise Failure("it is the same process")
        bench.left.terminate().require()


KINDS.update({"martlet-activated": Activated, "martlet-triggered": Triggered, "martlet-sockets": ManagedSockets})

_SS = "strongswan"
#: (name, scenario, procedure, pairings, seconds)
ROWS = [
    ("activated-ports", Scenario, activated, {("martlet-activated", _SS), (_SS, "martlet-activated")}, 120),
    ("activated-ports-anew", Scenario, anew, {("martlet-activated", _SS)}, 90),
    ("activated-ports-refused", Scenario, refused, {("martlet-activated", _SS)}, 60),
    ("activated-by-packet", Scenario, triggered, {(_SS, "martlet-triggered"), (_SS, "martlet-sockets")}, 120),
]
