"""Five hundred clients at once whom a RADIUS server is to let in, while it is dead, and then with it."""

import json
import threading
import time
from dataclasses import dataclass

from .processes import Failure, eventually
from .radius import FIRST, SECOND, RADIUSScenario
from .scenario import CHILD, CONNECTION
from .usage import usage
from .vici import Vici, together

CLIENTS = 500
#: What the gateway may grow by while all of them wait.
MOST_GROWTH = 64 << 20


@dataclass
class Stampede(RADIUSScenario):
    """Side a is CLIENTS clients, each with a name and selectors of its own; side b is one gateway for all of them."""

    configured: tuple = (FIRST, SECOND)
    running: tuple = ()
    beside: bool = True
    is_quiet: bool = True
    settings_of_radius: str = "accounting = no\n      sockets = 2"

    def _names(self):
        # Whoever knows the password.
        return {"DEFAULT"}

    def configuration(self, side, other):
        text = super().configuration(side, other)
        if side.letter == "b":
            return text.replace("id = a.lab", "id = %any").replace(
                f"remote_ts = {self.settings(side, other).remote_ts}", "remote_ts = 10.1.0.0/16")
        start = text.index(f"  {CONNECTION} {{")
        end = text.index("\nsecrets {", start)
        # The section's own closing brace stays.
        one = text[start:text.rindex("}", start, end)]
        clients = "".join(
            one.replace(f"  {CONNECTION} {{", f"  c{number} {{").replace(f"{CHILD} {{", f"n{number} {{")
            .replace("id = a.lab", f"id = client{number}.lab").replace("id = carol", f"id = client{number}")
            .replace(f"local_ts = {self.settings(side, other).local_ts}", f"local_ts = {block(number)}")
            .replace(f"remote_ts = {self.settings(side, other).remote_ts}", f"remote_ts = {other.protected[4]}")
            for number in range(CLIENTS))
        owners = "\n".join(f"    id-{number} = client{number}" for number in range(CLIENTS))
        rest = text[start + len(one):].replace("    id = carol", owners)
        return text[:start] + clients + rest


def block(number):
    """The client's own /28."""
    base = number * 16
    return f"10.1.{base >> 8}.{base & 255}/28"


def _beside(bench, count):
    """How long a tunnel with shared keys takes, so many times."""
    times = []
    for _ in range(count):
        before = time.monotonic()
        bench.left.swanctl("--initiate", "--child", "beside", "--timeout", 10).require()
        times.append(time.monotonic() - before)
        bench.left.swanctl("--terminate", "--ike", "other", "--timeout", 10).require()
    return times


def _start(bench):
    """All clients begin; nobody waits for them."""
    failures = together(bench.left.socket, [
        ("initiate", {"ike": f"c{number}", "child": f"n{number}", "timeout": -1}) for number in range(CLIENTS)])
    if failures:
        raise Failure(f"{len(failures)} of {CLIENTS} clients did not start: {failures[0]}")


def _waiting(gateway):
    with Vici(gateway.socket) as client:
        return int(client.require("stats")["ikesas"]["total"])


def _total(gateway):
    """IKE SAs and Child SAs together."""
    with Vici(gateway.socket) as client:
        listed = [facts for event in client.listing("list-sas", "list-sa") for facts in event.values()]
    return len(listed) + sum(len(facts.get("child-sas", {})) for facts in listed)


def dead(bench, options):
    """No server answers: all are refused in words, the tunnel beside comes up as ever, and memory stays bounded."""
    try:
        bench.set_up()
        usual = _beside(bench, 3)
        before = usage(bench.right.daemon.pid).resident
        begin = time.monotonic()
        _start(bench)
        most, meanwhile = 0, []
        worker = threading.Thread(target=lambda: meanwhile.extend(_beside(bench, 5)))
        worker.start()
        while worker.is_alive():
            most = max(most, _waiting(bench.right))
            time.sleep(0.1)
        worker.join()
        if len(meanwhile) != 5:
            raise Failure("a tunnel with shared keys did not come up meanwhile")
        eventually(lambda: _waiting(bench.right) == 0, 90, "all clients are refused", interval=0.5)
        taken = time.monotonic() - begin
        used = usage(bench.right.daemon.pid)
        if used.highest - before > MOST_GROWTH:
            raise Failure(f"the gateway grew from {before >> 20} to {used.highest >> 20} MB")
        text = json.dumps(dict(bench.right.last_errors()).get(CONNECTION, {}), ensure_ascii=False)
        if "E-RADIUS-SILENT" not in text or "does not answer" not in text:
            raise Failure(f"the refusal does not say why: {text}")
        if most < CLIENTS // 10:
            raise Failure(f"no more than {most} clients waited at once: that is no load")
        if max(meanwhile) > 3 * max(usual) + 1:
            raise Failure(f"other tunnels took {meanwhile} instead of {usual}")
        bench.require_clean_stop()
        bench.require_secrets_kept(text)
        return (f"up to {most} waited, all refused after {taken:.0f} s; others {max(usual):.2f} s, "
                f"meanwhile {max(meanwhile):.2f} s; memory {before >> 20} to {used.highest >> 20} MB")
    finally:
        bench.scenario.end()


def alive(bench, options):
    """A server answers: all come up."""
    try:
        bench.set_up()
        begin = time.monotonic()
        _start(bench)
        eventually(lambda: _total(bench.right) == 2 * CLIENTS, 100, f"{CLIENTS} clients are up", interval=0.3)
        taken = time.monotonic() - begin
        used = usage(bench.right.daemon.pid)
        bench.require_clean_stop()
        bench.require_secrets_kept()
        return f"{CLIENTS} clients up in {taken:.1f} s, {used.highest >> 20} MB"
    finally:
        bench.scenario.end()


CASES = [
    ("radius stampede-dead", Stampede, dead),
    ("radius stampede", lambda: Stampede(
        configured=(FIRST,), running=(FIRST,), settings_of_radius="sockets = 2"), alive),
]
