"""A bench: the network, a gateway on either side, and the questions that every case asks of them."""

import base64
import json
import os

from .gateways import KINDS
from .network import Network, Plumbing, open_routes, ping
from .routed import RoutedNetwork
from .processes import Daemon, Failure, eventually, last_lines


class Bench:
    """One case's world. `left` is the gateway on side a, `right` on side b."""

    def __init__(self, left, right, scenario, directory, network=None):
        self.scenario = scenario
        self.network = network or scenario.network or (
            RoutedNetwork(scenario.narrow) if scenario.narrow else Network())
        self.directory = directory
        self.left = KINDS[left](self.network.a, directory)
        self.right = KINDS[right](self.network.b, directory)
        self.before = {}
        self.helpers = []

    @property
    def gateways(self):
        return (self.left, self.right)

    def other(self, gateway):
        return self.right if gateway is self.left else self.left

    def set_up(self):
        """Network, proven guard, both gateways running and configured."""
        self.network.up()
        self.network.prove_guard()
        self.start()

    def start(self):
        """Both gateways, running and configured."""
        for gateway in self.gateways:
            self.scenario.prepare(gateway, self.other(gateway))
            self.before[gateway] = Plumbing(gateway.side)
            gateway.write(self.scenario.configuration(gateway.side, self.other(gateway).side))
        for gateway in self.gateways:
            gateway.start()

    def tear_down(self):
        self.end()
        self.network.down()

    def end(self):
        """Kills whatever runs; the network stays."""
        for helper in self.helpers:
            helper.kill()
        for gateway in self.gateways:
            gateway.abandon()

    def helper(self, command, side, name):
        """A process beside the gateways; ends with the case at the latest."""
        daemon = Daemon(command, os.path.join(self.directory, name), netns=side.netns)
        self.helpers.append(daemon)
        return daemon

    # Questions.

    def require_up(self, count=None):
        """Both sides are established, installed, and agree on every SPI. Returns the left side's SAs."""
        def agreed():
            ours, theirs = (self._view(gateway) for gateway in self.gateways)
            if not ours["ike"] or not ours["esp"] or ours["states"] | theirs["states"] != {"ESTABLISHED"}:
                return None
            if ours["child-states"] | theirs["child-states"] != {"INSTALLED"}:
                return None
            mirrored = {(outgoing, incoming) for incoming, outgoing in theirs["esp"]}
            return ours if ours["ike"] == theirs["ike"] and ours["esp"] == mirrored else None

        try:
            view = eventually(agreed, 10, "both sides agree on their SAs", interval=0.3)
        except Failure as failure:
            views = "; ".join(f"{gateway.name}: {self._view(gateway)}" for gateway in self.gateways)
            raise Failure(f"{failure} ({views})") from None
        if count is not None and len(view["ike"]) != count:
            raise Failure(f"{len(view['ike'])} IKE SAs where {count} should be")
        return self.left.sas()

    def _view(self, gateway):
        sas = [facts for _, facts in gateway.sas()]
        children = [child for facts in sas for child in facts.get("child-sas", {}).values()]
        return {
            "ike": {(facts["initiator-spi"], facts["responder-spi"]) for facts in sas},
            "esp": {(child["spi-in"], child["spi-out"]) for child in children},
            "states": {facts["state"] for facts in sas},
            "child-states": {child["state"] for child in children},
        }

    def require_suite(self):
        """Both sides report the algorithms that the scenario asked for."""
        suite = self.scenario.suite
        for gateway in self.gateways:
            for _, facts in gateway.sas():
                _require_facts(gateway, "IKE", facts, {**suite.ike_facts, "version": "2"})
                for child in facts["child-sas"].values():
                    _require_facts(gateway, "Child", child, {**suite.esp_facts, "protocol": "ESP", "mode": "TUNNEL"})

    def require_pings(self):
        """Three of three answered, both families, both directions."""
        for gateway in self.gateways:
            here, there = gateway.side, self.other(gateway).side
            for family in (4, 6):
                answered = ping(here, there.inner[family], source=here.inner[family])
                if answered != 3:
                    raise Failure(f"{answered} of 3 pings answered over IPv{family} from side {here.letter}")

    def require_counted(self):
        """The SAs carried packets both ways: a ping that took another way proves nothing."""
        for gateway in self.gateways:
            for direction in ("packets-in", "packets-out"):
                if not any(int(child.get(direction, "0")) > 0 for child in gateway.children()):
                    raise Failure(f"{gateway.name} counts no {direction}")

    def transfer(self, seconds):
        """iperf3 TCP through the tunnel, left to right and back. Returns Gbit/s of both."""
        return [report["sum_received"]["bits_per_second"] / 1e9 for report in self.transfers(seconds)]

    def transfers(self, seconds):
        """What iperf3 says at the end of one TCP stream left to right, and of one back."""
        reports = []
        here, there = self.network.a, self.network.b
        for reverse in ([], ["--reverse"]):
            server = self.helper(["iperf3", "--server", "--one-off", "--bind", there.inner[4]], there, "iperf3-server")
            eventually(lambda: _listening(there), 5, "iperf3 listens")
            done = here.run(
                ["iperf3", "--client", there.inner[4], "--bind", here.inner[4], "--time", seconds, "--json",
                 "--connect-timeout", 3000, *reverse], timeout=seconds + 15)
            report = json.loads(done.out) if done.out.strip() else {}
            if done.code != 0 or "error" in report:
                raise Failure(f"iperf3 {' '.join(reverse)}: {report.get('error') or last_lines(done.text)}")
            reports.append(report["end"])
            server.wait(5)
            rate = reports[-1]["sum_received"]["bits_per_second"]
            if rate <= 1e6:
                raise Failure(f"iperf3 {' '.join(reverse)} carried almost nothing: {rate / 1e6:.3f} Mbit/s")
        return reports

    def require_down(self):
        """No SA is left on either side, and no route into the tunnel."""
        for gateway in self.gateways:
            eventually(lambda: not gateway.sas(), 5, f"{gateway.name} has no SA after the tunnel was terminated")
            for family in (4, 6):
                network = self.other(gateway).side.protected[family]
                left = open_routes(gateway.side, network)
                if left:
                    raise Failure(f"{gateway.name} still routes {network} after the end of the tunnel: {left}")

    def require_clean_stop(self):
        """Both daemons end by themselves and leave nothing that could carry a packet."""
        for gateway in self.gateways:
            gateway.stop()
            after = Plumbing(gateway.side)
            left = after.open_leftovers(self.before[gateway])
            if left:
                raise Failure(f"{gateway.name} left behind: {'; '.join(left)}")
            if gateway.kind == "martlet" and after.repeated():
                raise Failure(f"{gateway.name} left the same twice: {'; '.join(after.repeated())}")

    def require_secrets_kept(self, *texts):
        """No pre-shared key occurs in a Martlet log or in the texts given, in any of its usual spellings."""
        for secret in self.scenario.secrets():
            octets = secret.encode()
            spellings = [secret, octets.hex(), octets.hex().upper(), base64.b64encode(octets).decode().rstrip("=")]
            for gateway in self.gateways:
                if gateway.kind != "martlet":
                    continue
                for text in (gateway.log_text(), *texts):
                    if any(spelling in text for spelling in spellings):
                        raise Failure(f"a pre-shared key occurs in what {gateway.name} says")


def _listening(side):
    return bool(side.run(["ss", "-Hltn", "sport = :5201"]).out.strip())


def _require_facts(gateway, what, facts, expected):
    wrong = {key: facts.get(key) for key, value in expected.items() if facts.get(key) != value}
    if wrong:
        raise Failure(f"{gateway.name} reports for the {what} SA {wrong}, expected {expected}")
