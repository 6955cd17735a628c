"""A table of measures with what each should reach, whether it did, and a history of such tables."""

import datetime
import os
import platform
import subprocess
from dataclasses import dataclass

from .figures import number
from .runner import ROOT

HISTORY = os.path.join(ROOT, "Benchmarks/results")


@dataclass
class Row:
    """One measure. `value` None: it was not measured, and `note` says why."""

    name: str
    value: float
    unit: str
    #: What it should reach, in words, and a function that says whether a value does; None where nothing is asked.
    target: str = ""
    reaches: object = None
    note: str = ""

    @property
    def verdict(self):
        if self.value is None:
            return "not measured"
        if self.reaches is None:
            return "–"
        return "reached" if self.reaches(self.value) else "missed"

    @property
    def cells(self):
        value = "–" if self.value is None else f"{number(self.value)} {self.unit}".strip()
        return [self.name, value, self.target or "–", self.verdict, self.note]


def at_least(bound):
    return lambda value: value >= bound


def at_most(bound):
    return lambda value: value <= bound


def render(rows):
    """A Markdown table."""
    lines = ["| measure | value | target | | note |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(row.cells) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def machine(loads):
    """One paragraph: what it was measured on, and how busy that was."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?")
    flags = next((line.split() for line in _lines("/proc/cpuinfo") if line.startswith("flags")), [])
    features = " ".join(flag for flag in ("aes", "avx2", "avx512f", "vaes", "sha_ni") if flag in flags)
    loads = ", ".join(f"{load:.1f}" for load in loads)
    return (
        f"{os.cpu_count()} processors, {model} ({features}), Linux {platform.release()}, {platform.machine()}; commit "
        f"{_commit()}. Load average along the way: {loads}. Where it is much above what the run itself makes (about 3), "
        f"other work shared the processors: ratios within the run mean more than rates.\n")


def keep(kind, title, text):
    """Writes a result beside the earlier ones; returns its path."""
    os.makedirs(HISTORY, exist_ok=True)
    now = datetime.datetime.now(datetime.timezone.utc)
    path = os.path.join(HISTORY, f"{now:%Y-%m-%d-%H%M}-{kind}.md")
    with open(path, "w", encoding="utf-8") as sink:
        sink.write(f"# {title}, {now:%Y-%m-%d %H:%M} UTC\n\n{text}")
    return path


def _commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def _lines(path):
    try:
        with open(path, encoding="utf-8") as source:
            return source.read().splitlines()
    except OSError:
        return []
