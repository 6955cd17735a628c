"""The two ends of static SAs: Martlet's data plane, and the kernel's."""

import json
import os
import re
import select
import subprocess

from lab.processes import ENVIRONMENT, Failure

from .network import INNER, NETS, OUTER

#: The numbers of the SAs: towards b, and towards a.
TO_B, TO_A = "00001001", "00001002"


class StaticPlane:
    """`martlet-bench plane` on side a."""

    executable = None

    def __init__(self, directory, *arguments):
        self.directory = directory
        self.log = os.path.join(directory, "plane.log")
        with open(self.log, "ab") as sink:
            self.process = subprocess.Popen(
                [*self.command(), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, text=True,
                env=ENVIRONMENT)
        self._answer(20)

    def command(self):
        return ["ip", "netns", "exec", "a", self.executable, "plane"]

    def _answer(self, timeout=10):
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline().strip() if ready else ""
        if not line:
            with open(self.log, encoding="utf-8", errors="replace") as source:
                raise Failure(f"the plane does not answer: {source.read()[-300:]}")
        if line.startswith("error"):
            raise Failure(f"the plane says: {line}")
        return line

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._answer()

    def load(self, lines):
        path = os.path.join(self.directory, "children")
        with open(path, "w", encoding="utf-8") as sink:
            sink.write("\n".join(lines) + "\n")
        self.tell(f"load {path}")

    def counters(self):
        return json.loads(self.tell("counters"))

    def stop(self):
        try:
            self.tell("quit")
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()


class StaticTunnel:
    """One pair of SAs with keys that both ends are told."""

    def __init__(self, suite, mode="tunnel", outer=4, udp=False, protocol="esp", spis=(TO_B, TO_A), child=1):
        self.suite, self.mode, self.outer, self.udp, self.protocol = suite, mode, outer, udp, protocol
        self.to_b, self.to_a = spis
        self.child = child
        self.keys = {self.to_b: suite.keys(), self.to_a: suite.keys()}

    def selectors(self, side):
        if self.mode == "transport":
            return [f"{OUTER[side][self.outer]}/{32 if self.outer == 4 else 128}"]
        return [NETS[side][family] for family in (4, 6)]

    def line(self):
        """What Martlet's plane is told."""
        words = {
            "child": self.child, "protocol": self.protocol, "proposal": self.suite.name, "mode": self.mode,
            "udp": "yes" if self.udp else "no", "local": OUTER["a"][self.outer], "remote": OUTER["b"][self.outer],
            "spi-in": self.to_a, "spi-out": self.to_b, "keys-in": ":".join(self.keys[self.to_a]),
            "keys-out": ":".join(self.keys[self.to_b]), "local-ts": ",".join(self.selectors("a")),
            "remote-ts": ",".join(self.selectors("b")), "window": 64,
        }
        return " ".join(f"{name}={value}" for name, value in words.items())

    def install_in_kernel(self, network):
        """What side b's kernel is told."""
        for spi in (self.to_b, self.to_a):
            self.install_state(network, spi)
        self.install_policies(network)

    def install_state(self, network, spi):
        """One direction: the SA with this number."""
        for source, destination in [("a", "b") if spi == self.to_b else ("b", "a")]:
            words = (f"xfrm state add src {OUTER[source][self.outer]} dst {OUTER[destination][self.outer]} "
                     f"proto {self.protocol} spi 0x{spi} reqid 1 mode {self.mode} replay-window 64 ")
            flags = ["esn"] if self.suite.esn else []
            if self.protocol == "ah" and self.outer == 4:
                # The kernel pads AH to 8 octets in IPv4 too unless it is told not to (RFC 4302 §3.3.3.2.1).
                flags.append("align4")
            if self.mode == "tunnel":
                # Inside may be the other family.
                flags.append("af-unspec")
            if flags:
                words += f"flag {' '.join(flags)} "
            words += self.suite.kernel_words(self.keys[spi])
            if self.udp:
                words += " encap espinudp 4500 4500 0.0.0.0"
            network.ip("b", words)
    def install_policies(self, network):
        for near, far in zip(self.selectors("b"), self.selectors("a")):
            template = f"proto {self.protocol} reqid 1 mode {self.mode}"
            ends = {"out": ("b", "a"), "in": ("a", "b")}
            for direction, (source, destination) in ends.items():
                blocks = (near, far) if direction == "out" else (far, near)
                addresses = (f"src {OUTER[source][self.outer]} dst {OUTER[destination][self.outer]} "
                             if self.mode == "tunnel" else "")
                network.ip("b", f"xfrm policy add src {blocks[0]} dst {blocks[1]} dir {direction} "
                                f"tmpl {addresses}{template}")

    def targets(self):
        """Whom to ping: (from side, address, source)."""
        if self.mode == "transport":
            return [("a", OUTER["b"][self.outer], None), ("b", OUTER["a"][self.outer], None)]
        return [(near, INNER[far][family], INNER[near][family])
                for near, far in (("a", "b"), ("b", "a")) for family in (4, 6)]


#: Makes a kernel take ESP out of the UDP datagrams that come to port 4500.
ENCAP_SOCKET = '''
import socket, time
found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
found.setsockopt(socket.IPPROTO_UDP, 100, 2)
# What comes here is no clear packet for a policy to discard, nor what leaves one to protect (IP_XFRM_POLICY).
for direction in (0, 1):
    found.setsockopt(socket.IPPROTO_IP, 17, bytes(40) + b"\\x02\\0" + bytes(118) + bytes([direction]) + bytes(7))
found.bind(("0.0.0.0", 4500))
time.sleep(3600)
'''


def flush_kernel(network):
    network.ip("b", "xfrm state flush")
    network.ip("b", "xfrm policy flush")


def kernel_packets(network, spi):
    """Packets that the kernel counted on the SA with this number."""
    text = network.ip("b", "-s xfrm state")
    for block in re.split(r"^(?=src )", text, flags=re.MULTILINE):
        if f"spi 0x{spi}" in block:
            found = re.search(r"lifetime current:\s+\d+\(bytes\), (\d+)\(packets\)", block)
            if found:
                return int(found.group(1))
    raise Failure(f"the kernel has no SA 0x{spi}")
