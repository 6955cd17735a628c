"""A certificate authority for one case: keys and certificates made by openssl, in the case's own directory."""

import os

from .processes import run

#: openssl's words for the kinds of keys.
KINDS = {
    **{f"rsa{bits}": ["-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}"] for bits in (1024, 2048, 3072, 4096)},
    **{f"ecdsa{bits}": ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:P-{bits}"] for bits in (256, 384, 521)},
    "ed25519": ["-algorithm", "ED25519"], "ed448": ["-algorithm", "ED448"],
}


class Issued:
    """A key and its certificate, as files."""

    def __init__(self, directory, name):
        self.name = name
        self.key = os.path.join(directory, f"{name}.key")
        self.certificate = os.path.join(directory, f"{name}.pem")


class Authority:
    """Makes keys, and certificates signed by itself or by one that it made. Names are files in one directory."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)

    def key(self, name, kind):
        issued = Issued(self.directory, name)
        run(["openssl", "genpkey", *KINDS[kind], "-out", issued.key], timeout=60).require()
        return issued

    def ca(self, name, kind="ecdsa256", issuer=None, subject=None, more=""):
        """An authority's certificate; its own issuer when there is no other."""
        return self.issue(
            name, kind, issuer, subject or f"/C=CH/O=lab/CN={name}",
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n" + more)

    def peer(self, name, kind, issuer, subject, names, more="", days=30, is_future=False):
        return self.issue(
            name, kind, issuer, subject,
            f"keyUsage=critical,digitalSignature\nsubjectAltName={names}\nsubjectKeyIdentifier=hash\n"
            f"authorityKeyIdentifier=keyid\n{more}", days, is_future)

    def crl(self, issuer, path, revoked=(), is_stale=False, others=0):
        """A revocation list of `issuer` with these certificates in it, and so many others, at `path`."""
        base = os.path.join(self.directory, f"{issuer.name}.db")
        config = base + ".cnf"
        with open(config, "w", encoding="utf-8") as sink:
            sink.write(f"[ca]\ndefault_ca = lab\n[lab]\ndatabase = {base}\ncrlnumber = {base}.number\n"
                       f"default_crl_days = 30\ndefault_md = sha256\ncrl_extensions = names\n"
                       # Without its issuer's key identifier, strongSwan does not find a list.
                       f"[names]\nauthorityKeyIdentifier = keyid:always\n")
        strangers = "".join(
            f"R\t300101000000Z\t250101000000Z\t7F{number:014X}\tunknown\t/CN={number}\n" for number in range(others))
        for name, text in ((base, strangers), (base + ".number", "01\n"), (base + ".attr", "unique_subject = no\n")):
            with open(name, "w", encoding="utf-8") as sink:
                sink.write(text)
        keys = ["-config", config, "-keyfile", issuer.key, "-cert", issuer.certificate]
        for each in revoked:
            run(["openssl", "ca", *keys, "-revoke", each.certificate]).require()
        times = ["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200201000000Z"] if is_stale else []
        run(["openssl", "ca", *keys, "-gencrl", *times, "-out", path], timeout=100).require()

    def issue(self, name, kind, issuer, subject, extensions, days=30, is_future=False):
        issued = self.key(name, kind)
        request, config = (os.path.join(self.directory, f"{name}.{end}") for end in ("csr", "ext"))
        with open(config, "w", encoding="utf-8") as sink:
            sink.write(extensions)
        run(["openssl", "req", "-new", "-key", issued.key, "-subj", subject, "-out", request]).require()
        if is_future:
            self._sign_for_later(issuer, request, config, issued.certificate)
            return issued
        signer = ["-CA", issuer.certificate, "-CAkey", issuer.key] if issuer else ["-signkey", issued.key]
        run(["openssl", "x509", "-req", "-in", request, *signer, "-days", days, "-extfile", config,
             "-set_serial", str(int.from_bytes(os.urandom(8), "big") >> 1), "-out", issued.certificate]).require()
        return issued

    def _sign_for_later(self, issuer, request, extensions, path):
        """A certificate that begins in 2040: `openssl x509` can't make one."""
        base = os.path.join(self.directory, f"{issuer.name}.later")
        with open(base + ".cnf", "w", encoding="utf-8") as sink:
            sink.write(f"[ca]\ndefault_ca = lab\n[lab]\ndatabase = {base}\nnew_certs_dir = {self.directory}\n"
                       f"rand_serial = yes\ndefault_md = sha256\npolicy = any\n[any]\n"
                       f"countryName = optional\norganizationName = optional\ncommonName = supplied\n")
        with open(base, "w", encoding="utf-8"):
            pass
        run(["openssl", "ca", "-batch", "-notext", "-preserveDN", "-config", base + ".cnf", "-keyfile", issuer.key,
             "-cert", issuer.certificate, "-in", request, "-extfile", extensions, "-startdate", "20400101000000Z",
             "-enddate", "20410101000000Z", "-out", path]).require()
