"""Commands and daemons: every process of the lab is started, bounded and ended here.

Every child asks the kernel to be killed when the runner dies, so that a runner killed by SIGKILL leaves no daemon.
"""

import ctypes
import os
import signal
import subprocess
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1

#: What every child sees. Nothing of the caller's environment may change a result.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", "LC_ALL": "C", "HOME": "/"}


class Failure(Exception):
    """A case failed: the text says what was expected and what was there."""


class TimedOut(Failure):
    """A case took longer than it may."""


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _argv(command, netns):
    prefix = ["ip", "netns", "exec", netns] if netns else []
    return prefix + [str(word) for word in command]


class Result:
    """What a finished command said."""

    def __init__(self, command, code, out, err):
        self.command = " ".join(str(word) for word in command)
        self.code = code
        self.out = out
        self.err = err

    @property
    def text(self):
        return self.out + self.err

    def require(self):
        if self.code != 0:
            raise Failure(f"`{self.command}` ended with {self.code}: {last_lines(self.text)}")
        return self


def last_lines(text, count=4):
    """The last lines of a text that say something, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:]) or "(no output)"


def run(command, netns=None, timeout=20, env=None, stdin=None):
    """Runs a command to its end. It never raises for an exit status: the caller decides with `require`."""
    try:
        done = subprocess.run(
            _argv(command, netns), capture_output=True, text=True, errors="replace", timeout=timeout,
            input=stdin if stdin is not None else "", env={**ENVIRONMENT, **(env or {})},
            start_new_session=True, preexec_fn=_die_with_parent)
    except subprocess.TimeoutExpired:
        raise TimedOut(f"`{' '.join(str(word) for word in command)}` took more than {timeout} s") from None
    return Result(command, done.returncode, done.stdout, done.stderr)


class Daemon:
    """A process that runs beside the lab, its output in a file."""

    def __init__(self, command, log, netns=None, env=None, passes=()):
        """`passes` are descriptors that it inherits under their numbers."""
        self.command = " ".join(str(word) for word in command)
        self.log = log
        with open(log, "ab") as sink:
            self._process = subprocess.Popen(
                _argv(command, netns), stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                env={**ENVIRONMENT, **(env or {})}, start_new_session=True, preexec_fn=_die_with_parent,
                pass_fds=tuple(passes))

    @property
    def pid(self):
        return self._process.pid

    @property
    def running(self):
        return self._process.poll() is None

    @property
    def status(self):
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as source:
            return source.read()

    def wait(self, timeout):
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimedOut(f"`{self.command}` did not end within {timeout} s") from None

    def send(self, number):
        """Sends a signal."""
        self._process.send_signal(number)

    def stop(self, timeout=10, with_signal=signal.SIGTERM):
        """Asks the process to end and waits; past the time it is killed and that is a failure."""
        if not self.running:
            return self.status
        self._process.send_signal(with_signal)
        try:
            return self.wait(timeout)
        except TimedOut:
            self.kill()
            raise

    def kill(self):
        """SIGKILL to the process and all that it started in its session."""
        if self.running:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._process.wait()


def eventually(question, timeout, what, interval=0.1):
    """Asks until the answer is true; returns that answer. `what` says what was waited for."""
    end = time.monotonic() + timeout
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise Failure(f"{what}: not within {timeout} s")
        time.sleep(interval)
