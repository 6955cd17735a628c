"""README's own commands, played as they stand: what a new user copies must work, and print what it says there."""

import os
import re

from .gateways import Martlet
from .network import ping
from .processes import Daemon, Failure, eventually, run
from .zero import _end

README = os.path.join(os.path.dirname(__file__), "..", "..", "README.md")
#: README's addresses, besides the lab's own.
ADDRESSES = {"a": ("198.51.100.1/24", "192.168.10.1/24"), "b": ("198.51.100.2/24", "192.168.20.1/24")}
SITES = {"hq": "a", "branch": "b"}
#: Four commands and a paste: `join` is the paste.
COMMANDS = ["init", "invite", "join", "up"]


class Machine:
    """A machine of README's: a side of the network with an empty /etc/martlet, /run and /var/log of its own.

    All else is below `root`; `programs` is where martlet is there, else the executable under test is put somewhere."""

    def __init__(self, bench, name, root="/", programs=None):
        self.side, self.root = {"a": bench.network.a, "b": bench.network.b}[SITES[name]], root
        if programs is None:
            programs = os.path.join(bench.directory, f"{name}-bin")
            os.makedirs(programs)
            os.symlink(Martlet.executable, os.path.join(programs, "martlet"))
        self.path = f"{programs}:{os.environ['PATH']}"
        own = [os.path.join(root, place) for place in ("etc/martlet", "run", "var/log")]
        empty = " && ".join(f"mount -t tmpfs none {place}" for place in own)
        os.makedirs(own[0], exist_ok=True)
        self.keeper = Daemon(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{empty} && echo ready && exec sleep 300"],
            os.path.join(bench.directory, f"{name}-machine"), netns=self.side.netns)
        eventually(lambda: "ready" in self.keeper.output(), 5, f"{name}'s file systems are there")
        outer, inner = ADDRESSES[SITES[name]]
        self.side.run(["ip", "address", "add", outer, "dev", _outward(self.side)]).require()
        self.side.run(["ip", "address", "add", inner, "dev", "lo"]).require()

    def type(self, line):
        """What the line prints, as a shell on that machine runs it."""
        return run(
            ["nsenter", "--mount", "--net", "--target", self.keeper.pid, "chroot", self.root, "sh", "-c", line],
            timeout=60, env={"PATH": self.path})


def _outward(side):
    routes = side.run(["ip", "-4", "route", "show", "default"]).require().out
    return re.search(r"\bdev (\S+)", routes)[1]


def transcript():
    """The lines of README's first tunnel: (machine, command, what stands below it)."""
    with open(README, encoding="utf-8") as source:
        section = source.read().split("## A first tunnel", 1)[1]
    block = section.split("```", 2)[1]
    steps = []
    for line in block.strip("\n").splitlines():
        typed = re.match(r"(\w+)# +(.*)", line)
        if typed:
            steps.append((typed[1], typed[2], []))
        elif line.strip():
            steps[-1][2].append(line.strip())
    return steps


def play(bench, options, root="/", programs=None):
    """From an empty directory to a ping through the tunnel, by the lines that stand in README and no others."""
    steps = transcript()
    if [command.split()[1] for _, command, _ in steps] != COMMANDS:
        raise Failure(f"README's commands are {[command for _, command, _ in steps]}")
    bench.network.up()
    bench.network.prove_guard()
    machines = {name: Machine(bench, name, root, programs) for name in SITES}
    try:
        invitation = ""
        for name, command, expected in steps:
            # The paste: what `invite` printed here, in place of what it printed when README was written.
            command = re.sub(r"martlet1:\S+", invitation, command)
            done = machines[name].type(command)
            if done.code != 0:
                raise Failure(f"{name}# {command} ended with {done.code}: {done.text}")
            lines = [" ".join(line.split()) for line in (done.out + "\n" + done.err).splitlines() if line.strip()]
            for wanted in expected:
                if wanted.startswith("martlet1:"):
                    invitation = next((line for line in lines if line.startswith("martlet1:")), "")
                    if not invitation:
                        raise Failure(f"{command} printed no invitation: {lines}")
                elif not any(wanted in line for line in " ".join(lines).split("\0") + lines):
                    raise Failure(f"README says that {command} prints {wanted!r}; it prints {lines}")
        for here, source, there in (("branch", "192.168.20.1", "192.168.10.1"), ("hq", "192.168.10.1", "192.168.20.1")):
            answered = ping(machines[here].side, there, source=source)
            if answered != 3:
                raise Failure(f"{answered} of 3 pings answered from {here}")
        told = machines["branch"].type("martlet status").require().out
        if "hq" not in told or "●" not in told:
            raise Failure(f"martlet status says {told!r}")
    finally:
        for machine in machines.values():
            machine.keeper.kill()
            _end(machine.side)
    return f"{len(steps)} lines of README, one of them a paste, and pings both ways"


ROWS = [("readme", play)]
