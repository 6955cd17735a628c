"""Ends that move, or are moved, while packets flow: MOBIKE (RFC 4555) and a translator that forgets its mapping."""

import re
import time
from dataclasses import dataclass

from lab.processes import Failure, eventually, run
from lab.swanctl import security_associations

from .gateways import CHILD, Pair, Wanted
from .network import INNER, NETS, OUTER, other

#: A ping every fiftieth of a second, and how many may be lost: a change is seen, told, checked and answered within two
#: seconds, in a guest that runs at a fraction of its host's speed. They go on until all is over, however slow the host is:
#: without packets nobody sees that a translator has forgotten.
INTERVAL, LOSSES = 0.02, 100

#: Where a side goes, and whence it comes back.
ELSEWHERE = {"a": "10.9.0.11", "b": "10.9.0.12"}


@dataclass
class Roaming(Wanted):
    """A tunnel whose ends name no address of their own, and may move."""

    def text(self, side):
        text = super().text(side).replace("mobike = no", "mobike = yes")
        return text.replace(f"    local_addrs = {OUTER[side][self.outer]}\n", "")


@dataclass
class Hidden(Wanted):
    """A tunnel whose initiator is behind a translator; MOBIKE would go another way about it."""

    def text(self, side):
        return super().text(side) + "martlet {\n  keep_alive = 2s\n}\n"


def _readdress(guest, side, old, new):
    """The host loses one address and gets another one of the same network. strongSwan gets the new one first: without it
    for a moment, it goes over to IPv6 and stays there."""
    device = f"v{side}"
    changes = [f"addr del {old}/24 dev {device}", f"addr add {new}/24 dev {device}"]
    if side == "b":
        run(["sysctl", "-qw", "net.ipv4.conf.all.promote_secondaries=1"], netns=side).require()
        changes.reverse()
    for change in changes:
        guest.network.ip(side, change)
    if side == "b":
        # The plain route went with the address.
        guest.network.ip("b", f"route replace {NETS['a'][4]} via {OUTER['a'][4]} src {INNER['b'][4]}")
    else:
        guest.network.ip("b", f"route replace {NETS['a'][4]} via {new} src {INNER['b'][4]}")


def _facts(gateway):
    sas = security_associations(gateway.swanctl("--list-sas", "--raw").require().out)
    if len(sas) != 1:
        raise Failure(f"{type(gateway).__name__} has {len(sas)} IKE SAs")
    return sas[0][1]


def _spis(gateway):
    facts = _facts(gateway)
    return facts["initiator-spi"], sorted(child["spi-in"] for child in facts["child-sas"].values())


def _sent(streams):
    return [stream.sent for stream in streams]


def moves(initiator, wanted):
    """The initiator goes to another address and back under pings both ways; the same SAs go on from there."""
    def procedure(guest):
        side = "a" if initiator == "martlet" else "b"
        if side == "b":
            # Or else strongSwan takes whichever of its paths answers first, and that may be over IPv6.
            guest.network.ip("b", f"addr del {OUTER['b'][6]}/64 dev vb")
        try:
            with Pair(guest, wanted) as pair:
                mover = pair.left if side == "a" else pair.right
                pair.initiate(mover)
                pair.check()
                before = [_spis(gateway) for gateway in (pair.left, pair.right)]
                streams = [guest.pings(near, INNER[other(near)][4], INNER[near][4], interval=INTERVAL)
                           for near in "ab"]
                time.sleep(1)
                home, away = OUTER[side][4], ELSEWHERE[side]
                for old, new in ((home, away), (away, home)):
                    _readdress(guest, side, old, new)
                    eventually(
                        lambda new=new: _places(pair, side) == {new}, 15, f"both sides know the address {new}",
                        interval=0.3)
                    time.sleep(1.5)
                lost = [stream.lost() for stream in streams]
                if max(lost) > 2 * LOSSES:
                    raise Failure(f"{lost} of {_sent(streams)} pings were lost over two moves")
                if [_spis(gateway) for gateway in (pair.left, pair.right)] != before:
                    raise Failure("other SAs after the move")
                pair.check()
                _require_in_kernel(guest, pair)
                pair.terminate(mover)
                return f"there and back, {lost} of {_sent(streams)} pings lost"
        finally:
            if side == "b":
                guest.network.ip("b", f"addr add {OUTER['b'][6]}/64 dev vb nodad", may_fail=True)
            guest.network.ip(side, f"addr del {ELSEWHERE[side]}/24 dev v{side}", may_fail=True)
            guest.network.ip(side, f"addr add {OUTER[side][4]}/24 dev v{side}", may_fail=True)
            guest.network.ip("b", f"route replace {NETS['a'][4]} via {OUTER['a'][4]} src {INNER['b'][4]}", may_fail=True)
    return procedure


def _places(pair, side):
    """Where both say that the mover is."""
    mover, stayer = (pair.left, pair.right) if side == "a" else (pair.right, pair.left)
    return {_facts(mover)["local-host"], _facts(stayer)["remote-host"]}


def _require_in_kernel(guest, pair):
    """The kernel's SAs are those of the tunnel, between the addresses of now."""
    text = guest.network.ip("b", "xfrm state")
    found = set(re.findall(r"^src (\S+) dst (\S+)$", text, re.MULTILINE))
    a, b = OUTER["a"][4], OUTER["b"][4]
    if found != {(a, b), (b, a)}:
        raise Failure(f"the kernel has SAs between {sorted(found)}")


def _translate(side, ports):
    """A translator in the host's own namespace: what leaves it gets another port. By the older tables: Debian's kernel for
    User-Mode Linux has no nf_tables for IPv4."""
    for module in ("iptable_nat", "xt_MASQUERADE", "xt_tcpudp", "xt_multiport", "nf_conntrack_netlink"):
        run(["modprobe", module])
    run([*_TABLES, "-A", *_RULE, "--to-ports", ports, "--random"], netns=side).require()


_TABLES = ["iptables-legacy", "-t", "nat"]
_RULE = ["POSTROUTING", "-p", "udp", "--match", "multiport", "--sports", "500,4500", "-j", "MASQUERADE"]


def rebound(initiator, wanted):
    """The translator before the initiator forgets, three times, under pings both ways; the same SAs go on."""
    def procedure(guest):
        side = "a" if initiator == "martlet" else "b"
        _translate(side, "10000-10999")
        try:
            with Pair(guest, wanted) as pair:
                hidden, outside = (pair.left, pair.right) if side == "a" else (pair.right, pair.left)
                pair.initiate(hidden)
                pair.check()
                facts = _facts(hidden)
                if facts.get("nat-local") != "yes" or _facts(outside).get("nat-remote") != "yes":
                    raise Failure("the translator is not seen")
                before, ports = [_spis(gateway) for gateway in (pair.left, pair.right)], [_port(outside)]
                streams = [guest.pings(near, INNER[other(near)][4], INNER[near][4], interval=INTERVAL)
                           for near in "ab"]
                for _ in range(3):
                    time.sleep(1)
                    run(["conntrack", "-D", "-p", "udp", "--orig-port-dst", "4500"], netns=side).require()
                    eventually(
                        lambda: _port(outside) != ports[-1], 15, "the other side sees another port", interval=0.3)
                    ports.append(_port(outside))
                lost = [stream.lost() for stream in streams]
                if max(lost) > LOSSES:
                    raise Failure(f"{lost} of {_sent(streams)} pings were lost over three rebindings")
                if [_spis(gateway) for gateway in (pair.left, pair.right)] != before:
                    raise Failure("other SAs after the rebinding")
                pair.check()
                # What whoever is outside asks finds its way too.
                old = outside.child()["spi-in"]
                outside.swanctl("--rekey", "--child", CHILD).require()
                eventually(lambda: [child["spi-in"] for child in outside.children() if child["spi-in"] != old], 10,
                           "the child is rekeyed from outside")
                time.sleep(0.5)
                pair.terminate(hidden)
                return f"ports {', '.join(ports)}; {lost} of {_sent(streams)} pings lost"
        finally:
            run([*_TABLES, "-F"], netns=side)
    return procedure


def _port(gateway):
    return _facts(gateway)["remote-port"]


def cases(Case):
    """MOBIKE and rebinding, each initiated by either side."""
    gcm = "esp_proposals = aes128gcm16"
    found = []
    for initiator, pair in (("martlet", "martlet/ss"), ("strongswan", "ss/martlet")):
        found.append(Case(
            f"{pair} mobike raw", moves(initiator, Roaming(gcm, "encap = no")), smoke=initiator == "martlet",
            timeout=150))
        found.append(Case(f"{pair} mobike udp", moves(initiator, Roaming(gcm, "encap = yes", udp=True)), timeout=150))
        found.append(Case(
            f"{pair} nat rebinding", rebound(initiator, Hidden(gcm, udp=True)), smoke=initiator == "strongswan",
            timeout=150))
    return found
