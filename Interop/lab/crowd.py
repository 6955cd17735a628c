"""The engine's tables with many SAs, without packet threads: memory, time, and simulated cache misses."""

import os
import shutil

from .processes import run
from .targets import at_most

#: SAs of the simulation, whose tables no cache holds, and packets to each.
CROWD, TURNS = 20_000, 2


def rows(measurement, pairs):
    """The engine's tables alone: what a pair takes there, what a packet costs, and its cache misses, simulated."""
    measurement.progress("the engine's tables")
    done = run([measurement.options.martlet_bench, "crowd", "--pairs", pairs], timeout=120).require()
    figures = {words[0]: float(words[1]) for words in map(str.split, done.out.splitlines())}
    measurement.add(
        "memory for an AES-GCM SA pair with policies, packet threads' tables alone", figures["crowd/allocated"], "octets",
        "≤ 4,096", at_most(4096), f"{figures['crowd/resident']:.0f} resident")
    note = f"{figures['crowd/cost/many']:.0f} against {figures['crowd/cost/one']:.0f} ns"
    for size in (64, 1400):
        counts = _simulated(measurement, size)
        if counts is None:
            note += "; no valgrind, so no cache misses"
            break
        (many, many_last), (one, one_last) = counts
        note += (f"; {size} octets: {many:.0f} misses of the first cache ({many_last:.0f} of the last) against {one:.0f} "
                 f"({one_last:.0f})")
    measurement.add(
        "look-up, sealing and opening of 64 octets in memory, all SAs over 1 SA",
        figures["crowd/cost/many"] / figures["crowd/cost/one"], "×", note=note + f"; simulated with {CROWD:,} SAs")


def _simulated(measurement, size):
    """Cache misses of a packet, first and last level, among many and by itself, as cachegrind counts them."""
    if shutil.which("valgrind") is None or shutil.which("strip") is None:
        return None
    # valgrind cannot read the debugging information that Swift's compiler writes.
    bare = os.path.join(measurement.directory, "bench-bare")
    if not os.path.exists(bare):
        run(["strip", "-g", "-o", bare, measurement.options.martlet_bench], timeout=60).require()

    def misses(pairs, packets):
        done = run(
            ["valgrind", "--tool=cachegrind", "--cache-sim=yes", "--cachegrind-out-file=/dev/null", bare, "crowd",
             "--pairs", pairs, "--packets", packets, "--size", size], timeout=300).require()
        counts = []
        for name in ("D1  misses", "LLd misses"):
            line = next(line for line in done.err.splitlines() if name in line)
            counts.append(int(line.split(":")[1].split("(")[0].replace(",", "")))
        return counts

    packets = CROWD * TURNS
    idle, both, alone, none = misses(CROWD, 0), misses(CROWD, packets), misses(1, packets), misses(1, 0)
    # Each run carries all packets once to many and once to one.
    one = [(a - n) / (2 * packets) for a, n in zip(alone, none)]
    many = [(b - i) / packets - o for b, i, o in zip(both, idle, one)]
    return many, one
