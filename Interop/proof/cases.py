"""One case: packets that Martlet's plane makes are read by Scapy, and the other way round."""

import os
import secrets
import subprocess
import time

import scapy.all as scapy
from scapy.layers import ipsec

from kernel.planes import StaticPlane
from lab.processes import ENVIRONMENT, Failure

from .shark import decoded
from .wire import INNER, NETS, OUTER

ECHOES = 3


class NamedPlane(StaticPlane):
    """The plane in the wire's namespace."""

    def __init__(self, directory, netns):
        self.netns = netns
        super().__init__(directory)

    def command(self):
        return ["ip", "netns", "exec", self.netns, self.executable, "plane"]


class Case:
    """A suite in a mode over an outer family; in tunnel mode with an inner family."""

    def __init__(self, suite, mode, outer, inner=None, udp=False):
        self.suite, self.mode, self.outer, self.udp = suite, mode, outer, udp
        self.inner = inner or outer
        protocol = "ah" if suite.is_ah else "esp"
        inside = f" v{self.inner} in v{outer}" if mode == "tunnel" else f" v{outer}"
        self.name = f"{protocol} {suite.word} {mode}{inside}{' udp' if udp else ''}"

    def _prepare(self, wire):
        self.keys = {way: (os.urandom(self.suite.crypt_octets), os.urandom(self.suite.auth_octets))
                     for way in ("in", "out")}
        # Low in the bits that are an index, so that the plane's table stays small.
        self.spis = {way: secrets.randbelow(4095) + 1 << 20 | index for index, way in enumerate(("in", "out"), 1)}
        wire.drain()
        self.wire = wire
        self.frames = []

    def run(self, wire, directory):
        self._prepare(wire)
        plane = NamedPlane(directory, wire.near)
        try:
            plane.load([self._line()])
            self._outward()
            self._inward()
            self._hostile(plane)
            note = decoded(self, directory)
            plane.stop()
            return note
        finally:
            plane.process.kill()
            plane.process.wait()

    # What the plane is told.

    def _line(self):
        length = {4: 32, 6: 128}[self.outer]
        selectors = {
            side: ",".join(NETS[side][family] for family in (4, 6)) if self.mode == "tunnel"
            else f"{OUTER[side][self.outer]}/{length}" for side in ("near", "far")}
        words = {
            "child": 1, "protocol": "ah" if self.suite.is_ah else "esp", "proposal": self.suite.word,
            "mode": self.mode, "udp": "yes" if self.udp else "no", "local": OUTER["near"][self.outer],
            "remote": OUTER["far"][self.outer], "spi-in": f"{self.spis['in']:08x}", "spi-out": f"{self.spis['out']:08x}",
            "local-ts": selectors["near"], "remote-ts": selectors["far"], "window": 64,
            **{f"keys-{way}": f"{crypt.hex()}:{auth.hex()}" for way, (crypt, auth) in self.keys.items()},
        }
        return " ".join(f"{name}={value}" for name, value in words.items())

    # What Scapy is told.

    def _association(self, way):
        """Scapy's end of the SA by which the plane sends (`out`) or receives (`in`)."""
        source, destination = ("near", "far") if way == "out" else ("far", "near")
        crypt, auth = self.keys[way]
        outer = None
        if self.mode == "tunnel":
            make = scapy.IP if self.outer == 4 else scapy.IPv6
            outer = make(src=OUTER[source][self.outer], dst=OUTER[destination][self.outer])
        return ipsec.SecurityAssociation(
            ipsec.AH if self.suite.is_ah else ipsec.ESP, spi=self.spis[way],
            crypt_algo=self.suite.crypt, crypt_key=crypt or None, crypt_icv_size=self.suite.icv,
            auth_algo=self.suite.auth, auth_key=auth or None, tunnel_header=outer,
            nat_t_header=scapy.UDP(sport=4500, dport=4500) if self.udp else None, esn_en=self.suite.esn)

    def _hosts(self):
        book = OUTER if self.mode == "transport" else INNER
        family = self.outer if self.mode == "transport" else self.inner
        return book["near"][family], book["far"][family], family

    def _echo(self, request, source, destination, sequence, identifier, data):
        """An ICMP echo, request or answer."""
        if ":" in source:
            make = scapy.ICMPv6EchoRequest if request else scapy.ICMPv6EchoReply
            return scapy.IPv6(src=source, dst=destination) / make(id=identifier, seq=sequence, data=data)
        return (scapy.IP(src=source, dst=destination)
                / scapy.ICMP(type=8 if request else 0, id=identifier, seq=sequence) / scapy.Raw(data))

    def _open(self, octets, association):
        """The inner packet of what the plane sent, read by Scapy; None when it is something else."""
        packet = scapy.IP(octets) if octets[0] >> 4 == 4 else scapy.IPv6(octets)
        layer = ipsec.AH if self.suite.is_ah else ipsec.ESP
        # A packet of the case before may be late.
        if not packet.haslayer(layer) or packet[layer].spi != self.spis["out"]:
            return None
        if self.udp != packet.haslayer(scapy.UDP):
            raise Failure(f"the packet {'is not' if self.udp else 'is'} in UDP")
        self.frames.append(octets)
        opened = bytes(association.decrypt(packet))
        inner = scapy.IP(opened) if opened[0] >> 4 == 4 else scapy.IPv6(opened)
        near, far, _ = self._hosts()
        if (inner.src, inner.dst) != (near, far):
            raise Failure(f"Scapy read {inner.summary()}")
        return inner

    @staticmethod
    def _read(packet):
        """(is a request, identifier, sequence, data) of an echo."""
        if packet.version == 6:
            for kind, request in ((scapy.ICMPv6EchoRequest, True), (scapy.ICMPv6EchoReply, False)):
                if packet.haslayer(kind):
                    echo = packet[kind]
                    return request, echo.id, echo.seq, bytes(echo.data)
            return None
        if not packet.haslayer(scapy.ICMP):
            return None
        echo = packet[scapy.ICMP]
        return echo.type == 8, echo.id, echo.seq, bytes(echo.payload)

    # The three parts.

    def _outward(self):
        """A ping of the plane's host: its requests are read by Scapy, which makes the answers."""
        near, far, _ = self._hosts()
        self.reading, self.writing = self._association("out"), self._association("in")
        for _ in range(ECHOES):
            ping = subprocess.Popen(
                ["ip", "netns", "exec", self.wire.near, "ping", "-n", "-q", "-c", "1", "-W", "5", "-s", "73", "-I",
                 near, far], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
            asked = self._await(lambda echo: echo[0], timeout=5)
            if asked is not None:
                _, identifier, sequence, data = asked
                if len(data) != 73:
                    raise Failure(f"the request has {len(data)} octets of data")
                self._send(self._echo(False, far, near, sequence, identifier, data))
            said, _ = ping.communicate(timeout=15)
            if asked is None or "1 received" not in said:
                what = "took no answer of Scapy's" if asked else "sent nothing that Scapy could read"
                raise Failure(f"the host {what}: {said.strip().splitlines()[-1:]}")

    def _send(self, packet):
        self.last = self._protect(packet)
        self.wire.send(self.last)

    def _protect(self, packet):
        protected = self.writing.encrypt(packet)
        if self.udp:
            # Scapy counts the UDP header alone.
            protected[scapy.UDP].len = len(bytes(protected[scapy.UDP]))
            del protected[scapy.UDP].chksum
            protected[scapy.UDP].chksum = 0
        return bytes(protected)

    def _inward(self):
        """Scapy asks: the plane's host answers, and Scapy reads that."""
        near, far, _ = self._hosts()
        for sequence in range(ECHOES):
            data = os.urandom(20 + 31 * sequence)
            self._send(self._echo(True, far, near, sequence, 0x77, data))
            answer = self._await(lambda echo, s=sequence: not echo[0] and echo[1] == 0x77 and echo[2] == s)
            if answer is None:
                raise Failure(f"no answer to Scapy's request {sequence}")
            if answer[3] != data:
                raise Failure("the answer has other data")

    def _await(self, wanted, timeout=3):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            octets = self.wire.receive(0.5)
            inner = self._open(octets, self.reading) if octets else None
            echo = self._read(inner) if inner is not None else None
            if echo and wanted(echo):
                return echo
        return None

    def _hostile(self, plane):
        """A replay and a forgery are dropped and counted; the counters are what was sent."""
        near, far, _ = self._hosts()
        self.wire.send(self.last)
        request = self._echo(True, far, near, 99, 0x77, b"forged")
        forged = bytearray(self._protect(request))
        forged[-1] ^= 1
        self.wire.send(bytes(forged))
        if self._await(lambda echo: not echo[0] and echo[2] == 99, timeout=0.3) is not None:
            raise Failure("a forged request was answered")
        sas = plane.counters()["sas"]
        wanted = {"1/inbound": (2 * ECHOES, 1, 1), "1/outbound": (2 * ECHOES, 0, 0)}
        for name, numbers in wanted.items():
            found = tuple(sas[name][key] for key in ("packets", "replays", "forgeries"))
            if found != numbers:
                raise Failure(f"{name}: packets, replays, forgeries are {found}, not {numbers}")
