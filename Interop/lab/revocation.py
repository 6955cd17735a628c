"""Revocation asked of servers: lists by HTTP and OCSP responders, good, bad and absent, under each policy; and OCSP
answers that travel with the certificates (RFC 4806)."""

import os
import re
import time
from dataclasses import dataclass, field

from . import status
from .authority import Authority, Issued
from .certified import CertificateScenario
from .extensible import EAPScenario
from .processes import Daemon, Failure, eventually, run
from .usage import usage

LISTS, RESPONDER = 8088, 8089
#: Certificates in a list of more than 20 MB.
HUGE = 800_000
PLACES = {
    "crl": f"crlDistributionPoints=URI:http://127.0.0.1:{LISTS}/lab.crl\n",
    "ocsp": f"authorityInfoAccess=OCSP;URI:http://127.0.0.1:{RESPONDER}/\n",
    "section": "",
}


@dataclass
class Asked(CertificateScenario):
    """The Martlet of the pair checks the other's certificate, which is `checked`'s."""

    #: crl, ocsp, or section: where only the configuration's authority says where to ask.
    by: str = "crl"
    #: What the server says: good, revoked, stale, missing, wrong-signer, delegated.
    says: str = "good"
    private: bool = True
    #: At whose side the servers are: the checker's, or the one that is checked.
    at_checked: bool = False
    #: Seconds that the responder takes for each answer.
    slow: float = 0
    servers: list = field(default_factory=list)

    def __post_init__(self):
        self.places = PLACES[self.by]

    def prepare(self, gateway, other):
        super().prepare(gateway, other)
        if gateway.side.letter != self.checked:
            return
        place = os.path.join(os.path.dirname(gateway.directory), "pki")
        pki, root, own = Authority(place), Issued(place, "root"), Issued(place, self.checked)
        web = os.path.join(place, "web")
        os.makedirs(web, exist_ok=True)
        log = os.path.join(place, "server.log")
        netns = (gateway if self.at_checked else other).side.netns
        if self.by in ("crl", "section"):
            if self.says != "missing":
                path = os.path.join(place, "lab.pem")
                pki.crl(root, path, [own] if self.says == "revoked" else [], self.says == "stale",
                        HUGE if self.says == "huge" else 0)
                run(["openssl", "crl", "-in", path, "-outform", "DER", "-out", os.path.join(web, "lab.crl")]).require()
            self.servers.append(Daemon(
                ["python3", "-m", "http.server", str(LISTS), "--bind", "127.0.0.1", "--directory", web], log, netns))
        elif self.says != "missing":
            signer = root
            if self.says == "wrong-signer":
                signer = pki.ca("impostor")
            if self.says == "delegated":
                signer = pki.peer("responder", "ecdsa256", root, "/C=CH/O=lab/CN=responder", "DNS:ocsp.lab",
                                  "extendedKeyUsage=OCSPSigning\n")
            index = os.path.join(place, "index")
            serial = run(["openssl", "x509", "-in", own.certificate, "-noout", "-serial"]).require().out
            serial = serial.strip().split("=")[1]
            state = "R\t300101000000Z\t250101000000Z" if self.says == "revoked" else "V\t300101000000Z\t"
            with open(index, "w", encoding="utf-8") as sink:
                sink.write(f"{state}\t{serial}\tunknown\t/C=CH/O=lab/CN={self.checked}.lab\n")
            if self.says == "stale" or self.slow:
                self.servers.append(Daemon(self._fixed(place, root, own, index), log, netns))
                return
            self.servers.append(Daemon(
                ["openssl", "ocsp", "-index", index, "-port", str(RESPONDER), "-rsigner", signer.certificate,
                 "-rkey", signer.key, "-CA", root.certificate, "-nmin", "30", "-ignore_err"], log, netns))

    def _fixed(self, place, root, own, index):
        """A responder that gives one answer, which was made before it was asked."""
        path = os.path.join(place, "answer")
        run(["openssl", "ocsp", "-issuer", root.certificate, "-cert", own.certificate, "-no_nonce", "-reqout",
             path + ".request"]).require()
        run(["openssl", "ocsp", "-reqin", path + ".request", "-index", index, "-rsigner", root.certificate, "-rkey",
             root.key, "-CA", root.certificate, "-nmin", "30", "-respout", path]).require()
        if self.says == "stale":
            with open(path, "rb") as source:
                answer = status.dated(source.read(), 2020, root.key)
            with open(path, "wb") as sink:
                sink.write(answer)
        return status.command(RESPONDER, path, self.slow)

    def configuration(self, side, other):
        text = super().configuration(side, other)
        if other.letter == self.checked:
            if self.private:
                text += "martlet {\n  plugins {\n    revocation {\n      private_addresses = yes\n    }\n  }\n}\n"
            if self.by == "section":
                text += (f"authorities {{\n  lab {{\n    cacert = root.pem\n"
                         f"    crl_uris = http://127.0.0.1:{LISTS}/lab.crl\n  }}\n}}\n")
        return text

    def is_up(self):
        """Whether the peer is to be let in, and what Martlet has to say about it."""
        if self.says == "revoked":
            return False, "has been revoked"
        if self.says in ("good", "delegated", "huge") and (self.private or self.by == "section"):
            return True, "not revoked|proved its identity"
        words = {"stale": "out of date", "missing": "answers 404|no way there", "wrong-signer": "may not answer"}
        reason = words.get(self.says, "private address")
        return self.revocation == "relaxed", reason if self.revocation != "relaxed" else "proved its identity"



@dataclass
class AskedInTLS(Asked, EAPScenario):
    """The certificate is one that the client shows in EAP-TLS."""

    client: str = "eap-tls"
    gateway: str = "eap-tls"
    said: str = "a.lab"
    known: str = "a.lab"

    def _remote(self, other):
        policy = f"\n      revocation = {self.revocation}" if other.letter == self.checked else ""
        return super()._remote(other) + policy


@dataclass
class InBand(Asked):
    """Nobody but the peer itself reaches the responder: it asks about its own certificate, and brings the answer."""

    by: str = "ocsp"
    at_checked: bool = True

    def configuration(self, side, other):
        text = super().configuration(side, other)
        if other.letter == self.checked:
            text = text.replace("    mobike = no\n", "    mobike = no\n    ocsp = request\n")
        return text


def brought(bench, options):
    """Up where the peer brought a good answer, or where nobody insists on one; refused else, in the checker's words."""
    scenario = bench.scenario
    try:
        bench.set_up()
        checker = next(each for each in bench.gateways if each.side.letter != scenario.checked)
        attempt = bench.left.initiate()
        is_good = scenario.says == "good"
        wanted = is_good or (scenario.revocation == "relaxed" and scenario.says != "revoked")
        if wanted:
            attempt.require()
            bench.require_up(count=1)
            bench.require_pings()
        elif any(gateway.children() for gateway in bench.gateways):
            raise Failure(f"the tunnel came up: {attempt.text[-200:]}")
        if checker.kind == "martlet":
            words = {"good": "not revoked, says an OCSP answer that the peer brought", "revoked": "has been revoked",
                     "missing": "proved its identity" if wanted else "can't be told whether|nobody can tell|revoc"}
        else:
            words = {"good": "certificate status is good", "revoked": "was revoked",
                     "missing": "certificate status is not available"}
        eventually(lambda: re.search(words[scenario.says], checker.log_text()), 3,
                   f"{checker.name} says {words[scenario.says]!r}")
        if wanted:
            # A second handshake shows the answer that is kept.
            bench.left.terminate().require()
            bench.require_down()
            bench.left.initiate().require()
            bench.require_up(count=1)
            bench.left.terminate().require()
            bench.require_down()
        bench.require_clean_stop()
        bench.require_secrets_kept()
        found = re.findall(rf".*(?:{words[scenario.says]}).*", checker.log_text())
        return found[-1][-160:] if found else ""
    finally:
        for server in scenario.servers:
            server.kill()


#: What peers may bring, and who has that done.
IN_BAND = [
    (f"revocation in-band {says} {policy}", says, policy) for says, policy in (
        ("good", "strict"), ("revoked", "strict"), ("revoked", "relaxed"), ("missing", "strict"),
        ("missing", "relaxed"))
]


def judged(bench, options):
    """Up or refused as the server's word and the policy say; a refusal names the reason."""
    scenario = bench.scenario
    try:
        bench.set_up()
        checker = next(
            each for each in bench.gateways if each.kind == "martlet" and each.side.letter != scenario.checked)
        wanted, words = scenario.is_up()
        attempt = bench.left.initiate()
        if wanted:
            attempt.require()
            bench.require_up(count=1)
            bench.require_pings()
        elif any(gateway.children() for gateway in bench.gateways if gateway.kind == "martlet"):
            raise Failure(f"the tunnel came up: {attempt.text[-200:]}")
        eventually(lambda: re.search(words, checker.log_text()), 3, f"{checker.name} says {words!r}")
        bench.network.require_nothing_plain()
        if scenario.says == "huge":
            facts = _weigh(bench, checker)
        if wanted:
            bench.left.terminate().require()
            bench.require_down()
        bench.require_clean_stop()
        bench.require_secrets_kept()
        if scenario.says == "huge":
            return facts
        found = re.findall(rf".*(?:{words}).*", checker.log_text())
        return found[-1][-160:] if found else ""
    finally:
        for server in scenario.servers:
            server.kill()


def _weigh(bench, checker):
    """A list of more than 20 MB: what it costs, and that a second handshake does not fetch it again."""
    size = os.path.getsize(os.path.join(os.path.dirname(checker.directory), "pki", "web", "lab.crl"))
    if size < 20 << 20:
        raise Failure(f"the list has {size} octets only")
    with open(os.path.join(os.path.dirname(checker.directory), "pki", "server.log"), encoding="utf-8") as source:
        fetched = source.read().count("GET /lab.crl")
    bench.left.terminate().require()
    bench.require_down()
    before = time.monotonic()
    bench.left.initiate().require()
    again = time.monotonic() - before
    with open(os.path.join(os.path.dirname(checker.directory), "pki", "server.log"), encoding="utf-8") as source:
        if source.read().count("GET /lab.crl") != fetched:
            raise Failure("a list that holds was fetched again")
    resident = usage(checker.daemon.pid)
    if resident.highest > 1 << 30:
        raise Failure(f"{checker.name} took {resident.highest >> 20} MB")
    return f"{size >> 20} MB, {resident.highest >> 20} MB resident at most, up again in {again:.2f} s"


#: What may be heard about a certificate in EAP-TLS.
IN_TLS = [
    (f"revocation eap-tls {by} {says} {policy}", lambda by=by, says=says, policy=policy: AskedInTLS(
        by=by, says=says, revocation=policy, checked="a"))
    for by, says, policy in (
        ("crl", "good", "strict"), ("crl", "revoked", "relaxed"), ("crl", "missing", "strict"),
        ("ocsp", "good", "strict"), ("ocsp", "delegated", "ifuri"), ("ocsp", "revoked", "ifuri"),
        ("ocsp", "wrong-signer", "strict"), ("ocsp", "missing", "relaxed"))
]


def rows(checked):
    """All that a Martlet may hear about `checked`'s certificate."""
    table = [("crl", says, policy) for says in ("good", "revoked", "stale", "missing")
             for policy in ("strict", "ifuri", "relaxed")]
    table += [("ocsp", says, policy) for says in ("good", "delegated", "revoked", "stale", "wrong-signer", "missing")
              for policy in ("strict", "ifuri", "relaxed")]
    table += [("section", "good", "strict"), ("section", "revoked", "relaxed")]
    for by, says, policy in table:
        yield f"revocation {by} {says} {policy}", lambda by=by, says=says, policy=policy: Asked(
            by=by, says=says, revocation=policy, checked=checked)
    yield "revocation crl huge strict", lambda: Asked(by="crl", says="huge", revocation="strict", checked=checked)
    yield "revocation crl private-address strict", lambda: Asked(
        by="crl", says="good", revocation="strict", checked=checked, private=False)
