"""What the clients built into Windows, Apple's systems and Android send: proposals, payloads and their order.

Written down from what their makers document and what gateways' logs of them show; the quirks matter more than the
values. Addresses, keys and nonces are the session's.
"""

from dataclasses import dataclass, field

from . import wire

ENCR, PRF, INTEG, DH, ESN = 1, 2, 3, 4, 5
FRAGMENTATION, SIGNATURE_HASHES, REDIRECT_SUPPORTED, MOBIKE, INITIAL_CONTACT = 16430, 16431, 16406, 16396, 16384
NO_TFC, NON_FIRST_FRAGMENTS, EAP_ONLY = 16394, 16395, 16417

SHA1, SHA256, SHA384 = (2, 2), (5, 12), (6, 13)


def _ike(cipher, bits, hashed, group):
    prf, integ = hashed
    return [(ENCR, cipher, bits), (INTEG, integ, None), (PRF, prf, None), (DH, group, None)]


def _esp(cipher, bits, integ):
    return [(ENCR, cipher, bits), *([(INTEG, integ, None)] if integ else []), (ESN, 0, None)]


@dataclass
class ClientKind:
    """One system's client."""

    name: str
    #: IKE proposals, and the groups that it tries, the first guess first.
    ike: list
    groups: list
    esp: list
    #: Notifies and vendor IDs of IKE_SA_INIT, after the nonce.
    init: list
    #: Which payloads IKE_AUTH has, in order.
    auth: list
    #: Attributes that it asks for.
    attributes: list
    #: What it says it is: its address, or its user's name.
    identity: str = "address"
    #: Whether it starts on port 4500.
    floats_first: bool = False
    vendors: list = field(default_factory=list)
    #: Octets of an IPv4 attribute in CFG_REQUEST, by its number: Windows asks with empty ones.
    hashes: bool = False


WINDOWS = ClientKind(
    "windows",
    ike=[_ike(12, 256, SHA1, 2), _ike(12, 256, SHA256, 2), _ike(12, 256, SHA384, 2),
         [(ENCR, 20, 128), (PRF, 5, None), (DH, 2, None)], [(ENCR, 20, 256), (PRF, 6, None), (DH, 2, None)],
         _ike(3, None, SHA1, 2)],
    groups=[2],
    esp=[_esp(12, 256, 2), _esp(12, 128, 2), _esp(3, None, 2), _esp(2, None, 2), _esp(11, None, 2)],
    init=["fragmentation", "nat", "vendors"],
    vendors=[
        bytes.fromhex("1e2b516905991c7d7c96fcbfb587e46100000009"), bytes.fromhex("fb1de3cdf341b7ea16b7e5be0855f120"),
        bytes.fromhex("26244d38eddb61b3172a36e3d0cfb819"), bytes.fromhex("01528bbbc00696121849ab9a1c5b2a5100000002"),
    ],
    # No IDr: the gateway's certificate has to be the right one by itself.
    auth=["idi", "certreq", "mobike", "cp", "sa", "ts"],
    # The two last are Microsoft's own: the address of its gateway.
    attributes=[1, 3, 4, 23456, 8, 10, 23457])

WINDOWS_STRONGER = ClientKind(
    "windows-2048",
    ike=[_ike(12, 256, SHA256, 14), _ike(12, 256, SHA384, 14), _ike(12, 256, SHA256, 2)],
    groups=[14, 2], esp=WINDOWS.esp, init=WINDOWS.init, vendors=WINDOWS.vendors, auth=WINDOWS.auth,
    attributes=WINDOWS.attributes)

APPLE = ClientKind(
    "apple",
    ike=[_ike(12, 256, SHA256, 14), _ike(12, 256, SHA256, 19), _ike(12, 256, SHA256, 5), _ike(12, 128, SHA1, 2),
         _ike(3, None, SHA1, 2)],
    groups=[14, 19, 5, 2],
    esp=[_esp(12, 256, 12), _esp(12, 128, 2), _esp(3, None, 2)],
    init=["redirect", "nat", "fragmentation"],
    auth=["idi", "initial-contact", "idr", "mobike", "cp", "no-tfc", "non-first", "sa", "ts"],
    attributes=[1, 2, 6, 3, 8, 12, 10, 25], identity="name")

ANDROID = ClientKind(
    "android",
    ike=[
        [(ENCR, 13, 256), (ENCR, 12, 256), (ENCR, 13, 192), (ENCR, 12, 192), (ENCR, 13, 128), (ENCR, 12, 128),
         (INTEG, 14, None), (INTEG, 13, None), (INTEG, 12, None), (INTEG, 5, None), (INTEG, 8, None),
         (DH, 16, None), (DH, 31, None), (DH, 15, None), (DH, 14, None),
         (PRF, 7, None), (PRF, 6, None), (PRF, 5, None), (PRF, 4, None), (PRF, 8, None), (PRF, 2, None)],
        [(ENCR, 28, None), *[(ENCR, cipher, bits) for cipher in (20, 19, 18) for bits in (256, 192, 128)],
         (DH, 16, None), (DH, 31, None), (DH, 15, None), (DH, 14, None),
         (PRF, 7, None), (PRF, 6, None), (PRF, 5, None), (PRF, 4, None), (PRF, 8, None), (PRF, 2, None)],
    ],
    groups=[16, 31, 15, 14],
    esp=[
        [(ENCR, 28, None), *[(ENCR, cipher, bits) for cipher in (20, 19, 18) for bits in (256, 192, 128)],
         (ESN, 0, None)],
        [(ENCR, 13, 256), (ENCR, 12, 256), (ENCR, 13, 192), (ENCR, 12, 192), (ENCR, 13, 128), (ENCR, 12, 128),
         (INTEG, 14, None), (INTEG, 13, None), (INTEG, 12, None), (INTEG, 5, None), (INTEG, 8, None), (ESN, 0, None)],
    ],
    init=["nat", "fragmentation", "redirect", "hashes"],
    auth=["idi", "idr", "sa", "ts", "initial-contact", "cp", "eap-only"],
    attributes=[1, 3, 8, 10, 7], identity="name", floats_first=True)

KINDS = {each.name: each for each in (WINDOWS, WINDOWS_STRONGER, APPLE, ANDROID)}


def after_nonce(kind, nat):
    """IKE_SA_INIT's payloads behind the nonce."""
    parts = {
        "fragmentation": [wire.notify(FRAGMENTATION)], "nat": nat, "redirect": [wire.notify(REDIRECT_SUPPORTED)],
        "vendors": [(wire.VENDOR, each) for each in kind.vendors],
        "hashes": [wire.notify(SIGNATURE_HASHES, bytes([0, 1, 0, 2, 0, 3, 0, 4]))],
    }
    return [payload for part in kind.init for payload in parts[part]]
