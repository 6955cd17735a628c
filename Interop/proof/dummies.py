"""Dummy packets: what an SA sends while nothing else leaves by it, for the other end to drop (RFC 4303 §2.6)."""

import time

import scapy.all as scapy
from scapy.layers import ipsec

from lab.processes import Failure

from .cases import Case, NamedPlane

WANTED = 5
#: "No next header".
NONE = 59


class DummyCase(Case):
    """Nobody sends anything, and the SA does: Scapy reads packets of several lengths that carry nothing."""

    def __init__(self, suite, mode, outer):
        super().__init__(suite, mode, outer)
        self.name += " dummies"

    def _line(self):
        return super()._line() + " dummies=50"

    def run(self, wire, directory):
        self._prepare(wire)
        plane = NamedPlane(directory, wire.near)
        try:
            plane.load([self._line()])
            reading, numbers, lengths = self._association("out"), [], set()
            end = time.monotonic() + 10
            while len(numbers) < WANTED:
                if time.monotonic() > end:
                    raise Failure(f"{len(numbers)} dummies came in 10 seconds")
                octets = self.wire.receive(0.5)
                packet = octets and (scapy.IP(octets) if octets[0] >> 4 == 4 else scapy.IPv6(octets))
                if not packet or not packet.haslayer(ipsec.ESP) or packet[ipsec.ESP].spi != self.spis["out"]:
                    continue
                plain = self._plain(packet[ipsec.ESP], reading)
                if plain.nh != NONE:
                    raise Failure(f"the next header is {plain.nh}")
                numbers.append(plain.seq)
                lengths.add(len(plain.data))
            if numbers != list(range(1, WANTED + 1)) or len(lengths) < 2:
                raise Failure(f"numbers {numbers}, lengths {lengths}")
            if plane.counters()["sas"]["1/outbound"]["packets"] != 0:
                raise Failure("dummies are counted as traffic")
            plane.stop()
            return f"{WANTED} dummies"
        finally:
            plane.process.kill()
            plane.process.wait()

    @staticmethod
    def _plain(packet, association):
        association.auth_algo.verify(packet, association.auth_key)
        icv = association.crypt_icv_size or association.crypt_algo.icv_size or association.auth_algo.icv_size
        return association.crypt_algo.decrypt(
            association, packet, association.crypt_key, icv, esn_en=association.esn_en, esn=association.esn)
