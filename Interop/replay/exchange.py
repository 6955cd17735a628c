"""What a scripted client exchanges on one IKE SA: messages sealed and opened, requests repeated, requests answered."""

import os
import socket
import struct
import time

from . import clients, wire
from .suite import PRF, Sealing, prf, prf_octets, prf_plus

MARKER = b"\0\0\0\0"


class Refused(Exception):
    """The gateway said no, or what it must not say."""


class Keys:
    """What RFC 7296 §2.14 makes of an exchange, seen from the initiator."""

    def __init__(self, chosen, seed_key, nonces, spis, secret):
        self.prf = chosen[PRF][0]
        self.sealing = Sealing(chosen)
        size = prf_octets(self.prf)
        lengths = [size, self.sealing.integ_octets, self.sealing.integ_octets, self.sealing.key_octets,
                   self.sealing.key_octets, size, size]
        stream = prf_plus(self.prf, seed_key, nonces + spis, sum(lengths))
        parts = []
        for length in lengths:
            parts.append(stream[:length])
            stream = stream[length:]
        self.d, ai, ar, ei, er, self.pi, self.pr = parts
        self.initiator, self.responder = (ei, ai), (er, ar)

    @classmethod
    def first(cls, chosen, nonces, spis, secret):
        return cls(chosen, prf(chosen[PRF][0], nonces, secret), nonces, spis, secret)

    def next(self, chosen, nonces, spis, secret):
        return Keys(chosen, prf(self.prf, self.d, secret + nonces), nonces, spis, secret)

class Channel:
    """The sockets, keys and message IDs of a client of `kind`; `_reply` of whoever builds on it answers the gateway."""

    def __init__(self, kind, own, server, user, password=None, authority=None, identity=None, pair=None, group=None):
        self.kind = clients.KINDS[kind]
        self.own, self.server = own, server
        self.user, self.password = user, password
        self.authority, self.server_name, self.pair = authority, identity, pair
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((own, 4500))
        self.plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.plain.bind((own, 500))
        self.floated = self.kind.floats_first
        self.is_initiator = True
        self.next_id, self.expected_id = 0, 0
        self.last_answer = {}
        self.partial = {}
        self.heard = []
        self.children = []
        self.echoes = 0
        self.seen = []

    def _send(self, data):
        if self.floated:
            self.socket.sendto(MARKER + data, (self.server, 4500))
        else:
            self.plain.sendto(data, (self.server, 500))

    def _receive(self, seconds):
        """The next IKE message; ESP is put aside."""
        end = time.monotonic() + seconds
        while True:
            mine = self.socket if self.floated else self.plain
            mine.settimeout(max(0.01, end - time.monotonic()))
            try:
                data, _ = mine.recvfrom(65535)
            except TimeoutError:
                return None
            if not self.floated:
                return data
            if data[:4] == MARKER:
                return data[4:]
            if len(data) > 8:
                self.heard.append(data)
                return b""

    def _sealed(self, exchange, flags, message_id, payloads):
        first, plain = wire.chain(payloads)
        sealing = self.keys.sealing
        block = max(4, sealing.block)
        pad = -(len(plain) + 1) % block
        plain += bytes(pad) + bytes([pad])
        body = sealing.iv + len(plain) + sealing.icv
        head = wire.header(self.spi_i, self.spi_r, wire.SK, exchange, flags, message_id, 28 + 4 + body)
        before = head + struct.pack("!BBH", first, 0, 4 + body)
        key, integ = self.keys.initiator if self.is_initiator else self.keys.responder
        return before + sealing.seal(key, integ, before, plain)

    def _opened(self, data):
        """(exchange, flags, ID, payloads) of a sealed message; None of a fragment that is not the last."""
        first, exchange, flags, message_id = data[16], data[18], data[19], struct.unpack_from("!I", data, 20)[0]
        kind, body, inner = wire.unchain(first, data[28:])[-1]
        extra = 4 if kind == wire.SKF else 0
        before, sealed = data[:28 + 4 + extra], body[extra:]
        key, integ = self.keys.responder if self.is_initiator else self.keys.initiator
        plain = self.keys.sealing.open(key, integ, before, sealed)
        plain = plain[:len(plain) - 1 - plain[-1]]
        if kind == wire.SKF:
            number, total = struct.unpack_from("!HH", body)
            parts = self.partial.setdefault((message_id, flags & 0x20), {})
            parts[number] = (inner, plain)
            if len(parts) < total:
                return None
            inner = parts[1][0]
            plain = b"".join(parts[place][1] for place in range(1, total + 1))
        return exchange, flags, message_id, wire.unchain(inner, plain)

    def request(self, exchange, payloads, tries=4):
        """Sends, and waits for the answer; meanwhile the gateway's own requests are answered."""
        message_id, self.next_id = self.next_id, self.next_id + 1
        flags = 0x08 if self.is_initiator else 0
        data = self._sealed(exchange, flags, message_id, payloads)
        for _ in range(tries):
            self._send(data)
            end = time.monotonic() + 2
            while time.monotonic() < end:
                found = self.serve(end - time.monotonic())
                if found and found[2] == message_id:
                    return found[3]
        raise Refused(f"no answer to exchange {exchange}")

    def serve(self, seconds):
        """Takes one message: answers a request of the gateway's; gives back a response."""
        data = self._receive(seconds)
        if not data:
            return None
        pair = data[:16]
        if pair != self.spi_i + self.spi_r:
            return None
        found = self._opened(data)
        if found is None:
            return None
        if found[1] & 0x20:
            return found
        self._answer(*found)
        return None

    def _answer(self, exchange, _flags, message_id, payloads):
        if message_id in self.last_answer:
            self._send(self.last_answer[message_id])
            return
        answer, then = self._reply(exchange, payloads)
        flags = 0x20 | (0x08 if self.is_initiator else 0)
        data = self._sealed(exchange, flags, message_id, answer)
        self.last_answer = {message_id: data}
        self._send(data)
        if then:
            then()
