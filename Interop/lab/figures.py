"""Figures of a measurement: the samples of both gateways, their medians and ranges, and how they are printed."""

import statistics
from dataclasses import dataclass, field

PEER, OURS = "strongswan", "martlet"


@dataclass
class Figure:
    """One measured thing: its name, its unit, and the samples of each gateway in the order of the rounds."""

    name: str
    unit: str
    samples: dict = field(default_factory=dict)

    def add(self, kind, value):
        self.samples.setdefault(kind, []).append(value)

    def median(self, kind):
        return statistics.median(self.samples[kind])

    def ratio(self):
        """Martlet over strongSwan; None when either is missing or strongSwan's is zero."""
        if not self.samples.get(PEER) or not self.samples.get(OURS) or not self.median(PEER):
            return None
        return self.median(OURS) / self.median(PEER)


class Figures:
    """All figures of a run, in the order in which they were first measured."""

    def __init__(self):
        self.all = {}

    def add(self, name, unit, kind, value):
        self.all.setdefault(name, Figure(name, unit)).add(kind, value)

    def lines(self):
        """`name value unit ratio`, one line for each gateway; strongSwan's own ratio is 1."""
        lines = []
        for figure in self.all.values():
            for kind in figure.samples:
                ratio = figure.ratio() if kind == OURS else 1.0
                lines.append(
                    f"{figure.name}/{kind} {number(figure.median(kind))} {figure.unit} "
                    f"{'-' if ratio is None else number(ratio)}")
        return lines

    def table(self):
        """A Markdown table: median and range of both, and the ratio of the medians."""
        lines = ["| figure | unit | strongSwan | Martlet | ratio |", "|---|---|---|---|---|"]
        for figure in self.all.values():
            cells = [
                f"{number(figure.median(kind))} ({number(min(samples))}–{number(max(samples))})"
                if (samples := figure.samples.get(kind)) else "–" for kind in (PEER, OURS)]
            ratio = figure.ratio()
            lines.append(
                f"| {figure.name} | {figure.unit} | {cells[0]} | {cells[1]} | "
                f"{'–' if ratio is None else number(ratio)} |")
        return "\n".join(lines) + "\n"

    def tree(self):
        return [
            {"name": figure.name, "unit": figure.unit, "samples": figure.samples, "ratio": figure.ratio()}
            for figure in self.all.values()]


def number(value):
    """Three significant digits or more, without an exponent."""
    magnitude = abs(value)
    places = 0 if magnitude >= 1000 else 1 if magnitude >= 100 else 2 if magnitude >= 10 else 3
    return f"{value:.{places}f}"
