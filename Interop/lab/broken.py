"""Broken configurations given to a gateway that runs: each is refused whole, with its place, and nothing changes."""

import os
import random
import re

from .gateways import Martlet
from .processes import Failure, run
from .vici import Vici

KEYS = os.path.join(os.path.dirname(__file__), "..", "..", "Sources", "SwanctlConfig", "KnownKeys.swift")

#: `FILE:LINE:COLUMN: error: what; what to do`
COMPLAINT = re.compile(r"^(\S+):(\d+):(\d+): error: (.+); (.+)$", re.MULTILINE)

STRUCTURE = {
    "an unclosed section": b"connections {\n", "a brace too many": b"connections { }\n}\n", "no name": b"= 3\n",
    "a brace without a name": b"{ }\n", "a quote without an end": b"secrets { ike { secret = \"abc\n } }",
    "its own parent": b"connections : connections { }", "a circle of references": b"a : b { }\nb : a { }\n",
    "a reference to nobody": b"connections : nobody { }", "a lone word": b"connections\n",
    "sections too deep": b"a {\n" * 200, "a missing certificate":
    b"connections { x { remote_addrs = 192.0.2.1\n local { auth = pubkey\n certs = none.pem\n } } }",
    "a missing authority": b"authorities { x { cacert = none.pem\n } }",
    "an include that includes itself": b"include swanctl.conf\n",
}


def broken_configurations(bench, options):
    """Two hundred and more, each through the file and the control socket; a tunnel is up all the while."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    gateway = bench.left
    with open(gateway.configuration_file, encoding="utf-8") as source:
        good = source.read()
    before = _state(gateway)
    files = [*_wrong_values(good), *_typing_errors(good), *_structures(good), *_rubbish(good)]
    if len(files) < 200:
        raise Failure(f"only {len(files)} broken configurations were made")
    with Vici(gateway.socket, timeout=30) as client:
        for what, text, meant in files:
            with open(gateway.configuration_file, "wb") as sink:
                sink.write(text)
            answer = client.request("reload-settings")
            if answer.get("success") != "no":
                raise Failure(f"{what} was loaded")
            _judge(what, meant, answer.get("errmsg", ""), gateway.configuration_file)
    # What swanctl itself reads and sends is refused by the same readers, without a place: it has none.
    _over_the_socket(gateway)
    # A program that only checks says the same.
    done = run([Martlet.executable, "check", gateway.configuration_file], timeout=20)
    if done.code != 1 or not COMPLAINT.search(done.text):
        raise Failure(f"martlet check ended with {done.code}: {done.text}")
    gateway.write(good)
    if _state(gateway) != before:
        raise Failure(f"something changed: {before} before, {_state(gateway)} after")
    with Vici(gateway.socket, timeout=30) as client:
        client.require("reload-settings")
    if _state(gateway) != before:
        raise Failure("loading the good configuration again changed something")
    bench.require_up(count=1)
    bench.require_pings()
    bench.require_secrets_kept()
    return f"{len(files)} broken configurations refused, the tunnel and {before[0].count('=')} values as before"


def _judge(what, meant, text, file):
    complaint = COMPLAINT.search(text)
    if not complaint:
        raise Failure(f"{what}: no place, or nothing to do about it: {text!r}")
    if os.path.basename(complaint[1]) != os.path.basename(file) or int(complaint[2]) < 1 or int(complaint[3]) < 1:
        raise Failure(f"{what}: not placed in the file: {text!r}")
    if meant and meant not in text:
        raise Failure(f"{what}: '{meant}' is not named: {text!r}")


def _state(gateway):
    conns = gateway.swanctl("--list-conns", "--raw").require().out
    return conns, sorted((child["spi-in"], child["spi-out"]) for child in gateway.children())


def _over_the_socket(gateway):
    connection = {"version": "2", "remote_addrs": ["192.0.2.1"], "local": {"auth": "psk"}, "remote": {"auth": "psk"}}
    with Vici(gateway.socket, timeout=30) as client:
        for key, value in {"remote_adrs": "192.0.2.1", "rekey_time": "soon", "proposals": ["aes128-rot13"]}.items():
            answer = client.request("load-conn", {"broken": {**connection, key: value}})
            if answer.get("success") != "no" or key not in answer.get("errmsg", ""):
                raise Failure(f"load-conn with {key} = {value}: {answer}")


def _keys():
    with open(KEYS, encoding="utf-8") as source:
        return re.findall(r"^        ([a-z][\w.<>-]*) =(.*)$", source.read(), re.MULTILINE)


def _nested(path, statement):
    names = ["x" if part.startswith("<") else part.replace("<suffix>", "") for part in path]
    return b"".join(name.encode() + b" {\n" for name in names) + statement + b"\n" + b"}\n" * len(names)


def _wrong_values(good):
    """Every key with octets that are no text, or, where any octets will do, with bad hexadecimal."""
    for path, default in _keys():
        *above, key = path.split(".")
        if default.strip() == "(section)" or key.startswith("<"):
            continue
        name = key.replace("<suffix>", "")
        value = b"0xnothex" if name == "secret" else b"\xff\xfe\xfd"
        yield f"{path} with no text", good.encode() + _nested(above, name.encode() + b" = " + value), name


def _typing_errors(good):
    """Every key of a connection, a child and a round with its first letters turned: the right one is named."""
    rows = [(path.split("."), default) for path, default in _keys() if path.startswith("connections.<conn>.")]
    names = {(tuple(path[:-1]), path[-1].replace("<suffix>", "")) for path, _ in rows}
    for path, default in rows:
        key = path[-1].replace("<suffix>", "")
        typo = key[1] + key[0] + key[2:]
        if len(key) < 4 or key.startswith("<") or (tuple(path[:-1]), typo) in names or typo == key:
            continue
        if default.strip() == "(section)" or path[-1].endswith("<suffix>"):
            continue
        yield f"{typo} for {key}", good.encode() + _nested(path[:-1], typo.encode() + b" = 1"), f"'{key}'"


def _structures(good):
    for what, text in STRUCTURE.items():
        # What is unclosed has to come last.
        yield what, good.encode() + text, ""


def _rubbish(good, count=32):
    chance = random.Random(11)
    for number in range(count):
        yield f"rubbish {number}", b"connections {\n" + chance.randbytes(400), ""


ROWS = [("broken-configurations", broken_configurations)]
