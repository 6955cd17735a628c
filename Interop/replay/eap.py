"""EAP as a client speaks it: Identity and MSCHAPv2 (RFC 2759; its key for IKEv2 by RFC 3079)."""

import hashlib
import os
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, modes

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:
    from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES

REQUEST, RESPONSE, SUCCESS, FAILURE = 1, 2, 3, 4
IDENTITY, NAK, MSCHAPV2 = 1, 3, 26


def _des(key, block):
    """DES is three-key DES with one key."""
    bits = int.from_bytes(key, "big")
    key = bytes(((bits >> (49 - 7 * place)) & 0x7F) << 1 for place in range(8))
    encryptor = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def _password_hash(password):
    return hashlib.new("md4", password.encode("utf-16-le")).digest()


class Client:
    """The peer's side of one conversation."""

    def __init__(self, name, password):
        self.name, self.password = name, password
        self.msk = None
        self.methods = []

    def answer(self, packet):
        """The response to a request; None after success. A failure raises."""
        code, identifier, length = struct.unpack_from("!BBH", packet)
        if code == SUCCESS:
            return None
        if code == FAILURE:
            raise ValueError("EAP-Failure")
        kind, data = packet[4], packet[5:length]
        self.methods.append(kind)
        if kind == IDENTITY:
            return self._response(identifier, IDENTITY, self.name.encode())
        if kind == MSCHAPV2:
            return self._mschapv2(identifier, data)
        return self._response(identifier, NAK, bytes([MSCHAPV2]))

    def _response(self, identifier, kind, data):
        return struct.pack("!BBHB", RESPONSE, identifier, 5 + len(data), kind) + data

    def _mschapv2(self, identifier, data):
        operation = data[0]
        if operation == 1:
            return self._response(identifier, MSCHAPV2, self._challenged(data))
        if operation == 3:
            text = data[4:].decode(errors="replace")
            if not text.startswith(f"S={self.expected}"):
                raise ValueError("the gateway does not know the password: its authenticator is wrong")
            return self._response(identifier, MSCHAPV2, bytes([3]))
        raise ValueError(f"MSCHAPv2 operation {operation}: {data[4:]!r}")

    def _challenged(self, data):
        authenticator = data[5:21]
        own = os.urandom(16)
        user = self.name.split("\\")[-1].encode()
        challenge = hashlib.sha1(own + authenticator + user).digest()[:8]
        hashed = _password_hash(self.password)
        padded = hashed + bytes(5)
        answer = b"".join(_des(padded[place:place + 7], challenge) for place in (0, 7, 14))
        twice = hashlib.new("md4", hashed).digest()
        first = hashlib.sha1(twice + answer + b"Magic server to client signing constant").digest()
        proof = hashlib.sha1(first + challenge + b"Pad to make it do more than one iteration").digest()
        self.expected = proof.hex().upper()
        self.msk = self._key(twice, answer)
        value = own + bytes(8) + answer + b"\0"
        length = 5 + len(value) + len(self.name.encode())
        return struct.pack("!BBHB", 2, data[1], length, len(value)) + value + self.name.encode()

    @staticmethod
    def _key(twice, answer):
        """MSK: the client's receive key, then its send key, then nothing."""
        master = hashlib.sha1(twice + answer + b"This is the MPPE Master Key").digest()[:16]

        def half(magic):
            return hashlib.sha1(master + bytes(40) + magic + b"\xf2" * 40).digest()[:16]

        client_sends = half(
            b"On the client side, this is the send key; on the server side, it is the receive key.")
        client_receives = half(
            b"On the client side, this is the receive key; on the server side, it is the send key.")
        # The gateway's receive key first (as the authenticator sees it), then its send key.
        return client_sends + client_receives + bytes(32)
