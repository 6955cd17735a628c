"""The control protocol by TCP on loopback: swanctl drives a Martlet there, and nobody on the wire does."""

import os

from .control import PROBE
from .gateways import KINDS, LoadedMartlet
from .processes import Failure, eventually, last_lines, run
from .restarts import inner, pings, usual
from .scenario import CONNECTION, Scenario
from .swanctl import security_associations

PORT = 4502


class ByTCP(LoadedMartlet):
    """A Martlet that is loaded and driven by swanctl over TCP, in its own namespace: loopback is each namespace's own."""

    uri = f"tcp://127.0.0.1:{PORT}"

    def swanctl(self, *arguments, timeout=30):
        env = {"SWANCTL_DIR": self.directory, "STRONGSWAN_CONF": self._client_settings()}
        return run(["swanctl", *arguments, "--uri", self.uri], netns=self.side.netns, timeout=timeout, env=env)

    def _answers(self):
        if not self.daemon.running:
            raise Failure(f"{self.name} ended with {self.daemon.status}: {last_lines(self.log_text())}")
        return self.swanctl("--stats", timeout=5).code == 0

    def martlet(self, *words):
        return self.side.run([self.executable, *words, "--vici", self.uri])


def driven(bench, options):
    """Load, initiate, list, rekey, restart, terminate: all by Debian's swanctl over TCP. Others are not heard."""
    bench.set_up()
    gateway = bench.left if isinstance(bench.left, ByTCP) else bench.right
    usual(bench)
    pings(inner(bench))
    gateway.swanctl("--rekey", "--ike", CONNECTION).require()
    bench.require_up(count=1)
    listed = security_associations(gateway.swanctl("--list-sas", "--raw").require().out)
    if len(listed) != 1:
        raise Failure(f"--list-sas --raw has {len(listed)} IKE SAs")
    probe = os.path.join(gateway.directory, "probe.conf")
    with open(gateway.configuration_file, encoding="utf-8") as source, open(probe, "w", encoding="utf-8") as sink:
        # What a load does not name is unloaded.
        sink.write(source.read() + PROBE)
    gateway.swanctl("--load-conns", "--file", probe).require()
    if "probe" not in gateway.swanctl("--list-conns").require().out:
        raise Failure("--list-conns has not what was loaded")
    gateway.martlet("restart").require()
    gateway.martlet("status").require()
    pings(inner(bench))
    other = bench.other(gateway).side
    knock = f"import socket; socket.create_connection(('{gateway.side.outer[4]}', {PORT}), 3)"
    done = other.run(["python3", "-c", knock])
    if "ConnectionRefusedError" not in done.err:
        raise Failure(f"the other side is not refused: {done.text[-200:]}")
    if "whoever has an account on this machine" not in gateway.log_text():
        raise Failure("the log does not say who may control the gateway")
    _refused(gateway)
    bench.left.terminate().require()
    eventually(lambda: not bench.right.sas(), 5, "the tunnel is down on both sides")
    bench.network.require_nothing_plain()
    bench.require_secrets_kept()


def _refused(gateway):
    """Anything that others could reach is refused before anything runs, with the reason."""
    for uri, reason in (
            ("tcp://0.0.0.0:4503", "not on loopback"), (f"tcp://{gateway.side.outer[4]}:4503", "not on loopback"),
            ("tcp://[::]:4503", "not on loopback"), ("tcp://localhost:4503", "is no address"),
            ("tcp://127.0.0.1", "names no port"), ("tcp://127.0.0.1:0", "names no port"),
            ("udp://127.0.0.1:4503", "neither unix://PATH nor tcp://")):
        done = gateway.side.run(
            [gateway.executable, "run", "--config", gateway.configuration_file, "--vici", uri, "--tun", "never0"])
        if done.code != 64 or reason not in done.err:
            raise Failure(f"--vici {uri} ended with {done.code}: {done.text[-200:]}")


KINDS.update({"martlet-tcp": ByTCP})

#: (name, scenario, procedure, pairings, seconds)
ROWS = [
    ("swanctl-by-tcp", Scenario, driven, {("martlet-tcp", "strongswan"), ("strongswan", "martlet-tcp")}, 120),
]
