"""Cases with IKEv2 between Martlet and strongSwan with the kernel's plane, each initiating in turn."""

import json
import re
import time
from dataclasses import dataclass

from lab.processes import Failure, eventually, last_lines, run

from . import static
from .gateways import CHILD, CONNECTION, Pair, Wanted
from .network import OUTER, other


def tunnel(wanted, initiator, extra=None):
    def procedure(guest):
        with Pair(guest, wanted) as pair:
            who = pair.left if initiator == "martlet" else pair.right
            pair.initiate(who)
            counts = pair.check()
            note = f"{min(counts)} packets counted by both"
            if extra:
                note += "; " + extra(guest, pair)
            pair.terminate(who)
            if pair.left.daemon.output().count("crash") or not pair.left.daemon.running:
                raise Failure("Martlet ended")
            return note
    return procedure


def rekeys(guest, pair):
    """Each side rekeys the child, then the IKE SA, under pings both ways: none is lost."""
    side, address, source = pair.targets()[0]
    back = next(each for each in pair.targets() if each[0] == "b")
    streams = [guest.pings(*way, count=450, interval=0.02) for way in ((side, address, source), back)]
    seen = set()
    for gateway in (pair.left, pair.right):
        for what in ("--child", "--ike"):
            time.sleep(0.7)
            before = gateway.child()["spi-in"]
            gateway.swanctl("--rekey", what, CHILD if what == "--child" else CONNECTION).require()
            if what == "--child":
                eventually(
                    lambda: [child for child in gateway.children()
                             if child.get("state") == "INSTALLED" and child["spi-in"] != before
                             and len(gateway.children()) == 1], 10, f"{type(gateway).__name__} has replaced the child")
                seen.add(gateway.child()["spi-in"])
    lost = [stream.lost() for stream in streams]
    if any(lost):
        raise Failure(f"{lost} of 450 pings each way were lost over four rekeys")
    pair.check()
    return "4 rekeys under 900 pings, none lost"


def restarted(guest, pair):
    """Another process takes Martlet's place under pings both ways, twice: the same SAs in the kernel, and new ones later."""
    side, address, source = pair.targets()[0]
    back = next(each for each in pair.targets() if each[0] == "b")
    before = (pair.left.child()["spi-in"], pair.left.child()["spi-out"])
    # They outlast both restarts: what waits when a ping ends counts as lost.
    streams = [guest.pings(*way, count=1500, interval=0.02) for way in ((side, address, source), back)]
    for _ in range(2):
        time.sleep(1)
        run([guest.martlet, "restart", "--json", "--vici", pair.left.uri], timeout=60).require()
        if (pair.left.child()["spi-in"], pair.left.child()["spi-out"]) != before:
            raise Failure("the SPIs are others after the restart")
    lost = [stream.lost() for stream in streams]
    waited = re.findall(r"packets waited for (\d+) ms", pair.left.daemon.output())
    if max(lost) > 50:
        raise Failure(f"{lost} of 1500 pings each way were lost over two restarts, {waited} ms")
    if pair.left.daemon.output().count("took over 1 IKE SAs with 1 Child SAs") != 2:
        raise Failure(f"Martlet took nothing over: {last_lines(pair.left.daemon.output())}")
    pair.check()
    pair.right.swanctl("--rekey", "--child", CHILD).require()
    eventually(
        lambda: all([child["spi-in"] not in before for child in gateway.children()] == [True]
                    for gateway in (pair.left, pair.right)), 10, "both have one Child SA, with new keys")
    for each in pair.targets():
        guest.network.require_ping(*each)
    return f"2 restarts, packets waited {' and '.join(waited)} ms, {sum(lost)} of 3000 pings lost"


@dataclass
class Trapping(Wanted):
    """One side has a trap."""

    side: str = "a"

    def text(self, side):
        text, head = super().text(side), f"      {CHILD} {{\n"
        if text.count(head) != 1:
            raise Failure("the tunnel's text has no place for a trap")
        return text.replace(head, head + "        start_action = trap\n") if side == self.side else text


def trapped(initiator):
    """Nobody initiates: a packet does, of each family in turn. Linux drops it where strongSwan traps it."""
    side = "a" if initiator == "martlet" else "b"

    def procedure(guest):
        with Pair(guest, Trapping("esp_proposals = aes128gcm16", "encap = no", side=side)) as pair:
            who = pair.left if side == "a" else pair.right
            answered = []
            for near, address, source in pair.targets():
                if near != side:
                    continue
                if pair.left.children() or pair.right.children():
                    raise Failure("a Child SA is there before a packet asks for it")
                answered.append(guest.network.ping(near, address, source, count=1))
                eventually(
                    lambda: all([child["state"] for child in each.children()] == ["INSTALLED"]
                                for each in (pair.left, pair.right)), 15, "the packet brings the tunnel up")
                pair.check()
                pair.terminate(who)
            if side == "a" and answered != [1, 1]:
                raise Failure(f"{answered} of the two first packets got through")
            return f"the first packets of both families made the tunnel, {sum(answered)} of 2 were answered"
    return procedure


def other_tunnel(kind):
    """GRE or IP-in-IP between the hosts, its packets in transport mode."""
    def extra(guest, pair):
        for side in "ab":
            far = other(side)
            guest.network.ip(side, f"link add {kind}y type {kind} local {OUTER[side][4]} remote {OUTER[far][4]}")
            guest.network.ip(side, f"addr add 172.21.0.{1 if side == 'a' else 2}/30 dev {kind}y")
            guest.network.ip(side, f"link set {kind}y up")
        try:
            before = int(pair.right.child()["packets-in"])
            guest.network.require_ping("a", "172.21.0.2")
            guest.network.require_ping("b", "172.21.0.1")
            after = int(pair.right.child()["packets-in"])
            if after - before < 10:
                raise Failure(f"{kind}: the SA counted {after - before} of 10 packets")
            return f"{kind} pings both ways, counted by the SA"
        finally:
            for side in "ab":
                guest.network.ip(side, f"link del {kind}y", may_fail=True)
    return extra


def compressed(guest, pair):
    """Both list CPIs, mirrored; long pings shrink on the wire, TCP passes, and a rekey by each side keeps it so."""
    def indices():
        left, right = pair.left.child(), pair.right.child()
        ours, theirs = ([int(child[key], 16) for key in keys if key in child] for child, keys in (
            (left, ("cpi-in", "cpi-out")), (right, ("cpi-out", "cpi-in"))))
        if len(ours) != 2 or ours != theirs:
            raise Failure(f"CPIs: {ours} on the left, {theirs} on the right")
        return ours
    seen = [indices()]
    side, address, source = pair.targets()[0]
    before = _wire_octets(guest)
    guest.network.require_ping(side, address, source, count=10, size=1200)
    spent = _wire_octets(guest) - before
    # Ten echo requests and replies of 1,200 octets are 24,000 octets and more.
    if spent > 12000:
        raise Failure(f"20 packets of 1,200 octets of the same became {spent} octets on the wire")
    for gateway in (pair.left, pair.right):
        spi = gateway.child()["spi-in"]
        gateway.swanctl("--rekey", "--child", CHILD).require()
        eventually(
            lambda: len(gateway.children()) == 1 and gateway.child()["spi-in"] != spi, 10,
            f"{type(gateway).__name__} has replaced the child")
        # The peer may still be closing the old one.
        eventually(lambda: len(pair.left.children()) == 1 and len(pair.right.children()) == 1, 10, "one child each")
        seen.append(indices())
        for target in pair.targets():
            guest.network.require_ping(*target, count=3, size=1000)
    stream = static.stream(guest, pair.targets()[0], guest.seconds)
    if len({tuple(each) for each in seen}) != 3:
        raise Failure(f"the CPIs were used again at once: {seen}")
    return f"CPIs {seen[0]}, {spent} octets for 24,000, two rekeys, {stream}"


def _wire_octets(guest):
    """Octets that have left side a by its link, and come to it."""
    words = guest.network.ip("a", "-s -j link show dev va")
    found = json.loads(words)[0]["stats64"]
    return found["rx"]["bytes"] + found["tx"]["bytes"]


def refused_in_udp(guest):
    """AH where strongSwan forces UDP: the reason in plain words, and no Child SA."""
    wanted = Wanted("ah_proposals = sha256", protocol="AH", right="encap = yes")
    with Pair(guest, wanted) as pair:
        done = pair.left.swanctl("--initiate", "--child", CHILD, "--timeout", 10, timeout=20)
        if done.code == 0:
            raise Failure("AH came up although the peer forces UDP")
        said = pair.left.daemon.output()
        if not re.search(r"E-AH-NAT|uses AH", said):
            raise Failure(f"the log does not say why: {last_lines(said)}")
        if pair.left.children() or pair.right.children():
            raise Failure("a Child SA is there all the same")
        return "refused, with the reason in the log"


def cases(Case):
    """(name, procedure) of all of them, each initiated by either side."""
    plain = "encap = no"
    found = []

    def add(name, wanted, extra=None, smoke=(), timeout=120):
        for initiator in ("martlet", "strongswan"):
            pair = "martlet/ss" if initiator == "martlet" else "ss/martlet"
            found.append(Case(
                f"{pair} {name}", tunnel(wanted, initiator, extra), smoke=initiator in smoke, timeout=timeout))

    gcm = "esp_proposals = aes128gcm16"
    add("esp tunnel raw", Wanted(gcm, plain), smoke=("martlet",))
    add("esp tunnel udp", Wanted(gcm, udp=True))
    add("esp tunnel raw v6", Wanted(gcm, plain, outer=6))
    add("esp tunnel esn", Wanted("esp_proposals = aes128gcm16-esn", plain, facts={"esn": "1"}))
    add("esp tunnel cbc esn", Wanted("esp_proposals = aes256-sha256-esn", plain, facts={"esn": "1"}))
    add("esp tunnel sha256_96", Wanted("esp_proposals = aes128-sha256;sha256_96 = yes", plain))
    add("esp tunnel serpent", Wanted(
        "esp_proposals = serpent256-sha256", plain, left="send_vendor_id = yes",
        facts={"encr-alg": "SERPENT_CBC"}))
    add("esp tunnel twofish", Wanted(
        "esp_proposals = twofish128-sha256", plain, left="send_vendor_id = yes",
        facts={"encr-alg": "TWOFISH_CBC"}))
    add("esp tunnel gmac", Wanted("esp_proposals = aes128gmac", plain))
    add("esp transport raw", Wanted(gcm, plain, mode="TRANSPORT"), smoke=("strongswan",))
    add("esp transport udp", Wanted(gcm, mode="TRANSPORT", udp=True))
    add("esp transport raw v6", Wanted(gcm, plain, mode="TRANSPORT", outer=6))
    add("esp transport gre", Wanted(gcm, plain, mode="TRANSPORT"), other_tunnel("gre"))
    add("esp transport ipip", Wanted(gcm, plain, mode="TRANSPORT"), other_tunnel("ipip"))
    # One family inside and outside: between two Linux kernels nothing passes by IPComp otherwise.
    for name, settings in (
            ("tunnel", {"inner": (4,)}), ("tunnel v6", {"outer": 6, "inner": (6,)}), ("transport", {"mode": "TRANSPORT"}),
            ("transport v6", {"mode": "TRANSPORT", "outer": 6})):
        add(f"ipcomp {name}", Wanted(
            "esp_proposals = aes128gcm16-x25519;ipcomp = yes", plain, **settings), compressed, timeout=180,
            smoke=("martlet",) if name == "tunnel" else ())
    add("ipcomp tunnel udp", Wanted("esp_proposals = aes128gcm16-x25519;ipcomp = yes", udp=True, inner=(4,)),
        compressed, timeout=180)
    add("ipcomp transport udp", Wanted(
        "esp_proposals = aes128gcm16-x25519;ipcomp = yes", mode="TRANSPORT", udp=True), compressed, timeout=180)
    ah = {"integ-alg": "HMAC_SHA2_256_128"}
    add("ah tunnel", Wanted("ah_proposals = sha256", protocol="AH", facts=ah), smoke=("martlet",))
    add("ah transport", Wanted("ah_proposals = sha256", mode="TRANSPORT", protocol="AH", facts=ah),
        smoke=("strongswan",))
    add("ah tunnel v6", Wanted("ah_proposals = sha256", protocol="AH", outer=6, facts=ah))
    add("ah transport v6", Wanted("ah_proposals = sha256", mode="TRANSPORT", protocol="AH", outer=6, facts=ah))
    add("ah tunnel sha1 esn", Wanted("ah_proposals = sha1-esn", protocol="AH"))
    add("ah transport sha512", Wanted("ah_proposals = sha512", mode="TRANSPORT", protocol="AH"))
    add("esp rekeys", Wanted("esp_proposals = aes128gcm16-x25519", plain), rekeys, smoke=("martlet",), timeout=180)
    add("ah rekeys", Wanted("ah_proposals = sha256-x25519", protocol="AH"), rekeys, timeout=180)
    add("esp transport rekeys", Wanted(
        "esp_proposals = aes128gcm16-x25519", plain, mode="TRANSPORT"), rekeys, timeout=180)
    for name, wanted in (
            ("esp", Wanted("esp_proposals = aes128gcm16-x25519-esn", plain)),
            ("esp transport", Wanted("esp_proposals = aes128gcm16-x25519", plain, mode="TRANSPORT")),
            ("ah", Wanted("ah_proposals = sha256-x25519", protocol="AH")),
            ("ah transport", Wanted("ah_proposals = sha256-x25519", mode="TRANSPORT", protocol="AH")),
            ("ipcomp", Wanted("esp_proposals = aes128gcm16-x25519;ipcomp = yes", plain, inner=(4,)))):
        add(f"planned-restart {name}", wanted, restarted, timeout=180)
    found += [Case("martlet/ss trap", trapped("martlet")), Case("ss/martlet trap", trapped("strongswan"))]
    found.append(Case("martlet/ss ah refused in udp", refused_in_udp))
    return found
