"""Keys and certificates for scenario directories, made anew for each play: none of anybody's lie beside the scenarios.

`test.conf` says what there is: CERTIFICATES, the kind of all keys; BELOW, whose certificate an authority in between has
issued (`carol=research`); REVOKED, whose certificates, or which authorities', are revoked; SERVERS, what winnetou serves
(crl, ocsp), where certificates say to ask. Each host finds `strongswanCert.pem` in x509ca, `HOSTCert.pem` in x509 and
`HOSTKey.pem` in private.
"""

import os
import shutil

from . import status
from .authority import Authority, Issued
from .processes import Daemon, Failure, eventually, run

WEB, RESPONDER = "192.168.0.150:8880", "192.168.0.150:8881"
SUBJECT = "/C=CH/O=strongSwan Project/CN={}"
#: Road warriors are known by e-mail addresses, gateways by host names.
WARRIORS = ("carol", "dave")


def name(host):
    return f"{host}@strongswan.org" if host in WARRIORS else f"{host}.strongswan.org"


class Credentials:
    """All that one play needs, in one directory."""

    def __init__(self, settings, directory):
        self.kind = settings["CERTIFICATES"]
        self.below = dict(pair.split("=") for pair in settings.get("BELOW", "").split())
        self.revoked = settings.get("REVOKED", "").split()
        self.served = settings.get("SERVERS", "").split()
        self.pki = Authority(os.path.join(directory, "pki"))
        self.root = self.pki.ca("strongswan", self.kind, subject=SUBJECT.format("strongSwan Root CA"))
        self.between = {
            each: self.pki.issue(
                each, self.kind, self.root, SUBJECT.format(f"{each.capitalize()} CA"),
                "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
                + self._places("strongswan"))
            for each in sorted(set(self.below.values()))}

    def _places(self, issuer):
        """Where a certificate of this issuer's says to ask about it."""
        places = ""
        if "crl" in self.served:
            places += f"crlDistributionPoints=URI:http://{WEB}/{issuer}.crl\n"
        if "ocsp" in self.served and issuer == "strongswan":
            places += f"authorityInfoAccess=OCSP;URI:http://{RESPONDER}/\n"
        return places

    def equip(self, host, place):
        """Puts what a host has into its directory."""
        issuer = self.between.get(self.below.get(host), self.root)
        kind = "email" if host in WARRIORS else "DNS"
        own = self.pki.peer(
            host, self.kind, issuer, SUBJECT.format(name(host)), f"{kind}:{name(host)}", self._places(issuer.name))
        authorities = [self.root] + ([issuer] if issuer is not self.root else [])
        for source, folder, file in [
                (own.key, "private", f"{host}Key.pem"), (own.certificate, "x509", f"{host}Cert.pem"),
                *((each.certificate, "x509ca", f"{each.name}Cert.pem") for each in authorities)]:
            os.makedirs(os.path.join(place, folder), exist_ok=True)
            shutil.copy(source, os.path.join(place, folder, file))

    def server(self, host):
        """A key and a certificate for a server that is no gateway."""
        return self.pki.peer(
            f"{host}-server", self.kind, self.root, SUBJECT.format(name(host)), f"DNS:{name(host)}",
            "extendedKeyUsage=serverAuth\n")

    def serve(self, netns):
        """Starts what winnetou serves."""
        servers = []
        log = os.path.join(self.pki.directory, "server.log")
        gone = [Issued(self.pki.directory, each) for each in self.revoked]
        if "crl" in self.served:
            web = os.path.join(self.pki.directory, "web")
            os.makedirs(web)
            for issuer in [self.root, *self.between.values()]:
                path = os.path.join(self.pki.directory, f"{issuer.name}.list")
                self.pki.crl(issuer, path, [each for each in gone if self._issuer(each.name) is issuer])
                run(["openssl", "crl", "-in", path, "-outform", "DER", "-out",
                     os.path.join(web, f"{issuer.name}.crl")]).require()
            servers.append(Daemon(status.command(8880, web, address="192.168.0.150"), log, netns))
        if "ocsp" in self.served:
            signer = self.pki.peer(
                "responder", self.kind, self.root, SUBJECT.format("ocsp.strongswan.org"), "DNS:ocsp.strongswan.org",
                "extendedKeyUsage=OCSPSigning\n")
            index = os.path.join(self.pki.directory, "index")
            with open(index, "w", encoding="utf-8") as sink:
                for file in sorted(os.listdir(self.pki.directory)):
                    host = file.removesuffix(".ext")
                    if host != file and self._issuer(host) is self.root and host != "strongswan":
                        sink.write(self._entry(host))
            servers.append(Daemon(
                ["openssl", "ocsp", "-index", index, "-port", "8881", "-rsigner", signer.certificate, "-rkey",
                 signer.key, "-CA", self.root.certificate, "-nmin", "30", "-ignore_err"], log, netns))
        for port in [8880] * ("crl" in self.served) + [8881] * ("ocsp" in self.served):
            eventually(lambda: f":{port} " in run(["ss", "-ltnH"], netns=netns).out, 5, f"port {port} is served")
        return servers

    def _issuer(self, host):
        return self.between.get(self.below.get(host), self.root)

    def _entry(self, host):
        serial = run(["openssl", "x509", "-in", Issued(self.pki.directory, host).certificate, "-noout",
                      "-serial"]).require().out.strip().split("=")[1]
        state = "R\t300101000000Z\t250101000000Z" if host in self.revoked else "V\t300101000000Z\t"
        return f"{state}\t{serial}\tunknown\t{SUBJECT.format(name(host))}\n"


def of(scenario, directory):
    """What a scenario needs; None where it says nothing of certificates."""
    if "CERTIFICATES" not in scenario.settings:
        return None
    strangers = set(scenario.settings.get("SERVERS", "").split()) - {"crl", "ocsp"}
    if strangers:
        raise Failure(f"{scenario.name}: nobody serves {', '.join(sorted(strangers))}")
    return Credentials(scenario.settings, directory)
