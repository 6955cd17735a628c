"""Tunnels whose ends prove themselves with keys and certificates: every kind of key, chain and name, and what must fail."""

import base64
import os
import re
import shutil
from dataclasses import dataclass

from .authority import Authority, Issued
from .gateways import Martlet
from .processes import Failure, eventually, run
from .refusal import Refusal
from .scenario import CHILD, CONNECTION, Scenario
from .vici import Vici

DN = "C=CH, O=lab, CN={}.lab"


@dataclass
class CertificateScenario(Scenario):
    """`kind` is the key's; the rest says in what the case differs from the plain one: one authority, host names."""

    kind: str = "ecdsa256"
    #: What the peer at each side is told to accept, beside `auth = pubkey`.
    local_auth: str = "pubkey"
    remote_auth: str = "pubkey"
    #: Which kind of name: dns, ip, email, dn, wildcard.
    name: str = "dns"
    chain: str = "direct"
    #: Sides that prove themselves by the shared key.
    shared: tuple = ()
    #: More lines of charon's settings.
    charon: str = ""
    #: What is wrong: expired, future, name, untrusted, purpose, weak.
    wrong: str = ""
    #: How the key is stored: pem, encrypted, pkcs12, raw; in DER and in a directory of its kind: rsa, ecdsa, pkcs8.
    storage: str = "pem"
    #: The form of certificates: PEM or DER.
    form: str = "PEM"
    #: How a shared key is written: as text, hex, base64; or for whom: wildcard.
    spelling: str = "text"
    #: A certificate of this kind that comes before the right one, by an authority that the peer does not trust.
    decoy: str = ""
    #: The peer has the certificate already, and it is not sent.
    pinned: bool = False
    #: The certificate policy in all certificates, and the one that is asked for.
    policy: str = ""
    wanted_policy: str = ""
    more: str = ""
    #: What the right side's list of the authority says about the left's certificate: good, revoked, stale, missing.
    crl: str = ""
    #: Whether `martlet pki` makes everything, in place of openssl.
    pki: bool = False
    #: The right side's policy.
    revocation: str = "relaxed"
    #: Whose certificate says where to ask about it, and in what words (lines of openssl's extensions).
    checked: str = "a"
    places: str = ""

    def identity(self, side):
        """As whom a side speaks: as swanctl.conf writes it, and as a subjectAltName."""
        letter = side.letter
        return {
            "dns": (f"{letter}.lab", f"DNS:{letter}.lab"),
            "ip": (side.outer[self.outside], f"IP:{side.outer[self.outside]}"),
            "email": (f"{letter}@lab.example", f"email:{letter}@lab.example"),
            "dn": (DN.format(letter), f"DNS:{letter}.other"),
            "wildcard": (DN.format(letter), f"DNS:{letter}.other"),
        }[self.name]

    def expected(self, side):
        return "C=CH, O=lab, CN=*" if self.name == "wildcard" else self.identity(side)[0]

    def prepare(self, gateway, other):
        """Writes the gateway's keys and certificates."""
        if self.pki:
            self._prepare_by_martlet(gateway, other)
            return
        pki = Authority(os.path.join(os.path.dirname(gateway.directory), "pki"))
        # strongSwan wants to see a policy in the whole chain.
        policy = f"certificatePolicies={self.policy}\n" if self.policy else ""
        root = self._once(pki, "root", lambda: pki.ca("root", self._authority_kind(), more=policy))
        second = self._once(pki, "second", lambda: pki.ca("second")) if self.chain == "two" else None
        issuer = root
        if self.chain == "intermediate":
            issuer = self._once(pki, "middle", lambda: pki.ca("middle", issuer=root))
        if second is not None and gateway.side.letter == "b":
            issuer = second
        if self.wrong == "untrusted" and gateway.side.letter == "a":
            issuer = pki.ca("stranger")
        letter = gateway.side.letter
        names = self.identity(gateway.side)[1]
        if self.wrong == "name" and letter == "a":
            names = "DNS:somebody.else"
        days = -1 if self.wrong == "expired" and letter == "a" else 30
        more = "extendedKeyUsage=codeSigning\n" if self.wrong == "purpose" and letter == "a" else ""
        if letter == self.checked:
            more += self.places
        more += policy
        kind = "rsa1024" if self.wrong == "weak" and letter == "a" else self.kind
        own = pki.peer(letter, kind, issuer, f"/C=CH/O=lab/CN={letter}.lab", names, more, days,
                       is_future=self.wrong == "future" and letter == "a")
        folders = {name: os.path.join(gateway.directory, name)
                   for name in ("x509", "x509ca", "private", "pkcs12", "pubkey", "rsa", "ecdsa", "pkcs8")}
        for folder in folders.values():
            os.makedirs(folder, exist_ok=True)
        for authority in filter(None, (root, second)):
            shutil.copy(authority.certificate, folders["x509ca"])
        if self.chain == "intermediate":
            # Each has its own intermediate certificate, in the same directory; it need not have the other's.
            shutil.copy(issuer.certificate, folders["x509ca"])
        if self.storage == "encrypted":
            run(["openssl", "pkcs8", "-topk8", "-in", own.key, "-out", os.path.join(folders["private"], "own.pem"),
                 "-passout", f"pass:{self.secret}"]).require()
        elif self.storage == "pkcs12":
            run(["openssl", "pkcs12", "-export", "-inkey", own.key, "-in", own.certificate, "-passout",
                 f"pass:{self.secret}", "-out", os.path.join(folders["pkcs12"], "own.p12")]).require()
        elif self.storage in ("rsa", "ecdsa", "pkcs8"):
            into = ["-outform", "DER", "-out", os.path.join(folders[self.storage], "own.der")]
            command = {
                "rsa": ["rsa", "-traditional"], "ecdsa": ["ec"],
                "pkcs8": ["pkcs8", "-topk8", "-passout", f"pass:{self.secret}"],
            }[self.storage]
            run(["openssl", *command, "-in", own.key, *into]).require()
        else:
            shutil.copy(own.key, os.path.join(folders["private"], "own.pem"))
        if self.decoy and letter == "a":
            stranger = self._once(pki, "stranger", lambda: pki.ca("stranger"))
            decoy = pki.peer("decoy", self.decoy, stranger, f"/C=CH/O=lab/CN={letter}.lab", names)
            shutil.copy(decoy.key, os.path.join(folders["private"], "decoy.pem"))
            shutil.copy(decoy.certificate, os.path.join(folders["x509"], "decoy.pem"))
            # Ours to build a chain with; the other side does not have it.
            shutil.copy(stranger.certificate, folders["x509ca"])
        if self.storage == "raw":
            # Both raw keys must be there before either side starts.
            run(["openssl", "pkey", "-in", own.key, "-pubout", "-out",
                 os.path.join(folders["pubkey"], f"{letter}.pub")]).require()
            theirs = os.path.join(other.directory, "pubkey")
            os.makedirs(theirs, exist_ok=True)
            shutil.copy(os.path.join(folders["pubkey"], f"{letter}.pub"), theirs)
        elif self.storage != "pkcs12":
            run(["openssl", "x509", "-in", own.certificate, "-outform", self.form, "-out",
                 os.path.join(folders["x509"], "own.pem")]).require()
        if self.pinned:
            theirs = os.path.join(other.directory, "x509")
            os.makedirs(theirs, exist_ok=True)
            shutil.copy(own.certificate, os.path.join(theirs, f"{letter}.pem"))
        if letter == "a" and self.crl not in ("", "missing"):
            lists = os.path.join(other.directory, "x509crl")
            os.makedirs(lists, exist_ok=True)
            pki.crl(issuer, os.path.join(lists, "lab.pem"), [own] if self.crl == "revoked" else [], self.crl == "stale")
        if gateway.kind == "strongswan":
            gateway.settings = self.charon

    def _prepare_by_martlet(self, gateway, other):
        place = os.path.join(os.path.dirname(gateway.directory), "martlet-pki")
        letter = gateway.side.letter

        def pki(*words):
            return run([Martlet.executable, "pki", *words]).require()

        if not os.path.exists(place):
            pki("ca", "--dir", place, "--name", "C=CH, O=lab, CN=root")
        pki("gateway", "--dir", place, f"{letter}.lab")
        for source, folder, name in ((f"{letter}.lab.pem", "x509", "own.pem"), ("ca.pem", "x509ca", "ca.pem"),
                                     (f"{letter}.lab.key.pem", "private", "own.pem")):
            os.makedirs(os.path.join(gateway.directory, folder), exist_ok=True)
            shutil.copy(os.path.join(place, source), os.path.join(gateway.directory, folder, name))
        if letter == "a" and self.crl:
            if self.crl == "revoked":
                pki("revoke", "--dir", place, "a.lab", "--reason", "key-compromise")
            pki("crl", "--dir", place)
            os.makedirs(os.path.join(other.directory, "x509crl"), exist_ok=True)
            shutil.copy(os.path.join(place, "crl.pem"), os.path.join(other.directory, "x509crl"))

    def _authority_kind(self):
        return "rsa2048" if self.kind in ("rsa1024", "rsa4096") else self.kind

    def _once(self, pki, name, make):
        path = os.path.join(pki.directory, f"{name}.pem")
        if os.path.exists(path):
            return Issued(pki.directory, name)
        return make()

    def _round(self, side, peer, is_local):
        """A `local` or `remote` section of `peer`'s opposite."""
        if side.letter in self.shared:
            return f"auth = psk\n      id = {self.identity(side)[0]}"
        if self.storage == "raw":
            return f"auth = pubkey\n      pubkeys = {side.letter}.pub\n      id = {self.identity(side)[0]}"
        if is_local:
            first = "decoy.pem, " if self.decoy and side.letter == "a" else ""
            own = "" if self.storage == "pkcs12" else f"\n      certs = {first}own.pem"
            return f"auth = {self.local_auth}{own}\n      id = \"{self.identity(side)[0]}\""
        policy = f"\n      revocation = {self.revocation}" if (self.crl or self.places) and side.letter == self.checked else ""
        if self.pinned:
            policy += f"\n      certs = {side.letter}.pem"
        if self.wanted_policy:
            policy += f"\n      cert_policy = {self.wanted_policy}"
        return f"auth = {self.remote_auth}\n      id = \"{self.expected(side)}\"{policy}"

    def configuration(self, side, other):
        mine = self.settings(side, other)
        password = {
            "encrypted": f"private-own {{\n    file = own.pem\n    secret = \"{self.secret}\"\n  }}",
            "pkcs12": f"pkcs12-own {{\n    file = own.p12\n    secret = \"{self.secret}\"\n  }}",
            "pkcs8": f"pkcs8-own {{\n    file = own.der\n    secret = \"{self.secret}\"\n  }}",
        }.get(self.storage, "")
        octets = mine.secret.encode()
        spelled = {"hex": "0x" + octets.hex(), "base64": "0s" + base64.b64encode(octets).decode()}.get(
            self.spelling, mine.secret)
        owners = "id-1 = \"*.lab\"\n    " if self.spelling == "wildcard" else ""
        return f"""connections {{
  {CONNECTION} {{
    version = 2
    local_addrs = {side.outer[self.outside]}
    remote_addrs = {other.outer[self.outside]}
    proposals = {mine.ike}
    mobike = no
    {self.more}
    local {{
      {self._round(side, other, True)}
    }}
    remote {{
      {self._round(other, side, False)}
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
  ike-lab {{
    {owners}secret = "{spelled}"
  }}
  {password}
}}
"""


def tunnel(bench, options):
    """Up, used, down; and each Martlet names the certificate of its peer."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    bench.require_counted()
    scenario = bench.scenario
    for gateway in bench.gateways:
        other = bench.other(gateway)
        if gateway.kind != "martlet" or other.side.letter in scenario.shared:
            continue
        named = "raw public key" if scenario.storage == "raw" else rf"CN={other.side.letter}\.lab"
        eventually(lambda: re.search(f"proved its identity with .*{named}", gateway.log_text()), 3,
                   f"{gateway.name} names its peer's certificate")
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    keys_kept(bench)


def loaded(bench, options):
    """The same, and what swanctl loaded is named, listed and unloaded as from strongSwan."""
    facts = []

    def look(gateway):
        keys = ask(gateway, "get-keys").get("keys", [])
        if len(keys) != 1 or not re.fullmatch("[0-9a-f]{40}", keys[0]):
            raise Failure(f"{gateway.name} names its keys {keys}")
        return [
            gateway.swanctl("--list-certs", *words).require().out
            for words in (["--type", "x509", "--flag", "ca"], ["--raw", "--type", "x509", "--flag", "ca"])]

    tunnel_up(bench)
    first, second = (look(gateway) for gateway in bench.gateways)
    if bench.scenario.chain != "intermediate" and sorted(first[0].splitlines()) != sorted(second[0].splitlines()):
        raise Failure(f"--list-certs of authorities differs: {first[0]!r} here, {second[0]!r} there")
    for gateway in bench.gateways:
        text = gateway.swanctl("--list-certs").require().out
        if bench.scenario.storage != "raw" and "has private key" not in text:
            raise Failure(f"{gateway.name} does not know its private key: {text!r}")
        facts.append(len(text.splitlines()))
        before = ask(gateway, "get-keys")
        gateway.swanctl("--load-all", "--noprompt", "--file", gateway.configuration_file).require()
        if ask(gateway, "get-keys") != before:
            raise Failure(f"{gateway.name}: loading again changes keys: {before}")
    bench.left.terminate().require()
    bench.require_down()
    # The key taken out: nothing comes up any more. Loaded again: it does.
    for gateway in bench.gateways:
        if gateway.kind == "strongswan":
            continue
        key = ask(gateway, "get-keys")["keys"][0]
        ask(gateway, "unload-key", {"id": key})
        if ask(gateway, "get-keys").get("keys"):
            raise Failure(f"{gateway.name} keeps a key that was unloaded")
        if bench.left.initiate(timeout=6).code == 0:
            raise Failure("a tunnel came up without a private key")
        gateway.swanctl("--load-all", "--clear", "--noprompt", "--file", gateway.configuration_file).require()
        # The peer may still hold a half of what did not come up.
        eventually(lambda: bench.left.initiate().code == 0, 20, "up again with the key loaded again")
        bench.left.terminate().require()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    keys_kept(bench)
    return f"list-certs {'/'.join(map(str, facts))} lines"


def ask(gateway, command, arguments=None):
    with Vici(gateway.socket) as vici:
        return vici.require(command, arguments)


def tunnel_up(bench):
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    bench.require_counted()
    bench.network.require_nothing_plain()


def keys_kept(bench):
    """No line of a private key's file occurs in a log."""
    for gateway in bench.gateways:
        if gateway.kind != "martlet":
            continue
        folder = os.path.join(gateway.directory, "private")
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="latin-1") as source:
                for line in source:
                    if not line.startswith("-") and len(line) > 20 and line.strip() in gateway.log_text():
                        raise Failure(f"a line of a private key occurs in what {gateway.name} says")


def _rows():
    yield from ((kind, dict(kind=kind)) for kind in (
        "rsa2048", "rsa3072", "rsa4096", "ecdsa256", "ecdsa384", "ecdsa521", "ed25519", "ed448"))
    yield "rsa3072-pss", dict(
        kind="rsa3072", local_auth="ike:rsa/pss-sha256", remote_auth="rsa-3072-ike:rsa/pss-sha256",
        charon="rsa_pss = yes")
    yield "rsa2048-sha512", dict(kind="rsa2048", local_auth="rsa-sha512", remote_auth="pubkey")
    for bits, hashed in ((2048, 256), (4096, 512)):
        yield f"rsa{bits}-pss", dict(
            kind=f"rsa{bits}", local_auth=f"ike:rsa/pss-sha{hashed}", remote_auth=f"rsa-2048-ike:rsa/pss-sha{hashed}",
            charon="rsa_pss = yes")
    for kind in ("rsa2048", "rsa3072", "rsa4096", "ecdsa256", "ecdsa384", "ecdsa521"):
        # Without RFC 7427: methods 1, 9, 10 and 11.
        yield f"{kind}-classic", dict(kind=kind, charon="signature_authentication = no")
    yield "psk-and-certificate", dict(shared=("a",))
    yield "certificate-and-psk", dict(shared=("b",))
    yield "intermediate", dict(chain="intermediate")
    yield "two-authorities", dict(chain="two")
    yield "ip-name", dict(name="ip")
    yield "email-name", dict(name="email")
    yield "dn", dict(name="dn")
    yield "wildcard-dn", dict(name="wildcard")
    yield "encrypted-key", dict(storage="encrypted")
    yield "pkcs12", dict(kind="rsa2048", storage="pkcs12")
    yield "directory-rsa", dict(kind="rsa2048", storage="rsa", form="DER")
    yield "directory-ecdsa", dict(kind="ecdsa384", storage="ecdsa", form="DER")
    yield "directory-pkcs8", dict(storage="pkcs8")
    for spelling in ("text", "hex", "base64", "wildcard"):
        yield f"psk-{spelling}", dict(shared=("a", "b"), spelling=spelling)
    yield "several-candidates", dict(decoy="rsa2048")
    yield "pinned", dict(pinned=True, more="send_cert = never\n    send_certreq = no")
    yield "policy", dict(policy="1.3.6.1.4.1.99999.1", wanted_policy="1.3.6.1.4.1.99999.1")
    yield "minimum-strength", dict(kind="rsa3072", remote_auth="rsa-3072-sha256-sha384-sha512")
    yield "raw-keys", dict(kind="ecdsa256", storage="raw")
    yield "martlet-pki", dict(pki=True, crl="good", revocation="strict")
    yield "send-always", dict(more="send_cert = always\n    send_certreq = no")


ROWS = [(f"cert {name}", lambda settings=settings: CertificateScenario(**settings)) for name, settings in _rows()]

#: Loaded by swanctl into a Martlet that was started with an empty file.
LOADED = [
    (name, scenario) for name, scenario in ROWS
    if name.removeprefix("cert ") in (
        "rsa2048", "ecdsa256", "ed25519", "intermediate", "two-authorities", "encrypted-key", "pkcs12", "raw-keys",
        "wildcard-dn", "directory-rsa", "directory-ecdsa", "directory-pkcs8")]

#: Where the list lets the peer in.
ROWS += [
    (f"cert crl-{crl} {policy}", lambda crl=crl, policy=policy: CertificateScenario(crl=crl, revocation=policy))
    for crl, policy in (("good", "strict"), ("good", "relaxed"), ("stale", "relaxed"), ("missing", "relaxed"),
                        ("missing", "ifuri"))]

_FAILED = "AUTHENTICATION_FAILED|AUTH_FAILED"

#: The left side is the one with the bad certificate; the right one must say why.
REFUSALS = [
    Refusal("cert expired", lambda: CertificateScenario(wrong="expired"), _FAILED, sent=r"a\.lab",
            configured=r"has expired.*ended on 20"),
    Refusal("cert not-yet-valid", lambda: CertificateScenario(wrong="future"), _FAILED, sent=r"a\.lab",
            configured=r"not valid yet.*begins on 2040.*clock"),
    Refusal("cert wrong-name", lambda: CertificateScenario(wrong="name"), _FAILED, sent=r"a\.lab",
            configured=r"CN=a\.lab|somebody\.else"),
    Refusal("cert untrusted", lambda: CertificateScenario(wrong="untrusted"), _FAILED, sent=r"a\.lab",
            configured=r"issuer is 'C=CH, O=lab, CN=stranger'"),
]
REFUSALS += [
    Refusal(f"cert crl-{crl} {policy}", lambda crl=crl, policy=policy: CertificateScenario(crl=crl, revocation=policy),
            _FAILED, sent=r"a\.lab", configured=words)
    for crl, policy, words in (
        ("revoked", "relaxed", "has been revoked"), ("revoked", "strict", "has been revoked"),
        ("stale", "strict", "out of date"), ("missing", "strict", "no revocation list"))]
REFUSALS += [
    Refusal("cert wrong-policy", lambda: CertificateScenario(
        policy="1.3.6.1.4.1.99999.1", wanted_policy="1.3.6.1.4.1.99999.2"), _FAILED, sent=r"[ab]\.lab",
        configured=r"certificate policies.*1\.3\.6\.1\.4\.1\.99999\.2"),
    Refusal("cert too-short-a-key", lambda: CertificateScenario(
        kind="rsa2048", remote_auth="rsa-3072-sha256-sha384-sha512"), _FAILED, sent=r"[ab]\.lab",
        configured=r"RSA 2048.*3072"),
]
REFUSALS.append(
    Refusal("cert martlet-pki-revoked", lambda: CertificateScenario(pki=True, crl="revoked"), _FAILED, sent=r"a\.lab",
            configured="has been revoked"))
#: What strongSwan would let in: refused by Martlet on the right only.
STRICTER = [
    Refusal("cert wrong-purpose", lambda: CertificateScenario(wrong="purpose"), _FAILED, sent=r"a\.lab",
            configured=r"for other purposes.*1\.3\.6\.1\.5\.5\.7\.3\.3"),
    Refusal("cert weak-key", lambda: CertificateScenario(kind="rsa2048", wrong="weak"), _FAILED, sent=r"a\.lab",
            configured=r"RSA 1024.*RSA from 2048"),
]

