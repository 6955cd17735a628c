"""A service manager for a gateway: Debian's own systemd in a mount namespace of its own, or one that does what it is told.

Systemd is run as a user's manager, with its own process numbers and an empty /run: nothing of it reaches the machine.
The other one is in this process: it keeps what is given to it, and gives it to whoever it starts next.
"""

import array
import os
import shutil
import signal
import socket
import sys
import threading

from .gateways import KINDS, Martlet
from .processes import Daemon, Failure, eventually, last_lines, run

SYSTEMD = "/lib/systemd/systemd"
#: The packaged unit.
UNIT = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "Packaging", "martlet.service")
#: What of it a user's manager on any machine can do; the rest is about users and name spaces.
KEPT = ("Type", "Restart", "RestartKillSignal", "FileDescriptorStoreMax", "KillMode", "TimeoutStopSec", "WatchdogSec", "ExecReload")

#: Puts descriptors where a service finds them, and becomes it.
LAUNCHER = """
import os, sys
numbers, names, command = sys.argv[1].split(), sys.argv[2], sys.argv[3:]
high = [os.dup2(int(number), 500 + place) for place, number in enumerate(numbers)]
for number in range(3, 500):
    try: os.close(number)
    except OSError: pass
for place, number in enumerate(high):
    os.dup2(number, 3 + place, inheritable=True)
    os.close(number)
if numbers:
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(numbers)), LISTEN_FDNAMES=names)
os.execvp(command[0], command)
"""


class Store:
    """The receiving end of sd_notify, with a store for descriptors."""

    def __init__(self, path, room):
        self.room = room
        self.kept = []
        self.seen = []
        self.lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                text, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(16 * 4))
            except OSError:
                return
            numbers = array.array("i")
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    numbers.frombytes(data[:len(data) - len(data) % numbers.itemsize])
            if not text:
                for number in numbers:
                    os.close(number)
                return
            with self.lock:
                self._take(dict(line.split("=", 1) for line in text.decode().splitlines()), list(numbers))

    def _take(self, facts, numbers):
        self.seen.append(facts)
        name = facts.get("FDNAME", "stored")
        if facts.get("FDSTORE") == "1":
            for number in numbers:
                if len(self.kept) < self.room:
                    self.kept.append((name, number))
                else:
                    os.close(number)
            return
        for number in numbers:
            os.close(number)
        if facts.get("FDSTOREREMOVE") == "1":
            for entry in [entry for entry in self.kept if entry[0] == name]:
                os.close(entry[1])
                self.kept.remove(entry)

    def lose(self, count):
        """Lets go of the last ones."""
        with self.lock:
            for _, number in self.kept[-count:]:
                os.close(number)
            self.kept = self.kept[:-count]

    def names(self):
        with self.lock:
            return sorted(name for name, _ in self.kept)

    def copies(self):
        """Duplicates of all that is kept: what a manager would give once more."""
        with self.lock:
            return [(name, os.dup(number)) for name, number in self.kept]

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        with self.lock:
            for _, number in self.kept:
                os.close(number)
            self.kept = []


class Kept(Martlet):
    """A Martlet whose service manager is this process."""

    room = 4096

    def __init__(self, side, directory):
        super().__init__(side, directory)
        self.notify = os.path.join(self.directory, "notify")
        self.store = None

    def prepare_store(self):
        if self.store is None:
            self.store = Store(self.notify, self.room)

    def _spawn(self):
        self.prepare_store()
        self.begin([])

    def begin(self, passed):
        """Starts the process with descriptors: (name, number), which are closed here."""
        command, env = self.command()
        numbers = " ".join(str(number) for _, number in passed)
        names = ":".join(name for name, _ in passed)
        launcher = [sys.executable, "-c", LAUNCHER, numbers, names, *command]
        for _, number in passed:
            os.set_inheritable(number, True)
        self.daemon = Daemon(
            launcher, os.path.join(self.directory, "output"), netns=self.side.netns,
            env={**env, "NOTIFY_SOCKET": self.notify}, passes=[number for _, number in passed])
        for _, number in passed:
            os.close(number)

    def leave(self, timeout=20):
        """What a manager does first when it restarts; the exit status."""
        return self.daemon.stop(timeout=timeout, with_signal=signal.SIGUSR1)

    def restart(self):
        """As a manager restarts: a signal, the end, and a start with all that is kept."""
        status = self.leave()
        if status != 0:
            raise Failure(f"{self.name} ended with {status}: {last_lines(self.log_text())}")
        self.begin(self.store.copies())
        self.answers()

    def answers(self):
        eventually(self._answers, self.default_start, f"{self.name} answers on its control socket", interval=0.02)

    def abandon(self):
        super().abandon()
        if self.store:
            self.store.close()


class Managed(Martlet):
    """A Martlet under a systemd of its own, by the packaged unit's lines."""

    default_start = 30
    #: More lines of the unit, in place of its own.
    lines = ()
    #: What runs beside the manager, before it: shell commands.
    beside = ""

    def output_lines(self):
        """Where the service's output goes."""
        return (f"StandardOutput=append:{self.directory}/output", f"StandardError=append:{self.directory}/output")

    def command(self):
        command, _ = super().command()
        run_directory = os.path.join(self.directory, "run")
        units = os.path.join(self.directory, "units")
        for directory in (run_directory, units):
            os.makedirs(directory, exist_ok=True)
        with open(UNIT, encoding="utf-8") as source:
            lines = [line.strip() for line in source if line.strip().split("=")[0] in KEPT]
        for wanted in ("RestartKillSignal=SIGUSR1", "FileDescriptorStoreMax=4096", "Type=notify"):
            if wanted not in lines:
                raise Failure(f"the packaged unit has no line {wanted}")
        with open(os.path.join(units, "martlet.service"), "w", encoding="utf-8") as sink:
            sink.write("[Service]\n" + "\n".join(lines) + "\n")
            sink.write("".join(f"{line}\n" for line in self.lines))
            sink.write(f"ExecStart={' '.join(command)}\n")
            sink.write("".join(f"{line}\n" for line in self.output_lines()))
        inner = (
            "mount -t tmpfs none /run && mkdir -p /run/systemd/system && " + self.beside +
            # The first process of a name space would take itself for the machine's manager.
            f"{SYSTEMD} --user --unit=martlet.service & wait")
        self.settings = {
            "XDG_RUNTIME_DIR": run_directory, "SYSTEMD_UNIT_PATH": f"{units}:/usr/lib/systemd/user",
            "SYSTEMD_LOG_TARGET": "console", "SYSTEMD_LOG_LEVEL": "info"}
        return [
            "nsenter", f"--net=/run/netns/{self.side.netns}", "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh",
            "-c", inner], self.settings

    def _spawn(self):
        command, env = self.command()
        # Not by `ip netns exec`, whose /sys has no control groups.
        self.daemon = Daemon(command, os.path.join(self.directory, "output"), env=env)

    def systemctl(self, *words, timeout=60):
        """Asks the manager by its private socket, from its own name spaces: it drops others' connections."""
        return self.inside("systemctl", "--user", *words, timeout=timeout)

    def inside(self, *command, timeout=20):
        """Runs a command where the manager is."""
        with open(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children", encoding="ascii") as source:
            inside = source.read().split()
        if not inside:
            raise Failure(f"{self.name}: the manager is gone: {last_lines(self.log_text())}")
        return run(
            ["nsenter", "-t", inside[0], "-m", "-p", *command], timeout=timeout, env=self.settings)

    def main_pid(self):
        return self.systemctl("show", "-p", "MainPID", "--value", "martlet.service").require().out.strip()

    def restart(self):
        before = self.main_pid()
        self.systemctl("restart", "martlet.service").require()
        if self.main_pid() in (before, "0"):
            raise Failure("systemd did not start another process")
        eventually(self._answers, self.default_start, f"{self.name} answers on its control socket", interval=0.02)

    def stop(self):
        self.systemctl("stop", "martlet.service").require()
        state = self.systemctl("show", "-p", "Result", "--value", "martlet.service").require().out.strip()
        if state != "success":
            raise Failure(f"{self.name} ended with the result {state}: {last_lines(self.log_text())}")
        self.daemon.kill()


def missing_manager():
    """Why systemd can't be run here; empty when it can."""
    absent = [word for word in (SYSTEMD, shutil.which("systemctl") or "systemctl") if not os.access(word, os.X_OK)]
    return [f"no {word}: run `make setup`" for word in absent]


KINDS.update({"martlet-kept": Kept, "martlet-managed": Managed})
