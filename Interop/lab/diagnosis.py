"""Failures that nobody refuses, or that show only later: what `status`, `up` and `doctor` must say about them."""

import base64
import json
from dataclasses import dataclass
from typing import Callable

from .certified import CertificateScenario
from .gateways import Martlet
from .nat import TranslatedScenario
from .network import ping
from .processes import Failure, eventually, run
from .scenario import CONNECTION, SUITES, Scenario
from .translated import PUBLIC

#: Impatience: two tries, half a second apart. strongSwan's swanctl passes over the section.
IMPATIENT = "martlet {\n  retransmit_tries = 1\n  retransmit_timeout = 0.5\n}\n"


@dataclass
class Impatient(Scenario):
    """A scenario in which a Martlet gives up soon."""

    #: Seconds that a peer may take from IKE_SA_INIT to IKE_AUTH.
    half_open: int = 30

    def configuration(self, side, other):
        settings = IMPATIENT.replace("}", f"  half_open_timeout = {self.half_open}\n}}")
        return settings + super().configuration(side, other)


@dataclass(frozen=True)
class Diagnosis:
    """One failure: how it is made, and on which side's Martlet which code must appear."""

    name: str
    scenario: Callable[[], Scenario]
    procedure: Callable


def _martlets(bench):
    return [gateway for gateway in bench.gateways if gateway.kind == "martlet"]


def _block(side, rule):
    table = f"table inet blocked {{\n chain in {{\n type filter hook input priority 0;\n {rule} drop\n }}\n}}\n"
    side.run(["nft", "-f", "-"], stdin=table).require()


def _require_code(gateway, code, word=""):
    def found():
        # What belongs to no connection yet stands by itself.
        errors = [error for _, error in gateway.last_errors()] + gateway.status().get("refusals", [])
        return [error for error in errors if error.get("code") == code]

    errors = eventually(found, 8, f"{gateway.name} says {code} (it says {gateway.last_errors()})")
    if word not in errors[0]["text"]:
        raise Failure(f"{gateway.name}: {code} does not say {word!r}: {errors[0]['text']}")
    return code


def _doctor(gateway, code, *arguments):
    """What `martlet doctor` finds; `code` must be among it, and the exit status 1."""
    done = gateway.side.run(
        [Martlet.executable, "doctor", *arguments, "--json", "--vici", gateway.uri], timeout=60)
    findings = json.loads(done.out)
    codes = [finding.get("code") for finding in findings if finding["verdict"] == "broken"]
    if code not in codes or done.code != 1:
        raise Failure(f"{gateway.name}: doctor ended with {done.code} and found {findings}")
    return code


def nobody_answers(bench):
    bench.set_up()
    _block(bench.right.side, "udp dport 500")
    if bench.left.initiate().code == 0:
        raise Failure("a tunnel came up although UDP 500 is blocked")
    return _require_code(bench.left, "E-NO-ANSWER", "firewall")


def port_4500_blocked(bench):
    _fail_at_4500(bench)
    return _require_code(bench.left, "E-PORT-4500", "4500")


def _fail_at_4500(bench):
    bench.set_up()
    _block(bench.right.side, "udp dport 4500")
    if bench.left.initiate().code == 0:
        raise Failure("a tunnel came up although UDP 4500 is blocked")


def perfect_forward_secrecy(bench):
    """The first Child SA needs no group of its own; the rekeying does."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    return ", ".join(_doctor(gateway, "E-PFS", "--rekey") for gateway in _martlets(bench))


def one_way(bench):
    """A host that is not there: packets leave, and none come back."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    found = []
    for gateway in _martlets(bench):
        other = bench.other(gateway).side
        nobody = other.inner[4].rsplit(".", 1)[0] + ".99"
        ping(gateway.side, nobody, source=gateway.side.inner[4], count=6, wait=1)
        found.append(_doctor(gateway, "E-ONE-WAY", CONNECTION))
    return ", ".join(found)


def black_hole(bench):
    """A firewall on the way drops long packets and says nothing; before that, all is well."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    found = []
    for gateway in _martlets(bench):
        there = bench.other(gateway).side
        host = there.inner[4]
        well = _mtu_findings(gateway, host)
        if [finding["verdict"] for finding in well] != ["well"]:
            raise Failure(f"{gateway.name}: on a path without a hole, doctor says {well}")
        _block(there, "ip length > 1200")
        found.append(_doctor(gateway, "E-MTU", "--mtu", host, "--from", gateway.side.inner[4]))
        there.run(["nft", "delete", "table", "inet", "blocked"]).require()
    return ", ".join(found)


def _mtu_findings(gateway, host):
    done = gateway.side.run(
        [Martlet.executable, "doctor", "--mtu", host, "--from", gateway.side.inner[4], "--json", "--vici", gateway.uri], timeout=60)
    return [finding for finding in json.loads(done.out) if finding["subject"] == "mtu"]


def clock(bench):
    """The left's certificate begins in 2040. Who has it says so, and who refuses it names the clocks."""
    bench.set_up()
    if bench.left.initiate().code == 0:
        raise Failure("a tunnel came up although a certificate is not valid yet")
    if bench.left.kind == "martlet":
        return _doctor(bench.left, "E-CLOCK")
    return _require_code(bench.right, "E-CERT-NOT-YET-VALID", "clock")


def not_gone_on(bench):
    """The initiator's IKE_AUTH does not arrive at port 4500: the responder says what it has seen, and what not."""
    _fail_at_4500(bench)
    return _require_code(bench.right, "E-NOT-GONE-ON", "not UDP 4500")


def private_identity(bench):
    """A NAT hides the initiator, which calls itself by its own address; the responder expects the public one."""
    bench.set_up()
    if bench.left.initiate().code == 0:
        raise Failure("a tunnel came up although the identities differ")
    if bench.left.kind == "martlet":
        return _require_code(bench.left, "E-PEER-AUTHENTICATION", "(1) we call ourselves by the private address")
    return _require_code(bench.right, "E-PEER-IDENTITY", "(1) a NAT hides the peer")


@dataclass
class Hidden(TranslatedScenario):
    """Side a stands behind a translator, and has no `id`."""

    before_a: int = 1

    def configuration(self, side, other):
        text = super().configuration(side, other)
        if side.letter == "a":
            text = text.replace("      id = a.lab\n", "", 1)
            return text.replace("id-1 = a.lab", f"id-1 = {side.outer[4]}").replace("id = a.lab", f"id = {PUBLIC['a']}")
        return text.replace("a.lab", PUBLIC["a"])


def deleted_at_once(bench):
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    peer, ours = (bench.right, bench.left) if bench.left.kind == "martlet" else (bench.left, bench.right)
    peer.terminate().require()
    return _require_code(ours, "E-DELETED-AT-ONCE", "right away")


def slip(word):
    """The responder sees the proof, and names the slip; the initiator is told nothing but that it failed."""
    def procedure(bench):
        bench.set_up()
        attempt = bench.left.initiate()
        if attempt.code == 0:
            raise Failure("a tunnel came up although the secrets differ")
        code = _require_code(bench.right, "E-WRONG-SECRET", word)
        if word in attempt.text + bench.left.log_text():
            raise Failure("the peer was told what is wrong with its secret")
        bench.require_secrets_kept(json.dumps(bench.right.status()))
        return f"{code}, {word!r}"

    return procedure


def explained(bench):
    """`martlet explain` tells of the last failure by the connection's name, and of its code without a gateway."""
    bench.set_up()
    bench.left.initiate()
    for gateway in _martlets(bench):
        told = run([Martlet.executable, "explain", CONNECTION, "--vici", gateway.uri]).require().out
        code = next((word for word in told.replace(",", " ").split() if word.startswith("E-")), "")
        general = run([Martlet.executable, "explain", code]).require().out
        if "What to do" not in general:
            raise Failure(f"explain {code} says {general!r}")
        return code
    raise Failure("no Martlet is on the bench")


def _pfs():
    esp = SUITES[0].esp
    return Impatient(change_a={"esp": f"{esp}-x25519"}, change_b={"esp": f"{esp}-ecp256"})


def _slip(change):
    """Side a has another form of the secret."""
    def made():
        scenario = Impatient()
        scenario.change_a = {"secret": change(scenario.secret)}
        return scenario

    return made


@dataclass
class Octets(Impatient):
    """Side b writes its secret as hex or base64, which side a takes as text."""

    notation: str = "hex"

    def configuration(self, side, other):
        octets = self.secret.encode()
        text = octets.hex() if self.notation == "hex" else base64.b64encode(octets).decode()
        if side.letter == "b":
            written = ("0x" if self.notation == "hex" else "0s") + text
            return super().configuration(side, other).replace(f'"{self.secret}"', written)
        return super().configuration(side, other).replace(f'"{self.secret}"', f'"{text}"')


@dataclass
class AnothersKey(Impatient):
    """Side a uses a key that side b has for somebody else."""

    def configuration(self, side, other):
        text = super().configuration(side, other)
        if side.letter == "a":
            return text
        foreign = f'  ike-other {{\n    id-1 = c.lab\n    secret = "{self.secret}"\n  }}\n'
        own = text.replace(f'"{self.secret}"', f'"not-{self.secret}"')
        return own.replace("secrets {\n", "secrets {\n" + foreign, 1)


#: What a Martlet on the left says.
INITIATING = [
    Diagnosis("nobody-answers", Impatient, nobody_answers),
    Diagnosis("port-4500-blocked", Impatient, port_4500_blocked),
]
#: What a Martlet on either side says.
EITHER = [
    Diagnosis("pfs-mismatch", _pfs, perfect_forward_secrecy),
    Diagnosis("one-way", Impatient, one_way),
    Diagnosis("mtu-black-hole", Impatient, black_hole),
    Diagnosis("clock", lambda: CertificateScenario(wrong="future"), clock),
    Diagnosis("nat-private-identity", Hidden, private_identity),
    Diagnosis("deleted-at-once", Impatient, deleted_at_once),
    Diagnosis("explained", lambda: Impatient(change_a={"esp": SUITES[1].esp}), explained),
]
#: What a Martlet on the right says.
RESPONDING = [
    Diagnosis("port-4500-blocked", lambda: Impatient(half_open=2), not_gone_on),
    Diagnosis("newline-in-secret", _slip(lambda secret: secret + "\\n"), slip("newline")),
    Diagnosis("space-in-secret", _slip(lambda secret: secret + " "), slip("space")),
    Diagnosis("quotes-in-secret", _slip(lambda secret: f'\\"{secret}\\"'), slip("quotation marks")),
    Diagnosis("hex-as-text", Octets, slip("hex")),
    Diagnosis("base64-as-text", lambda: Octets(notation="base64"), slip("base64")),
    Diagnosis("anothers-key", AnothersKey, slip("'ike-other'")),
]


def diagnose(bench, diagnosis):
    return diagnosis.procedure(bench)


