"""Programs that are told when a tunnel comes up and goes down: Martlet's and strongSwan's are told the same."""

import os
import re

from .processes import Failure, eventually, run
from .scenario import CHILD, CONNECTION, Scenario

#: What only one of the two says: strongSwan names the device of the outer address and its marks.
ONE_SIDED = {"PLUTO_UDP_ENC"}

#: Each call is one block, written in one piece: somebody may be reading. It takes its time, so that a gateway that
#: waited for it would be seen.
SCRIPT = """#!/bin/sh
sleep 1
told=$(env | grep '^PLUTO_' | sort)
printf -- '-- %s\\n%s\\n' "$*" "$told" >>"$0.log"
"""


class Told(Scenario):
    """Both children name a program."""

    def prepare(self, gateway, other):
        path = os.path.join(gateway.directory, "told")
        with open(path, "w", encoding="utf-8") as sink:
            sink.write(SCRIPT)
        os.chmod(path, 0o755)
        change = self.change_a if gateway.side.letter == "a" else self.change_b
        change["child"] = f"updown = {path} one two"


def calls(gateway):
    """What a gateway's program was told: one dictionary for each call, in order."""
    path = os.path.join(gateway.directory, "told.log")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as source:
        blocks = source.read().split("-- ")[1:]
    for block in blocks:
        if not block.startswith("one two\n"):
            raise Failure(f"{gateway.name} gave other arguments: {block[:40]!r}")
    return [dict(line.split("=", 1) for line in block.splitlines()[1:]) for block in blocks]


def told(bench, options):
    """Up, a rekeying that nobody is told of, down; both sides' programs are told mirrored facts by the same names."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    # The program is still asleep: the gateway answers all the same.
    run([bench.left.executable, "status", "--vici", bench.left.uri], timeout=2).require()
    for gateway in bench.gateways:
        eventually(lambda: len(calls(gateway)) == 2, 8, f"{gateway.name} has told of both families")
    ours, theirs = (_by_verb(gateway) for gateway in bench.gateways)
    if set(ours) != {"up-client", "up-client-v6"} or set(ours) != set(theirs):
        raise Failure(f"verbs are {sorted(ours)} and {sorted(theirs)}")
    for verb, mine in ours.items():
        _mirrored(mine, theirs[verb])
    bench.left.swanctl("--rekey", "--child", CHILD).require()
    bench.require_pings()
    if len(calls(bench.left)) != 2:
        raise Failure("a rekeying was told")
    bench.left.swanctl("--terminate", "--ike", CONNECTION, "--timeout", 10).require()
    for gateway in bench.gateways:
        eventually(lambda: len(calls(gateway)) == 4, 8, f"{gateway.name} has told of the end")
        if {call["PLUTO_VERB"] for call in calls(gateway)[2:]} != {"down-client", "down-client-v6"}:
            raise Failure(f"{gateway.name} told {calls(gateway)[2:]}")
    bench.require_clean_stop()


def _by_verb(gateway):
    return {call["PLUTO_VERB"]: call for call in calls(gateway)}


def _mirrored(mine, theirs):
    absent = {key for key in theirs if key not in mine and key not in ONE_SIDED and not re.search("MARK|IPTABLES", key)}
    if absent:
        raise Failure(f"the program is not told {sorted(absent)}")
    for key in ("", "_ID", "_CLIENT", "_PORT", "_PROTOCOL"):
        for here, there in (("MY", "PEER"), ("PEER", "MY")):
            first = "PLUTO_ME" if (here, key) == ("MY", "") else f"PLUTO_{here}{key}"
            second = "PLUTO_ME" if (there, key) == ("MY", "") else f"PLUTO_{there}{key}"
            if mine[first] != theirs[second]:
                raise Failure(f"{first}={mine[first]}, but {second}={theirs[second]} at the peer")
    for key in ("PLUTO_VERSION", "PLUTO_CONNECTION", "PLUTO_PROTO"):
        if mine[key] != theirs[key]:
            raise Failure(f"{key} is {mine[key]!r}, and {theirs[key]!r} at the peer")


ROWS = [("updown", Told, told)]
