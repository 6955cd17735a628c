"""IPv6 extension headers in ESP's transport mode: what routers look at stays in front, what is the other host's is sealed."""

import os
import socket
import time

import scapy.all as scapy
from scapy.layers import ipsec

from lab.processes import Failure

from .cases import ECHOES, Case, NamedPlane
from .wire import OUTER

# A header of options without a meaning: its next header is the kernel's to write.
_PADDING = bytes([0, 0, 1, 4, 0, 0, 0, 0])


class HeadersCase(Case):
    """A host's datagrams behind hop-by-hop options, with and without destination options, and Scapy's to it."""

    def __init__(self, suite, destination):
        super().__init__(suite, "transport", 6)
        self.destination = destination
        self.name += " headers" + ("-destination" if destination else "")

    def _exchange(self, plane):
        near, far = OUTER["near"][6], OUTER["far"][6]
        self.reading, self.writing = self._association("out"), self._association("in")
        endpoint = self.wire._inside(self.wire.near, lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        with endpoint:
            endpoint.bind((near, 7001))
            endpoint.settimeout(5)
            endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, _PADDING)
            if self.destination:
                endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, _PADDING)
            for number in range(ECHOES):
                data = os.urandom(50 + 40 * number)
                endpoint.sendto(data, (far, 7002))
                self._require(self._sealed(), data)
                answer = os.urandom(60 + 31 * number)
                packet = scapy.IPv6(src=far, dst=near) / scapy.IPv6ExtHdrHopByHop(options=[scapy.PadN(optdata=b"\0\0\0\0")])
                if self.destination:
                    packet /= scapy.IPv6ExtHdrDestOpt(options=[scapy.PadN(optdata=b"\0\0\0\0")])
                self._send(packet / scapy.UDP(sport=7002, dport=7001) / scapy.Raw(answer))
                got, _ = endpoint.recvfrom(2048)
                if got != answer:
                    raise Failure(f"the host got {len(got)} octets that are not Scapy's {len(answer)}")

    def _sealed(self):
        """The next packet of the plane's, as it was on the wire."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            octets = self.wire.receive(0.5)
            if octets and octets[0] >> 4 == 6:
                packet = scapy.IPv6(octets)
                if packet.haslayer(ipsec.ESP) and packet[ipsec.ESP].spi == self.spis["out"]:
                    self.frames.append(octets)
                    return packet
        raise Failure("the host sent nothing that Scapy could read")

    def _require(self, packet, data):
        chain = [layer.__name__ for layer in packet.layers()]
        if chain != ["IPv6", "IPv6ExtHdrHopByHop", "ESP"]:
            raise Failure(f"on the wire are {chain}")
        inner = scapy.IPv6(bytes(self.reading.decrypt(packet)))
        chain = [layer.__name__ for layer in inner.layers() if layer is not scapy.Raw]
        wanted = ["IPv6", "IPv6ExtHdrHopByHop"] + ["IPv6ExtHdrDestOpt"] * self.destination + ["UDP"]
        if chain != wanted or (inner.src, inner.dst) != (OUTER["near"][6], OUTER["far"][6]):
            raise Failure(f"Scapy read {chain}: {inner.summary()}")
        if bytes(inner[scapy.UDP].payload) != data:
            raise Failure("Scapy read other data")

    def run(self, wire, directory):
        self._prepare(wire)
        plane = NamedPlane(directory, wire.near)
        try:
            plane.load([self._line()])
            self._exchange(plane)
            sas = plane.counters()["sas"]
            for name in ("1/inbound", "1/outbound"):
                found = tuple(sas[name][key] for key in ("packets", "replays", "forgeries"))
                if found != (ECHOES, 0, 0):
                    raise Failure(f"{name}: packets, replays, forgeries are {found}")
            plane.stop()
            return f"{ECHOES} datagrams each way"
        finally:
            plane.process.kill()
            plane.process.wait()
