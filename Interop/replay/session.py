"""One IKE SA of a scripted client: it establishes, rekeys, answers, and carries a ping. It never retries for long."""

import os
import socket
import struct
import time

from . import wire
from .entrance import Entrance
from .exchange import Refused
from .suite import DH, KeyExchange, Sealing, prf_plus

REKEY_SA = 16393


class Session(Entrance):
    """A client with its Child SAs."""

    def _take_child(self, found, nonces, own_spi, secret=b"", first=True):
        bodies = dict(found)
        if wire.SA not in bodies:
            raise Refused(f"no Child SA: notifies {[wire.notified(b)[0] for k, b in found if k == wire.NOTIFY]}")
        _, spi, chosen = wire.chosen(bodies[wire.SA])
        self._install(chosen, own_spi, spi, nonces, secret, we_started=True)

    def _install(self, chosen, own, theirs, nonces, secret, we_started):
        sealing = Sealing(chosen)
        length = sealing.key_octets + sealing.integ_octets
        stream = prf_plus(self.keys.prf, self.keys.d, secret + nonces, 2 * length)
        keys = [(part[:sealing.key_octets], part[sealing.key_octets:])
                for part in (stream[:length], stream[length:])]
        outgoing, incoming = keys if we_started else keys[::-1]
        self.children.append({"own": own, "theirs": theirs, "sealing": sealing, "out": outgoing, "in": incoming,
                              "sequence": 0})

    def ping(self, target, count=3):
        """Echo requests through the newest Child SA; how many were answered."""
        child, answered = self.children[-1], 0
        for number in range(count):
            self._echo(child, target, number)
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                self.serve(end - time.monotonic())
                if any(self._is_answer(data, target) for data in self._drain()):
                    answered += 1
                    break
        return answered

    def _drain(self):
        heard, self.heard = self.heard, []
        return heard

    def _echo(self, child, target, number):
        self.echoes += 1
        icmp = struct.pack("!BBHHH", 8, 0, 0, 0x4D41, self.echoes) + b"martlet replay"
        icmp = icmp[:2] + struct.pack("!H", _checksum(icmp)) + icmp[4:]
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), number, 0, 64, 1, 0,
                           socket.inet_aton(self.addresses[0]), socket.inet_aton(target))
        packet = head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + icmp
        block = max(4, child["sealing"].block)
        pad = -(len(packet) + 2) % block
        packet += bytes(range(1, pad + 1)) + bytes([pad, 4])
        child["sequence"] += 1
        before = child["theirs"] + struct.pack("!I", child["sequence"])
        key, integ = child["out"]
        self.socket.sendto(before + child["sealing"].seal(key, integ, before, packet), (self.server, 4500))

    def _is_answer(self, data, target):
        for child in self.children:
            if data[:4] == child["own"]:
                key, integ = child["in"]
                plain = child["sealing"].open(key, integ, data[:8], data[8:])
                return plain[12:16] == socket.inet_aton(target) and plain[20] == 0
        return False

    # Rekeying, by either side.

    def rekey_child(self):
        """As these clients do: no key exchange of its own."""
        old, own, nonce = self.children[-1], os.urandom(4), os.urandom(32)
        everything = [(socket.inet_aton("0.0.0.0"), socket.inet_aton("255.255.255.255"))]
        found = self.request(wire.CREATE_CHILD_SA, [
            wire.notify(REKEY_SA, b"", 3, old["own"]), (wire.SA, wire.proposals(3, self.kind.esp, own)),
            (wire.NONCE, nonce), (wire.TSI, wire.selectors(everything)), (wire.TSR, wire.selectors(everything))])
        bodies = dict(found)
        if wire.NONCE not in bodies:
            raise Refused(f"no rekeying: notifies {[wire.notified(b)[0] for k, b in found if k == wire.NOTIFY]}")
        self._take_child(found, nonce + bodies[wire.NONCE], own)
        self.request(wire.INFORMATIONAL, [(wire.DELETE, struct.pack("!BBH", 3, 4, 1) + old["own"])])
        self.children.remove(old)

    def rekey_ike(self):
        group = self.chosen[DH][0]
        exchange, nonce, spi = KeyExchange(group), os.urandom(32), os.urandom(8)
        found = self.request(wire.CREATE_CHILD_SA, [
            (wire.SA, wire.proposals(1, self.kind.ike, spi)), (wire.NONCE, nonce),
            (wire.KE, struct.pack("!HH", group, 0) + exchange.public)])
        bodies = dict(found)
        if wire.SA not in bodies:
            raise Refused(f"no rekeying: notifies {[wire.notified(b)[0] for k, b in found if k == wire.NOTIFY]}")
        _, theirs, chosen = wire.chosen(bodies[wire.SA])
        keys = self.keys.next(chosen, nonce + bodies[wire.NONCE], spi + theirs, exchange.shared(bodies[wire.KE][4:]))
        self.request(wire.INFORMATIONAL, [(wire.DELETE, struct.pack("!BBH", 1, 0, 0))])
        self._succeed(keys, spi, theirs, True)

    def _succeed(self, keys, spi_i, spi_r, is_initiator):
        self.keys, self.spi_i, self.spi_r, self.is_initiator = keys, spi_i, spi_r, is_initiator
        self.next_id, self.last_answer = 0, {}

    def _reply(self, exchange, payloads):
        """What the client answers to the gateway's request, and what it does after that."""
        bodies = dict(payloads)
        if exchange == wire.INFORMATIONAL:
            return self._informed(payloads)
        if exchange != wire.CREATE_CHILD_SA:
            return [wire.notify(7)], None
        rekeyed = [wire.notified(body) for kind, body in payloads if kind == wire.NOTIFY]
        rekeyed = next((spi for kind, spi, _ in rekeyed if kind == REKEY_SA), None)
        nonce = os.urandom(32)
        if rekeyed is None and wire.TSI not in bodies:
            return self._rekeyed_ike(bodies, nonce)
        return self._rekeyed_child(bodies, nonce)

    def _choose(self, body, wanted):
        """The first of the gateway's proposals that is one of ours: its body, and what it says."""
        rest = body
        for number, protocol, spi, transforms in wire.offered(body):
            length = struct.unpack_from("!H", rest, 2)[0]
            rest = rest[length:]
            for offer in wanted:
                ours = {}
                for kind, identifier, bits in offer:
                    ours.setdefault(kind, set()).add((identifier, bits))
                if all(transforms[kind] in ours.get(kind, {(0, None)}) for kind in transforms):
                    return number, protocol, spi, transforms
        raise Refused("the gateway rekeys with what this client has not")

    @staticmethod
    def _one(number, protocol, spi, transforms):
        out = b""
        items = sorted(transforms.items())
        for place, (kind, (identifier, bits)) in enumerate(items):
            _, data = wire.transform(kind, identifier, bits)
            out += struct.pack("!BBH", 3 if place + 1 < len(items) else 0, 0, len(data) + 4) + data
        head = struct.pack("!BBBB", number, protocol, len(spi), len(items)) + spi
        return struct.pack("!BBH", 0, 0, 4 + len(head) + len(out)) + head + out

    def _rekeyed_child(self, bodies, nonce):
        number, protocol, theirs, transforms = self._choose(bodies[wire.SA], self.kind.esp)
        own = os.urandom(4)
        nonces = bodies[wire.NONCE] + nonce
        answer = [(wire.SA, self._one(number, protocol, own, transforms)), (wire.NONCE, nonce),
                  (wire.TSI, bodies[wire.TSI]), (wire.TSR, bodies[wire.TSR])]
        self.seen.append("rekey-child")
        return answer, lambda: self._install(transforms, own, theirs, nonces, b"", we_started=False)

    def _rekeyed_ike(self, bodies, nonce):
        number, protocol, theirs, transforms = self._choose(bodies[wire.SA], self.kind.ike)
        group = struct.unpack_from("!H", bodies[wire.KE])[0]
        exchange, own = KeyExchange(group), os.urandom(8)
        answer = [(wire.SA, self._one(number, protocol, own, transforms)), (wire.NONCE, nonce),
                  (wire.KE, struct.pack("!HH", group, 0) + exchange.public)]
        keys = self.keys.next(
            transforms, bodies[wire.NONCE] + nonce, theirs + own, exchange.shared(bodies[wire.KE][4:]))
        self.seen.append("rekey-ike")
        self.successor = (keys, theirs, own)
        return answer, None

    def _informed(self, payloads):
        answer, then = [], None
        for kind, body in payloads:
            if kind != wire.DELETE:
                continue
            if body[0] == 1:
                successor = getattr(self, "successor", None)
                if successor:
                    self.successor = None
                    then = lambda: self._succeed(*successor, False)  # noqa: E731
                else:
                    self.seen.append("deleted")
            else:
                spis = [body[4 + 4 * place:8 + 4 * place] for place in range(struct.unpack_from("!H", body, 2)[0])]
                gone = [child for child in self.children if child["theirs"] in spis]
                self.children = [child for child in self.children if child not in gone]
                answer.append((wire.DELETE, struct.pack("!BBH", 3, 4, len(gone))
                               + b"".join(child["own"] for child in gone)))
        return answer, then

    def leave(self):
        self.request(wire.INFORMATIONAL, [(wire.DELETE, struct.pack("!BBH", 1, 0, 0))])


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[:len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
