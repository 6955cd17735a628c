"""wireguard-go in the place of a gateway: another VPN in user space, to compare rates with.

It is set up through its control socket, so that no other tool is needed; keys come from openssl.
"""

import os
import re
import shutil
import socket

from .bench import Bench
from .processes import Daemon, Failure, eventually, run
from .runner import ROOT
from .scenario import Scenario
from .usage import usage

PORT = 51820
#: The newest release needs at least this Go to be built.
NEWEST_GO = (1, 23)
NEWEST = "golang.zx2c4.com/wireguard@latest"


def packaged():
    """Debian's executable, or why there is none."""
    path = shutil.which("wireguard-go", path="/usr/bin:/usr/local/bin:/usr/sbin")
    return (path, "") if path else (None, "no wireguard-go here: run `make bench-plane`, which installs it")


def newest():
    """An executable of the newest release, built once, or why there is none."""
    directory = os.path.join(ROOT, ".build/bench")
    path = os.path.join(directory, "wireguard")
    if os.access(path, os.X_OK):
        return path, ""
    go = shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin:/usr/bin:/usr/local/bin")
    if go is None:
        return None, f"its newest release needs Go {NEWEST_GO[0]}.{NEWEST_GO[1]} to be built, and there is no Go here"
    found = re.search(r"go(\d+)\.(\d+)", run([go, "version"]).out)
    if not found or tuple(map(int, found.groups())) < NEWEST_GO:
        version = found.group(0) if found else "an unknown Go"
        return None, f"its newest release needs Go {NEWEST_GO[0]}.{NEWEST_GO[1]} to be built, and here is {version}"
    os.makedirs(directory, exist_ok=True)
    env = {"GOBIN": directory, "GOPATH": os.path.join(directory, "go"), "GOCACHE": os.path.join(directory, "cache")}
    done = run([go, "install", NEWEST], timeout=600, env=env)
    if done.code != 0:
        return None, "its newest release could not be built: " + done.err.strip().splitlines()[-1][:120]
    return path, ""


class WireGuard:
    """One end."""

    kind = "wireguard-go"

    def __init__(self, executable, side, directory):
        self.executable = executable
        self.side = side
        self.device = f"mlab{os.getpid() % 10000}{side.letter}"
        self.socket = f"/var/run/wireguard/{self.device}.sock"
        self.private, self.public = _key_pair(directory, side.letter)
        self.log = os.path.join(directory, f"wireguard-{side.letter}")
        self.daemon = None

    def start(self, other):
        env = {"LOG_LEVEL": "error", "WG_PROCESS_FOREGROUND": "1"}
        self.daemon = Daemon([self.executable, "-f", self.device], self.log, netns=self.side.netns, env=env)
        eventually(lambda: os.path.exists(self.socket), 5, "wireguard-go has its control socket")
        self._set([
            f"private_key={self.private}", f"listen_port={PORT}", "replace_peers=true", f"public_key={other.public}",
            f"endpoint={other.side.outer[4]}:{PORT}", "replace_allowed_ips=true",
            f"allowed_ip={other.side.protected[4]}"])
        commands = [f"link set {self.device} mtu 1400 up", f"route add {other.side.protected[4]} dev {self.device}"]
        run(["ip", "-n", self.side.netns, "-batch", "-"], stdin="\n".join(commands) + "\n").require()

    def _set(self, lines):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(5)
            control.connect(self.socket)
            control.sendall(("set=1\n" + "\n".join(lines) + "\n\n").encode())
            answer = control.recv(4096).decode()
        if "errno=0" not in answer:
            raise Failure(f"wireguard-go refuses its configuration: {answer.strip()}")

    def end(self):
        if self.daemon:
            self.daemon.kill()
        if os.path.exists(self.socket):
            os.unlink(self.socket)


def transfer(executable, network, directory, seconds):
    """TCP there and back through two of them: Gbit/s each way, and CPU-seconds of both for each gigabyte."""
    ends = [WireGuard(executable, side, directory) for side in network.sides]
    # Only for its iperf3: the gateways in it are never started.
    bench = Bench("martlet", "martlet", Scenario(), directory, network)
    try:
        for end, other in zip(ends, reversed(ends)):
            end.start(other)
        before = sum(usage(end.daemon.pid).cpu for end in ends)
        reports = bench.transfers(seconds)
        after = sum(usage(end.daemon.pid).cpu for end in ends)
    finally:
        for end in ends:
            end.end()
        bench.end()
    octets = sum(report["sum_received"]["bytes"] for report in reports)
    return [report["sum_received"]["bits_per_second"] / 1e9 for report in reports], (after - before) / (octets / 1e9)


def _key_pair(directory, name):
    """A key pair in hexadecimal: the last 32 octets of what openssl writes are the raw key."""
    path = os.path.join(directory, f"wireguard-{name}.der")
    run(["openssl", "genpkey", "-algorithm", "X25519", "-outform", "DER", "-out", path]).require()
    public = path + ".pub"
    run(["openssl", "pkey", "-inform", "DER", "-in", path, "-pubout", "-outform", "DER", "-out", public]).require()
    keys = []
    for each in (path, public):
        with open(each, "rb") as source:
            keys.append(source.read()[-32:].hex())
        os.unlink(each)
    return keys
