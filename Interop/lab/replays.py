"""The clients built into Windows, Apple's systems and Android, as scripts that send what they send."""

import json
import os
import shutil
from dataclasses import dataclass

from .processes import Daemon, Failure, eventually, run
from .scenario import CHILD, CONNECTION, Scenario

HERE = os.path.dirname(os.path.abspath(__file__))
PLAY = os.path.join(os.path.dirname(HERE), "replay", "play.py")
SERVER = "vpn.lab"
POOL, NAME_SERVER = "10.3.0.0/24", "10.2.0.53"


@dataclass
class Replay(Scenario):
    """Side b is a gateway with `profile = …`; side a is the script."""

    kind: str = "windows"
    #: How the client proves itself: password or certificate.
    proof: str = "password"
    #: Whether the script is told another password than the gateway.
    is_wrong: bool = False

    @property
    def profile(self):
        return self.kind.split("-")[0]

    @property
    def user(self):
        return "carol@lab" if self.proof == "certificate" else "carol"

    def configuration(self, side, other):
        remote = "auth = pubkey\n      cacerts = ca.pem" if self.proof == "certificate" else \
            "auth = eap-mschapv2\n      eap_id = %any"
        password = "" if self.proof == "certificate" else f"""secrets {{
  eap-carol {{
    id = carol
    secret = "{self.secret}"
  }}
}}
"""
        return f"""connections {{
  {CONNECTION} {{
    version = 2
    profile = {self.profile}
    local_addrs = {side.outer[4]}
    pools = four
    local {{
      auth = pubkey
      certs = {SERVER}.pem
      id = {SERVER}
    }}
    remote {{
      {remote}
    }}
    children {{
      {CHILD} {{
        local_ts = {side.protected[4]}
      }}
    }}
  }}
}}
pools {{
  four {{
    addrs = {POOL}
    dns = {NAME_SERVER}
  }}
}}
{password}"""

    def prepare(self, gateway, other):
        """An authority, the gateway's certificate and the client's, by `martlet pki`."""
        place = os.path.join(os.path.dirname(gateway.directory), "authority")
        tool = [gateway.executable, "pki"]
        run([*tool, "ca", "--dir", place, "--name", "C=CH, O=lab, CN=lab"], timeout=60).require()
        run([*tool, "gateway", "--dir", place, SERVER], timeout=60).require()
        run([*tool, "client", "--dir", place, "carol@lab", "--key", "rsa-2048"], timeout=60).require()
        for folder, names in (("x509ca", ["ca.pem"]), ("x509", [f"{SERVER}.pem"]), ("private", [f"{SERVER}.key.pem"])):
            os.makedirs(os.path.join(gateway.directory, folder), exist_ok=True)
            for name in names:
                shutil.copy(os.path.join(place, name), os.path.join(gateway.directory, folder))
        self.authority = os.path.join(place, "ca.pem")
        self.pair = [os.path.join(place, f"carol@lab.{end}") for end in ("pem", "key.pem")]


class Client:
    """The script, running."""

    def __init__(self, bench, scenario):
        word = "another word" if scenario.is_wrong else scenario.secret
        proof = ["--pair", *scenario.pair] if scenario.proof == "certificate" else ["--password", word]
        # MSCHAPv2 needs MD4, which OpenSSL keeps with its old algorithms.
        settings = os.path.join(bench.directory, "openssl.cnf")
        with open(settings, "w", encoding="utf-8") as sink:
            sink.write("openssl_conf = all\n[all]\nproviders = both\n[both]\ndefault = on\nlegacy = on\n"
                       "[on]\nactivate = 1\n")
        a, b = bench.network.a, bench.network.b
        self.commands = os.path.join(bench.directory, "commands")
        os.mkfifo(self.commands)
        command = ["/usr/bin/python3", PLAY, scenario.kind, "--own", a.outer[4], "--server", b.outer[4],
                   "--name", SERVER, "--authority", scenario.authority, "--user", scenario.user, *proof]
        self.daemon = Daemon(
            ["sh", "-c", 'exec "$@" < "$0"', self.commands, *command], os.path.join(bench.directory, "client"),
            netns=a.netns, env={"OPENSSL_CONF": settings})
        bench.helpers.append(self.daemon)
        self.sink = open(self.commands, "w", encoding="utf-8")
        self.heard = 0

    def hears(self, timeout=25):
        """The script's next word."""
        def line():
            lines = [each for each in self.daemon.output().splitlines() if each.startswith("{")]
            if len(lines) > self.heard:
                return json.loads(lines[self.heard])
            if not self.daemon.running:
                raise Failure(f"the client ended: {self.daemon.output()[-400:]}")
            return None

        said = eventually(line, timeout, "the client says something")
        self.heard += 1
        return said

    def does(self, words, timeout=25):
        self.sink.write(words + "\n")
        self.sink.flush()
        said = self.hears(timeout)
        if said["event"] == "refused":
            raise Failure(f"{words}: {said['why']}")
        return said


def connects(bench, options):
    """Up with its own proposals, an address and a name server; traffic before and after each rekeying by either side."""
    scenario = bench.scenario
    client = _begin(bench)
    up = client.hears(30)
    if up["event"] != "up":
        raise Failure(f"the client was refused: {up.get('why')}")
    if len(up["addresses"]) != 1 or not up["addresses"][0].startswith("10.3.0.") or up["dns"] != [NAME_SERVER]:
        raise Failure(f"the client got {up['addresses']} and the name servers {up['dns']}")
    target = bench.network.b.inner[4]

    def require_traffic(after):
        answered = client.does(f"ping {target}")["answered"]
        if answered != 3:
            raise Failure(f"{answered} of 3 echoes came back after {after}")

    require_traffic("connecting")
    for deed in ("rekey-child", "rekey-ike"):
        client.does(deed)
        require_traffic(f"the client's {deed}")
    for deed, what in (("rekey-child", ["--child", CHILD]), ("rekey-ike", ["--ike", CONNECTION])):
        before = client.does("seen")["what"].count(deed)
        bench.right.swanctl("--rekey", *what).require()
        eventually(lambda: client.does("seen")["what"].count(deed) > before, 10, f"the client sees the gateway's {deed}")
        eventually(lambda: client.does("seen")["children"] == 1, 10, "one Child SA is left")
        require_traffic(f"the gateway's {deed}")
    client.does("leave")
    eventually(lambda: not bench.right.sas(), 5, "the gateway has no SA after the client has left")
    _profiles(bench, scenario)
    bench.right.stop()
    if scenario.secret in bench.right.log_text():
        raise Failure("the gateway's log has the password")
    return f"{up['addresses'][0]}, cipher {up['encr']}, group {up['group']}"


def refused(bench, options):
    """A wrong password: no tunnel, and the gateway says why."""
    client = _begin(bench)
    said = client.hears(30)
    if said["event"] != "refused":
        raise Failure(f"the client with a wrong password is {said['event']}")
    if bench.right.sas():
        raise Failure("the gateway has an SA with a client that does not know the password")
    errors = json.dumps(bench.right.status())
    if "password" not in errors.lower() and "eap" not in errors.lower():
        raise Failure("the gateway's status does not say that the password was wrong")
    return said["why"]


def _begin(bench):
    bench.network.up()
    bench.network.prove_guard()
    gateway = bench.right
    bench.scenario.prepare(gateway, bench.left)
    gateway.write(bench.scenario.configuration(gateway.side, bench.left.side))
    gateway.start()
    return Client(bench, bench.scenario)


def _profiles(bench, scenario):
    """What `martlet client-profile` writes for this gateway, for the system at hand."""
    gateway = bench.right
    done = run([gateway.executable, "client-profile", scenario.user, "--for", scenario.profile,
                "--config", gateway.configuration_file], timeout=20).require()
    if SERVER not in done.out:
        raise Failure(f"client-profile does not name {SERVER}")
    if scenario.secret in done.out:
        raise Failure("client-profile gives the password away")


#: (name, scenario, procedure); the script is on side a.
CASES = [
    *((f"replay {kind} {proof}", lambda kind=kind, proof=proof: Replay(kind=kind, proof=proof), connects)
      for kind in ("windows", "windows-2048", "apple", "android") for proof in ("password", "certificate")),
    *((f"replay {kind} wrong-password", lambda kind=kind: Replay(kind=kind, is_wrong=True), refused)
      for kind in ("windows", "apple", "android")),
]
