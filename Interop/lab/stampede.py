"""Five hundred clients at once, about whose certificates somebody has to be asked who is slow, or tells very much.

The clients are connections of one Martlet, each with a certificate of its own. Meanwhile other tunnels, with shared keys,
come up one after the other, as before the stampede.
"""

import os
import re
import statistics
import time
from dataclasses import dataclass, field

from . import status
from .authority import Authority, Issued
from .processes import Daemon, Failure, eventually, run
from .revocation import HUGE, LISTS, PLACES, RESPONDER
from .scenario import Scenario
from .usage import usage
from .vici import Vici, together

CLIENTS, OTHERS = 500, 40
#: Seconds that the slow responder takes: longer than anybody waits.
SLOW = 120
#: The longest that another tunnel may take, in seconds: the clock of a busy machine, and still much less than what the
#: crowd waits for.
PACE = 5
#: Resident octets by which the gateway may grow.
GROWTH = {"ocsp": 128 << 20, "crl": 1 << 30}


@dataclass
class Stampede(Scenario):
    """`by` is ocsp, with a responder that does not answer, or crl, with a list of more than 20 MB."""

    by: str = "ocsp"
    revocation: str = "strict"
    servers: list = field(default_factory=list)

    def prepare(self, gateway, other):
        place = os.path.join(os.path.dirname(gateway.directory), "pki")
        folders = {name: os.path.join(gateway.directory, name) for name in ("x509", "x509ca", "private")}
        for folder in folders.values():
            os.makedirs(folder, exist_ok=True)
        if gateway.side.letter == "a":
            self._make(Authority(place), folders)
            return
        pki, root = Authority(place), Issued(place, "root")
        run(["cp", root.certificate, folders["x509ca"]]).require()
        log = os.path.join(place, "server.log")
        if self.by == "ocsp":
            nothing = os.path.join(place, "nothing")
            with open(nothing, "wb"):
                pass
            self.servers.append(Daemon(status.command(RESPONDER, nothing, SLOW), log, gateway.side.netns))
            return
        web = os.path.join(place, "web")
        os.makedirs(web)
        pki.crl(root, os.path.join(place, "lab.pem"), others=HUGE)
        run(["openssl", "crl", "-in", os.path.join(place, "lab.pem"), "-outform", "DER", "-out",
             os.path.join(web, "lab.crl")], timeout=60).require()
        self.servers.append(Daemon(status.command(LISTS, web), log, gateway.side.netns))

    def _make(self, pki, folders):
        """One key and a certificate for each client: what differs is what is asked about."""
        root = pki.ca("root")
        key = pki.key("client", "ecdsa256")
        run(["cp", key.key, os.path.join(folders["private"], "client.pem")]).require()
        for number in range(CLIENTS):
            name = f"c{number}.crowd.lab"
            extensions = os.path.join(pki.directory, "client.ext")
            with open(extensions, "w", encoding="utf-8") as sink:
                sink.write(f"keyUsage=critical,digitalSignature\nsubjectAltName=DNS:{name}\n{PLACES[self.by]}")
            request = os.path.join(pki.directory, "client.csr")
            if not os.path.exists(request):
                run(["openssl", "req", "-new", "-key", key.key, "-subj", "/CN=client", "-out", request]).require()
            run(["openssl", "x509", "-req", "-in", request, "-CA", root.certificate, "-CAkey", root.key, "-days", "30",
                 "-set_serial", str(0x10000 + number), "-extfile", extensions, "-out",
                 os.path.join(folders["x509"], f"c{number}.pem")]).require()

    def configuration(self, side, other):
        return self._clients(side, other) if side.letter == "a" else self._gateway(side, other)

    def _connection(self, name, side, other, local, remote, local_ts, remote_ts, unique=""):
        peer = f"remote_addrs = {other.outer[4]}" if side.letter == "a" else ""
        return f"""  {name} {{
    version = 2
    local_addrs = {side.outer[4]}
    {peer}
    proposals = aes128gcm16-prfsha256-x25519
    mobike = no
    {unique}
    local {{
      {local}
    }}
    remote {{
      {remote}
    }}
    children {{
      {name} {{
        local_ts = {local_ts}
        remote_ts = {remote_ts}
        esp_proposals = aes128gcm16
      }}
    }}
  }}
"""

    def _clients(self, side, other):
        parts = ["connections {\n"]
        gateway = "auth = psk\n      id = b.lab"
        for number in range(CLIENTS):
            own = f"auth = pubkey\n      certs = c{number}.pem\n      id = c{number}.crowd.lab"
            parts.append(self._connection(f"c{number}", side, other, own, gateway, _block(number), "10.2.0.0/16"))
        for number in range(OTHERS):
            own = f"auth = psk\n      id = o{number}.lab"
            parts.append(
                self._connection(f"o{number}", side, other, own, gateway, _block(CLIENTS + number), "10.2.0.0/16"))
        return "".join(parts) + "}\n" + self._secrets()

    def _gateway(self, side, other):
        own = "auth = psk\n      id = b.lab"
        crowd = f"auth = pubkey\n      id = *.crowd.lab\n      revocation = {self.revocation}"
        return ("connections {\n" + self._connection("crowd", side, other, own, crowd, "10.2.0.0/16", "10.1.0.0/16")
                + self._connection("others", side, other, own, "auth = psk", "10.2.0.0/16", "10.1.0.0/16")
                + "}\nmartlet {\n  plugins {\n    revocation {\n      private_addresses = yes\n    }\n  }\n}\n"
                + self._secrets())

    def _secrets(self):
        return f"secrets {{\n  ike-all {{\n    secret = \"{self.secret}\"\n  }}\n}}\n"

    def secrets(self):
        return [self.secret]


def _block(number):
    return f"10.1.{number * 16 >> 8}.{number * 16 & 255}/28"


def _paces(bench, numbers):
    """How long each of these other tunnels takes, one after the other."""
    paces = []
    with Vici(bench.left.socket) as client:
        for number in numbers:
            begin = time.monotonic()
            client.require("initiate", {"ike": f"o{number}", "child": f"o{number}", "timeout": 30_000})
            paces.append(time.monotonic() - begin)
    return paces


def stampede(bench, options):
    """The others are let in at their pace, the crowd gets its due, and memory stays within its bound."""
    scenario = bench.scenario
    try:
        bench.set_up()
        before = usage(bench.right.daemon.pid)
        calm = _paces(bench, range(OTHERS // 2))
        begin = time.monotonic()
        refused = together(
            bench.left.socket,
            [("initiate", {"ike": f"c{number}", "child": f"c{number}", "timeout": -1}) for number in range(CLIENTS)])
        if refused:
            raise Failure(f"{len(refused)} were not even begun: {refused[0]}")
        busy = _paces(bench, range(OTHERS // 2, OTHERS))
        during = _ike(bench.right, "half-open")
        eventually(lambda: not any(_ike(gateway, "half-open") for gateway in bench.gateways), 150,
                   "everybody knows what came of it", interval=0.3)
        took = time.monotonic() - begin
        after = usage(bench.right.daemon.pid)
        if max(busy) > PACE:
            raise Failure(f"another tunnel took {max(busy):.2f} s, before the stampede {max(calm):.2f} s")
        if scenario.by == "ocsp" and during < CLIENTS // 2:
            raise Failure("the crowd was gone before the others came: nothing was shown")
        if after.highest - before.resident > GROWTH[scenario.by]:
            raise Failure(f"{bench.right.name} grew by {after.highest - before.resident >> 20} MiB")
        words = _judge(bench, _ike(bench.right, "total") - OTHERS)
        for gateway in bench.gateways:
            gateway.stop()
        bench.require_secrets_kept()
        return (f"others {statistics.median(calm) * 1000:.0f} ms each before, {statistics.median(busy) * 1000:.0f} "
                f"(longest {max(busy) * 1000:.0f}) meanwhile; the crowd took {took:.1f} s; memory "
                f"{before.resident >> 20} MiB, at most {after.highest >> 20}; {words}")
    finally:
        for server in scenario.servers:
            server.kill()


def _ike(gateway, what):
    """How many IKE SAs there are: in total, or half-open."""
    with Vici(gateway.socket) as client:
        return int(client.require("stats")["ikesas"][what])


def _judge(bench, up):
    """Whether each of the crowd got what the policy says, and was told why in the log."""
    scenario = bench.scenario
    log = bench.right.log_text()
    if scenario.by == "crl" or scenario.revocation == "relaxed":
        if up != CLIENTS:
            raise Failure(f"{up} of {CLIENTS} came up")
        return f"all {CLIENTS} up"
    if up:
        raise Failure(f"{up} came up although nobody could tell whether they are revoked")
    reasons = re.findall(r"there was no answer in|the server failed a moment ago|nobody answered in time", log)
    named = set(re.findall(r"c\d+\.crowd\.lab", log))
    if len(reasons) < CLIENTS or len(named) != CLIENTS:
        raise Failure(f"{len(reasons)} refusals name a reason, {len(named)} clients are named, of {CLIENTS}")
    return f"all {CLIENTS} refused, {len(reasons)} times with the reason"


ROWS = [
    ("stampede slow-ocsp strict", lambda: Stampede(by="ocsp", revocation="strict")),
    ("stampede slow-ocsp relaxed", lambda: Stampede(by="ocsp", revocation="relaxed")),
    ("stampede huge-crl strict", lambda: Stampede(by="crl", revocation="strict")),
]
