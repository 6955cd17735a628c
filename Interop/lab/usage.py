"""What a process uses, as /proc tells it: processor time, memory, descriptors, threads."""

import os
from dataclasses import dataclass

from .processes import Failure

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """One process at one moment."""

    #: User and system time of all threads, in seconds. Work that the kernel does in interrupts is not in it.
    cpu: float
    #: Resident memory now and at its highest, in octets.
    resident: int
    highest: int
    descriptors: int
    sockets: int
    threads: int


def usage(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as source:
            # The name in parentheses may hold anything; what follows it is fields 3 and on.
            fields = source.read().rpartition(")")[2].split()
        with open(f"/proc/{pid}/status", encoding="utf-8") as source:
            status = dict(line.split(":", 1) for line in source if ":" in line)
        targets = []
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            try:
                targets.append(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
            except OSError:
                continue
    except (OSError, IndexError) as error:
        raise Failure(f"process {pid} cannot be measured: {error}") from None
    return Usage(
        cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
        resident=int(status["VmRSS"].split()[0]) * 1024, highest=int(status["VmHWM"].split()[0]) * 1024,
        descriptors=len(targets), sockets=sum(target.startswith("socket:") for target in targets),
        threads=int(status["Threads"].split()[0]))


def run_time(pid):
    """Processor time of the threads that there are, in seconds, to the nanosecond: ticks are too coarse for a fifth of a
    second. Threads that have ended are not in it."""
    try:
        total = 0
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="utf-8") as source:
                total += int(source.read().split()[0])
    except (OSError, IndexError) as error:
        raise Failure(f"process {pid} cannot be measured: {error}") from None
    return total / 1e9
