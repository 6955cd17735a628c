#!/usr/bin/python3
"""Plays one client: connects, then does what each line of standard input asks, and prints a line of JSON for each.

    play.py KIND --own ADDRESS --server ADDRESS --name NAME --authority FILE --user USER [--password WORD | --pair CERT KEY]
"""

import argparse
import json
import os
import select
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from replay.clients import KINDS  # noqa: E402  (the path must be set first)
from replay.exchange import Refused  # noqa: E402
from replay.session import Session  # noqa: E402


def say(**facts):
    print(json.dumps(facts), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(KINDS))
    for option in ("own", "server", "name", "authority", "user"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--password")
    parser.add_argument("--pair", nargs=2)
    options = parser.parse_args()
    session = Session(
        options.kind, options.own, options.server, options.user, options.password, options.authority, options.name,
        options.pair)
    try:
        session.init()
        session.authenticate()
        say(event="up", addresses=session.addresses, dns=session.servers, proof=session.proof_method,
            encr=session.chosen[1], group=session.chosen[4][0], eap=getattr(session, "methods", []))
        deeds = {
            "rekey-child": session.rekey_child, "rekey-ike": session.rekey_ike, "leave": session.leave,
        }
        while True:
            ready, _, _ = select.select([sys.stdin, session.socket], [], [], 60)
            if session.socket in ready:
                session.serve(0.1)
            if sys.stdin in ready:
                words = sys.stdin.readline().split()
                if not words or words[0] == "end":
                    return 0
                if words[0] == "ping":
                    say(event="ping", answered=session.ping(words[1]))
                elif words[0] == "seen":
                    say(event="seen", what=session.seen, children=len(session.children))
                else:
                    deeds[words[0]]()
                    say(event=words[0])
            if not ready:
                return 0
    except Refused as refusal:
        say(event="refused", why=str(refusal))
        return 1


if __name__ == "__main__":
    sys.exit(main())
