"""Ten thousand connections loaded, and ten thousand IKE SAs listed, by the same client from either daemon."""

import shutil
import tempfile
import threading
import time
import types

from . import fire, measure
from .figures import OURS, PEER
from .gateways import KINDS
from .network import PREFIX, Network
from .processes import Failure
from .targets import Row, at_most
from .usage import usage
from .vici import Vici


def rows(options, progress):
    """Both daemons, one after the other, each in namespaces of its own."""
    facts = {}
    for kind in (PEER, OURS):
        progress(f"{options.connections} connections and as many IKE SAs, {kind}")
        facts[kind] = _one(kind, options)
    count = options.connections
    return [
        _row(f"{count:,} connections loaded by VICI", facts, "load", 5),
        _row(f"{count:,} IKE SAs listed by VICI", facts, "list", 2),
        _delay(f"a handshake while {count:,} IKE SAs are listed again and again", facts),
    ]


def _delay(name, facts):
    (alone, beside, listings), (peer_alone, peer_beside, _) = facts[OURS]["delay"], facts[PEER]["delay"]
    return Row(
        name, beside * 1e3, "ms", "≤ 100", at_most(100),
        f"{alone * 1e3:.1f} ms without, {listings} listings meanwhile; strongSwan {peer_beside * 1e3:.1f} ms, "
        f"{peer_alone * 1e3:.1f} ms without; one after the other, the lister on the same processors")


def _row(name, facts, what, bound):
    (ours, cpu), (theirs, _) = facts[OURS][what], facts[PEER][what]
    return Row(
        name, ours, "s", f"≤ {bound}", at_most(bound),
        f"strongSwan {theirs:.2f} s, {theirs / ours:.2f} times as long; {cpu:.2f} s of Martlet's processor time")


def _one(kind, options):
    directory = tempfile.mkdtemp(prefix=f"{PREFIX}many-")
    network = Network()
    gateway = None
    try:
        network.up()
        responder = measure.Responder(measure.GROUPS["x25519"])
        gateway = KINDS[kind](network.b, directory)
        gateway.is_quiet = True
        gateway.settings = "dos_protection = no\n  ikesa_table_size = 16384\n  ikesa_table_segments = 16"
        gateway.write(responder.configuration(network.b))
        gateway.start()
        wanted = types.SimpleNamespace(
            handshakes=options.connections, outstanding=options.outstanding, martlet_bench=options.martlet_bench)
        measure.establish(network, responder, wanted, first=0, count=options.connections)
        listed = _timed(gateway, lambda: _list(gateway, options.connections))
        delay = _beside_listings(gateway, network, responder, wanted)
        loaded = _timed(gateway, lambda: fire.load_many(gateway.socket, options.connections))
    finally:
        # The initiators are gone already: there is nobody to say goodbye to.
        if gateway:
            gateway.abandon()
        network.down()
        shutil.rmtree(directory, ignore_errors=True)
    return {"load": loaded, "list": listed, "delay": delay}


def _beside_listings(gateway, network, responder, wanted, count=200):
    """The mean time of a handshake, one after the other: alone, and while another client lists all SAs; how often."""
    single = types.SimpleNamespace(**{**vars(wanted), "outstanding": 1})
    alone = measure.hand_shake(network, responder, single, first=2_000_000, count=count) / count
    listings, stop = [], threading.Event()

    def lister():
        with Vici(gateway.socket, timeout=120) as client:
            while not stop.is_set():
                listings.append(len(client.listing("list-sas", "list-sa")))

    thread = threading.Thread(target=lister, daemon=True)
    thread.start()
    beside = measure.hand_shake(network, responder, single, first=3_000_000, count=count) / count
    stop.set()
    thread.join(120)
    if thread.is_alive() or any(found < wanted.handshakes for found in listings):
        raise Failure(f"{gateway.name} listed {listings} IKE SAs")
    return alone, beside, len(listings)


def _timed(gateway, body):
    """Seconds on the clock, and seconds of the daemon's processor time."""
    before, begin = usage(gateway.daemon.pid).cpu, time.monotonic()
    body()
    return time.monotonic() - begin, usage(gateway.daemon.pid).cpu - before


def _list(gateway, count):
    with Vici(gateway.socket, timeout=120) as client:
        found = len(client.listing("list-sas", "list-sa"))
    if found != count:
        raise Failure(f"{gateway.name} lists {found} IKE SAs of {count}")
