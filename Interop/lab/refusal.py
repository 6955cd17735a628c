"""Tunnels that must not come up, and what our side must say about them.

The refusing side knows both sides' values and must name them; the refused side knows what it sent and must name that.
"""

import json
import re
import secrets
from dataclasses import dataclass
from typing import Callable

from .processes import Failure, eventually
from .scenario import CONNECTION, SUITES, Scenario


@dataclass(frozen=True)
class Refusal:
    """One disagreement between the sides. The patterns are searched without regard to case."""

    name: str
    scenario: Callable[[], Scenario]
    #: What the peer's log or the initiate command must say: the notify's registered name.
    notify: str
    #: What the initiator sent.
    sent: str
    #: What the responder had instead.
    configured: str


REFUSALS = [
    Refusal(
        "wrong-psk", lambda: Scenario(change_a={"secret": "other-" + secrets.token_urlsafe(24)}),
        "AUTHENTICATION_FAILED|AUTH_FAILED", sent=r"\ba\.lab\b", configured=r"\bb\.lab\b"),
    Refusal(
        "wrong-identity", lambda: Scenario(change_a={"local_id": "impostor.lab"}),
        "AUTHENTICATION_FAILED|AUTH_FAILED", sent=r"\bimpostor\.lab\b", configured=r"\ba\.lab\b"),
    Refusal(
        "no-common-ike-proposal", lambda: Scenario(change_a={"ike": SUITES[0].ike}, change_b={"ike": SUITES[1].ike}),
        "NO_PROPOSAL_CHOSEN|NO_PROP", sent=r"x25519|curve_?25519", configured=r"modp_?2048"),
    Refusal(
        "no-common-esp-proposal", lambda: Scenario(change_a={"esp": SUITES[0].esp}, change_b={"esp": SUITES[1].esp}),
        "NO_PROPOSAL_CHOSEN|NO_PROP", sent=r"gcm", configured=r"sha2?_?256"),
    Refusal(
        "disjoint-selectors",
        lambda: Scenario(change_b={"local_ts": "10.77.0.0/16", "remote_ts": "10.66.0.0/16"}),
        "TS_UNACCEPTABLE|TS_UNACCEPT", sent=r"10\.[12]\.0\.0/16", configured=r"10\.(77|66)\.0\.0/16"),
]


def refuse(bench, refusal):
    """The left side initiates and must fail; every Martlet must hold one fitting message."""
    bench.set_up()
    attempt = bench.left.initiate()
    if attempt.code == 0:
        raise Failure(f"the tunnel came up although the sides disagree: {attempt.out[-200:]}")
    if any(gateway.children() for gateway in bench.gateways):
        raise Failure("initiating failed, yet a Child SA is there")
    spoken = attempt.text + "".join(gateway.log_text() for gateway in bench.gateways if gateway.kind == "strongswan")
    if "strongswan" in (bench.left.kind, bench.right.kind) and not re.search(refusal.notify, spoken):
        raise Failure(f"strongSwan saw no {refusal.notify.split('|')[0]}")
    texts = []
    if bench.left.kind == "martlet":
        texts.append(_require_message(bench.left, refusal, [refusal.sent]))
    if bench.right.kind == "martlet":
        texts.append(_require_message(bench.right, refusal, [refusal.sent, refusal.configured]))
    statuses = [json.dumps(gateway.status()) for gateway in bench.gateways if gateway.kind == "martlet"]
    bench.require_secrets_kept(attempt.text, *statuses)
    bench.network.require_nothing_plain()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return "; ".join(texts)


def _require_message(gateway, refusal, patterns):
    errors = eventually(gateway.last_errors, 3, f"{gateway.name} holds a last_error")
    if len(errors) != 1 or errors[0][0] != CONNECTION:
        raise Failure(f"{gateway.name} holds {len(errors)} messages, expected one for {CONNECTION}: {errors}")
    error = errors[0][1]
    code, text = error.get("code"), error.get("text") or ""
    if not code or not text:
        raise Failure(f"{gateway.name}: last_error without code or text: {error}")
    for pattern in patterns:
        if not re.search(pattern, text, re.IGNORECASE):
            raise Failure(f"{gateway.name}: the message for {refusal.name} does not name /{pattern}/: {text}")
    return f"{code}"
