"""A tunnel for every algorithm that strongSwan's user-space plane has beside the three common suites.

Each row pairs an IKE proposal with an ESP proposal, so that a short list meets every algorithm of either kind.
"""

from .scenario import Suite

#: swanctl's word, and the name under which list-sas reports the algorithm: by what the word is for.
ENCRYPTION = {
    "3des": "3DES_CBC", "des": "DES_CBC", "cast128": "CAST_CBC", "null": "NULL", "chacha20poly1305": "CHACHA20_POLY1305",
    **{f"blowfish{bits}": "BLOWFISH_CBC" for bits in (128, 192, 256)},
    **{f"{cipher}{bits}{mode}": f"{cipher.upper()}_{name}"
       for cipher in ("aes", "camellia", "serpent", "twofish") for bits in (128, 192, 256)
       for mode, name in (
           ("", "CBC"), ("ctr", "CTR"), *((f"{kind}{tag}", f"{kind.upper()}_{tag}")
                                          for kind in ("gcm", "ccm") for tag in (8, 12, 16)))},
}
INTEGRITY = {
    "md5": "HMAC_MD5_96", "sha1": "HMAC_SHA1_96", "sha256": "HMAC_SHA2_256_128", "sha384": "HMAC_SHA2_384_192",
    "sha512": "HMAC_SHA2_512_256", "aesxcbc": "AES_XCBC_96", "aescmac": "AES_CMAC_96",
}
PRF = {
    "prfmd5": "PRF_HMAC_MD5", "prfsha1": "PRF_HMAC_SHA1", "prfsha256": "PRF_HMAC_SHA2_256",
    "prfsha384": "PRF_HMAC_SHA2_384", "prfsha512": "PRF_HMAC_SHA2_512", "prfaesxcbc": "PRF_AES128_XCBC",
    "prfaescmac": "PRF_AES128_CMAC",
}
GROUPS = {
    **{f"modp{bits}": f"MODP_{bits}" for bits in (768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)},
    **{f"modp{bits}s{order}": f"MODP_{bits}_{order}" for bits, order in ((1024, 160), (2048, 224), (2048, 256))},
    **{f"ecp{bits}": f"ECP_{bits}" for bits in (192, 224, 256, 384, 521)},
    **{f"ecp{bits}bp": f"ECP_{bits}_BP" for bits in (224, 256, 384, 512)},
    "x25519": "CURVE_25519", "x448": "CURVE_448",
}

#: What list-sas calls the parts of a proposal.
KINDS = (("encr-alg", ENCRYPTION), ("integ-alg", INTEGRITY), ("prf-alg", PRF), ("dh-group", GROUPS))

ROWS = [
    ("aes128ctr-sha1-prfsha1-modp1024", "aes128ctr-sha1"),
    ("aes192gcm8-prfsha384-ecp384", "aes192gcm8"),
    ("aes256gcm12-prfsha512-ecp521", "aes256gcm12"),
    ("aes128ccm8-prfaesxcbc-ecp224", "aes128ccm8"),
    ("aes192ccm12-prfaescmac-ecp192", "aes192ccm12"),
    ("aes256ccm16-prfsha256-x448", "aes256ccm16"),
    ("aes192-aesxcbc-prfaesxcbc-modp1536", "aes192ctr-aesxcbc"),
    ("aes256-aescmac-prfaescmac-modp3072", "aes256ctr-aescmac"),
    ("camellia128-sha256-prfsha256-ecp256bp", "camellia128-sha256"),
    ("camellia256-sha384-prfsha384-ecp384bp", "camellia256-sha384"),
    ("camellia192-sha512-prfsha512-ecp512bp", "camellia192-sha512"),
    ("camellia128ctr-sha1-prfsha1-ecp224bp", "camellia128ctr-aesxcbc"),
    ("camellia256ccm8-prfsha256-x25519", "camellia256ccm8"),
    ("camellia192ccm12-prfsha256-x25519", "camellia192ccm12"),
    ("camellia128ccm16-prfsha256-x25519", "camellia128ccm16"),
    ("3des-md5-prfmd5-modp768", "3des-md5"),
    ("des-sha1-prfsha1-modp1024s160", "des-sha1"),
    ("blowfish128-md5-prfmd5-modp2048s224", "blowfish128-md5"),
    ("blowfish192-sha1-prfsha1-modp2048s256", "blowfish192-sha1"),
    ("blowfish256-sha256-prfsha256-modp4096", "blowfish256-sha256"),
    ("cast128-aescmac-prfaescmac-modp6144", "cast128-aescmac"),
    ("serpent256-sha256-prfsha256-modp2048", "null-sha256"),
    ("twofish256-sha512-prfsha512-modp8192", "null-aesxcbc"),
]


def _facts(proposal):
    facts = {}
    for word in proposal.split("-"):
        for kind, names in KINDS:
            if word in names:
                facts[kind] = names[word]
    return facts


SUITES = [Suite(f"algorithms {ike} {esp}", ike, esp, _facts(ike), _facts(esp)) for ike, esp in ROWS]
