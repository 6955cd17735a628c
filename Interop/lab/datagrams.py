"""UDP in trains: a host gives the kernel many datagrams in one piece, and the other host's device is given them so."""

import json

from .processes import Failure, eventually
from .scenario import Scenario

DATAGRAMS, ROUNDS, OCTETS = 40, 50, 1200

_SEND = f"""
import socket, struct, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
sender = socket.socket(family, socket.SOCK_DGRAM)
sender.bind((sys.argv[1], 0))
for number in range({ROUNDS}):
    pieces = [struct.pack(">I", number * {DATAGRAMS} + index) * ({OCTETS} // 4) for index in range({DATAGRAMS})]
    # UDP_SEGMENT of SOL_UDP: the kernel cuts it, or leaves that to the device.
    sender.sendmsg([b"".join(pieces)], [(17, 103, struct.pack("=H", {OCTETS}))], 0, (sys.argv[2], 7100))
    time.sleep(0.01)
"""

_RECEIVE = f"""
import json, socket, struct, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
receiver = socket.socket(family, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
receiver.bind((sys.argv[1], 7100))
print("ready", flush=True)
receiver.settimeout(20)
numbers = []
try:
    while len(numbers) < {DATAGRAMS * ROUNDS}:
        data = receiver.recv(65535)
        receiver.settimeout(3)
        number, = struct.unpack_from(">I", data)
        if data != struct.pack(">I", number) * ({OCTETS} // 4):
            sys.exit("a datagram was changed")
        numbers.append(number)
except socket.timeout:
    pass
print(json.dumps({{"count": len(numbers), "ordered": numbers == sorted(set(numbers))}}), flush=True)
"""


def trains(bench, options):
    """Every datagram arrives, in order and unchanged, and the device took many of them in one piece."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    here, there = bench.left.side, bench.right.side
    notes = []
    for family in (4, 6):
        before = _packets(there)
        receiver = bench.helper(["python3", "-c", _RECEIVE, there.inner[family]], there, f"receive{family}")
        eventually(lambda: "ready" in receiver.output(), 10, "the receiver listens")
        here.run(["python3", "-c", _SEND, here.inner[family], there.inner[family]], timeout=60).require()
        receiver.wait(30)
        said = json.loads(receiver.output().splitlines()[-1])
        pieces = _packets(there) - before
        if said != {"count": DATAGRAMS * ROUNDS, "ordered": True}:
            raise Failure(f"of {DATAGRAMS * ROUNDS} datagrams over IPv{family}: {said}")
        if pieces * 4 > said["count"]:
            raise Failure(f"{said['count']} datagrams over IPv{family} were given to the device in {pieces} pieces")
        notes.append(f"IPv{family}: {said['count']} in {pieces} pieces")
    bench.require_pings()
    bench.left.terminate().require()
    bench.require_clean_stop()
    return "; ".join(notes)


def _packets(side):
    """What the gateway's device was given, in pieces."""
    shown = side.run(["ip", "-j", "-s", "link", "show", "type", "tun"]).require().out
    devices = json.loads(shown)
    if len(devices) != 1:
        raise Failure(f"{len(devices)} TUN devices")
    return devices[0]["stats64"]["rx"]["packets"]


#: (name, scenario, procedure, pairings that have it)
CASES = [("datagram-trains", Scenario, trains, {("martlet", "martlet")})]
