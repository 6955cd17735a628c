"""One description of a tunnel; from it swanctl.conf for both sides, the same text for strongSwan and Martlet."""

import secrets
from dataclasses import dataclass, field

#: Connection and child names in every configuration of the lab.
CONNECTION = "lab"
CHILD = "net"


@dataclass(frozen=True)
class Suite:
    """An IKE and an ESP proposal, and the names under which list-sas reports what was chosen."""

    name: str
    ike: str
    esp: str
    ike_facts: dict
    esp_facts: dict


SUITES = [
    Suite(
        "aes128gcm16-prfsha256-x25519", "aes128gcm16-prfsha256-x25519", "aes128gcm16",
        {"encr-alg": "AES_GCM_16", "encr-keysize": "128", "prf-alg": "PRF_HMAC_SHA2_256", "dh-group": "CURVE_25519"},
        {"encr-alg": "AES_GCM_16", "encr-keysize": "128"}),
    Suite(
        "aes256-sha256-modp2048", "aes256-sha256-modp2048", "aes256-sha256",
        {"encr-alg": "AES_CBC", "encr-keysize": "256", "integ-alg": "HMAC_SHA2_256_128",
         "prf-alg": "PRF_HMAC_SHA2_256", "dh-group": "MODP_2048"},
        {"encr-alg": "AES_CBC", "encr-keysize": "256", "integ-alg": "HMAC_SHA2_256_128"}),
    Suite(
        "chacha20poly1305-prfsha256-ecp256", "chacha20poly1305-prfsha256-ecp256", "chacha20poly1305",
        {"encr-alg": "CHACHA20_POLY1305", "prf-alg": "PRF_HMAC_SHA2_256", "dh-group": "ECP_256"},
        {"encr-alg": "CHACHA20_POLY1305"}),
]


@dataclass
class Settings:
    """What one side is told. The defaults match the other side's."""

    local_id: str
    remote_id: str
    ike: str
    esp: str
    local_ts: str
    remote_ts: str
    secret: str
    #: More lines of the child.
    child: str = ""


@dataclass
class Scenario:
    """A tunnel between the two sides. `change_a` and `change_b` replace single settings, to make them disagree."""

    suite: Suite = SUITES[0]
    outside: int = 4
    change_a: dict = field(default_factory=dict)
    change_b: dict = field(default_factory=dict)
    #: Fresh for every case, and searched for in every log afterwards.
    secret: str = field(default_factory=lambda: "lab-" + secrets.token_urlsafe(24))
    #: The side whose link to the router in the middle is narrow; None for no router.
    narrow: str = None

    @property
    def network(self):
        """A network of its own; None for the usual two sides."""
        return None

    def settings(self, side, other):
        both = {
            "local_id": f"{side.letter}.lab", "remote_id": f"{other.letter}.lab",
            "ike": self.suite.ike, "esp": self.suite.esp, "secret": self.secret,
            "local_ts": f"{side.protected[4]},{side.protected[6]}",
            "remote_ts": f"{other.protected[4]},{other.protected[6]}",
        }
        return Settings(**{**both, **(self.change_a if side.letter == "a" else self.change_b)})

    def prepare(self, gateway, other):
        """Writes what a gateway needs besides its swanctl.conf, before either side starts: nothing here."""

    def configuration(self, side, other):
        """The swanctl.conf of `side`."""
        mine = self.settings(side, other)
        return f"""connections {{
  {CONNECTION} {{
    version = 2
    local_addrs = {side.outer[self.outside]}
    remote_addrs = {other.outer[self.outside]}
    proposals = {mine.ike}
    mobike = no
    local {{
      auth = psk
      id = {mine.local_id}
    }}
    remote {{
      auth = psk
      id = {mine.remote_id}
    }}
    children {{
      {CHILD} {{
        local_ts = {mine.local_ts}
        remote_ts = {mine.remote_ts}
        esp_proposals = {mine.esp}
        {mine.child}
      }}
    }}
  }}
}}
secrets {{
  ike-lab {{
    id-1 = {mine.local_id}
    id-2 = {mine.remote_id}
    secret = "{mine.secret}"
  }}
}}
"""

    def secrets(self):
        """Every pre-shared key in use, to be searched for."""
        changed = [change["secret"] for change in (self.change_a, self.change_b) if "secret" in change]
        return [self.secret, *changed]
