"""The same two sides with a router between them, one of whose links is narrower than the other."""

from .network import Network, remove_namespace
from .processes import run

#: Octets of the longest packet on the narrow link.
NARROW = 1300


class RoutedNetwork(Network):
    """Side `a` on 10.99.0.0/24, side `b` on 10.99.1.0/24. Neither sees the other's link, but `narrow` its own."""

    def __init__(self, narrow):
        super().__init__()
        self.narrow = narrow
        self.b.outer = {4: "10.99.1.2", 6: "fd00:9a::2"}
        self.router = f"{self.a.netns[:-1]}r"

    def up(self):
        for netns in (self.a.netns, self.router, self.b.netns):
            run(["ip", "netns", "add", netns]).require()
        gateways = {"a": ("10.99.0.254", "fd00:99::254"), "b": ("10.99.1.254", "fd00:9a::254")}
        commands = ["link set lo up"]
        for side in self.sides:
            mtu = NARROW if side.letter == self.narrow else 1500
            run(["ip", "link", "add", side.device, "netns", side.netns, "type", "veth",
                 "peer", "name", f"to-{side.letter}", "netns", self.router]).require()
            four, six = gateways[side.letter]
            commands += [
                f"link set to-{side.letter} mtu {mtu} up", f"addr add {four}/24 dev to-{side.letter}",
                f"addr add {six}/64 dev to-{side.letter} nodad",
                f"route add {side.protected[4]} via {side.outer[4]}",
                f"route add {side.protected[6]} via {side.outer[6]} dev to-{side.letter}",
            ]
            here = [
                "link set lo up", f"link set {side.device} mtu {mtu} up",
                f"addr add {side.outer[4]}/24 dev {side.device}",
                f"addr add {side.outer[6]}/64 dev {side.device} nodad",
                f"addr add {side.inner[4]}/32 dev lo", f"addr add {side.inner[6]}/128 dev lo",
                f"route add default via {four}", f"route add ::/0 via {six} dev {side.device}",
            ]
            run(["ip", "-n", side.netns, "-batch", "-"], stdin="\n".join(here) + "\n").require()
        run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"],
            netns=self.router).require()
        run(["ip", "-n", self.router, "-batch", "-"], stdin="\n".join(commands) + "\n").require()
        for side in self.sides:
            self._guard(side)

    def down(self):
        super().down()
        remove_namespace(self.router)
