"""Every algorithm that both Martlet and the kernel have: swanctl's word, and how `ip xfrm` says it."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Cipher:
    """A cipher of ESP. `tag` is in bits, and 0 where an integrity algorithm stands beside it."""

    word: str
    kernel: str
    octets: int
    tag: int = 0


@dataclass(frozen=True)
class MAC:
    """An integrity algorithm."""

    word: str
    kernel: str
    octets: int
    tag: int


CIPHERS = (
    [Cipher(f"aes{bits}gcm{tag}", "rfc4106(gcm(aes))", bits // 8 + 4, tag * 8)
     for bits in (128, 192, 256) for tag in (16, 12, 8)]
    + [Cipher(f"aes{bits}ccm{tag}", "rfc4309(ccm(aes))", bits // 8 + 3, tag * 8)
       for bits in (128, 256) for tag in (16, 12, 8)]
    + [Cipher("chacha20poly1305", "rfc7539esp(chacha20,poly1305)", 36, 128)]
    + [Cipher(f"aes{bits}gmac", "rfc4543(gcm(aes))", bits // 8 + 4, 128) for bits in (128, 256)]
    + [Cipher(f"aes{bits}", "cbc(aes)", bits // 8) for bits in (128, 192, 256)]
    + [Cipher(f"aes{bits}ctr", "rfc3686(ctr(aes))", bits // 8 + 4) for bits in (128, 256)]
    + [Cipher("3des", "cbc(des3_ede)", 24), Cipher("des", "cbc(des)", 8), Cipher("cast128", "cbc(cast5)", 16)]
    + [Cipher(f"blowfish{bits}", "cbc(blowfish)", bits // 8) for bits in (128, 256)]
    + [Cipher(f"camellia{bits}", "cbc(camellia)", bits // 8) for bits in (128, 256)]
    + [Cipher(f"serpent{bits}", "cbc(serpent)", bits // 8) for bits in (128, 256)]
    + [Cipher(f"twofish{bits}", "cbc(twofish)", bits // 8) for bits in (128, 256)]
    + [Cipher("null", "ecb(cipher_null)", 0)]
)

MACS = [
    MAC("sha1", "hmac(sha1)", 20, 96), MAC("sha256", "hmac(sha256)", 32, 128), MAC("sha256_96", "hmac(sha256)", 32, 96),
    MAC("sha384", "hmac(sha384)", 48, 192), MAC("sha512", "hmac(sha512)", 64, 256),
    MAC("md5", "hmac(md5)", 16, 96), MAC("aesxcbc", "xcbc(aes)", 16, 96), MAC("aescmac", "cmac(aes)", 16, 96),
]


def mac(word):
    return next(each for each in MACS if each.word == word)


def cipher(word):
    return next(each for each in CIPHERS if each.word == word)


@dataclass(frozen=True)
class Suite:
    """What one SA uses; for AH a MAC alone."""

    cipher: Cipher | None
    mac: MAC | None
    esn: bool = False

    @property
    def name(self):
        parts = [each.word for each in (self.cipher, self.mac) if each]
        return "-".join(parts + (["esn"] if self.esn else []))

    def keys(self):
        """Fresh ones: encryption and integrity, in hexadecimal."""
        return (os.urandom(self.cipher.octets).hex() if self.cipher else "",
                os.urandom(self.mac.octets).hex() if self.mac else "")

    def kernel_words(self, keys):
        """What `ip xfrm state add` wants to hear."""
        encryption, integrity = ("0x" + key if key else "" for key in keys)
        words = ""
        if self.cipher and self.cipher.tag:
            return f"aead |{self.cipher.kernel}| {encryption} {self.cipher.tag}"
        if self.cipher:
            words = f"enc |{self.cipher.kernel}| |{encryption}| "
        return words + f"auth-trunc |{self.mac.kernel}| {integrity} {self.mac.tag}"


def esp(word, mac_word=None, esn=False):
    return Suite(cipher(word), mac(mac_word) if mac_word else None, esn)


def every_suite():
    """Each cipher once, those without integrity of their own with SHA-256; then each MAC beside AES-CBC."""
    suites = [Suite(each, None if each.tag else mac("sha256")) for each in CIPHERS]
    suites += [Suite(cipher("aes128"), each) for each in MACS if each.word != "sha256"]
    return suites
