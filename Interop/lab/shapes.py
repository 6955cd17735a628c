"""Debian's swanctl against our control socket must print what it prints against strongSwan's."""

import re

from .processes import Failure
from .swanctl import line_of, parse_raw, shape

#: Keys that only one side of a tunnel has, or only one kind of data plane, or only after a packet.
ONE_SIDED = {
    "initiator", "nat-local", "nat-remote", "nat-fake", "nat-any", "encap", "use-in", "use-out", "tasks-queued",
    "tasks-active", "tasks-passive", "reauth-time", "cpu-in", "cpu-out",
}


def compare(bench, options):
    """Up by swanctl; its texts for both sides of the same tunnel have the same shape; down by swanctl."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()

    texts = [gateway.swanctl("--list-sas").require().out for gateway in bench.gateways]
    shapes = [shape(text) for text in texts]
    if shapes[0] != shapes[1]:
        raise Failure(f"list-sas differs in shape: {shapes[0]} here, {shapes[1]} there")
    for kind in ("ike-algorithms",):
        _require_equal(kind, *(line_of(text, kind) for text in texts))
    _require_equal("child algorithms", *(line_of(text, "child").rpartition("ESP:")[2] for text in texts))
    for inward, outward in (("in", "out"), ("out", "in")):
        _require_equal(
            f"SPI {inward}", line_of(texts[0], inward).split()[1], line_of(texts[1], outward).split()[1])
    for here, there in (("local-ts", "remote-ts"), ("remote-ts", "local-ts")):
        _require_equal(
            here, sorted(line_of(texts[0], here).split()[1:]), sorted(line_of(texts[1], there).split()[1:]))

    trees = [parse_raw(gateway.swanctl("--list-sas", "--raw").require().out) for gateway in bench.gateways]
    keys = [_keys(dict(tree[0][1])) - ONE_SIDED for tree in trees]
    if keys[0] != keys[1]:
        raise Failure(f"list-sas --raw differs in keys: only here {keys[0] - keys[1]}, only there {keys[1] - keys[0]}")

    for gateway in bench.gateways:
        stats = gateway.swanctl("--stats").require().out
        for pattern in (r"^uptime: \S+ \S+, since \S+", r"^IKE_SAs: 1 total, 0 half-open$"):
            if not re.search(pattern, stats, re.MULTILINE):
                raise Failure(f"{gateway.name}: --stats has no line /{pattern}/: {stats}")
        if "(null)" in stats:
            raise Failure(f"{gateway.name}: --stats lacks a field: {stats}")
        version = gateway.swanctl("--version", "--daemon").require().out
        if not re.match(r"\S+ \S+ \S+ \(Linux, \S+, \S+\)$", version) or "(null)" in version:
            raise Failure(f"{gateway.name}: --version says {version!r}")
    bench.left.terminate().require()
    bench.require_down()
    if bench.left.swanctl("--list-sas").require().out.strip():
        raise Failure(f"{bench.left.name}: --list-sas is not empty after --terminate")
    bench.require_clean_stop()
    bench.require_secrets_kept(*texts)
    return f"{len(shapes[0])} lines, {len(keys[0])} raw keys alike"


def _keys(tree):
    """All keys of a raw tree; names that the daemon chose (connection, child) are passed over."""
    found = set()
    for name, value in tree.items():
        if isinstance(value, dict):
            if name == "child-sas":
                found.add(name)
            for inner in (value.values() if name == "child-sas" else [value]):
                found |= {f"child {key}" if name == "child-sas" and key not in ONE_SIDED else key
                          for key in _keys(inner)}
        else:
            found.add(name)
    return found


def _require_equal(what, here, there):
    if here != there:
        raise Failure(f"list-sas: {what} is {here!r} here and {there!r} there")
