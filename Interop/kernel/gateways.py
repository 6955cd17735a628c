"""A pair of gateways for cases with IKEv2: `martlet run` on side a, strongSwan with the kernel's plane on side b."""

import json
import os
from dataclasses import dataclass, field

from lab.processes import Daemon, Failure, eventually, last_lines, run
from lab.swanctl import security_associations

from .network import INNER, NETS, OUTER, other

CHARON = "/usr/lib/ipsec/charon"
CONNECTION, CHILD = "lab", "net"


@dataclass
class Wanted:
    """One tunnel: lines of the child and of the connection that both sides are told."""

    child: str
    connection: str = ""
    mode: str = "TUNNEL"
    protocol: str = "ESP"
    outer: int = 4
    #: More lines for one side.
    left: str = ""
    right: str = ""
    proposals: str = "aes128gcm16-prfsha256-x25519"
    facts: dict = field(default_factory=dict)
    #: The families inside a tunnel.
    inner: tuple = (4, 6)
    #: Whether packets travel in UDP; None for never mind.
    udp: bool | None = False

    def text(self, side):
        far = other(side)
        lines = self.child.split(";") + [f"mode = {self.mode.lower()}"]
        if self.mode == "TUNNEL":
            for key, owner in (("local_ts", side), ("remote_ts", far)):
                lines.append(f"{key} = {','.join(NETS[owner][family] for family in self.inner)}")
        own = self.left if side == "a" else self.right
        both = "\n".join(f"    {line.strip()}" for line in (self.connection + ";" + own).split(";") if line.strip())
        inner = "\n".join(f"        {line.strip()}" for line in lines if line.strip())
        return f"""connections {{
  {CONNECTION} {{
    version = 2
    local_addrs = {OUTER[side][self.outer]}
    remote_addrs = {OUTER[far][self.outer]}
    proposals = {self.proposals}
    mobike = no
{both}
    local {{
      auth = psk
      id = {side}.lab
    }}
    remote {{
      auth = psk
      id = {far}.lab
    }}
    children {{
      {CHILD} {{
{inner}
      }}
    }}
  }}
}}
secrets {{
  ike-lab {{
    id-1 = a.lab
    id-2 = b.lab
    secret = "0123456789abcdef-guest"
  }}
}}
"""


class Gateway:
    """A daemon on one side, driven by swanctl."""

    def __init__(self, guest, side):
        self.guest, self.side = guest, side
        self.directory = guest.path(f"gateway-{side}")
        os.makedirs(self.directory, exist_ok=True)
        # On a file system of the guest's: sockets cannot live on the host's.
        self.socket = f"/run/vici-{side}"
        self.configuration = os.path.join(self.directory, "swanctl.conf")
        self.settings = os.path.join(self.directory, "strongswan.conf")
        self.daemon = None

    @property
    def uri(self):
        return f"unix://{self.socket}"

    def swanctl(self, *arguments, timeout=30):
        return run(
            ["swanctl", *arguments, "--uri", self.uri], timeout=timeout, env={
                "STRONGSWAN_CONF": self.settings, "SWANCTL_DIR": self.directory})

    def start(self, wanted):
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        log = os.path.join(self.directory, "output")
        with open(log, "w", encoding="utf-8"):
            pass
        with open(self.configuration, "w", encoding="utf-8") as sink:
            sink.write(wanted.text(self.side))
        os.chmod(self.configuration, 0o600)
        with open(self.settings, "w", encoding="utf-8") as sink:
            sink.write(f"""charon {{
  load = random nonce openssl pem pkcs1 x509 constraints pubkey kdf xcbc cmac hmac gmp kernel-netlink socket-default vici
  install_routes = no
  send_vendor_id = yes
  plugins {{
    vici {{
      socket = {self.uri}
    }}
  }}
  filelog {{
    stderr {{
      default = 1
      flush_line = yes
    }}
  }}
}}
swanctl {{
  load = pem pkcs1 x509 openssl random
}}
""")
        command, env = self.command()
        self.daemon = Daemon(command, log, netns=self.side, env=env)
        eventually(self._answers, 30, f"{type(self).__name__} answers on its control socket")
        self.load()

    def _answers(self):
        if not self.daemon.running:
            raise Failure(f"{type(self).__name__} ended: {last_lines(self.daemon.output())}")
        return os.path.exists(self.socket) and self.swanctl("--stats", timeout=10).code == 0

    def children(self):
        found = []
        for _, facts in security_associations(self.swanctl("--list-sas", "--raw").require().out):
            found += list(facts.get("child-sas", {}).values())
        return found

    def child(self):
        up = [child for child in self.children() if child.get("state") == "INSTALLED"]
        if len(up) != 1:
            raise Failure(f"{type(self).__name__} has {len(up)} Child SAs: {last_lines(self.daemon.output(), 3)}")
        return up[0]

    def stop(self):
        if self.daemon:
            try:
                self.daemon.stop(timeout=20)
            finally:
                self.daemon.kill()


class StrongSwan(Gateway):
    """charon over the kernel's XFRM."""

    def command(self):
        return [CHARON], {"STRONGSWAN_CONF": self.settings}

    def load(self):
        self.swanctl("--load-all", "--noprompt", "--file", self.configuration).require()


class Martlet(Gateway):
    """`martlet run`."""

    def command(self):
        return [self.guest.martlet, "run", "--config", self.configuration, "--vici", self.uri], {}

    def load(self):
        def knows():
            done = run([self.guest.martlet, "status", "--json", "--vici", self.uri], timeout=10)
            return done.code == 0 and json.loads(done.out).get("connections")
        eventually(knows, 10, "Martlet knows its connection")


class Pair:
    """Both daemons with one tunnel between them."""

    def __init__(self, guest, wanted):
        self.guest, self.wanted = guest, wanted
        self.left, self.right = Martlet(guest, "a"), StrongSwan(guest, "b")

    def __enter__(self):
        try:
            self.left.start(self.wanted)
            self.right.start(self.wanted)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for gateway in (self.left, self.right):
            try:
                gateway.stop()
            except Failure:
                pass
        self.guest.network.ip("b", "xfrm state flush")
        self.guest.network.ip("b", "xfrm policy flush")

    def initiate(self, who):
        done = who.swanctl("--initiate", "--child", CHILD, "--timeout", 20, timeout=30)
        if done.code != 0:
            raise Failure(f"{type(who).__name__} could not initiate: {last_lines(done.text)} "
                          f"({last_lines(self.left.daemon.output(), 2)})")

    def targets(self):
        if self.wanted.mode == "TRANSPORT":
            return [("a", OUTER["b"][self.wanted.outer], None), ("b", OUTER["a"][self.wanted.outer], None)]
        return [(near, INNER[far][family], INNER[near][family])
                for near, far in (("a", "b"), ("b", "a")) for family in self.wanted.inner]

    def check(self):
        """What both list is the same thing mirrored, and is what was wanted; pings both ways are counted by both."""
        for side, address, source in self.targets():
            self.guest.network.require_ping(side, address, source)
        left, right = self.left.child(), self.right.child()
        for gateway, child in (("Martlet", left), ("strongSwan", right)):
            for key, value in {"mode": self.wanted.mode, "protocol": self.wanted.protocol, **self.wanted.facts}.items():
                if child.get(key) != value:
                    raise Failure(f"{gateway} says {key} = {child.get(key)}, not {value}")
            if self.wanted.udp is not None and (child.get("encap") == "yes") != self.wanted.udp:
                raise Failure(f"{gateway} says encap = {child.get('encap')}")
        if (left["spi-in"], left["spi-out"]) != (right["spi-out"], right["spi-in"]):
            raise Failure("the SPIs of the two sides are not the same")
        sent = 5 * len(self.targets()) // 2
        counts = [int(child[key]) for child in (left, right) for key in ("packets-in", "packets-out")]
        if min(counts) < sent:
            raise Failure(f"of {sent} packets each way the SAs counted {counts}")
        return counts

    def terminate(self, who):
        who.swanctl("--terminate", "--ike", CONNECTION, "--timeout", 10, timeout=20).require()
        eventually(lambda: not self.left.children() and not self.right.children(), 10, "no Child SA is left")
