"""More than one identity proved by an end (RFC 4739), and clients that are sent to another gateway (RFC 5685)."""

import os
import re
import shutil
from dataclasses import dataclass

from .authority import Authority
from .certified import CertificateScenario
from .processes import Failure, eventually
from .scenario import CHILD, CONNECTION, Scenario


@dataclass
class RoundScenario(CertificateScenario):
    """`rounds_a` and `rounds_b` say how each side proves itself, one round after the other: psk, cert, user.

    `cert` is the side's own certificate, `user` a second one with a key of its own, `eap` and `md5` a password by
    EAP-MSCHAPv2 and EAP-MD5.
    """

    rounds_a: tuple = ("psk", "cert")
    rounds_b: tuple = ("psk", "cert")
    #: The side that leaves out its last round although the other demands it.
    lazy: str = ""
    #: The password that the left side gives, where it is not the right one.
    guessed: str = ""
    #: What both sides say of a post-quantum preshared key: required, optional, or nothing of it.
    ppk: str = ""

    def prepare(self, gateway, other):
        super().prepare(gateway, other)
        pki = Authority(os.path.join(os.path.dirname(gateway.directory), "pki"))
        letter = gateway.side.letter
        root = self._once(pki, "root", lambda: pki.ca("root", self._authority_kind()))
        user = pki.peer(f"{letter}-user", self.kind, root, f"/C=CH/O=lab/CN={letter}-user.lab",
                        f"DNS:{letter}-user.lab")
        shutil.copy(user.key, os.path.join(gateway.directory, "private", "user.pem"))
        shutil.copy(user.certificate, os.path.join(gateway.directory, "x509", "user.pem"))

    def kinds(self, side):
        return self.rounds_a if side.letter == "a" else self.rounds_b

    @staticmethod
    def _section(side, kind, is_local):
        if kind == "psk":
            return f"auth = psk\n      id = {side.letter}.lab"
        if kind in ("eap", "md5"):
            asked = f"{side.letter}-carol" if is_local else "%any"
            method = "eap-mschapv2" if kind == "eap" else "eap-md5"
            return f"auth = {method}\n      eap_id = {asked}\n      id = {side.letter}.lab"
        name = f"{side.letter}-user.lab" if kind == "user" else f"{side.letter}.lab"
        file = "user.pem" if kind == "user" else "own.pem"
        certs = f"\n      certs = {file}" if is_local else ""
        return f"auth = pubkey{certs}\n      id = {name}"

    def _sections(self, side, name):
        kinds = self.kinds(side)
        if name == "local" and side.letter == self.lazy:
            kinds = kinds[:-1]
        return "\n".join(
            f"    {name}-{number} {{\n      round = {number}\n      "
            f"{self._section(side, kind, name == 'local')}\n    }}"
            for number, kind in enumerate(kinds, 1))

    def configuration(self, side, other):
        text = super().configuration(side, other)
        text, found = re.subn(
            r"    local \{.*?\n    \}\n    remote \{.*?\n    \}",
            lambda _: f"{self._sections(side, 'local')}\n{self._sections(other, 'remote')}", text, flags=re.S)
        if found != 1:
            raise Failure("the scenario's text has no place for rounds")
        if {"eap", "md5"} & {*self.rounds_a, *self.rounds_b}:
            password = self.guessed if self.guessed and side.letter == "a" else self.secret
            text = text.replace("secrets {", f"secrets {{\n  eap-carol {{\n    id = a-carol\n    secret = \"{password}\"\n  }}")
            # Who begins with EAP asks for no certificate in a way that strongSwan takes as such.
            text = text.replace("    mobike = no\n", "    mobike = no\n    send_cert = always\n")
        if self.ppk:
            named = "    ppk_id = lab\n" if side.letter == "a" else ""
            demand = f"    ppk_required = {'yes' if self.ppk == 'required' else 'no'}\n"
            text = text.replace("    mobike = no\n", f"    mobike = no\n{named}{demand}")
            if self.ppk != "missing" or side.letter == "a":
                text = text.replace("secrets {", f"secrets {{\n  ppk-lab {{\n    id = lab\n    secret = \"{self.secret}-q\"\n  }}")
        return text

    def secrets(self):
        return [self.secret, *filter(None, [self.guessed])]


def authenticated(bench, options):
    """Every round of both sides is proved; what comes of it is used, rekeyed and taken down."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    for gateway in bench.gateways:
        if gateway.kind == "strongswan":
            proofs = len(re.findall(r"authentication of '.*' with .* successful", gateway.log_text()))
            wanted = len(bench.scenario.kinds(bench.other(gateway).side))
            if gateway is bench.left:
                # Each round by EAP ends with a proof of the gateway's as well, besides the one that it begins with.
                wanted += sum(kind in ("eap", "md5") for kind in bench.scenario.rounds_a)
            if proofs != wanted:
                raise Failure(f"{gateway.name} saw {proofs} proofs, not {wanted}")
    bench.require_pings()
    bench.require_counted()
    before = {child["spi-in"] for child in bench.left.children()}
    bench.right.swanctl("--rekey", "--child", CHILD).require()
    eventually(lambda: not before & {child["spi-in"] for child in bench.left.children()}, 10, "the child is rekeyed")
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()


def keyed(bench, options):
    """The same, and both have the post-quantum key in their keys, or neither has."""
    authenticated(bench, options)
    for gateway in bench.gateways:
        if gateway.kind == "strongswan":
            used = "using PPK for PPK_ID" in gateway.log_text()
            if used != (bench.scenario.ppk != "missing"):
                raise Failure(f"{gateway.name} {'uses' if used else 'does not use'} the post-quantum key")


def wrong_password(bench, options):
    """A password that is wrong in a later round is the end of it."""
    bench.set_up()
    if bench.left.initiate(timeout=8).code == 0:
        raise Failure("the tunnel came up with a wrong password")
    if any(gateway.children() for gateway in bench.gateways):
        raise Failure("a Child SA is there although a password was wrong")
    for gateway in bench.gateways:
        if gateway.kind == "martlet" and gateway is bench.right:
            eventually(lambda: re.search("password of 'a-carol' is wrong", gateway.log_text()), 3,
                       f"{gateway.name} names the password that is wrong")
    bench.require_clean_stop()
    bench.require_secrets_kept()


def left_out(bench, options):
    """A side that proves one identity too few gets nothing."""
    bench.set_up()
    if bench.left.initiate(timeout=8).code == 0:
        raise Failure("the tunnel came up although a round of authentication is missing")
    if any(gateway.children() for gateway in bench.gateways):
        raise Failure("a Child SA is there although a round of authentication is missing")
    bench.require_clean_stop()
    bench.require_secrets_kept()


@dataclass
class RedirectScenario(Scenario):
    """The right side has two addresses, as two gateways would; the left side knows the first."""

    lines_b: str = ""

    def configuration(self, side, other):
        text = super().configuration(side, other)
        both = f"{side.outer[4]},{side.outer[6]}"
        text = text.replace(f"local_addrs = {side.outer[4]}\n", f"local_addrs = {both}\n")
        if side.letter == "b":
            text = text.replace(f"remote_addrs = {other.outer[4]}\n",
                                f"remote_addrs = {other.outer[4]},{other.outer[6]}\n")
            target = self.lines_b.format(second=side.outer[6])
            text = text.replace("    mobike = no\n", f"    mobike = no\n{target}")
        return text


def _require_moved(bench):
    second = bench.right.side.outer[6]

    def moved():
        return all(
            len(gateway.sas()) == 1 and second in (facts.get("local-host"), facts.get("remote-host"))
            and facts.get("state") == "ESTABLISHED" and len(facts.get("child-sas", {})) == 1
            for gateway in bench.gateways for _, facts in gateway.sas())

    eventually(lambda: all(gateway.sas() for gateway in bench.gateways) and moved(), 20,
               "the client is connected to the other gateway, and to it alone")


def sent_away(bench, options):
    """The gateway sends its client away while it connects."""
    bench.set_up()
    bench.left.swanctl("--initiate", "--child", CHILD, "--timeout", 15, timeout=25)
    _require_moved(bench)
    bench.require_up(count=1)
    bench.require_pings()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()


def sent_away_connected(bench, options):
    """`swanctl --redirect` sends a connected client to the other gateway."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    wrong = bench.right.swanctl("--redirect", "--ike", "nobody", "--gateway", "192.0.2.1")
    if wrong.code == 0:
        raise Failure("a connection that is not there was redirected")
    filters = {"--ike": CONNECTION, "--peer-ip": "10.99.0.0/24", "--peer-id": "*.lab"}
    name, value = list(filters.items())[0 if bench.right.kind == "strongswan" else 2]
    bench.right.swanctl("--redirect", name, value, "--gateway", bench.right.side.outer[6]).require()
    _require_moved(bench)
    bench.require_up(count=1)
    bench.require_pings()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()


_MIXED = {("martlet", "strongswan"), ("strongswan", "martlet")}
_CONTROLLED = _MIXED | {("strongswan", "strongswan"), ("martlet", "martlet")}
_OURS = {("strongswan", "martlet"), ("martlet", "martlet")}

#: (name, scenario, procedure, pairings that have it)
CASES = [
    ("rounds cert+psk", lambda: RoundScenario(rounds_a=("cert", "psk"), rounds_b=("cert", "psk")),
     authenticated, _CONTROLLED),
    ("rounds cert+user", lambda: RoundScenario(rounds_a=("cert", "user"), rounds_b=("cert", "user")),
     authenticated, _CONTROLLED),
    ("rounds initiator-only", lambda: RoundScenario(rounds_b=("cert",)), authenticated, _CONTROLLED),
    ("rounds responder-only", lambda: RoundScenario(rounds_a=("cert",), rounds_b=("cert", "user")), authenticated,
     _CONTROLLED),
    # An initiator of strongSwan's that begins with a shared key takes no further round of the responder's, not even of
    # its own kind.
    ("rounds psk+cert", RoundScenario, authenticated, {("martlet", "strongswan"), ("martlet", "martlet")}),
    ("rounds cert+eap", lambda: RoundScenario(rounds_a=("cert", "eap"), rounds_b=("cert",)), authenticated, _CONTROLLED),
    ("rounds cert+md5", lambda: RoundScenario(rounds_a=("cert", "md5"), rounds_b=("cert",)), authenticated, _CONTROLLED),
    ("rounds eap+user", lambda: RoundScenario(rounds_a=("eap", "user"), rounds_b=("cert",)), authenticated, _CONTROLLED),
    ("rounds cert+eap+user", lambda: RoundScenario(rounds_a=("cert", "eap", "user"), rounds_b=("cert",)), authenticated,
     _CONTROLLED),
    ("rounds cert+eap wrong-password", lambda: RoundScenario(
        rounds_a=("cert", "eap"), rounds_b=("cert",), guessed="not-the-password-of-carol"), wrong_password, _CONTROLLED),
    ("rounds cert+eap left-out", lambda: RoundScenario(rounds_a=("cert", "eap"), rounds_b=("cert",), lazy="a"), left_out,
     _CONTROLLED),
    ("eap ppk-required", lambda: RoundScenario(rounds_a=("eap",), rounds_b=("cert",), ppk="required"), keyed, _CONTROLLED),
    ("eap ppk-optional", lambda: RoundScenario(rounds_a=("md5",), rounds_b=("cert",), ppk="optional"), keyed, _CONTROLLED),
    ("eap ppk-missing", lambda: RoundScenario(rounds_a=("eap",), rounds_b=("cert",), ppk="missing"), keyed, _CONTROLLED),
    ("rounds left-out", lambda: RoundScenario(lazy="a"), left_out, _CONTROLLED),
    ("redirect init", lambda: RedirectScenario(lines_b="    redirect_to = {second}\n    redirect_at = init\n"),
     sent_away, _OURS),
    # strongSwan 5.9.8 follows this one and ends with "double free detected".
    ("redirect auth", lambda: RedirectScenario(lines_b="    redirect_to = {second}\n"), sent_away,
     {("martlet", "martlet")}),
    ("redirect active", RedirectScenario, sent_away_connected, _CONTROLLED),
]

#: With the newest strongSwan: only when asked for by name.
NEWEST_CASES = [
    ("redirect auth", lambda: RedirectScenario(lines_b="    redirect_to = {second}\n"), sent_away,
     {("strongswan-newer", "martlet")}),
]
