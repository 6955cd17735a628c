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
#: Octets of the longest message.
LIMIT = 512 << 10


#: How much the gateway may grow while it is under fire: a thousand connections, clients' queues, a message each.
GROWTH = 256 << 20


def under_fire(bench, options):
    """Crowds, readers that never read, the largest messages, all that is malformed: others are served all the while."""
    bench.set_up()
    gateway = bench.left
    bench.left.initiate().require()
    bench.require_up(count=1)
    load_many(gateway.socket, 1_000)
    before = _forget_peak(gateway)
    waits, stop = {"version": [], "list-sas": []}, threading.Event()
    witnesses = [
        threading.Thread(target=_witness, args=(gateway.socket, name, waits[name], stop), daemon=True) for name in waits]
    for witness in witnesses:
        witness.start()
    facts = []
    deaf = [_deaf_reader(gateway.socket) for _ in range(4)]
    for step in (_crowd, _large_messages, _malformed, _rubbish):
        facts.append(step(gateway.socket))
    stop.set()
    for witness in witnesses:
        witness.join(30)
    if any(witness.is_alive() for witness in witnesses) or min(map(len, waits.values())) < 10:
        raise Failure(f"other clients were served {({name: len(each) for name, each in waits.items()})} times only")
    if not all(_was_closed(link) for link in deaf):
        raise Failure("a client that never reads what it asked for kept its connection")
    # No timing is judged by more than that nobody was forgotten; the figures are in the row.
    if max(map(max, waits.values())) > 5:
        raise Failure(f"another client waited {max(map(max, waits.values())):.1f} s")
    grown = _memory(gateway, "VmHWM") - before
    if grown > GROWTH:
        raise Failure(f"the gateway has grown by {grown >> 20} MiB at its worst")
    bench.require_up(count=1)
    bench.require_pings()
    served = "; ".join(f"{name} {_spread(each)}" for name, each in waits.items())
    return f"others meanwhile: {served}; memory +{grown >> 20} MiB at the worst; {', '.join(facts)}"


def _spread(waits):
    waits = sorted(waits)
    middle, late = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    return f"{len(waits)} times, median {middle * 1e3:.1f} ms, 99 % {late * 1e3:.0f} ms, worst {waits[-1] * 1e3:.0f} ms"


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


def _witness(path, command, waits, stop):
    with Vici(path, timeout=60) as client:
        while not stop.is_set():
            begin = time.monotonic()
            if command == "version":
                client.require("version")
            elif len(client.listing("list-sas", "list-sa")) != 1:
                raise Failure("list-sas does not list the tunnel")
            waits.append(time.monotonic() - begin)
            time.sleep(0.01)


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


def _crowd(path, count=1_000):
    """Many connections at once, half of which ask for something; those above the limit are turned away."""
    links = []
    for number in range(count):
        try:
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            link.setblocking(False)
            link.connect(path)
            if number % 2:
                link.send(_request("version"))
            links.append(link)
        except OSError:
            link.close()
            time.sleep(0.001)
    time.sleep(0.5)
    for link in links:
        link.close()
    # Nobody asked for anything on these: they may be turned away to make room, and the witness may not.
    if len(links) < count // 10:
        raise Failure(f"only {len(links)} of {count} connections were taken at all")
    return f"{len(links)} of {count} connections got in at once"


def _large_messages(path, rounds=20):
    """10,000 sections and messages of exactly the limit are answered; one octet more ends the connection."""
    sections = encode({f"s{number}": {"k": "v"} for number in range(10_000)})
    most = encode({"x": ["v" * 60_000] * 8})
    rest = LIMIT - len(_request("load-conn", most)) + 4 - len(encode({"y": ""}))
    most += encode({"y": "v" * rest})
    if len(_request("load-conn", most)) - 4 != LIMIT:
        raise Failure("the lab's largest message is not the largest")
    for _ in range(rounds):
        for message in (sections, most):
            with _raw(path) as link:
                link.sendall(_request("load-conn", message))
                if not link.recv(4):
                    raise Failure("a large message was not answered")
        with _raw(path) as link:
            try:
                link.sendall(struct.pack("!I", LIMIT + 1) + b"\x00\x09load-conn" + b"x" * 65_536)
                if link.recv(4):
                    raise Failure("a message above the limit was answered")
            except ConnectionError:
                pass
    return f"{rounds} messages of 512 KiB and of 10,000 sections"


#: What is no message, each in a `load-conn`.
MALFORMED = {
    "a list item longer than the message": b"\x04\x01x\x05\xff\xffa", "a list that never ends": b"\x04\x01x\x05\x00\x01a",
    "a section in a list": b"\x04\x01x\x01\x01y", "a section that never ends": b"\x01\x01x",
    "a section that ends twice": b"\x01\x01x\x02\x02", "a value longer than the message": b"\x03\x01x\x40\x00a",
    "10,000 sections within each other": b"\x01\x01x" * 10_000, "no element": b"\x09",
}


def _malformed(path):
    """Each ends its connection, and nothing is answered: no octet that nobody sent, above all."""
    for what, message in MALFORMED.items():
        with _raw(path) as link:
            try:
                link.sendall(_request("load-conn", message))
                answer = link.recv(4)
            except ConnectionError:
                answer = b""
        if answer:
            raise Failure(f"{what} was answered: {answer!r}")
    with _raw(path) as link:
        link.sendall(_request("no-such-command"))
        if link.recv(8) != _segment(b"\x02"):
            raise Failure("an unknown command was not called unknown")
    return f"{len(MALFORMED)} malformed messages refused"


def _rubbish(path, count=300):
    chance = random.Random(7)
    for _ in range(count):
        try:
            with _raw(path) as link:
                octets = chance.randbytes(chance.randrange(1, 200))
                link.sendall(_segment(octets) if chance.random() < 0.7 else octets)
        except OSError:
            time.sleep(0.005)
    return f"{count} pieces of rubbish"


def _forget_peak(gateway):
    """Memory now; the kernel counts the worst from here on."""
    with open(f"/proc/{_leaf(gateway.daemon.pid)}/clear_refs", "w", encoding="ascii") as sink:
        sink.write("5")
    return _memory(gateway, "VmRSS")


def _memory(gateway, which):
    with open(f"/proc/{_leaf(gateway.daemon.pid)}/status", encoding="ascii") as source:
        return next(int(line.split()[1]) << 10 for line in source if line.startswith(which + ":"))


def _leaf(pid):
    """The process that `ip netns exec` became, or the one that it started."""
    children = f"/proc/{pid}/task/{pid}/children"
    if os.path.exists(children):
        with open(children, encoding="ascii") as source:
            words = source.read().split()
            if words:
                return _leaf(int(words[0]))
    return pid
