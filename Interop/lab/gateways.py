"""The two kinds of gateway, each one process inside a side of the network, driven by Debian's unmodified swanctl."""

import json
import os
import shutil
import signal

from .processes import Daemon, Failure, eventually, last_lines, run
from .scenario import CHILD, CONNECTION
from .swanctl import security_associations

CHARON = "/usr/lib/ipsec/charon"


class Gateway:
    """A gateway on one side. It owns its directory and its process; the network owns the namespace."""

    kind = "gateway"
    default_start = 10

    def __init__(self, side, directory):
        self.side = side
        self.directory = os.path.join(directory, f"{side.letter}-{self.kind}")
        os.makedirs(self.directory, exist_ok=True)
        self.socket = os.path.join(self.directory, "vici")
        self.configuration_file = os.path.join(self.directory, "swanctl.conf")
        self.daemon = None
        #: Whether only failures are logged, so that logging is no part of what is measured.
        self.is_quiet = False

    # What each kind does its own way.

    def command(self):
        raise NotImplementedError

    def load(self):
        raise NotImplementedError

    def log_text(self):
        return self.daemon.output() if self.daemon else ""

    # What is the same for both.

    @property
    def name(self):
        return f"{self.kind} on side {self.side.letter}"

    @property
    def uri(self):
        return f"unix://{self.socket}"

    def write(self, configuration):
        with open(self.configuration_file, "w", encoding="utf-8") as sink:
            sink.write(configuration)
        os.chmod(self.configuration_file, 0o600)

    def start(self):
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        self._spawn()
        eventually(self._answers, self.default_start, f"{self.name} answers on its control socket")
        self.load()

    def _spawn(self):
        command, env = self.command()
        self.daemon = Daemon(
            command, os.path.join(self.directory, "output"), netns=self.side.netns, env=env)

    def _answers(self):
        if not self.daemon.running:
            raise Failure(f"{self.name} ended with {self.daemon.status}: {last_lines(self.log_text())}")
        return os.path.exists(self.socket) and self.swanctl("--stats", timeout=5).code == 0

    def swanctl(self, *arguments, timeout=30):
        """Runs Debian's swanctl against this gateway's socket."""
        env = {"SWANCTL_DIR": self.directory, "STRONGSWAN_CONF": self._client_settings()}
        return run(["swanctl", *arguments, "--uri", self.uri], timeout=timeout, env=env)

    def _client_settings(self):
        """swanctl's own strongswan.conf: the plugins that read keys, and no others of the machine's choice."""
        path = os.path.join(self.directory, "client.conf")
        if not os.path.exists(path):
            with open(path, "w", encoding="utf-8") as sink:
                sink.write("swanctl { load = pem pkcs1 pkcs8 x509 pubkey openssl random nonce sha1 sha2 }\n")
        return path

    def initiate(self, timeout=15):
        return self.swanctl("--initiate", "--child", CHILD, "--timeout", timeout, timeout=timeout + 10)

    def terminate(self):
        return self.swanctl("--terminate", "--ike", CONNECTION, "--timeout", 10, timeout=20)

    def sas(self):
        """The IKE SAs as `--list-sas --raw` tells them: (name, facts)."""
        return security_associations(self.swanctl("--list-sas", "--raw").require().out)

    def children(self):
        """All Child SAs of all IKE SAs."""
        return [child for _, facts in self.sas() for child in facts.get("child-sas", {}).values()]

    def stop(self):
        """A clean end: the daemon must leave by itself and with status 0."""
        status = self.daemon.stop()
        if status != 0:
            raise Failure(f"{self.name} ended with {status}: {last_lines(self.log_text())}")

    def crash(self):
        """kill -9: nothing of the gateway gets a chance to clean up."""
        self.daemon.stop(with_signal=signal.SIGKILL)

    def abandon(self):
        """Ends the process however it is; for the end of a case."""
        if self.daemon:
            self.daemon.kill()


class StrongSwan(Gateway):
    """charon with its user-space data plane, alone in a mount namespace with a /run of its own."""

    kind = "strongswan"
    #: More lines of the section `charon`.
    settings = ""

    def command(self):
        settings = os.path.join(self.directory, "strongswan.conf")
        with open(settings, "w", encoding="utf-8") as sink:
            sink.write(f"""charon {{
  load_modular = yes
  threads = 16
  {self.settings}
  filelog {{
    lab {{
      path = {self.directory}/charon.log
      default = {0 if self.is_quiet else 1}
      flush_line = yes
    }}
  }}
  plugins {{
    include /etc/strongswan.d/charon/*.conf
    kernel-libipsec {{
      load = yes
    }}
    bypass-lan {{
      load = no
    }}
    connmark {{
      load = no
    }}
    forecast {{
      load = no
    }}
    stroke {{
      load = no
    }}
    tpm {{
      load = no
    }}
    vici {{
      socket = {self.uri}
    }}
  }}
}}
""")
        inner = f"mount -t tmpfs none /run && exec {CHARON}"
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", inner]
        return command, {"STRONGSWAN_CONF": settings}

    def load(self):
        self.swanctl("--load-all", "--noprompt", "--file", self.configuration_file).require()

    def log_text(self):
        path = os.path.join(self.directory, "charon.log")
        text = super().log_text()
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as source:
                text += source.read()
        return text


class Martlet(Gateway):
    """`martlet run`, with the same swanctl.conf as its peer."""

    kind = "martlet"
    executable = None
    #: More words of the command line.
    more = ()
    #: Words before it: a program that makes a place for it and becomes it.
    place = ()

    def command(self):
        level = ["--log", "0"] if self.is_quiet else []
        return [
            *self.place, self.executable, "run", "--config", self.configuration_file, "--vici", self.uri, *level, *self.more], {}

    def load(self):
        """The daemon reads its configuration itself; this waits until it says so."""
        eventually(self._connections, 5, f"{self.name} knows its connections")

    def status(self):
        """What `martlet status --json` says, as a tree."""
        done = run([self.executable, "status", "--json", "--vici", self.uri], timeout=10).require()
        try:
            return json.loads(done.out)
        except json.JSONDecodeError as error:
            raise Failure(f"`martlet status --json` is no JSON: {error}: {done.out[:120]}") from None

    def last_errors(self):
        """Every `last_error` of every connection: (connection name, error)."""
        return [(each.get("name"), each["last_error"]) for each in self._connections() if each.get("last_error")]

    def _connections(self):
        connections = self.status().get("connections")
        if not isinstance(connections, list):
            raise Failure("`martlet status --json` has no list `connections`")
        return connections


class LoadedMartlet(Martlet):
    """`martlet run` with an empty file; swanctl loads everything over the control socket, as it does for strongSwan."""

    def command(self):
        empty = os.path.join(self.directory, "empty.conf")
        with open(empty, "w", encoding="utf-8") as sink:
            sink.write("# Nothing: all comes over the control socket.\n")
        level = ["--log", "0"] if self.is_quiet else []
        return [self.executable, "run", "--config", empty, "--vici", self.uri, *level], {}

    def load(self):
        self.swanctl("--load-all", "--noprompt", "--file", self.configuration_file).require()


def missing(kinds, executable):
    """Why these kinds of gateway cannot run here; empty when they can."""
    reasons = []
    if any(kind.startswith("martlet") for kind in kinds) and not os.access(executable, os.X_OK):
        reasons.append(f"no executable {executable}: run `make build`")
    if "strongswan" in kinds and not os.access(CHARON, os.X_OK):
        reasons.append(f"no {CHARON}: run `make setup`")
    tools = ("ip", "nft", "ping", "iperf3", "swanctl", "unshare")
    absent = [tool for tool in tools if shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    if absent:
        reasons.append(f"not installed: {', '.join(absent)}: run `make setup`")
    if not os.path.exists("/dev/net/tun"):
        reasons.append("no /dev/net/tun on this machine")
    return reasons


KINDS = {"strongswan": StrongSwan, "martlet": Martlet, "martlet-loaded": LoadedMartlet}
