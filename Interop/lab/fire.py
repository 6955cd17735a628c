"""The control socket under fire, and ten thousand connections beside strongSwan."""

import os
import random
import socket
import struct
import threading
import time

from .processes import Failure
from .vici import Vici, encode

CONNECTIONS = 10_000


def under_fire(bench, options):
    """Crowds, a reader that never reads, the largest messages, rubbish: another client is served all the while."""
    bench.set_up()
    gateway = bench.left
    before = _resident(gateway)
    waits = []
    stop = threading.Event()
    witness = threading.Thread(target=_witness, args=(gateway.socket, waits, stop), daemon=True)
    witness.start()
    load_many(gateway.socket, 1_000)
    deaf = _deaf_reader(gateway.socket)
    _crowd(gateway.socket, 1_000)
    _large_messages(gateway.socket)
    _rubbish(gateway.socket, 300)
    if not _was_closed(deaf):
        raise Failure("a client that never reads what it asked for kept its connection")
    stop.set()
    witness.join(30)
    if witness.is_alive() or len(waits) < 10:
        raise Failure(f"another client was served {len(waits)} times only")
    if max(waits) > 5:
        raise Failure(f"another client waited {max(waits):.1f} s")
    grown = _resident(gateway) - before
    if grown > 256 << 20:
        raise Failure(f"the gateway has grown by {grown >> 20} MiB")
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    waits.sort()
    return (f"other client: {len(waits)} answers, median {waits[len(waits) // 2] * 1000:.1f} ms, "
            f"worst {waits[-1] * 1000:.0f} ms; memory +{grown >> 20} MiB")


def ten_thousand(bench, options):
    """Loads 10,000 connections one by one into both daemons by the same client, lists them, unloads them."""
    bench.set_up()
    facts = {}
    for gateway in bench.gateways:
        begin = time.monotonic()
        load_many(gateway.socket, CONNECTIONS)
        loaded = time.monotonic()
        with Vici(gateway.socket, timeout=120) as client:
            count = len(client.listing("list-conns", "list-conn"))
            if count != CONNECTIONS + 1:
                raise Failure(f"{gateway.name} lists {count} connections")
            listed = time.monotonic()
            for number in range(0, CONNECTIONS, 10):
                client.require("unload-conn", {"name": f"c{number}"})
            unloaded = time.monotonic()
        facts[gateway.kind] = (loaded - begin, listed - loaded, unloaded - listed)
    ours, theirs = facts["martlet"], facts["strongswan"]
    words = [
        f"{what}: {here:.2f} s, strongSwan {there:.2f} s (ratio {there / here:.2f})"
        for what, here, there in zip(("load 10,000", "list them", "unload 1,000"), ours, theirs)]
    return "; ".join(words)


def _connection(number):
    return {f"c{number}": {
        "version": "2", "local_addrs": ["10.99.0.1"], "remote_addrs": [f"192.0.2.{number % 250 + 1}"],
        "local": {"auth": "psk", "id": "a.lab"}, "remote": {"auth": "psk", "id": f"c{number}.lab"},
        "children": {"net": {
            "local_ts": ["10.1.0.0/16"],
            "remote_ts": [f"10.{100 + number // 65536}.{number // 256 % 256}.{number % 256}/32"],
        }},
    }}


def load_many(path, count):
    with Vici(path, timeout=120) as client:
        for number in range(count):
            client.require("load-conn", _connection(number))


def _witness(path, waits, stop):
    with Vici(path, timeout=60) as client:
        while not stop.is_set():
            begin = time.monotonic()
            client.require("version")
            waits.append(time.monotonic() - begin)
            time.sleep(0.02)


def _raw(path):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(10)
    link.connect(path)
    return link


def _segment(octets):
    return struct.pack("!I", len(octets)) + octets


def _request(name, message=b""):
    return _segment(struct.pack("!BB", 0, len(name)) + name.encode() + message)


def _deaf_reader(path):
    """Asks for listing after listing and never reads."""
    link = _raw(path)
    link.settimeout(0.5)
    link.sendall(_segment(b"\x03" + bytes([9]) + b"list-conn"))
    try:
        for _ in range(200):
            link.sendall(_request("list-conns"))
    except OSError:
        pass
    return link


def _was_closed(link):
    link.settimeout(10)
    try:
        while link.recv(1 << 16):
            pass
        return True
    except TimeoutError:
        return False
    except OSError:
        return True


def _crowd(path, count):
    """Many connections at once; those above the limit are turned away, those within it stay."""
    links = []
    for _ in range(count):
        try:
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            link.setblocking(False)
            link.connect(path)
            links.append(link)
        except OSError:
            link.close()
            time.sleep(0.001)
    time.sleep(0.2)
    for link in links:
        link.close()
    # Nobody asked for anything on these: they may be turned away to make room, and the witness may not.
    if len(links) < count // 10:
        raise Failure(f"only {len(links)} of {count} connections were taken at all")


def _large_messages(path):
    sections = {f"s{number}": {"k": "v"} for number in range(10_000)}
    for message in (encode(sections), encode({"x": ["v" * 60_000] * 8})):
        link = _raw(path)
        link.sendall(_request("load-conn", message))
        if not link.recv(4):
            raise Failure("a large message was not answered")
        link.close()
    link = _raw(path)
    try:
        link.sendall(struct.pack("!I", 600_000) + b"x" * 600_000)
        if link.recv(4):
            raise Failure("a message above the limit was answered")
    except OSError:
        pass
    link.close()


def _rubbish(path, count):
    chance = random.Random(7)
    for _ in range(count):
        try:
            link = _raw(path)
            octets = chance.randbytes(chance.randrange(1, 200))
            link.sendall(_segment(octets) if chance.random() < 0.7 else octets)
            link.close()
        except OSError:
            time.sleep(0.005)


def _resident(gateway):
    with open(f"/proc/{_leaf(gateway.daemon.pid)}/status", encoding="ascii") as source:
        return next(int(line.split()[1]) << 10 for line in source if line.startswith("VmRSS"))


def _leaf(pid):
    """The process that `ip netns exec` became, or the one that it started."""
    children = f"/proc/{pid}/task/{pid}/children"
    if os.path.exists(children):
        with open(children, encoding="ascii") as source:
            words = source.read().split()
            if words:
                return _leaf(int(words[0]))
    return pid
