"""Tunnels whose initiator proves itself by EAP: every method that both kinds of gateway have, and what must fail."""

from dataclasses import dataclass

from .certified import CertificateScenario
from .processes import Failure
from .refusal import Refusal
from .scenario import CHILD, CONNECTION

NAME = "carol"


@dataclass
class EAPScenario(CertificateScenario):
    """The left side initiates as NAME; the right side has a certificate, or the shared key (`server`)."""

    #: `auth` of the left side's own round, and of the right side's view of it.
    client: str = "eap-mschapv2"
    gateway: str = "eap-mschapv2"
    #: How the gateway proves itself: pubkey, psk, or eap (RFC 5998).
    server: str = "pubkey"
    #: Whether the gateway asks who the client is in EAP.
    asks: bool = True
    #: The name that the client gives, and its password, where they are not the right ones.
    said: str = NAME
    guessed: str = ""
    #: What status calls the client in EAP.
    known: str = NAME

    def _local(self, side):
        if side.letter == "a":
            certs = "\n      certs = own.pem" if "tls" in self.client and "ttls" not in self.client else ""
            said = f"\n      eap_id = {self.said}" if self.asks else ""
            return f"auth = {self.client}\n      id = {self.identity(side)[0]}{said}{certs}"
        certs = "\n      certs = own.pem" if self.server != "psk" else ""
        return f"auth = {self.server}\n      id = {self.identity(side)[0]}{certs}"

    def _remote(self, other):
        if other.letter == "a":
            asked = "\n      eap_id = %any" if self.asks else ""
            return f"auth = {self.gateway}{asked}\n      id = {self.identity(other)[0]}"
        return f"auth = {self.server}\n      id = {self.identity(other)[0]}"

    def configuration(self, side, other):
        mine = self.settings(side, other)
        password = self._password(side)
        name = self.said if side.letter == "a" else NAME
        return f"""connections {{
  {CONNECTION} {{
    version = 2
    local_addrs = {side.outer[self.outside]}
    remote_addrs = {other.outer[self.outside]}
    proposals = {mine.ike}
    mobike = no
    send_cert = always
    local {{
      {self._local(side)}
    }}
    remote {{
      {self._remote(other)}
    }}
    children {{
      {CHILD} {{
        local_ts = {mine.local_ts}
        remote_ts = {mine.remote_ts}
        esp_proposals = {mine.esp}
      }}
    }}
  }}
}}
secrets {{
  eap-carol {{
    id = {name}
    secret = "{password}"
  }}
  {self._more_secrets()}
}}
"""

    def _password(self, side):
        return self.guessed if side.letter == "a" and self.guessed else self.secret

    def _more_secrets(self):
        return f"ike-lab {{\n    secret = \"{self.secret}-of-both\"\n  }}" if self.server == "psk" else ""

    def secrets(self):
        return [self.secret, *filter(None, [self.guessed])]


def tunnel(bench, options):
    """Up, used, down; and a Martlet that is the gateway knows the client by its name in EAP."""
    bench.set_up()
    scenario = bench.scenario
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    bench.require_counted()
    if bench.right.kind == "martlet":
        facts = [facts for _, facts in bench.right.sas()]
        if [each.get("remote-eap-id") for each in facts] != [scenario.known]:
            raise Failure(f"{bench.right.name} does not call its client '{scenario.known}' in EAP: {facts}")
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()


def suits(name, left, right):
    """Whether both kinds of gateway can do what a row asks for: strongSwan names one method, and no list of
    them; Debian's takes passwords for GTC from PAM, and has no PEAP."""
    if "strongswan" in (left, right) and name.endswith("peap"):
        return False
    return right != "strongswan" or not name.endswith(("-by-nak", " gtc"))


ROWS = [
    (f"eap {name}", lambda settings=settings: EAPScenario(**settings))
    for name, settings in (
        ("mschapv2", dict()),
        ("mschapv2-psk", dict(server="psk")),
        ("mschapv2-rsa", dict(kind="rsa2048")),
        ("mschapv2-by-nak", dict(gateway="eap-md5, eap-mschapv2")),
        ("md5", dict(client="eap-md5", gateway="eap-md5")),
        ("gtc", dict(client="eap-gtc", gateway="eap-gtc")),
        ("any", dict(client="eap", gateway="eap-mschapv2")),
        ("tls", dict(client="eap-tls", gateway="eap-tls", said="a.lab", known="a.lab")),
        ("tls-alone", dict(client="eap-tls", gateway="eap-tls", said="a.lab", known="a.lab", server="eap-tls")),
        ("ttls", dict(client="eap-ttls", gateway="eap-ttls")),
        ("ttls-alone", dict(client="eap-ttls", gateway="eap-ttls", server="eap-ttls")),
        ("peap", dict(client="eap-peap", gateway="eap-peap")),
    )
]

_FAILED = "AUTHENTICATION_FAILED|AUTH_FAILED|EAP_FAILURE|EAP/FAIL|EAP_MSCHAPV2|EAP_MD5"

REFUSALS = [
    Refusal("eap wrong-password", lambda: EAPScenario(guessed="not-the-password-of-carol"), _FAILED,
            sent=rf"EAP|a\.lab", configured=rf"password of '{NAME}' is wrong"),
    Refusal("eap wrong-password-md5", lambda: EAPScenario(
        client="eap-md5", gateway="eap-md5", guessed="not-the-password-of-carol"), _FAILED,
            sent=rf"EAP|a\.lab", configured=rf"password of '{NAME}' is wrong"),
    Refusal("eap unknown-name", lambda: EAPScenario(said="mallory"), _FAILED,
            sent=rf"EAP|a\.lab", configured=r"no password for 'mallory'"),
    Refusal("eap no-common-method", lambda: EAPScenario(client="eap-md5", gateway="eap-mschapv2"), _FAILED,
            sent=r"EAP", configured=r"No EAP method"),
]
