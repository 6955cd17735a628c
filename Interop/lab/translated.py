"""The same two sides with network address translators on the way: before the left side, before the right one, both."""

import json

from .network import Network, Side, ping, remove_namespace
from .processes import Failure, eventually, run

#: What either side is called by the other one: always the outermost box, or the side itself.
PUBLIC = {"a": "10.99.0.1", "b": "10.99.0.2", "c": "10.99.0.1"}


class Box:
    """A translator: one device inside, one outside, and what it counts.

    Going out, UDP gets a port of its own choice. Coming in, ports 500 and 4500 lead to `server`, if there is one.
    """

    def __init__(self, name, netns, ports, server=None):
        self.name, self.netns, self.ports, self.server = name, netns, ports, server

    def rules(self):
        to_server = "" if self.server is None else "\n".join(
            f'            iifname "outside" udp dport {port} dnat ip to {self.server}:{port}' for port in (500, 4500))
        return f"""
        table inet box {{
          counter keepalives {{ }}
          counter plain_ike {{ }}
          counter translated {{ }}
          chain forward {{
            type filter hook forward priority 0; policy accept;
            iifname "inside" udp length 9 @th,64,8 0xff counter name keepalives
            iifname "inside" udp dport 500 counter name plain_ike
            iifname "inside" udp dport {{ 500, 4500 }} counter name translated
          }}
          chain leave {{
            type nat hook postrouting priority srcnat; policy accept;
            oifname "outside" meta l4proto udp masquerade to :{self.ports} random
          }}
          chain enter {{
            type nat hook prerouting priority dstnat; policy accept;
{to_server}
          }}
        }}
        """

    def up(self):
        run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"],
            netns=self.netns).require()
        run(["nft", "-f", "-"], netns=self.netns, stdin=self.rules()).require()

    def counter(self, name):
        """Packets from inside so far: `keepalives`, `plain_ike` (to port 500), `translated`."""
        listing = json.loads(run(["nft", "-j", "list", "counter", "inet", "box", name], netns=self.netns).require().out)
        return next(entry["counter"]["packets"] for entry in listing["nftables"] if "counter" in entry)

    def forget(self):
        """The mappings are gone: the next packet from inside gets another port."""
        run(["conntrack", "-D", "-p", "udp", "--orig-port-dst", "4500"], netns=self.netns).require()


class TranslatedNetwork(Network):
    """A chain of links: side a, its boxes, the public link 10.99.0.0/24, side b's boxes, side b.

    `before_a` and `before_b` say how many boxes hide a side. A hidden side b can be reached at its box's address, ports
    500 and 4500. `neighbour` makes another side behind side a's box, on the same link, with networks of its own.
    """

    def __init__(self, before_a=0, before_b=0, neighbour=False):
        super().__init__()
        stem = self.a.netns[:-1]
        self.boxes_a = [
            Box(f"a{n}", f"{stem}na{n}", f"{10_000 * (n + 1)}-{10_000 * (n + 1) + 999}") for n in range(before_a)]
        self.boxes_b = [
            Box(f"b{n}", f"{stem}nb{n}", f"{40_000 + 1000 * n}-{40_000 + 1000 * n + 999}", server="192.168.20.2")
            for n in range(before_b)]
        if before_b > 1:
            raise ValueError("one box before side b is all that this network has")
        if before_a:
            self.a.outer = {4: "192.168.10.2", 6: "fd00:a0::2"}
        if before_b:
            self.b.outer = {4: "192.168.20.2", 6: "fd00:b0::2"}
        self.third = None
        if neighbour:
            self.third = Side("a", f"{stem}c")
            self.third.letter = "c"
            self.third.device = "wire-c"
            self.third.outer = {4: "192.168.10.3", 6: "fd00:a0::3"}
            self.third.inner = {4: "10.3.0.1", 6: "fd03::1"}
            self.third.protected = {4: "10.3.0.0/16", 6: "fd03::/64"}
            self.sides = (self.a, self.b, self.third)

    def up(self):
        for name in [side.netns for side in self.sides] + [box.netns for box in self.boxes_a + self.boxes_b]:
            run(["ip", "netns", "add", name]).require()
            run(["ip", "-n", name, "link", "set", "lo", "up"]).require()
        for side in self.sides:
            for family, width in ((4, 32), (6, 128)):
                self._ip(side.netns, f"addr add {side.inner[family]}/{width} dev lo")
        # From side a outwards: (namespace, device inside, device outside).
        chain = [(self.a.netns, None, self.a.device)]
        chain += [(box.netns, "inside", "outside") for box in self.boxes_a]
        chain += [(box.netns, "outside", "inside") for box in reversed(self.boxes_b)]
        chain += [(self.b.netns, self.b.device, None)]
        public = len(self.boxes_a)
        for index, (near, far) in enumerate(zip(chain, chain[1:])):
            four, six = self._link(index, public)
            run(["ip", "link", "add", near[2], "netns", near[0], "type", "veth",
                 "peer", "name", far[1], "netns", far[0]]).require()
            for netns, device, number in ((near[0], near[2], 0), (far[0], far[1], 1)):
                self._ip(netns, f"link set {device} up")
                self._ip(netns, f"addr add {four[number]}/24 dev {device}")
                self._ip(netns, f"addr add {six[number]}/64 dev {device} nodad")
        for index, (netns, left, right) in enumerate(chain):
            # What is outside, seen from here, is side b's except beyond a box of side b's.
            if right is not None:
                four, six = self._link(index, public)
                self._route(netns, self.b, four[1], six[1], right, left is not None, left is None or index <= public)
            if left is not None:
                four, six = self._link(index - 1, public)
                self._route(netns, self.a, four[0], six[0], left, right is not None, right is None or index > public)
        for box in self.boxes_a + self.boxes_b:
            box.up()
        if self.third:
            self._add_neighbour()
        for side in self.sides:
            self._guard(side)

    def _link(self, index, public):
        """The addresses of a link's two ends, side a's first: the public one is 10.99.0.0/24."""
        if index == public:
            return (PUBLIC["a"], PUBLIC["b"]), ("fd00:99::1", "fd00:99::2")
        if index > public:
            return ("192.168.20.1", "192.168.20.2"), ("fd00:b0::1", "fd00:b0::2")
        third = 10 + index
        return (f"192.168.{third}.2", f"192.168.{third}.1"), (f"fd00:{third + 0x96:x}::2", f"fd00:{third + 0x96:x}::1")

    def _route(self, netns, side, four, six, device, is_box, is_default):
        """Towards `side`: its networks, and all that is known no better. A side itself has a default route only."""
        for target in ([side.protected[4]] if is_box else []) + (["default"] if is_default else []):
            self._ip(netns, f"route add {target} via {four}")
        for target in ([side.protected[6]] if is_box else []) + (["::/0"] if is_default else []):
            self._ip(netns, f"route add {target} via {six} dev {device}")

    def _add_neighbour(self):
        """Side a's link becomes a bridge in its box, with side c on it."""
        box, side = self.boxes_a[0], self.third
        (_, four), (_, six) = self._link(0, len(self.boxes_a))
        run(["ip", "link", "add", side.device, "netns", side.netns, "type", "veth",
             "peer", "name", "second", "netns", box.netns]).require()
        for command in (
            "addr flush dev inside", "link set inside down", "link set inside name first", "link add inside type bridge",
            "link set first master inside", "link set second master inside", "link set first up",
            "link set second up", "link set inside up", f"addr add {four}/24 dev inside",
            f"addr add {six}/64 dev inside nodad",
            f"route replace {self.a.protected[4]} via {self.a.outer[4]}",
            f"route replace {self.a.protected[6]} via {self.a.outer[6]} dev inside",
            f"route add {side.protected[4]} via {side.outer[4]}",
            f"route add {side.protected[6]} via {side.outer[6]} dev inside",
        ):
            self._ip(box.netns, command)
        self._ip(side.netns, f"link set {side.device} up")
        self._ip(side.netns, f"addr add {side.outer[4]}/24 dev {side.device}")
        self._ip(side.netns, f"addr add {side.outer[6]}/64 dev {side.device} nodad")
        self._ip(side.netns, f"route add default via {four}")
        self._ip(side.netns, f"route add ::/0 via {six} dev {side.device}")

    def _ip(self, netns, words):
        run(["ip", "-n", netns, *(["-6"] if ":" in words and words.startswith("route") else []), *words.split()]).require()

    def prove_guard(self):
        super().prove_guard()
        if self.third:
            for family in (4, 6):
                eventually(
                    lambda: ping(self.third, self.b.inner[family], source=self.third.inner[family], count=1, wait=1) == 1,
                    5, f"the bare wire carries IPv{family} from {self.third.letter}")
            if self.plain_packets(self.third) < 2:
                raise Failure("the guard of side c did not count plain packets")
            self.reset_guard()

    def down(self):
        super().down()
        for box in self.boxes_a + self.boxes_b:
            remove_namespace(box.netns)
