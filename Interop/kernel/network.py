"""Two namespaces of the guest: side a is Martlet's, side b the kernel's or strongSwan's. Only side b has a plain route."""

import re

from lab.processes import Failure, run

#: By side and family: the outer address, the host inside and its network.
OUTER = {"a": {4: "10.9.0.1", 6: "fd09::1"}, "b": {4: "10.9.0.2", 6: "fd09::2"}}
INNER = {"a": {4: "10.1.0.1", 6: "fd01::1"}, "b": {4: "10.2.0.1", 6: "fd02::1"}}
NETS = {"a": {4: "10.1.0.0/16", 6: "fd01::/64"}, "b": {4: "10.2.0.0/16", 6: "fd02::/64"}}


def other(side):
    return "b" if side == "a" else "a"


class Network:
    """Made once for a boot; what a case adds to it, the case takes away."""

    def __init__(self):
        for side in "ab":
            self.ip(None, f"netns add {side}")
            self.ip(side, "link set lo up")
        self.ip(None, "link add va netns a type veth peer name vb netns b")
        hardware = {}
        for side in "ab":
            self.ip(side, f"link set v{side} up")
            self.ip(side, f"addr add {OUTER[side][4]}/24 dev v{side}")
            self.ip(side, f"addr add {OUTER[side][6]}/64 dev v{side} nodad")
            self.ip(side, f"addr add {INNER[side][4]}/32 dev lo")
            self.ip(side, f"addr add {INNER[side][6]}/128 dev lo nodad")
            hardware[side] = re.search(r"link/ether (\S+)", self.ip(side, f"link show v{side}")).group(1)
        for side in "ab":
            # Who looks for a neighbour does so in clear, which a policy for everything between the hosts forbids.
            for family in (4, 6):
                address = OUTER[other(side)][family]
                self.ip(side, f"neigh replace {address} lladdr {hardware[other(side)]} dev v{side} nud permanent")
        for family in (4, 6):
            self.ip("b", f"-{family} route add {NETS['a'][family]} via {OUTER['a'][family]} src {INNER['b'][family]}")

    def ip(self, side, words, may_fail=False):
        """Runs `ip`; a word that holds spaces stands between bars."""
        split = []
        for index, part in enumerate(words.split("|")):
            split += [part] if index % 2 else part.split()
        done = run(["ip", *split], netns=side)
        if not may_fail:
            done.require()
        return done.out

    def ping(self, side, address, source=None, count=5, interval=0.05, size=56):
        """Packets that came back."""
        origin = ["-I", source] if source else []
        done = run(
            ["ping", "-n", "-q", "-c", count, "-i", interval, "-W", 3, "-s", size, *origin, address], netns=side,
            timeout=30 + count * interval)
        found = re.search(r"(\d+) packets transmitted, (\d+) received", done.out)
        if found is None:
            raise Failure(f"ping from {side} to {address} said: {done.text.strip()[:160]}")
        return int(found.group(2))

    def require_ping(self, side, address, source=None, count=5, size=56):
        came = self.ping(side, address, source, count, size=size)
        if came != count:
            raise Failure(f"{came} of {count} pings from {side} to {address} came back")
        return came
