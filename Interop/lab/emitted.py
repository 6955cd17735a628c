"""The other end as `martlet peer emit` writes it: other programs' own parsers judge it, and strongSwan runs it."""

import os
import re

from .processes import Failure, eventually, run
from .scenario import CONNECTION, Scenario

#: Where other peers' packages are unpacked: some of them conflict with strongSwan's.
UNPACKED = os.path.join(os.path.dirname(__file__), "..", "..", ".build", "peers")

#: What is written in every dialect: our proposals, and what a child offers.
SUITES = [
    ("aes256gcm16-prfsha384-ecp384", "aes256gcm16-ecp384"),
    ("aes256-sha256-modp2048, aes128-sha1-modp1024", "aes256-sha256-modp2048, aes128-sha256"),
    ("default", "default"),
    ("aes128gcm16-chacha20poly1305-prfsha256-x25519-ecp256", "chacha20poly1305-aes128gcm16"),
]


class Emitted(Scenario):
    """Side a is Martlet with a configuration of its own; side b has what `martlet peer emit` wrote for it."""

    def prepare(self, gateway, other):
        if gateway.kind == "martlet":
            gateway.write(super().configuration(gateway.side, other.side))
            self.written = emit(gateway, gateway.configuration_file, "strongswan")

    def configuration(self, side, other):
        return super().configuration(side, other) if side.letter == "a" else self.written


def emit(gateway, file, dialect, *more):
    """What `martlet peer emit` prints."""
    return run(
        [gateway.executable, "peer", "emit", CONNECTION, "--dialect", dialect, "--config", file, *more],
        timeout=20).require().out


def run_it(bench, options):
    """strongSwan loads what was written; either side brings the tunnel up, and `peer check` finds nothing wrong."""
    bench.set_up()
    for gateway in (bench.left, bench.right):
        gateway.initiate().require()
        bench.require_up(count=1)
        bench.require_pings()
        bench.require_counted()
        _show(bench)
        gateway.terminate().require()
        # What was written waits for packets: its routes stay, its SAs do not.
        eventually(lambda: not any(each.sas() for each in bench.gateways), 8, "both ends have no SA")
    bench.network.require_nothing_plain()
    _check(bench)
    bench.require_clean_stop()
    bench.require_secrets_kept()


def _show(bench):
    """In Cisco's layout stand the SPIs that strongSwan knows too."""
    for words, keys in (("ikev2", ("initiator-spi", "responder-spi")), ("ipsec", ("spi-in", "spi-out"))):
        shown = run(
            [bench.left.executable, "show", "crypto", words, "sa", "detail", "--vici", bench.left.uri]).require().out
        for _, facts in bench.right.sas():
            for tree in [facts] if words == "ikev2" else facts["child-sas"].values():
                for key in keys:
                    if tree[key].upper() not in shown:
                        raise Failure(f"`show crypto {words} sa` has no {tree[key]}: {shown}")


def _check(bench):
    ours, theirs = (gateway.configuration_file for gateway in bench.gateways)
    command = [bench.left.executable, "peer", "check", theirs, "--config", ours]
    done = run(command, timeout=20).require()
    if "nothing stands in the way" not in done.out:
        raise Failure(f"peer check finds something: {done.out}")
    with open(theirs, encoding="utf-8") as source:
        text = source.read()
    changes = [
        (r"(secret = \"?)", r"\g<1>x", "the shared key"),
        (r"id = b\.lab", "id = c.lab", "the peer's identity"),
        (r"(?m)^(\s+proposals = ).*$", r"\g<1>aes256-sha256-modp4096", "IKE algorithms"),
    ]
    for pattern, replacement, subject in changes:
        changed, count = re.subn(pattern, replacement, text)
        if not count:
            raise Failure(f"{pattern} stands nowhere in what was written")
        with open(theirs, "w", encoding="utf-8") as sink:
            sink.write(changed)
        done = run(command, timeout=20)
        if done.code != 1 or subject not in done.out:
            raise Failure(f"peer check with another {subject} ended with {done.code}: {done.text}")
    bench.right.write(text)


def parsers(bench, options):
    """libreswan's and iked's own parsers take what was written for them, and swanctl what was for strongSwan."""
    libreswan, iked = unpacked("libreswan"), unpacked("openiked")
    bench.network.up()
    bench.right.write("")
    bench.right.start()
    for number, (ike, esp) in enumerate(SUITES):
        scenario = Scenario(change_a={"ike": ike, "esp": esp}, secret=bench.scenario.secret)
        text = scenario.configuration(bench.network.a, bench.network.b)
        bench.left.write(text.replace(f",{bench.network.a.protected[6]}", "").replace(
            f",{bench.network.b.protected[6]}", ""))
        directory = os.path.join(bench.directory, f"emitted-{number}")
        os.makedirs(directory, exist_ok=True)
        for dialect in ("strongswan", "libreswan", "iked"):
            emit(bench.left, bench.left.configuration_file, dialect, "--directory", directory)
            if dialect == "strongswan":
                bench.right.swanctl(
                    "--load-all", "--noprompt", "--file", os.path.join(directory, f"{CONNECTION}.conf")).require()
                if CONNECTION not in bench.right.swanctl("--list-conns").require().out:
                    raise Failure("strongSwan loaded no connection")
            elif dialect == "libreswan":
                _libreswan(libreswan, os.path.join(directory, f"{CONNECTION}.conf"))
            else:
                _iked(iked, os.path.join(directory, "iked.conf"), bench.directory)
    return f"{len(SUITES)} suites, three parsers"


def _libreswan(root, file):
    run([root + "/usr/libexec/ipsec/addconn", "--config", file, "--checkconfig"], timeout=20).require()
    with open(file, encoding="utf-8") as source:
        proposals = re.findall(r"^\s+((?:ike|esp)=.*)$", source.read(), re.MULTILINE)
    if len(proposals) < 2:
        raise Failure(f"{file} has no ike and esp")
    # addconn does not look at algorithms; libreswan's own parser of them does.
    for proposal in proposals:
        run([root + "/usr/libexec/ipsec/algparse", "-v2", proposal], timeout=20).require()


def _iked(root, file, directory):
    """iked wants a user of its own: a mount namespace shows it one."""
    users = os.path.join(directory, "passwd")
    with open("/etc/passwd", encoding="utf-8") as source, open(users, "w", encoding="utf-8") as sink:
        sink.write(source.read() + "_iked:x:987:65534::/nonexistent:/usr/sbin/nologin\n")
    script = f"mount --bind {users} /etc/passwd && exec {root}/usr/sbin/iked -n -f {file}"
    done = run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script], timeout=20).require()
    if "configuration OK" not in done.text:
        raise Failure(f"iked says {done.text}")


def unpacked(package):
    """The directory that a package of Debian's is unpacked in; nothing of it touches the machine."""
    root = os.path.abspath(os.path.join(UNPACKED, package))
    if not os.path.isdir(root):
        os.makedirs(UNPACKED, exist_ok=True)
        proxies = {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ}
        fetched = run(["sh", "-c", f"cd {UNPACKED} && apt-get download {package}"], timeout=120, env=proxies)
        files = [name for name in os.listdir(UNPACKED) if name.startswith(package + "_") and name.endswith(".deb")]
        if fetched.code != 0 or not files:
            raise Failure(f"{package} can't be fetched: {fetched.text[-200:]}")
        run(["dpkg", "-x", os.path.join(UNPACKED, files[0]), root], timeout=60).require()
    return root


ROWS = [("peer-emit-strongswan", Emitted, run_it), ("peer-emit-parsers", Scenario, parsers)]
