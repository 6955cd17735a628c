"""A planned restart under traffic: another process, the same tunnels, and the wire tells nothing of it."""

import os
import re
import struct
import time

from .manager import Kept, Managed
from .network import ping
from .processes import Failure, eventually, last_lines, run
from .scenario import CHILD, SUITES
from .thousand import block, set_up, together

#: A suite whose IVs are chance.
CBC = SUITES[1]
#: A packet every so many seconds.
PACE = 0.01
#: The most that may be lost of one restart, in seconds.
LONGEST_GAP = 1.0

#: A stream of TCP that says how many octets arrived each time it is asked: the far end sinks, the near end sends.
SINK = """
import socket, sys
server = socket.create_server((sys.argv[1], 7007), family=socket.AF_INET)
stream, _ = server.accept()
total = 0
while True:
    octets = stream.recv(65536)
    if not octets: break
    total += len(octets)
    print(total, flush=True)
"""
SOURCE = """
import socket, sys, time
stream = socket.create_connection((sys.argv[2], 7007), source_address=(sys.argv[1], 0), timeout=20)
stream.settimeout(20)
while True:
    stream.sendall(b'x' * 20000)
    time.sleep(0.02)
"""


class Packet:
    """What a packet on the wire tells of itself: IKE, or ESP with its SPI, number and IV."""

    def __init__(self, moment, source, kind, spi=0, number=0, iv=b""):
        self.moment, self.source, self.kind = moment, source, kind
        self.spi, self.number, self.iv = spi, number, iv


def packets(path):
    """All IKE and ESP packets over IPv4 of a capture of an Ethernet."""
    with open(path, "rb") as source:
        octets = source.read()
    order = "<" if octets[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    place, found = 24, []
    while place + 16 <= len(octets):
        seconds, fraction, length, _ = struct.unpack(order + "IIII", octets[place:place + 16])
        frame = octets[place + 16:place + 16 + length]
        place += 16 + length
        if frame[12:14] != b"\x08\x00" or len(frame) < 34:
            continue
        header = (frame[14] & 15) * 4
        protocol, origin, body = frame[23], frame[26:30], frame[14 + header:]
        moment = seconds + fraction / 1e6
        if protocol == 17:
            ports = struct.unpack(">HH", body[:4])
            body = body[8:]
            if 500 in ports or (4500 in ports and body[:4] == bytes(4)):
                found.append(Packet(moment, origin, "IKE"))
                continue
            if 4500 not in ports or len(body) < 16:
                continue
        elif protocol == 51:
            # Next header, length, reserved; then SPI and number. There is no IV.
            spi, number = struct.unpack(">II", body[4:12])
            found.append(Packet(moment, origin, "AH", spi, number, body[8:12]))
            continue
        elif protocol != 50:
            continue
        spi, number = struct.unpack(">II", body[:8])
        found.append(Packet(moment, origin, "ESP", spi, number, body[8:16]))
    return found


def require_wire(path, tunnels):
    """No IKE, sequence numbers that only grow, and no IV twice, with a jump at the restart; the number of packets."""
    seen = packets(path)
    ike = [packet for packet in seen if packet.kind == "IKE"]
    if ike:
        raise Failure(f"{len(ike)} IKE packets on the wire during the restart")
    last, ivs = {}, set()
    for packet in seen:
        key = (packet.source, packet.spi)
        if packet.number <= last.get(key, 0):
            raise Failure(f"SPI {packet.spi:08x}: number {packet.number} came after {last[key]}")
        last[key] = packet.number
        if (key, packet.iv) in ivs:
            raise Failure(f"SPI {packet.spi:08x}: IV {packet.iv.hex()} came twice")
        ivs.add((key, packet.iv))
    if len(last) < 2 * tunnels:
        raise Failure(f"only {len(last)} SPIs on the wire")
    if not any(number > 65_536 for number in last.values()):
        raise Failure("no sequence number jumped: nothing was handed over")
    return len(seen)


def restart(gateway):
    """Restarts a Martlet, as whoever started it would; what it says of it."""
    told = len(_TAKEN.findall(gateway.log_text()))
    if isinstance(gateway, (Kept, Managed)):
        gateway.restart()
    else:
        pid = gateway.daemon.pid
        run([gateway.executable, "restart", "--json", "--vici", gateway.uri], timeout=90).require()
        if not gateway.daemon.running or gateway.daemon.pid != pid:
            raise Failure("the process is gone")
    found = _TAKEN.findall(gateway.log_text())
    if len(found) != told + 1:
        raise Failure(f"{gateway.name} took nothing over: {last_lines(gateway.log_text())}")
    numbers = [int(number) for number in found[-1]]
    left = len(re.findall("in the middle of an exchange and is connected anew", gateway.log_text()))
    return {"ikeSAs": numbers[0], "childSAs": numbers[1], "gapMilliseconds": numbers[2], "left": left}


_TAKEN = re.compile(r"took over (\d+) IKE SAs with (\d+) Child SAs; packets waited for (\d+) ms")


def watch(bench):
    capture = os.path.join(bench.directory, f"restart-{time.monotonic_ns()}.pcap")
    side = bench.network.a
    tap = bench.helper(
        ["tcpdump", "-i", side.device, "-w", capture, "-U", "-B", "16384", "-Z", "root",
         "udp port 500 or udp port 4500 or ip proto 50 or ip proto 51"], side, f"tcpdump-{time.monotonic_ns()}")
    eventually(lambda: "listening on" in tap.output(), 5, "tcpdump listens")
    return tap, capture


def stop(tap):
    time.sleep(0.3)
    tap.stop()
    if not re.search(r"\b0 packets dropped by kernel", tap.output()):
        raise Failure(f"the capture is not whole: {last_lines(tap.output())}")


def spis(gateway):
    return sorted((child["spi-in"], child["spi-out"]) for child in gateway.children())


def missed(steady):
    """Seconds' worth of packets that a steady ping lost."""
    steady.stop(with_signal=2)
    told = re.search(r"(\d+) packets transmitted, (\d+) received", steady.output())
    if not told:
        raise Failure(f"ping says nothing: {last_lines(steady.output())}")
    sent, received = int(told[1]), int(told[2])
    if received < 50:
        raise Failure(f"only {received} of {sent} pings were answered")
    return (sent - received) * PACE, sent - received, sent


def planned(bench, options):
    """One tunnel, with ping and TCP in it, and a restart of each Martlet that has an end of it."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    here, there = bench.network.a, bench.network.b
    results = []
    for gateway in [gateway for gateway in bench.gateways if gateway.kind.startswith("martlet")]:
        # What an IKE SA says when it is young has been said.
        time.sleep(3)
        sink = bench.helper(["python3", "-c", SINK, there.inner[4]], there, f"sink-{gateway.side.letter}")
        time.sleep(0.5)
        stream = bench.helper(["python3", "-c", SOURCE, here.inner[4], there.inner[4]], here, f"source-{gateway.side.letter}")
        steady = bench.helper(
            ["ping", "-4", "-n", "-i", str(PACE), "-I", here.inner[4], there.inner[4]], here, f"ping-{gateway.side.letter}")
        time.sleep(1.5)
        before = spis(gateway)
        tap, capture = watch(bench)
        time.sleep(0.5)
        outcome = restart(gateway)
        arrived = sink.output().count("\n")
        time.sleep(2)
        stop(tap)
        gap, lost, sent = missed(steady)
        if sink.output().count("\n") <= arrived or not stream.running:
            raise Failure("TCP does not go on")
        stream.kill()
        sink.kill()
        if (outcome["ikeSAs"], outcome["left"]) != (1, 0):
            raise Failure(f"restarted with {outcome}")
        if gap > LONGEST_GAP:
            raise Failure(f"{lost} of {sent} pings lost: {gap:.2f} s")
        if spis(gateway) != before:
            raise Failure(f"the SPIs were {before} and are {spis(gateway)}")
        count = require_wire(capture, 1)
        results.append(
            f"{gateway.side.letter}: packets waited {outcome['gapMilliseconds']} ms, {lost} of {sent} lost, {count} on "
            "the wire")
    bench.require_pings()
    bench.network.require_nothing_plain()
    # It is a whole gateway afterwards: new keys, an end, and a beginning with what was configured.
    for gateway in bench.gateways:
        before = spis(bench.left)
        gateway.swanctl("--rekey", "--child", CHILD).require()
        eventually(lambda before=before: spis(bench.left) != before, 10, f"{gateway.name} has new keys")
        bench.require_pings()
    bench.left.terminate().require()
    bench.require_down()
    bench.left.initiate().require()
    bench.require_pings()
    bench.require_clean_stop()
    bench.network.require_nothing_plain()
    bench.require_secrets_kept()
    return "; ".join(results)


def thousand(bench, options):
    """A thousand tunnels; both ends are restarted, one after the other, under ping."""
    count = bench.scenario.count
    sample = set_up(bench)
    for gateway in bench.gateways:
        # A thousand connections are read first, perhaps on a busy machine.
        gateway.default_start = 60
    bench.start()
    failures = together(
        bench.left.socket,
        [("initiate", {"ike": f"t{tunnel}", "child": f"n{tunnel}", "timeout": 100_000}) for tunnel in range(count)])
    if failures:
        raise Failure(f"{len(failures)} of {count} did not come up: {failures[0]}")
    results = []
    here, there = bench.network.a, block(2, sample[0])[1]
    for gateway in bench.gateways:
        time.sleep(2)
        before = spis(gateway)
        steady = bench.helper(
            ["ping", "-n", "-i", str(PACE), "-I", block(1, sample[0])[1], there], here, f"ping-{gateway.side.letter}")
        time.sleep(1)
        tap, capture = watch(bench)
        outcome = restart(gateway)
        time.sleep(2)
        for tunnel in sample:
            answered = ping(here, block(2, tunnel)[1], source=block(1, tunnel)[1])
            if answered == 0:
                raise Failure(f"tunnel {tunnel} carries nothing after the restart")
        stop(tap)
        gap, lost, sent = missed(steady)
        if (outcome["ikeSAs"], outcome["childSAs"], outcome["left"]) != (count, count, 0):
            raise Failure(f"restarted with {outcome}")
        if spis(gateway) != before:
            raise Failure("the SPIs are others after the restart")
        if gap > LONGEST_GAP:
            raise Failure(f"{lost} of {sent} pings lost: {gap:.2f} s")
        seen = require_wire(capture, 1)
        results.append(
            f"{gateway.side.letter}: {count} kept, packets waited {outcome['gapMilliseconds']} ms, {lost} of {sent} "
            f"lost, {seen} on the wire")
    bench.network.require_nothing_plain()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return "; ".join(results)
