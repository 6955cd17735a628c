"""Nothing secret appears in a log at any level, in a status, in a control message, or in a core."""

import base64
import os
import re
from dataclasses import dataclass

from .processes import Failure, run
from .rounds import RoundScenario
from .vici import Vici


@dataclass
class Talkative(RoundScenario):
    """A certificate, then a password by EAP, a post-quantum key: everything that a tunnel can hang on, at level 3."""

    rounds_a: tuple = ("cert", "eap")
    rounds_b: tuple = ("cert",)
    ppk: str = "required"

    def prepare(self, gateway, other):
        super().prepare(gateway, other)
        gateway.more = ("--log", "3")


def _spellings(gateway, scenario):
    """Each secret in the ways in which somebody could write it: as text, in digits, in lines of a file."""
    octets = {f"password {index}": secret.encode() for index, secret in enumerate(
        [scenario.secret, scenario.secret + "-q", *filter(None, [scenario.guessed])])}
    folder = os.path.join(gateway.directory, "private")
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        with open(path, encoding="utf-8") as source:
            for number, line in enumerate(source):
                if not line.startswith("-") and len(line) > 20:
                    yield f"{name}, line {number}", line.strip()
        text = run(["openssl", "pkey", "-in", path, "-noout", "-text"]).require().out
        # openssl shows the private number in lines of fifteen octets.
        private = re.search(r"priv:\n((?:\s+[0-9a-f:]+\n)+)", text)
        if private:
            octets[name] = bytes.fromhex(re.sub(r"[^0-9a-f]", "", private.group(1)))
    for name, secret in octets.items():
        yield name, secret.decode("latin-1")
        for digits in (secret.hex(), secret.hex().upper(), base64.b64encode(secret).decode().rstrip("=")):
            yield name, digits


def _said(gateway):
    """Everything that a gateway says of itself."""
    yield "the log", gateway.log_text()
    yield "the status", str(gateway.status())
    with Vici(gateway.socket) as client:
        for command, event in (("list-sas", "list-sa"), ("list-conns", "list-conn"), ("list-certs", "list-cert"),
                               ("list-policies", "list-policy"), ("list-authorities", "list-authority")):
            yield command, str(client.listing(command, event))
        for command in ("get-shared", "get-keys", "get-conns", "get-counters", "stats", "version"):
            yield command, str(client.request(command))
    for words in (["status"], ["status", "--long"], ["bundle"]):
        done = run([gateway.executable, *words, "--vici", gateway.uri], timeout=20)
        yield f"martlet {' '.join(words)}", done.text


def kept(bench, options):
    """Up, down, wrong password, and then everything is read that there is to read."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    count = 0
    for gateway in bench.gateways:
        with open(f"/proc/{gateway.daemon.pid}/limits", encoding="utf-8") as source:
            if not re.search(r"^Max core file size\s+0\s+0\s", source.read(), re.MULTILINE):
                raise Failure(f"{gateway.name} may write a core")
        if "IKE_AUTH" not in gateway.log_text():
            raise Failure(f"{gateway.name} does not log its messages: nothing is shown")
        spellings = list(_spellings(gateway, bench.scenario))
        if len(spellings) < 10:
            raise Failure(f"only {len(spellings)} spellings of secrets to look for")
        for place, text in _said(gateway):
            for name, spelling in spellings:
                count += 1
                if spelling in text:
                    raise Failure(f"{name} occurs in {place} of {gateway.name}")
    bench.left.terminate().require()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"{count} searches, in logs of {', '.join(str(len(each.log_text())) for each in bench.gateways)} octets"


CASES = [("secrets-kept", Talkative, kept, {("martlet", "martlet")})]
