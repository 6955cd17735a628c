"""Every suite that Scapy has, in swanctl's words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """One protection: our word, Scapy's names, octets of the keys, and how tshark calls it where it can decode it."""

    word: str
    crypt: str | None = None
    crypt_octets: int = 0
    icv: int | None = None
    auth: str | None = None
    auth_octets: int = 0
    esn: bool = False
    shark: tuple | None = None

    @property
    def is_ah(self):
        return self.crypt is None


#: Scapy's name, our word, octets of the key, tshark's name.
AUTHS = [
    ("HMAC-SHA1-96", "sha1", 20, "HMAC-SHA-1-96 [RFC2404]"),
    ("SHA2-256-128", "sha256", 32, "HMAC-SHA-256-128 [RFC4868]"),
    ("SHA2-384-192", "sha384", 48, "HMAC-SHA-384-192 [RFC4868]"),
    ("SHA2-512-256", "sha512", 64, "HMAC-SHA-512-256 [RFC4868]"),
    ("HMAC-MD5-96", "md5", 16, "HMAC-MD5-96 [RFC2403]"),
    ("AES-CMAC-96", "aescmac", 16, None),
]

_SHA256 = AUTHS[1]


def _with(auth, word, crypt, octets, shark):
    pair = (shark, auth[3]) if shark and auth[3] else None
    return Suite(f"{word}-{auth[1]}", crypt, octets, None, auth[0], auth[2], shark=pair)


ESP = (
    # Scapy knows GCM's whole tag only.
    [Suite(f"aes{bits}gcm16", "AES-GCM", bits // 8 + 4, 16, shark=("AES-GCM with 16 octet ICV [RFC4106]", "NULL"))
     for bits in (128, 192, 256)]
    + [Suite(f"aes{bits}ccm{tag}", "AES-CCM", bits // 8 + 3, tag) for bits in (128, 256) for tag in (16, 12, 8)]
    + [Suite("chacha20poly1305", "CHACHA20-POLY1305", 36, 16)]
    + [_with(_SHA256, f"aes{bits}", "AES-CBC", bits // 8, "AES-CBC [RFC3602]") for bits in (128, 192, 256)]
    + [_with(_SHA256, f"aes{bits}ctr", "AES-CTR", bits // 8 + 4, "AES-CTR [RFC3686]") for bits in (128, 256)]
    + [_with(_SHA256, "3des", "3DES", 24, "TripleDES-CBC [RFC2451]"), _with(_SHA256, "des", "DES", 8, "DES-CBC [RFC2405]"),
       _with(_SHA256, "cast128", "CAST", 16, None), _with(_SHA256, "blowfish128", "Blowfish", 16, None),
       _with(_SHA256, "null", "NULL", 0, "NULL")]
    + [_with(auth, "aes128", "AES-CBC", 16, "AES-CBC [RFC3602]") for auth in AUTHS if auth is not _SHA256]
)

#: Scapy has extended sequence numbers for ciphers with integrity of their own, and for AH.
ESP_ESN = [
    Suite(f"{each.word}-esn", each.crypt, each.crypt_octets, each.icv, esn=True)
    for each in ESP if each.auth is None and (each.icv == 16)]

AH = [Suite(word, None, 0, None, name, octets) for name, word, octets, _ in AUTHS]
AH_ESN = [Suite(f"{each.word}-esn", None, 0, None, each.auth, each.auth_octets, esn=True) for each in AH]
