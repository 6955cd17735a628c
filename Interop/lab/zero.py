"""From nothing to a tunnel with four commands and one paste, as the README has it."""

import os
import signal

from .gateways import Martlet
from .network import ping
from .processes import Failure, eventually, run


def four_commands(bench, options):
    """init and invite on one side, join and up on the other; then packets cross, and nothing crosses in clear."""
    network = bench.network
    network.up()
    network.prove_guard()
    try:
        _init(bench, network.a)
        line = _martlet(
            bench, network.a, "invite", "branch", "--lan", network.b.protected[4], "--address", network.a.outer[4],
            "--log-file", _path(bench, network.a, "log"), *_socket(bench, network.a)).require().out.strip()
        if not line.startswith("martlet1:") or "\n" in line:
            raise Failure(f"invite printed {line[:60]!r}")
        joined = _martlet(
            bench, network.b, "join", line, "--log-file", _path(bench, network.b, "log"), *_socket(bench, network.b))
        joined.require()
        up = _martlet(bench, network.b, "up", "hq", *_socket(bench, network.b, with_file=False)).require().out
        if "'hq' is up" not in up:
            raise Failure(f"up printed {up!r}")
        for here, there in ((network.a, network.b), (network.b, network.a)):
            answered = ping(here, there.inner[4], source=here.inner[4])
            if answered != 3:
                raise Failure(f"{answered} of 3 pings answered from side {here.letter}")
        network.require_nothing_plain()
        _refusals(bench, line)
        _foreign(bench)
        _no_secret_in_logs(bench)
        _closed_while_down(network)
        return "init, invite, one paste, join, up; closed while it is down"
    finally:
        for side in network.sides:
            _end(side)


def _closed_while_down(network):
    """The inviting side can't start the tunnel, and sends nothing in clear all the same."""
    _end(network.b)
    if ping(network.a, network.b.inner[4], source=network.a.inner[4]) != 0:
        raise Failure("a ping is answered although one gateway is gone")
    network.require_nothing_plain()


def certified(bench, options):
    """The same with `invite --certificate`: the line carries the key and the certificates, join writes them for root only."""
    network = bench.network
    network.up()
    network.prove_guard()
    a, b = network.a, network.b
    try:
        _init(bench, a)
        line = _martlet(
            bench, a, "invite", "branch", "--certificate", "--lan", b.protected[4], "--address", a.outer[4],
            "--log-file", _path(bench, a, "log"), *_socket(bench, a)).require().out.strip()
        if not line.startswith("martlet1:") or "\n" in line or len(line) > 4000:
            raise Failure(f"invite printed {len(line)} letters: {line[:60]!r}")
        joined = _martlet(bench, b, "join", line, "--log-file", _path(bench, b, "log"), *_socket(bench, b)).require().out
        if "certificate is valid until" not in joined:
            raise Failure(f"join printed {joined!r}")
        _modes(bench)
        up = _martlet(bench, b, "up", "hq", *_socket(bench, b, with_file=False)).require().out
        if "'hq' is up" not in up:
            raise Failure(f"up printed {up!r}")
        for here, there in ((a, b), (b, a)):
            answered = ping(here, there.inner[4], source=here.inner[4])
            if answered != 3:
                raise Failure(f"{answered} of 3 pings answered from side {here.letter}")
        for side, peer in ((a, "branch"), (b, "hq")):
            with open(_path(bench, side, "log"), encoding="utf-8") as source:
                log = source.read()
            if f"the peer proved its identity with 'CN={peer}' issued by 'CN=Martlet CA of hq'" not in log:
                raise Failure(f"side {side.letter} does not name its peer's certificate: {log[-400:]}")
            if "PRIVATE KEY" in log or _key(bench, side) in log:
                raise Failure(f"the key is in the log of side {side.letter}")
        # A second one uses the same authority; with a router's language there is no certificate.
        _martlet(
            bench, a, "invite", "third", "--certificate", "--lan", "10.77.0.0/16", "--address", a.outer[4],
            *_socket(bench, a)).require()
        mixed = _martlet(
            bench, a, "invite", "fourth", "--certificate", "--dialect", "cisco-ios", "--lan", "10.78.0.0/16",
            *_socket(bench, a))
        if mixed.code != 64 or os.path.exists(_path(bench, a, "conf.d/fourth.conf")):
            raise Failure(f"a certificate in a router's language ended with {mixed.code}: {mixed.text}")
        network.require_nothing_plain()
        return f"init, invite --certificate, one paste of {len(line)} letters, join, up"
    finally:
        for side in network.sides:
            _end(side)


def _key(bench, side):
    with open(_path(bench, side, "private/" + ("hq" if side.letter == "a" else "hq-branch") + ".pem"),
              encoding="utf-8") as source:
        return source.read().splitlines()[1]


def _modes(bench):
    """Nobody else may read keys; the inviting side has not kept the other's."""
    for side in bench.network.sides:
        root = _path(bench, side, "")
        for directory, _, names in os.walk(root):
            for name in names:
                path = os.path.join(directory, name)
                if not os.path.isfile(path):
                    continue
                with open(path, "rb") as source:
                    is_key = b"PRIVATE KEY" in source.read()
                if is_key and os.stat(path).st_mode & 0o077:
                    raise Failure(f"others may read {path}")
                if is_key and side.letter == "a" and "branch" in name:
                    raise Failure(f"{path}: a copy of the other's key")


def _path(bench, side, name):
    directory = os.path.join(bench.directory, side.letter)
    os.makedirs(directory, exist_ok=True)
    return os.path.join(directory, name)


def _socket(bench, side, with_file=True):
    file = ["--config", _path(bench, side, "swanctl.conf")] if with_file else []
    return [*file, "--vici", f"unix://{_path(bench, side, 'vici')}"]


def _martlet(bench, side, *arguments):
    return side.run([Martlet.executable, *arguments], timeout=60)


def _init(bench, side):
    file = _path(bench, side, "swanctl.conf")
    _martlet(
        bench, side, "init", "hq", "--lan", side.protected[4], "--address", side.outer[4], "--config", file).require()
    if os.stat(file).st_mode & 0o077:
        raise Failure("others may read the configuration")
    again = _martlet(bench, side, "init", "hq", "--lan", side.protected[4], "--config", file)
    if again.code != 1:
        raise Failure(f"a second init ended with {again.code}")


def _refusals(bench, line):
    """A damaged line, a second join, a second invitation: each is refused, and changes nothing."""
    side = bench.network.b
    damaged = line[:40] + ("A" if line[40] != "A" else "B") + line[41:]
    for arguments, word in (([damaged], "damaged"), ([line], "joined already"), (["hello"], "no invitation")):
        done = _martlet(bench, side, "join", *arguments, *_socket(bench, side))
        if done.code != 1 or word not in done.err:
            raise Failure(f"join of {word} ended with {done.code}: {done.text}")


def _foreign(bench):
    """An invitation in a router's language: what it is told matches what was written here, key included."""
    side = bench.network.a
    own = ["--config", _path(bench, side, "swanctl.conf")]
    text = _martlet(
        bench, side, "invite", "third", "--lan", "10.77.0.0/16", "--dialect", "cisco-ios", "--their-address",
        "10.99.0.77", "--address", side.outer[4], "--log-file", _path(bench, side, "log"),
        *_socket(bench, side)).require().out
    router = _path(bench, side, "third.cfg")
    with open(router, "w", encoding="utf-8") as sink:
        sink.write(text)
    checked = _martlet(bench, side, "peer", "check", router, "--tunnel", "third", *own).require().out
    if "nothing stands in the way" not in checked:
        raise Failure(f"what a router is told does not match: {checked}")
    refused = _martlet(
        bench, side, "invite", "fourth", "--lan", "10.78.0.0/16", "--dialect", "cisco-ios", "--address", side.outer[4],
        *_socket(bench, side))
    if refused.code != 1 or "--their-address" not in refused.err or os.path.exists(
            _path(bench, side, "conf.d/fourth.conf")):
        raise Failure(f"an invitation without the router's address ended with {refused.code}: {refused.text}")


def _no_secret_in_logs(bench):
    for side in bench.network.sides:
        with open(_path(bench, side, "conf.d/" + ("branch" if side.letter == "a" else "hq") + ".conf"),
                  encoding="utf-8") as source:
            key = next(line.split("0x")[1].strip() for line in source if "secret = 0x" in line)
        with open(_path(bench, side, "log"), encoding="utf-8") as source:
            if key in source.read():
                raise Failure(f"the key is in the log of side {side.letter}")


def _end(side):
    """Ends the gateways that were started in the background: what runs in a namespace of ours is ours."""
    def pids():
        return [int(word) for word in run(["ip", "netns", "pids", side.netns]).out.split()]

    for pid in pids():
        os.kill(pid, signal.SIGTERM)
    try:
        eventually(lambda: not pids(), 8, f"the gateway on side {side.letter} ends")
    except Failure:
        for pid in pids():
            os.kill(pid, signal.SIGKILL)
        raise
