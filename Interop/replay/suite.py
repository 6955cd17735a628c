"""The algorithms of one IKE or Child SA, each by the `cryptography` library; groups by integers."""

import hashlib
import hmac
import os

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

ENCR, PRF, INTEG, DH, ESN = 1, 2, 3, 4, 5
#: PRF and integrity numbers: hash, octets of the key, octets of the ICV.
PRFS = {2: "sha1", 5: "sha256", 6: "sha384", 7: "sha512"}
INTEGS = {2: ("sha1", 20, 12), 12: ("sha256", 32, 16), 13: ("sha384", 48, 24), 14: ("sha512", 64, 32)}


def _pi(bits):
    """The first `bits` bits of pi behind its 3, by Machin's formula."""
    one = 1 << (bits + 64)

    def arctan(inverse):
        term = one // inverse
        total, sign, number = term, -1, 3
        while term:
            term //= inverse * inverse
            total += sign * (term // number)
            sign, number = -sign, number + 2
        return total

    return (4 * (4 * arctan(5) - arctan(239))) >> 64


def _prime(bits, offset):
    """RFC 2409 and 3526: 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + offset)."""
    return (1 << bits) - (1 << (bits - 64)) - 1 + ((_pi(bits - 130) + offset) << 64)


#: The groups by integers: bits and the offset that makes the number a prime.
MODP = {2: (1024, 129093), 5: (1536, 741804), 14: (2048, 124476), 15: (3072, 1690314), 16: (4096, 240904)}
CURVES = {19: ec.SECP256R1, 20: ec.SECP384R1, 21: ec.SECP521R1}


class KeyExchange:
    """One half of a Diffie-Hellman exchange."""

    def __init__(self, group):
        self.group = group
        if group in MODP:
            bits, offset = MODP[group]
            self.prime, self.octets = _prime(bits, offset), bits // 8
            self.private = int.from_bytes(os.urandom(40), "big")
            self.public = pow(2, self.private, self.prime).to_bytes(self.octets, "big")
        elif group == 31:
            self.private = x25519.X25519PrivateKey.generate()
            self.public = self.private.public_key().public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        else:
            self.private = ec.generate_private_key(CURVES[group]())
            self.public = self.private.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)[1:]

    def shared(self, public):
        if self.group in MODP:
            return pow(int.from_bytes(public, "big"), self.private, self.prime).to_bytes(self.octets, "big")
        if self.group == 31:
            return self.private.exchange(x25519.X25519PublicKey.from_public_bytes(public))
        point = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[self.group](), b"\x04" + public)
        return self.private.exchange(ec.ECDH(), point)


def prf(number, key, data):
    return hmac.new(key, data, PRFS[number]).digest()


def prf_plus(number, key, seed, length):
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = prf(number, key, block + seed + bytes([counter]))
        out, counter = out + block, counter + 1
    return out[:length]


def prf_octets(number):
    return hashlib.new(PRFS[number]).digest_size


class Sealing:
    """A cipher with its integrity algorithm, as a chosen proposal names them."""

    def __init__(self, transforms):
        self.encr = transforms[ENCR]
        self.integ = transforms.get(INTEG)
        number, bits = self.encr
        self.is_aead = number in (20, 28)
        self.salt = 4 if number in (13, 20, 28) else 0
        self.key_octets = (256 if number == 28 else bits) // 8 + self.salt
        self.integ_octets = 0 if self.is_aead else INTEGS[self.integ[0]][1]
        self.iv = 16 if number == 12 else 8
        self.icv = 16 if self.is_aead else INTEGS[self.integ[0]][2]
        self.block = 16 if number == 12 else 1

    def _cipher(self, key, iv):
        if self.encr[0] == 12:
            return Cipher(algorithms.AES(key), modes.CBC(iv))
        counter = key[-4:] + iv + b"\0\0\0\1"
        return Cipher(algorithms.AES(key[:-4]), modes.CTR(counter))

    def _aead(self, key):
        return (ChaCha20Poly1305 if self.encr[0] == 28 else AESGCM)(key[:-4]), key[-4:]

    def seal(self, key, integ, before, plain):
        """What follows `before`: IV, ciphertext and ICV. `plain` is padded already."""
        iv = os.urandom(self.iv)
        if self.is_aead:
            aead, salt = self._aead(key)
            return iv + aead.encrypt(salt + iv, plain, before)
        encryptor = self._cipher(key, iv).encryptor()
        body = iv + encryptor.update(plain) + encryptor.finalize()
        return body + hmac.new(integ, before + body, INTEGS[self.integ[0]][0]).digest()[:self.icv]

    def open(self, key, integ, before, sealed):
        iv, body = sealed[:self.iv], sealed[self.iv:]
        if self.is_aead:
            aead, salt = self._aead(key)
            return aead.decrypt(salt + iv, body, before)
        body, icv = body[:-self.icv], body[-self.icv:]
        wanted = hmac.new(integ, before + iv + body, INTEGS[self.integ[0]][0]).digest()[:self.icv]
        if not hmac.compare_digest(wanted, icv):
            raise ValueError("the ICV is wrong")
        decryptor = self._cipher(key, iv).decryptor()
        return decryptor.update(body) + decryptor.finalize()
