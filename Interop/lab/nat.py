"""Translators on the way: before the initiator, before the responder, before both, two in a row; two clients behind one."""

import time
from dataclasses import dataclass

from .gateways import KINDS
from .network import Plumbing, ping
from .processes import Failure, eventually, last_lines
from .scenario import CHILD, CONNECTION, Scenario
from .translated import PUBLIC, TranslatedNetwork

#: Seconds between keepalives here, in place of twenty.
KEEP_ALIVE = 2


@dataclass
class TranslatedScenario(Scenario):
    """A tunnel between sides of which either may be hidden."""

    #: Boxes before each side.
    before_a: int = 0
    before_b: int = 0
    neighbour: bool = False
    #: Whether the first message goes to port 4500 already.
    straight: bool = False
    #: Whether both are told to use UDP although nothing is on the way.
    forced: bool = False

    @property
    def network(self):
        return TranslatedNetwork(self.before_a, self.before_b, self.neighbour)

    def configuration(self, side, other):
        text = super().configuration(side, other)
        text = text.replace(f"remote_addrs = {other.outer[4]}\n", f"remote_addrs = {PUBLIC[other.letter]}\n")
        lines = "    encap = yes\n" if self.forced else ""
        if self.straight and side.letter == "a":
            lines += "    local_port = 4500\n    remote_port = 4500\n"
        text = text.replace("    mobike = no\n", "    mobike = no\n" + lines)
        return text + f"martlet {{\n  keep_alive = {KEEP_ALIVE}s\n}}\n"

    def prepare(self, gateway, other):
        if gateway.kind == "strongswan":
            gateway.settings = f"keep_alive = {KEEP_ALIVE}s"


def through(bench, options):
    """Up, NAT seen where it is, traffic, keepalives from who is hidden, every SA rekeyed by each side."""
    bench.set_up()
    scenario, network = bench.scenario, bench.network
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    bench.require_counted()
    _require_seen(bench)
    if scenario.straight and any(box.counter("plain_ike") for box in network.boxes_a):
        raise Failure("a message went to port 500 although the tunnel starts on 4500")
    said = _keepalives(bench)
    for gateway in bench.gateways:
        for target in (("--child", CHILD), ("--ike", CONNECTION)):
            before = _spis(bench)
            gateway.swanctl("--rekey", *target).require()
            eventually(lambda before=before: before - _spis(bench), 10, f"{gateway.name} has other SPIs after --rekey")
            bench.require_up(count=1)
            bench.require_pings()
    _require_seen(bench)
    network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return said + "four rekeyings"


def _require_seen(bench):
    """Both sides say where the translators are. strongSwan's user-space plane makes others believe in one before it."""
    scenario = bench.scenario
    for gateway, here, there in (
            (bench.left, scenario.before_a, scenario.before_b), (bench.right, scenario.before_b, scenario.before_a)):
        for _, facts in gateway.sas():
            if (facts.get("nat-local") == "yes") != bool(here):
                raise Failure(f"{gateway.name} says nat-local = {facts.get('nat-local')}")
            if there and facts.get("nat-remote") != "yes":
                raise Failure(f"{gateway.name} says nat-remote = {facts.get('nat-remote')}")
            if facts.get("local-port") != "4500":
                raise Failure(f"{gateway.name} is on port {facts.get('local-port')}")
            for child in facts["child-sas"].values():
                if child.get("encap") != "yes":
                    raise Failure(f"{gateway.name} does not send ESP in UDP")
            if gateway is bench.right and scenario.before_a:
                port = int(facts["remote-port"])
                if not 10_000 <= port < 30_000 or facts["remote-host"] != PUBLIC["a"]:
                    raise Failure(f"{gateway.name} sees its peer at {facts['remote-host']} port {port}")


def _keepalives(bench):
    """Who is hidden sends an octet of 0xff from time to time, when nothing else goes out."""
    said = []
    for gateway, boxes in ((bench.left, bench.network.boxes_a), (bench.right, bench.network.boxes_b)):
        if not boxes:
            continue
        before = boxes[0].counter("keepalives")
        eventually(
            lambda boxes=boxes, before=before: boxes[0].counter("keepalives") >= before + 2, 3 * KEEP_ALIVE + 4,
            f"{gateway.name} keeps its mapping alive")
        said.append(f"{boxes[0].counter('keepalives')} keepalives from side {gateway.side.letter}")
    return ", ".join(said) + "; " if said else ""


def _spis(bench):
    return {facts["initiator-spi"] for _, facts in bench.left.sas()} | {
        child["spi-in"] for child in bench.left.children()}


class Neighbours:
    """The bench, with another gateway behind the same translator as the left one."""

    def __init__(self, bench, kind):
        self.bench = bench
        scenario = bench.scenario
        self.third = KINDS[kind](bench.network.third, bench.directory)
        network = bench.network
        bench.network.up()
        bench.network.prove_guard()
        for gateway, other in ((bench.left, network.b), (self.third, network.b)):
            scenario.prepare(gateway, bench.right)
            gateway.write(scenario.configuration(gateway.side, other))
        first = scenario.configuration(network.b, network.a)
        second = scenario.configuration(network.b, network.third)
        for name in (f"  {CONNECTION} {{", f"  {CONNECTION}2 {{"), ("ike-lab", "ike-lab2"), (f"  {CHILD} {{", f"  {CHILD}2 {{"):
            second = second.replace(*name)
        scenario.prepare(bench.right, bench.left)
        bench.right.write(first + second.replace(f"martlet {{\n  keep_alive = {KEEP_ALIVE}s\n}}\n", ""))
        self.before = {gateway: Plumbing(gateway.side) for gateway in self.all}
        for gateway in self.all:
            gateway.start()

    @property
    def all(self):
        return [self.bench.left, self.third, self.bench.right]

    def pings(self):
        b = self.bench.network.b
        for side in (self.bench.network.a, self.bench.network.third):
            for family in (4, 6):
                for here, there in ((side, b), (b, side)):
                    answered = ping(here, there.inner[family], source=here.inner[family])
                    if answered != 3:
                        raise Failure(
                            f"{answered} of 3 pings answered over IPv{family} from side {here.letter} to {there.letter}")

    def agree(self):
        """The right side has one tunnel with each of the others, mirrored, from two ports of one address."""
        def agreed():
            theirs = self.bench.right.sas()
            mine = [facts for gateway in (self.bench.left, self.third) for _, facts in gateway.sas()]
            if len(theirs) != 2 or len(mine) != 2:
                return False
            pairs = {(child["spi-out"], child["spi-in"]) for _, facts in theirs for child in facts["child-sas"].values()}
            ours = {(child["spi-in"], child["spi-out"]) for facts in mine for child in facts["child-sas"].values()}
            return len(pairs) == 2 and pairs == ours

        eventually(agreed, 10, "both tunnels are up and agreed upon", interval=0.3)
        ports = {(facts["remote-host"], facts["remote-port"]) for _, facts in self.bench.right.sas()}
        if len(ports) != 2 or {host for host, _ in ports} != {PUBLIC["a"]}:
            raise Failure(f"{self.bench.right.name} sees its peers at {ports}")


def two_clients(kind):
    """Two gateways behind one translator reach the same one outside, at once; each keeps its own tunnel."""
    def procedure(bench, options):
        pair = None
        try:
            pair = Neighbours(bench, kind)
            for gateway in (bench.left, pair.third):
                gateway.initiate().require()
            pair.agree()
            pair.pings()
            for gateway in (bench.left, pair.third):
                for target in (("--child", CHILD), ("--ike", CONNECTION)):
                    gateway.swanctl("--rekey", *target).require()
            time.sleep(1)
            pair.agree()
            pair.pings()
            # One leaves; the other one stays.
            bench.left.terminate().require()
            eventually(lambda: len(bench.right.sas()) == 1, 5, "one of the two tunnels has ended")
            third, b = bench.network.third, bench.network.b
            if ping(third, b.inner[4], source=third.inner[4]) != 3:
                raise Failure("the other client's tunnel ended too")
            bench.network.require_nothing_plain()
            pair.third.terminate().require()
            eventually(lambda: not bench.right.sas(), 5, "both tunnels have ended")
            bench.require_secrets_kept()
            return f"{bench.left.kind} and {kind} behind one address"
        finally:
            if pair:
                pair.third.abandon()
    return procedure


#: A ping every hundredth of a second, and how many may be lost while a mapping is another one.
COUNT, LOSSES = 600, 100


def rebinding(bench, options):
    """The translator forgets: the next packet comes from another port, and both directions go on with the same SAs."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    a, b, box = bench.network.a, bench.network.b, bench.network.boxes_a[0]
    before, ports = _spis(bench), [_port(bench)]
    flow = bench.helper(
        ["ping", "-n", "-q", "-c", COUNT, "-i", "0.01", "-W", "2", "-I", a.inner[4], b.inner[4]], a, "rebinding-ping")
    for _ in range(3):
        time.sleep(1)
        box.forget()
        eventually(lambda: _port(bench) != ports[-1], 5, f"{bench.right.name} sees its peer at another port")
        ports.append(_port(bench))
    flow.wait(30)
    received = next((int(part.split()[0]) for part in flow.output().split(",") if "received" in part), 0)
    if received < COUNT - LOSSES:
        raise Failure(f"{received} of {COUNT} packets arrived while ports changed: {last_lines(flow.output())}")
    if _spis(bench) != before:
        raise Failure("other SAs after the rebinding")
    bench.require_up(count=1)
    bench.require_pings()
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_secrets_kept()
    return f"ports {', '.join(str(port) for port in ports)}; {COUNT - received} of {COUNT} pings lost"


def _port(bench):
    return next((int(facts["remote-port"]) for _, facts in bench.right.sas()), 0)


EVERYBODY = {("strongswan", "strongswan"), ("martlet", "strongswan"), ("strongswan", "martlet"), ("martlet", "martlet")}

#: (name, scenario, procedure, pairings that have it)
CASES = [
    ("nat-initiator", lambda: TranslatedScenario(before_a=1), through, EVERYBODY),
    ("nat-responder", lambda: TranslatedScenario(before_b=1), through, EVERYBODY),
    ("nat-both", lambda: TranslatedScenario(before_a=1, before_b=1), through, EVERYBODY),
    ("nat-double", lambda: TranslatedScenario(before_a=2), through, EVERYBODY),
    ("nat-4500", lambda: TranslatedScenario(before_a=1, straight=True), through, EVERYBODY),
    ("nat-forced", lambda: TranslatedScenario(forced=True), through, EVERYBODY),
    ("nat-two-clients", lambda: TranslatedScenario(before_a=1, neighbour=True), two_clients("strongswan"),
     {("strongswan", "strongswan"), ("martlet", "strongswan")}),
    ("nat-two-clients", lambda: TranslatedScenario(before_a=1, neighbour=True), two_clients("martlet"),
     {("strongswan", "martlet"), ("martlet", "martlet")}),
    ("nat-two-martlets", lambda: TranslatedScenario(before_a=1, neighbour=True), two_clients("martlet"),
     {("martlet", "strongswan")}),
    ("nat-two-strongswans", lambda: TranslatedScenario(before_a=1, neighbour=True), two_clients("strongswan"),
     {("strongswan", "martlet")}),
    ("nat-rebinding", lambda: TranslatedScenario(before_a=1), rebinding, {("martlet", "martlet")}),
]
