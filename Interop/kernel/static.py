"""Cases with static keys: Martlet's data plane against the kernel's ESP and AH."""

import re
import time

from lab.processes import Daemon, Failure, run

from .network import OUTER
from .planes import ENCAP_SOCKET, StaticPlane, StaticTunnel, flush_kernel, kernel_packets
from .suites import MACS, Suite, esp, every_suite


def carry(guest, tunnel, traffic=0, extra=None):
    """Installs both ends, pings both ways, compares what both counted; `traffic` is seconds of TCP each way."""
    plane = StaticPlane(guest.directory)
    socket = None
    try:
        # The socket's own policies need what the first SA loads.
        tunnel.install_in_kernel(guest.network)
        if tunnel.udp:
            socket = Daemon(["python3", "-c", ENCAP_SOCKET], guest.path("encap"), netns="b")
            time.sleep(1)
        plane.load([tunnel.line()])
        # A device inside, such as GRE's, may have announced itself while only the kernel's end was there.
        early = _early(guest, plane, tunnel)
        for side, address, source in tunnel.targets():
            guest.network.require_ping(side, address, source)
        note = _compare(guest, plane, tunnel, early)
        # Longer than any link here takes: cut before or after, and joined again.
        for side, address, source in tunnel.targets():
            guest.network.require_ping(side, address, source, count=2, size=4000)
        note += "; 4,000 octets as well"
        if extra:
            note += "; " + extra(guest)
        if traffic:
            note += "; " + stream(guest, tunnel.targets()[0], traffic)
            _compare(guest, plane, tunnel, early, exactly=False)
        drops = plane.counters()["drops"]
        # Our end can seal more than the kernel's end, in a guest of one processor, can open: then the link between them
        # is full, and TCP learns its rate by what that costs.
        crowded = drops.pop("queueFull", 0) if traffic else 0
        serious = {reason: count for reason, count in drops.items() if reason != "noPolicy"}
        if serious:
            raise Failure(f"the plane dropped packets: {serious}")
        if crowded:
            note += f"; {crowded} found the link full"
        plane.stop()
        return note
    finally:
        plane.process.kill()
        if socket:
            socket.kill()
        flush_kernel(guest.network)


def _early(guest, plane, tunnel):
    """The packets that the kernel sent before we were there: a reading between which nothing was on its way."""
    readings = []
    while len(readings) < 2 or (readings[-1] != readings[-2] and len(readings) < 20):
        heard = plane.counters()["sas"][f"{tunnel.child}/inbound"]["packets"]
        readings.append((kernel_packets(guest.network, tunnel.to_a), heard))
        time.sleep(0.3)
    sent, heard = readings[-1]
    return sent - heard


def _compare(guest, plane, tunnel, early, exactly=True):
    """Both ends have counted the same packets: nothing went by the plain route.

    GRE's device may announce itself between the two readings: they are repeated for a while. `early` are the packets
    that the kernel sent before we were there.
    """
    for attempt in range(10):
        try:
            return _count(guest, plane, tunnel, early, exactly)
        except Failure:
            if attempt == 9:
                raise
            time.sleep(0.3)


def _count(guest, plane, tunnel, early, exactly):
    wanted = len(tunnel.targets()) * 5
    sas = plane.counters()["sas"]
    pairs = []
    for direction, spi in (("outbound", tunnel.to_b), ("inbound", tunnel.to_a)):
        ours = sas[f"{tunnel.child}/{direction}"]
        theirs = kernel_packets(guest.network, spi) - (early if direction == "inbound" else 0)
        if ours["forgeries"] or ours["replays"]:
            raise Failure(f"{direction}: {ours['forgeries']} forgeries, {ours['replays']} replays")
        if ours["packets"] < wanted or theirs < wanted or (exactly and ours["packets"] != theirs):
            raise Failure(f"{direction}: we counted {ours['packets']} packets, the kernel {theirs}, {wanted} were sent")
        pairs.append(ours["packets"])
    return f"{pairs[0]} packets out, {pairs[1]} in, counted by both"


def stream(guest, target, seconds):
    """TCP both ways, one after the other, from side a."""
    _, address, source = target
    server = Daemon(["iperf3", "-s", "-B", address], guest.path("iperf3"), netns="b")
    rates = []
    try:
        time.sleep(1)
        for arguments in ([], ["-R"]):
            origin = ["-B", source] if source else []
            done = run(
                ["iperf3", "-c", address, *origin, "-t", seconds, "-f", "m", "--connect-timeout", 5000, *arguments],
                netns="a", timeout=seconds + 30).require()
            rates.append(re.search(r"([\d.]+) Mbits/sec.*receiver", done.out)[1])
    finally:
        server.kill()
    return f"TCP {rates[0]} and {rates[1]} Mbit/s"


def rekey(guest):
    """SAs are replaced under traffic, inbound first on each side: no packet is lost."""
    plane = StaticPlane(guest.directory)
    try:
        tunnels = [
            StaticTunnel(esp("aes128gcm16"), spis=(f"{0x2000 + 2 * n:08x}", f"{0x2001 + 2 * n:08x}"), child=n + 1)
            for n in range(6)]
        tunnels[0].install_in_kernel(guest.network)
        plane.load([tunnels[0].line()])
        stream = guest.pings("a", tunnels[0].targets()[0][1], tunnels[0].targets()[0][2], count=1000, interval=0.02)
        for old, new in zip(tunnels, tunnels[1:]):
            time.sleep(1)
            # Whoever receives is ready before the other may send. The kernel sends by the newest SA that fits.
            new.install_state(guest.network, new.to_b)
            plane.load([new.line()])
            new.install_state(guest.network, new.to_a)
            time.sleep(0.3)
            plane.tell(f"remove {old.child}")
        lost = stream.lost()
        if lost:
            raise Failure(f"{lost} of 1000 packets were lost over 5 rekeys")
        last = plane.counters()["sas"][f"{tunnels[-1].child}/outbound"]["packets"]
        if last < 10:
            raise Failure(f"the last SA carried {last} packets only")
        plane.stop()
        return "5 rekeys, 1000 pings, none lost"
    finally:
        plane.process.kill()
        flush_kernel(guest.network)


def tunnel_in_transport(kind):
    """A GRE or IP-in-IP tunnel between the two hosts, its packets in transport mode."""
    def procedure(guest):
        far = {"a": "b", "b": "a"}
        for side in "ab":
            name = f"{kind}x"
            guest.network.ip(
                side, f"link add {name} type {kind} local {OUTER[side][4]} remote {OUTER[far[side]][4]}")
            guest.network.ip(side, f"addr add 172.20.0.{1 if side == 'a' else 2}/30 dev {name}")
            guest.network.ip(side, f"link set {name} up")
        try:
            tunnel = StaticTunnel(esp("aes128gcm16"), mode="transport")

            def through(guest):
                guest.network.require_ping("a", "172.20.0.2")
                guest.network.require_ping("b", "172.20.0.1")
                guest.network.require_ping("a", "172.20.0.2", count=3)
                return f"{kind} pings both ways"
            return carry(guest, tunnel, extra=through)
        finally:
            for side in "ab":
                guest.network.ip(side, f"link del {kind}x", may_fail=True)
    return procedure


def options(guest):
    """Pings whose IP headers have options, both ways: ESP and AH stand behind these."""
    for side, address in (("a", OUTER["b"][4]), ("b", OUTER["a"][4])):
        done = run(["ping", "-n", "-R", "-c", 3, "-i", 0.1, "-W", 3, address], netns=side, timeout=30)
        if " 3 received" not in done.out or "RR:" not in done.out:
            raise Failure(f"with a recorded route from {side}: {done.text.strip()[-160:]}")
    return "pings with options both ways"


def cases(Case):
    """(name, procedure) of all of them."""
    found = []
    main = esp("aes128gcm16")
    for mode in ("tunnel", "transport"):
        for outer in (4, 6):
            for udp in (False, True):
                if udp and outer == 6:
                    continue
                name = f"esp {mode} v{outer}{' udp' if udp else ''}"
                found.append(Case(
                    f"kernel {name}", lambda guest, m=mode, o=outer, u=udp: carry(
                        guest, StaticTunnel(main, m, o, u), traffic=guest.seconds), smoke=(outer == 4 and not udp)))
    for mode in ("tunnel", "transport"):
        for outer in (4, 6):
            for each in (mac for mac in MACS if mac.word != "sha256_96"):
                suite = Suite(None, each)
                full = each.word == "sha256"
                found.append(Case(
                    f"kernel ah {mode} v{outer} {each.word}", lambda guest, s=suite, m=mode, o=outer, f=full: carry(
                        guest, StaticTunnel(s, m, o, protocol="ah"), traffic=guest.seconds if f else 0),
                    smoke=full))
    for suite, protocol in (
            (esp("aes128gcm16", esn=True), "esp"), (esp("aes256", "sha256", esn=True), "esp"),
            (esp("chacha20poly1305", esn=True), "esp")):
        found.append(Case(
            f"kernel esn {suite.name}",
            lambda guest, s=suite, p=protocol: carry(guest, StaticTunnel(s, protocol=p), traffic=guest.seconds),
            smoke=suite.name == "aes128gcm16-esn"))
    for protocol, suite in (("esp", main), ("ah", Suite(None, next(each for each in MACS if each.word == "sha256")))):
        found.append(Case(
            f"kernel {protocol} transport with options", lambda guest, p=protocol, s=suite: carry(
                guest, StaticTunnel(s, mode="transport", protocol=p), extra=options), smoke=protocol == "esp"))
    for kind in ("gre", "ipip"):
        found.append(Case(f"kernel esp transport carries {kind}", tunnel_in_transport(kind), smoke=kind == "gre"))
    found.append(Case("kernel rekey under traffic", rekey, smoke=True))
    for suite in every_suite():
        found.append(Case(
            f"kernel esp {suite.name}", lambda guest, s=suite: carry(guest, StaticTunnel(s)), smoke=False))
    return found
