"""The network of strongSwan's test scenarios, in namespaces: gateways moon and sun, hosts behind them, road warriors.

Eight hosts on three bridges. moon (.1) and sun (.2) join 10.1.0.0/16 and 10.2.0.0/16 to 192.168.0.0/24, where carol
(.100), dave (.200), winnetou (.150) and alice's second interface (.50) are; alice and venus are behind moon, bob is
behind sun. The names and addresses are those that such a directory of files counts on.
"""

import itertools
import os

from .network import PREFIX, remove_namespace
from .processes import run

_SERIAL = itertools.count(1)

#: By host: (device, bridge, IPv4 with width, IPv6 with width), the first one first.
HOSTS = {
    "moon": [("eth0", "net0", "192.168.0.1/24", "fec0::1/16"), ("eth1", "net1", "10.1.0.1/16", "fec1::1/16")],
    "sun": [("eth0", "net0", "192.168.0.2/24", "fec0::2/16"), ("eth1", "net2", "10.2.0.1/16", "fec2::1/16")],
    "alice": [("eth0", "net1", "10.1.0.10/16", "fec1::10/16"), ("eth1", "net0", "192.168.0.50/24", "fec0::5/16")],
    "venus": [("eth0", "net1", "10.1.0.20/16", "fec1::20/16")],
    "bob": [("eth0", "net2", "10.2.0.10/16", "fec2::10/16")],
    "carol": [("eth0", "net0", "192.168.0.100/24", "fec0::10/16")],
    "dave": [("eth0", "net0", "192.168.0.200/24", "fec0::20/16")],
    "winnetou": [("eth0", "net0", "192.168.0.150/24", "fec0::15/16")],
}

#: Who is a host's way to everywhere.
DEFAULTS = {
    "alice": ("10.1.0.1", "fec1::1"), "venus": ("10.1.0.1", "fec1::1"), "bob": ("10.2.0.1", "fec2::1"),
    "moon": ("192.168.0.254", "fec0::254"), "sun": ("192.168.0.254", "fec0::254"),
    "carol": ("192.168.0.254", "fec0::254"), "dave": ("192.168.0.254", "fec0::254"),
    "winnetou": ("192.168.0.254", "fec0::254"),
}

#: The domain of the names in captures and in files.
DOMAIN = "strongswan.org"


def addresses():
    """What stands for PH_IP_<HOST> and PH_IP6_<HOST>, and the names of addresses."""
    placeholders, names = {}, {}
    for host, devices in HOSTS.items():
        for index, (_, _, four, six) in enumerate(devices):
            suffix = "" if index == 0 else str(index)
            placeholders[f"PH_IP_{host.upper()}{suffix}"] = four.split("/")[0]
            placeholders[f"PH_IP6_{host.upper()}{suffix}"] = six.split("/")[0]
            name = f"{host}{suffix}.{DOMAIN}"
            names[four.split("/")[0]] = name
            names[six.split("/")[0]] = name
    return placeholders, names


class Playground:
    """All hosts, made by `up` and removed by `down`."""

    def __init__(self):
        self.stem = f"{PREFIX}{os.getpid()}-p{next(_SERIAL)}"

    def netns(self, host):
        return f"{self.stem}-{host}"

    @property
    def _switch(self):
        return self.netns("switch")

    def up(self):
        run(["ip", "netns", "add", self._switch]).require()
        commands = [f"link add {bridge} type bridge" for bridge in ("net0", "net1", "net2")]
        commands += [f"link set {bridge} up" for bridge in ("net0", "net1", "net2")]
        # The router of the network in the middle: nobody is behind it, and what is sent to it is lost.
        commands += ["addr add 192.168.0.254/24 dev net0", "addr add fec0::254/16 dev net0 nodad"]
        self._batch(self._switch, commands)
        for host, devices in HOSTS.items():
            netns = self.netns(host)
            run(["ip", "netns", "add", netns]).require()
            commands = ["link set lo up"]
            for device, bridge, four, six in devices:
                port = f"{host}-{device}"[:15]
                run(["ip", "link", "add", device, "netns", netns, "type", "veth", "peer", "name", port, "netns",
                     self._switch]).require()
                self._batch(self._switch, [f"link set {port} master {bridge} up"])
                commands += [f"addr add {six} dev {device} nodad", f"addr add {four} dev {device}"]
                # alice's second device is there when a scenario wants it.
                if not (host == "alice" and device == "eth1"):
                    commands.append(f"link set {device} up")
            self._batch(netns, commands)
            four, six = DEFAULTS[host]
            self._batch(netns, [f"route add default via {four}"])
            run(["ip", "-n", netns, "-6", "route", "add", "default", "via", six]).require()
            run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                 "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"], netns=netns).require()

    def _batch(self, netns, commands):
        run(["ip", "-n", netns, "-batch", "-"], stdin="\n".join(commands) + "\n").require()

    def down(self):
        for host in [*HOSTS, "switch"]:
            remove_namespace(self.netns(host))
