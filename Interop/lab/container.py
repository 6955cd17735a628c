"""Martlet in a container: made of its package, run by podman with /dev/net/tun and three rights, in a side's network.

Only when asked for by name: it needs podman, a base image (a registry, or debootstrap with a mirror), and packages.
"""

import json
import os
import shutil
import signal

from .gateways import KINDS, Martlet
from .processes import Daemon, Failure, eventually, last_lines, run
from .restarts import inner, pings, usual
from .scenario import Scenario

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASE = "docker.io/library/debian:bookworm-slim"
IMAGE = "localhost/martlet-lab"
#: Where images are kept; all of it may be removed.
STORE = os.path.join(ROOT, ".build/interop/container")
RIGHTS = ("NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW")
#: What podman calls its root.
_IMAGES = os.path.join(STORE, "root")
#: On a host with control groups of both versions podman's runtime does not start: it sees the new ones only.
_PLACE = "if mountpoint -q /sys/fs/cgroup/unified; then umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; fi; "


def _podman(*words):
    return ["podman", "--root", _IMAGES, "--runroot", f"{STORE}/run", *words]


def _placed(words, unshared=()):
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    return ["unshare", "--mount", "--propagation", "private", *unshared, "sh", "-c", f"{_PLACE}exec {quoted}"]


def _proxies():
    return {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ}


def build():
    """The image of this executable; the base comes from a registry or, where there is none, from debootstrap."""
    for tool in ("podman", "buildah"):
        if shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            raise Failure(f"a container needs {tool}: apt-get install {tool}")
    os.makedirs(STORE, exist_ok=True)
    if run(_podman("image", "exists", BASE)).code != 0 and run(_podman("pull", BASE), timeout=120, env=_proxies()).code != 0:
        _bootstrap()
    builder = " ".join(_podman("build", "--isolation", "chroot", "--pull=never"))
    run([os.path.join(ROOT, "Packaging/container"), Martlet.executable, IMAGE, *builder.split()], timeout=400,
        env=_proxies()).require()


def _bootstrap():
    tree = f"{STORE}/base"
    shutil.rmtree(tree, ignore_errors=True)
    run(["debootstrap", "--variant=minbase", "bookworm", tree], timeout=600, env=_proxies()).require()
    archive = f"{STORE}/base.tar"
    run(["tar", "-C", tree, "-cf", archive, "."], timeout=120).require()
    run(_podman("import", archive, BASE), timeout=120).require()
    shutil.rmtree(tree)
    os.unlink(archive)


class Contained(Martlet):
    """A Martlet in a container that is in its side's network. Its control socket is in a directory that both see."""

    default_start = 30

    def command(self):
        command, env = super().command()
        shared = [word.replace(self.directory, "/etc/martlet") for word in command[1:]]
        rights = [word for right in RIGHTS for word in ("--cap-add", right)]
        words = _podman(
            "run", "--rm", "--replace", "--name", f"martlet-lab-{os.getpid()}-{self.side.letter}", "--cgroups=disabled",
            "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096", "--network", f"ns:/run/netns/{self.side.netns}", "--device", "/dev/net/tun",
            "--cap-drop", "ALL", *rights, "--security-opt", "no-new-privileges", "--read-only", "-v",
            f"{self.directory}:/etc/martlet", IMAGE, *shared)
        # Numbers of its own for the processes: whatever ends this one ends the container.
        return _placed(words, ("--pid", "--fork", "--kill-child", "--mount-proc")), env

    def _spawn(self):
        command, env = self.command()
        self.daemon = Daemon(command, os.path.join(self.directory, "output"), env=env)

    def _podman_pid(self):
        with open(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children", encoding="ascii") as source:
            inside = source.read().split()
        if not inside:
            raise Failure(f"{self.name}: podman is gone: {last_lines(self.log_text())}")
        return int(inside[0])

    def stop(self):
        """As `podman stop` does, which waits for the container."""
        os.kill(self._podman_pid(), signal.SIGTERM)
        status = self.daemon.wait(20)
        if status != 0:
            raise Failure(f"{self.name} ended with {status}: {last_lines(self.log_text())}")


def contained(bench, options):
    """The image is made and run; a tunnel comes up in either direction of traffic, is rekeyed and ended."""
    try:
        build()
        return _used(bench)
    finally:
        # What podman has mounted for its store, so that the store can be removed.
        run(["umount", "--lazy", f"{_IMAGES}/overlay"])


def _used(bench):
    bench.set_up()
    gateway = bench.left if isinstance(bench.left, Contained) else bench.right
    usual(bench)
    pings(inner(bench))
    for each in bench.gateways:
        each.swanctl("--rekey", "--ike", "lab").require()
        eventually(lambda: bench.require_up(count=1) or True, 10, "the tunnel is up after a rekeying")
        pings(inner(bench))
    size = json.loads(run(_podman("image", "inspect", IMAGE)).require().out)[0]["Size"]
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_clean_stop()
    if "routes, rules and device are removed" not in gateway.log_text():
        raise Failure(f"it did not end by itself: {last_lines(gateway.log_text())}")
    return f"an image of {size >> 20} MiB, {', '.join(RIGHTS)}"


KINDS.update({"martlet-contained": Contained})

_SS = "strongswan"
#: (name, scenario, procedure, pairings, seconds)
ROWS = [("container", Scenario, contained, {("martlet-contained", _SS), (_SS, "martlet-contained")}, 900)]
