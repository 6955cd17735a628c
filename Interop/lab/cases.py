"""The list of cases. Each is a name, the two kinds of gateway (the left one initiates), and a procedure on a bench."""

from dataclasses import dataclass, field
from typing import Callable

from . import (
    activated, addresses, algorithms, broken, certified, container, control, crash, datagrams, diagnosis, emitted,
    establish, extensible, extensions, fire, fit, hybrid, imports, installed, journal, kept, liveness, loopback, mobility,
    nat, outside, planned, policies, radius, readme, reauthenticate, refusal, rekey, replays, resources, restarts,
    revocation, rounds, serviced, services, shapes, stampede, thousand, unanswered, uniqueness, updown, wiretap,
    zero)
from .scenario import SUITES, Scenario

PAIRINGS = [
    ("strongswan", "strongswan"), ("martlet", "strongswan"), ("strongswan", "martlet"), ("martlet", "martlet"),
]


@dataclass
class Case:
    """One row of the report."""

    name: str
    left: str
    right: str
    scenario: Callable[[], Scenario]
    procedure: Callable
    timeout: int = 90
    #: Whether the short run of continuous integration includes it.
    ci: bool = False
    tags: list = field(default_factory=list)
    #: Whether it runs only when it is asked for by name: it needs what `make setup` does not install.
    optional: bool = False


def _short(kind):
    return {"strongswan": "ss", "strongswan-newer": "ss6", "martlet": "martlet"}.get(kind, kind)


def all_cases():
    """Every case, controls first: when strongSwan cannot talk to itself, no other row means anything."""
    cases = []
    for left, right in PAIRINGS:
        pair = f"{_short(left)}/{_short(right)}"
        for suite in SUITES:
            cases.append(Case(
                f"{pair} {suite.name}", left, right, lambda suite=suite: Scenario(suite=suite), establish.tunnel))
        if left != right:
            for suite in algorithms.SUITES:
                cases.append(Case(
                    f"{pair} {suite.name}", left, right, lambda suite=suite: Scenario(suite=suite), establish.reach))
        cases.append(Case(
            f"{pair} ipv6-outside", left, right, lambda: Scenario(outside=6), establish.tunnel))
        cases.append(Case(
            f"{pair} both-initiate", left, right, Scenario, establish.both_initiate))
        cases.append(Case(f"{pair} virtual-addresses", left, right, addresses.Clients, addresses.lend))
        cases.append(Case(f"{pair} rekey-child", left, right, Scenario, rekey.child))
        cases.append(Case(f"{pair} rekey-ike", left, right, Scenario, rekey.ike))
        if "martlet" in (left, right):
            cases += _fitted(pair, left, right)
        for name, scenario, procedure, pairings in [
                *policies.CASES, *installed.CASES, *datagrams.CASES, *extensions.CASES, *rounds.CASES, *kept.CASES,
                *nat.CASES, *wiretap.CASES, *uniqueness.CASES, *services.CASES, *liveness.CASES]:
            if (left, right) in pairings:
                cases.append(Case(f"{pair} {name}", left, right, scenario, procedure, timeout=180))
        for letter, who in (("a", "initiator"), ("b", "responder")):
            cases.append(Case(
                f"{pair} reauthentication-{who}", left, right, lambda letter=letter: reauthenticate.Brief(letter=letter),
                reauthenticate.renewed))
        cases.append(Case(f"{pair} reauthentication-on-command", left, right, Scenario, reauthenticate.on_command))
        if (left, right) == ("martlet", "martlet"):
            cases.append(Case(
                f"{pair} virtual-prefixes", left, right, addresses.Prefixes, addresses.lend_prefixes))
            cases.append(Case(f"{pair} moved-address", left, right, mobility.Moving, mobility.moves))
            for letter, who in (("a", "initiator"), ("b", "responder")):
                cases.append(Case(
                    f"{pair} workers-{who}", left, right, lambda letter=letter: resources.Resources(starter=letter),
                    resources.spread))
        for refused in refusal.REFUSALS:
            cases.append(Case(
                f"{pair} {refused.name}", left, right, refused.scenario,
                lambda bench, options, refused=refused: refusal.refuse(bench, refused)))
        for name, scenario in certified.ROWS:
            cases.append(Case(f"{pair} {name}", left, right, scenario, certified.tunnel))
        for name, scenario in extensible.ROWS:
            if extensible.suits(name, left, right):
                cases.append(Case(f"{pair} {name}", left, right, scenario, extensible.tunnel))
        for name, scenario, procedure in radius.ROWS if right == "martlet" else []:
            if radius.suits(name, left):
                cases.append(Case(f"{pair} {name}", left, right, scenario, procedure, timeout=150))
        for refused in radius.REFUSALS if right == "martlet" else []:
            cases.append(Case(
                f"{pair} {refused.name}", left, right, refused.scenario, radius.refuse(refused), timeout=90))
        # Who gets the words right is the gateway.
        for refused in extensible.REFUSALS if right == "martlet" else []:
            cases.append(Case(
                f"{pair} {refused.name}", left, right, refused.scenario,
                lambda bench, options, refused=refused: refusal.refuse(bench, refused)))
        for refused in certified.REFUSALS + (
                certified.STRICTER if (left, right) == ("strongswan", "martlet") else []):
            cases.append(Case(
                f"{pair} {refused.name}", left, right, refused.scenario,
                lambda bench, options, refused=refused: refusal.refuse(bench, refused)))
        if (left, right) != ("martlet", "martlet"):
            cases.append(Case(f"{pair} swanctl-shapes", left, right, Scenario, shapes.compare))
        if right == "strongswan":
            cases.append(Case(
                f"{pair} killed", left, right, Scenario,
                crash.killed if left == "martlet" else crash.killed_leaks))
    cases.append(Case(
        "martlet/martlet thousand-tunnels", "martlet", "martlet", thousand.ManyTunnels, thousand.procedure,
        timeout=900))
    cases.append(Case(
        "martlet/martlet thousand-restart", "martlet", "martlet", thousand.ManyTunnels, planned.thousand, timeout=600))
    cases.append(Case(
        "martlet-kept/martlet thousand-restart", "martlet-kept", "martlet", thousand.ManyTunnels, planned.thousand,
        timeout=600))
    for name, scenario, procedure, pairings, seconds in restarts.ROWS + serviced.ROWS + journal.ROWS + activated.ROWS + loopback.ROWS:
        cases += [
            Case(f"{_short(left)}/{_short(right)} {name}", left, right, scenario, procedure, timeout=seconds,
                 ci=name == "systemd-restart" and right == "strongswan")
            for left, right in sorted(pairings)]
    for left, right in (("martlet", "strongswan"), ("strongswan", "martlet"), ("martlet-loaded", "strongswan")):
        cases.append(Case(
            f"{left.replace('strongswan', 'ss')}/{right.replace('strongswan', 'ss')} planned-restart", left, right,
            Scenario, planned.planned, timeout=180, ci=left == "martlet"))
    for name, scenario in stampede.ROWS:
        cases.append(Case(
            f"martlet/martlet {name}", "martlet", "martlet", scenario, stampede.stampede, timeout=400))
    for left, right in hybrid.PAIRINGS:
        for name, scenario, procedure in hybrid.CASES:
            cases.append(Case(
                f"{_short(left)}/{_short(right)} {name}", left, right, scenario, procedure, timeout=120,
                optional=True))
    for name, scenario, procedure, pairings in [*policies.NEWEST_CASES, *rounds.NEWEST_CASES, *wiretap.NEWEST_CASES]:
        cases += [
            Case(f"{_short(left)}/{_short(right)} {name}", left, right, scenario, procedure, timeout=180, optional=True)
            for left, right in sorted(pairings)]
    cases.append(Case(
        "martlet-loaded/ss swanctl-drives", "martlet-loaded", "strongswan", Scenario, control.drive, timeout=120))
    cases.append(Case(
        "ss/martlet-loaded swanctl-drives", "strongswan", "martlet-loaded", Scenario, control.drive, timeout=120))
    for left, right, checked in (("strongswan", "martlet", "a"), ("martlet", "strongswan", "b")):
        for name, scenario in revocation.rows(checked):
            cases.append(Case(
                f"{_short(left)}/{_short(right)} {name}", left, right, scenario, revocation.judged, timeout=120))
    for left in ("strongswan", "martlet"):
        for name, scenario in revocation.IN_TLS:
            cases.append(Case(
                f"{_short(left)}/martlet {name}", left, "martlet", scenario, revocation.judged, timeout=120))
    for left, right, checked in (
            ("martlet", "martlet", "a"), ("martlet", "martlet", "b"), ("martlet", "strongswan-newer", "a"),
            ("martlet", "strongswan-newer", "b"), ("strongswan-newer", "martlet", "a"),
            ("strongswan-newer", "martlet", "b")):
        # Debian's strongSwan does not know it yet.
        for name, says, policy in revocation.IN_BAND:
            cases.append(Case(
                f"{_short(left)}/{_short(right)} {name} of-{'initiator' if checked == 'a' else 'responder'}", left, right,
                lambda says=says, policy=policy, checked=checked: revocation.InBand(
                    says=says, revocation=policy, checked=checked),
                revocation.brought, timeout=120, optional="strongswan-newer" in (left, right)))
    for left, right in (("martlet-loaded", "strongswan"), ("strongswan", "martlet-loaded")):
        names = [kind.replace("strongswan", "ss") for kind in (left, right)]
        for name, scenario in certified.LOADED:
            cases.append(Case(f"{'/'.join(names)} {name}", left, right, scenario, certified.loaded, timeout=150))
    for left, right, diagnoses in (
        ("martlet", "strongswan", diagnosis.INITIATING + diagnosis.EITHER),
        ("strongswan", "martlet", diagnosis.RESPONDING + diagnosis.EITHER),
    ):
        for each in diagnoses:
            cases.append(Case(
                f"{_short(left)}/{_short(right)} diagnosis {each.name}", left, right, each.scenario,
                lambda bench, options, each=each: diagnosis.diagnose(bench, each)))
    cases.append(Case(
        "martlet-loaded/ss control-under-fire", "martlet-loaded", "strongswan", Scenario, fire.under_fire, timeout=180))
    for name, procedure in [*broken.ROWS, *outside.ROWS]:
        cases.append(Case(f"martlet/ss {name}", "martlet", "strongswan", Scenario, procedure, timeout=180))
    cases.append(Case(
        "martlet-loaded/ss ten-thousand-connections", "martlet-loaded", "strongswan", Scenario, fire.ten_thousand,
        timeout=400))
    for name, scenario, procedure in [*imports.all_rows(), *emitted.ROWS, *updown.ROWS]:
        cases.append(Case(f"martlet/ss {name}", "martlet", "strongswan", scenario, procedure))
    for name, scenario, procedure in unanswered.CASES:
        cases.append(Case(f"martlet/martlet {name}", "martlet", "martlet", scenario, procedure, timeout=240))
    for name, scenario, procedure in replays.CASES:
        # The left side is a script, which stands where a Martlet would.
        cases.append(Case(f"client/martlet {name}", "martlet", "martlet", scenario, procedure, timeout=120))
    for name, procedure in readme.ROWS:
        cases.append(Case(f"martlet/martlet {name}", "martlet", "martlet", Scenario, procedure, timeout=120))
    cases.append(Case("martlet/martlet zero-to-tunnel", "martlet", "martlet", Scenario, zero.four_commands))
    for name, scenario, procedure, pairings, seconds in container.ROWS:
        cases += [
            Case(f"{_short(left)}/{_short(right)} {name}", left, right, scenario, procedure, timeout=seconds, optional=True)
            for left, right in sorted(pairings)]
    cases.append(Case(
        "martlet/martlet zero-to-tunnel-certificate", "martlet", "martlet", Scenario, zero.certified, timeout=120))
    for case in cases:
        case.ci = case.name in CI
    return cases


def _fitted(pair, left, right):
    """Rows about how Martlet fits packets to the path. Only a Martlet is told its own keys."""
    def told(lines, **others):
        sides = {f"change_{letter}": {"child": lines} for letter, kind in (("a", left), ("b", right))
                 if kind == "martlet"}
        return lambda: Scenario(**sides, **others)

    # The router's narrow link is at the far end, seen from a Martlet.
    far = "b" if left == "martlet" else "a"
    return [
        Case(f"{pair} volume", left, right, told("rekey_bytes = 400k"), fit.volume, timeout=120),
        Case(f"{pair} segment-size", left, right, told(f"mss = {fit.SEGMENT}"), fit.segment_size),
        Case(f"{pair} marks", left, right, told(""), fit.marks),
        Case(f"{pair} narrow-path", left, right, told("mss = off", narrow=far), fit.path, timeout=120),
        Case(f"{pair} padding", left, right, told("tfc_padding = mtu"), fit.padding),
    ]


#: A dozen rows or so that touch every suite, both roles, every procedure and both controls.
CI = {
    "ss/ss aes128gcm16-prfsha256-x25519",
    "ss/ss killed",
    "martlet/ss aes128gcm16-prfsha256-x25519",
    "ss/martlet aes256-sha256-modp2048",
    "martlet/martlet chacha20poly1305-prfsha256-ecp256",
    "martlet/ss ipv6-outside",
    "martlet/ss both-initiate",
    "martlet/ss rekey-child",
    "ss/martlet rekey-ike",
    "ss/martlet virtual-addresses",
    "martlet/ss volume",
    "ss/martlet narrow-path",
    "ss/martlet wrong-psk",
    "martlet/ss no-common-ike-proposal",
    "ss/martlet disjoint-selectors",
    "martlet/ss swanctl-shapes",
    "martlet/ss import-cisco-crypto-map",
    "martlet/ss peer-emit-strongswan",
    "martlet/ss cert ecdsa256",
    "ss/martlet cert rsa2048",
    "martlet/ss cert raw-keys",
    "ss/martlet cert intermediate",
    "ss/martlet cert wrong-name",
    "martlet/ss eap mschapv2",
    "ss/martlet eap mschapv2",
    "ss/martlet radius mschapv2",
    "martlet/ss killed",
    "martlet-loaded/ss cert ecdsa256",
    "martlet-loaded/ss swanctl-drives",
    "martlet/martlet zero-to-tunnel",
    "martlet/martlet readme",
}
