"""Debian's unmodified swanctl drives a Martlet that was started with an empty file, and reads what strongSwan says."""

import os
import re
import time

from .gateways import Martlet
from .processes import Failure, eventually, run
from .scenario import CHILD, CONNECTION
from .shapes import ONE_SIDED
from .swanctl import parse_raw
from .vici import Listener

#: A connection that is only looked at. Both daemons must list it alike, to the letter.
PROBE = """connections {
  probe {
    version = 2
    local_addrs = 192.0.2.1
    remote_addrs = 192.0.2.2, gw.example.net
    proposals = aes256-sha256-x25519
    rekey_time = 2h
    dpd_delay = 30s
    unique = replace
    local {
      auth = psk
      id = probe-a.lab
    }
    remote {
      auth = psk
      id = probe-b.lab
    }
    children {
      one {
        local_ts = 10.31.0.0/16
        remote_ts = 10.32.0.0/16, 10.33.0.0/24[tcp/40443]
        rekey_time = 30m
        close_action = trap
      }
      two {
        esp_proposals = aes128gcm16-x25519
        dpd_action = start
      }
    }
  }
}
"""


def drive(bench, options):
    """Load, list, initiate, list, rekey, count, log, terminate, reload: every answer shaped like strongSwan's."""
    bench.set_up()
    facts = []
    probe = _write(bench, "probe.conf", PROBE)
    facts.append(_connections_alike(bench, probe))
    listeners = [Listener(gateway.socket) for gateway in bench.gateways]
    done = bench.left.initiate().require()
    if "initiate completed successfully" not in done.out:
        raise Failure(f"--initiate says {done.out!r}")
    bench.require_up(count=1)
    bench.require_pings()
    facts.append(_sas_alike(bench))
    facts.append(_same_words(bench))
    for gateway in bench.gateways:
        gateway.swanctl("--rekey", "--child", CHILD).require()
        time.sleep(1)
    bench.left.swanctl("--rekey", "--ike", CONNECTION).require()
    eventually(lambda: _settled(bench), 10, "both sides have one IKE SA with one child after rekeying")
    bench.require_pings()
    _counters(bench, listeners)
    for arguments in (["--list-pols"], ["--list-pools"], ["--list-certs"], ["--list-authorities"], ["--stats"]):
        for gateway in bench.gateways:
            gateway.swanctl(*arguments).require()
    _reload_keeps_tunnels(bench)
    bench.left.terminate().require()
    bench.require_down()
    facts.append(_events_alike(listeners))
    for gateway in bench.gateways:
        gateway.swanctl("--load-all", "--clear", "--noprompt", "--file", probe).require()
        if gateway.swanctl("--list-conns").require().out.split(":")[0] != "probe":
            raise Failure(f"{gateway.name}: --load-all of another file did not unload {CONNECTION}")
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return ", ".join(facts)


def _write(bench, name, text):
    path = os.path.join(bench.directory, name)
    with open(path, "w", encoding="utf-8") as sink:
        sink.write(text)
    return path


def _connections_alike(bench, probe):
    """The same file loaded into both: the same --list-conns, text and raw."""
    for gateway in bench.gateways:
        gateway.swanctl("--load-conns", "--file", probe).require()
    for arguments in (["--list-conns"], ["--list-conns", "--raw"]):
        texts = [gateway.swanctl(*arguments).require().out for gateway in bench.gateways]
        if texts[0] != texts[1]:
            raise Failure(f"{' '.join(arguments)} differs: {texts[0]!r} here, {texts[1]!r} there")
    for gateway in bench.gateways:
        gateway.swanctl("--load-conns", "--file", gateway.configuration_file).require()
        names = gateway.swanctl("--list-conns").require().out
        if "probe" in names or CONNECTION not in names:
            raise Failure(f"{gateway.name}: --load-conns left {names!r}")
    return "list-conns alike"


def _sas_alike(bench):
    """The keys of --list-sas --raw and their order."""
    orders = []
    for gateway in bench.gateways:
        trees = parse_raw(gateway.swanctl("--list-sas", "--raw").require().out)
        orders.append(_order(trees[0][1]))
    if orders[0] != orders[1]:
        raise Failure(f"list-sas --raw differs in keys or order: {orders[0]} here, {orders[1]} there")
    pretty = [gateway.swanctl("--list-sas", "--pretty").require().out for gateway in bench.gateways]
    if any(len(text.splitlines()) < 30 for text in pretty):
        raise Failure(f"list-sas --pretty is too short: {pretty}")
    return f"list-sas alike in {len(orders[0])} keys and their order"


def _same_words(bench):
    """Martlet, called as swanctl, prints what swanctl prints, whichever daemon it asks; as ipsec it answers status."""
    links = {}
    for name in ("swanctl", "ipsec"):
        links[name] = os.path.join(bench.directory, name)
        os.symlink(Martlet.executable, links[name])
    commands = [
        ["--list-sas"], ["--list-conns"], ["--list-pols", "--trap"], ["--list-pools"], ["--counters"], ["--stats"],
        ["--version", "--daemon"], ["--list-conns", "--raw"]]
    for gateway in bench.gateways:
        for command in commands:
            theirs = gateway.swanctl(*command).require().out
            ours = run([links["swanctl"], *command, "--uri", gateway.uri]).require().out
            if _timeless(theirs) != _timeless(ours):
                raise Failure(f"{' '.join(command)} of {gateway.name}: swanctl says {theirs!r}, we say {ours!r}")
        for command, word in (("status", "Security Associations (1 up, 0 connecting)"), ("statusall", "Connections:")):
            told = run([links["ipsec"], command], env={"MARTLET_VICI": gateway.socket}).require().out
            if word not in told or f"{CHILD}{{" not in told:
                raise Failure(f"ipsec {command} of {gateway.name}: {told!r}")
    return f"{len(commands)} texts the same"


def _timeless(text):
    """The text without what changes from one second, or one thread's mood, to the next."""
    text = re.sub(r"\b\d+s\b", "Ns", text)
    text = re.sub(r" +Ns", " Ns", text)
    text = re.sub(r"uptime: .*", "uptime", text)
    text = re.sub(r"\d+ idle, working: [\d/]+", "idle", text)
    text = re.sub(r"(jobs scheduled|job queues): [\d/]+", "jobs", text)
    return re.sub(r"mallinfo.*\n", "", text).strip()


def _order(tree, prefix=""):
    """All keys in order; what only one side has is left out, and the names that daemons number."""
    found = []
    for name, value in tree.items():
        if name in ONE_SIDED:
            continue
        label = CHILD if name.startswith(f"{CHILD}-") else name
        found.append(prefix + label)
        if isinstance(value, dict):
            found += _order(value, f"{prefix}{label}.")
    return found


def _settled(bench):
    for gateway in bench.gateways:
        sas = gateway.sas()
        if len(sas) != 1 or len(sas[0][1]["child-sas"]) != 1:
            return False
    return True


def _counters(bench, listeners):
    """--counters has the same names in the same order, and both have counted the rekeying."""
    tables = []
    for gateway in bench.gateways:
        text = gateway.swanctl("--counters").require().out
        lines = [line.split(":") for line in text.splitlines() if line.startswith("  ")]
        tables.append({name.strip(): int(value) for name, value in lines})
        if tables[-1]["ike-init-in-req"] + tables[-1]["ike-init-out-req"] < 1 or tables[-1]["child-rekey"] < 2:
            raise Failure(f"{gateway.name} counts {tables[-1]}, {[name for each in listeners for name, _ in each.seen]}")
        if tables[-1]["ike-rekey-init"] + tables[-1]["ike-rekey-resp"] != 1:
            raise Failure(f"{gateway.name} counts {tables[-1]}")
    if list(tables[0]) != list(tables[1]):
        raise Failure(f"--counters differ: {list(tables[0])} here, {list(tables[1])} there")


def _reload_keeps_tunnels(bench):
    """Loading the same file again changes nothing: the same SPIs before and after."""
    def spis():
        return [sorted(child["spi-in"] for child in gateway.children()) for gateway in bench.gateways]

    before = spis()
    for gateway in bench.gateways:
        gateway.swanctl("--load-all", "--noprompt", "--file", gateway.configuration_file).require()
    if spis() != before:
        raise Failure(f"loading the same configuration changed SAs: {before} before, {spis()} after")
    bench.require_pings()


def _events_alike(listeners):
    """Both sides told of the same events, with the same keys in the same order."""
    time.sleep(0.5)
    seen = []
    for listener in listeners:
        events = {}
        for name, tree in list(listener.seen):
            kind = name + (" up" if "up" in tree else "")
            # Whose address changes, and whether its connection has a name by then, differs by role and by chance.
            if name != "ike-update":
                # The state of the replaced IKE SA, and with it what is told of its age, is its initiator's to know.
                aged = {f"{CONNECTION}.old.established", f"{CONNECTION}.old.rekey-time"}
                events.setdefault(kind, [key for key in _order(tree) if key not in aged])
        listener.close()
        seen.append(events)
    missing = {"ike-updown up", "child-updown up", "ike-rekey", "child-rekey", "ike-updown"} - set(seen[0])
    if missing:
        raise Failure(f"nobody told of {missing}, only of {set(seen[0])}")
    if set(seen[0]) != set(seen[1]):
        raise Failure(f"events differ: {sorted(seen[0])} here, {sorted(seen[1])} there")
    for kind, order in seen[0].items():
        if order != seen[1][kind]:
            raise Failure(f"event {kind} differs: {order} here, {seen[1][kind]} there")
    return f"{len(seen[0])} kinds of events alike"
