"""What a gateway under systemd writes reaches systemd's journal with fields by which a person finds it again."""

import json

from .gateways import KINDS
from .manager import Managed, missing_manager
from .processes import Failure, eventually
from .refusal import REFUSALS
from .restarts import inner, pings, usual
from .scenario import CHILD, CONNECTION, Scenario

#: Debian's journal, with an empty /var/log, so that nothing of it reaches the machine's.
_JOURNAL = (
    "mount -t tmpfs none /var/log && mkdir -p /run/systemd/journal /run/log/journal && "
    "{ /lib/systemd/systemd-journald & } && "
    "until [ -S /run/systemd/journal/stdout ]; do sleep 0.05; done && ")
#: Every field that is ours.
_FIELDS = {
    f"MARTLET_{word}" for word in ("GROUP", "EVENT", "CONNECTION", "SA", "CHILD", "PEER", "CODE")}


class Journaled(Managed):
    """A Martlet under a systemd of its own, whose output goes to a journal of its own."""

    beside = _JOURNAL

    def output_lines(self):
        return ("StandardOutput=journal", "StandardError=journal")

    def entries(self, *matches):
        """What the journal has, every field of it."""
        self.inside("journalctl", "--sync")
        done = self.inside("journalctl", "--no-pager", "-a", "-o", "json", *matches).require()
        return [json.loads(line) for line in done.out.splitlines()]

    def log_text(self):
        """The journal, all of it: nothing of ours may be elsewhere."""
        text = super().log_text()
        if self.daemon and self.daemon.running:
            done = self.inside("journalctl", "--no-pager", "-a", "-o", "export")
            text += done.out if done.code == 0 else ""
        return text


def _require(gateway, what, entries, **wanted):
    """One of them at least has these fields."""
    for entry in entries:
        if all(entry.get(name) == value for name, value in wanted.items()):
            return entry
    raise Failure(f"{gateway.name}: no entry for {what} has {wanted}: {[entry.get('MESSAGE') for entry in entries]}")


def _ours(bench):
    absent = missing_manager()
    if absent:
        raise Failure("; ".join(absent))
    bench.set_up()
    gateway = bench.left if isinstance(bench.left, Journaled) else bench.right
    return gateway, bench.other(gateway).side.outer[4]


def fields(bench, options):
    """A tunnel comes and goes; `journalctl MARTLET_CONNECTION=…` finds what was said about it."""
    gateway, peer = _ours(bench)
    usual(bench)
    pings(inner(bench))
    number = gateway.sas()[0][1]["uniqueid"]
    bench.left.terminate().require()
    about = {"MARTLET_CONNECTION": CONNECTION, "MARTLET_SA": str(number), "_TRANSPORT": "journal",
             "SYSLOG_IDENTIFIER": "martlet", "PRIORITY": "6"}

    def found():
        entries = gateway.entries(f"MARTLET_CONNECTION={CONNECTION}")
        return entries if any(entry.get("MARTLET_EVENT") == "ike-closed" for entry in entries) else None

    entries = eventually(found, 5, "the journal has the end of the IKE SA")
    _require(gateway, "the IKE SA", entries, MARTLET_EVENT="ike-established", MARTLET_PEER=peer, MARTLET_GROUP="IKE", **about)
    for event in ("child-installed", "child-closed"):
        _require(gateway, "the child", entries, MARTLET_EVENT=event, MARTLET_CHILD=CHILD, MARTLET_GROUP="CHD", **about)
    ready = _require(gateway, "the start", gateway.entries("MARTLET_GROUP=DMN"), _TRANSPORT="journal")
    for entry in gateway.entries("SYSLOG_IDENTIFIER=martlet"):
        if entry["_TRANSPORT"] != "journal" or entry["_PID"] != ready["_PID"]:
            raise Failure(f"an entry came as a line: {entry}")
        strange = {name for name in entry if name.startswith("MARTLET_")} - _FIELDS
        if strange:
            raise Failure(f"fields that nobody knows of: {strange}")
    bench.require_secrets_kept()
    bench.network.require_nothing_plain()
    bench.require_clean_stop()
    return f"{len(entries)} entries about the tunnel"


def failure(bench, options):
    """A failure has the code of its diagnosis, and is an error by its priority."""
    gateway, peer = _ours(bench)
    if bench.left.initiate().code == 0:
        raise Failure("the tunnel came up although the sides disagree")
    error = eventually(gateway.last_errors, 5, "it holds a last_error")[0][1]
    entries = eventually(
        lambda: gateway.entries(f"MARTLET_CODE={error['code']}"), 5, f"the journal has an entry with {error['code']}")
    entry = _require(
        gateway, "the failure", entries, MARTLET_EVENT="refused", MARTLET_CONNECTION=CONNECTION, MARTLET_PEER=peer,
        PRIORITY="3")
    if error["code"] not in entry["MESSAGE"]:
        raise Failure(f"the entry's words have not {error['code']}: {entry['MESSAGE']}")
    bench.require_secrets_kept()
    bench.network.require_nothing_plain()
    bench.require_clean_stop()
    return error["code"]


KINDS.update({"martlet-journaled": Journaled})

_BOTH = {("martlet-journaled", "strongswan"), ("strongswan", "martlet-journaled")}
#: (name, scenario, procedure, pairings, seconds)
ROWS = [
    ("journal-fields", Scenario, fields, _BOTH, 120),
    *((f"journal-{refusal.name}", refusal.scenario, failure, _BOTH, 120)
      for refusal in REFUSALS if refusal.name in ("wrong-psk", "disjoint-selectors")),
]
