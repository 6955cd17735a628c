"""Several key exchanges, ML-KEM among them, with the newest strongSwan: `Interop/run --only pq`."""

from .processes import Failure, eventually
from .scenario import CHILD, CONNECTION, Scenario, Suite


def _suite(name, ike, esp, **facts):
    return Suite(name, ike, esp, facts, {})


SUITES = [
    _suite(
        "pq-x25519-mlkem768", "aes256gcm16-prfsha384-x25519-ke1_mlkem768", "aes256gcm16-x25519-ke1_mlkem768",
        **{"dh-group": "CURVE_25519"}),
    _suite(
        "pq-x25519-mlkem1024", "aes256gcm16-prfsha384-x25519-ke1_mlkem1024", "aes256gcm16-x25519-ke1_mlkem1024",
        **{"dh-group": "CURVE_25519"}),
    _suite(
        "pq-ecp384-mlkem768", "aes256gcm16-prfsha384-ecp384-ke1_mlkem768", "aes256gcm16-ecp384-ke1_mlkem768",
        **{"dh-group": "ECP_384"}),
    _suite(
        "pq-ecp384-mlkem1024", "aes256-sha384-ecp384-ke1_mlkem1024", "aes256-sha384-ecp384-ke1_mlkem1024",
        **{"dh-group": "ECP_384"}),
    _suite(
        "pq-three", "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_ecp384-ke3_mlkem1024",
        "aes256gcm16-x25519-ke1_mlkem1024-ke3_ecp256", **{"dh-group": "CURVE_25519"}),
    _suite(
        "pq-optional", "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke1_none", "aes256gcm16-x25519-ke1_mlkem768-ke1_none",
        **{"dh-group": "CURVE_25519"}),
]


def tunnel(bench, options):
    """Up by all key exchanges, traffic, and every SA rekeyed by either side with all of them again."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_suite()
    _require_additional(bench)
    bench.require_pings()
    bench.require_counted()
    for gateway in bench.gateways:
        for target in (("--child", CHILD), ("--ike", CONNECTION), ("--child", CHILD)):
            before = _spis(bench)
            gateway.swanctl("--rekey", *target).require()
            eventually(
                lambda before=before: before - _spis(bench), 10, f"{gateway.name} has other SPIs after --rekey")
            bench.require_up(count=1)
            _require_additional(bench)
            bench.require_pings()
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return "six rekeyings"


def _require_additional(bench):
    """Both sides list the additional key exchanges of the IKE SA."""
    words = [word for word in bench.scenario.suite.ike.split("-") if word.startswith("ke") and "none" not in word]
    for gateway in bench.gateways:
        for _, facts in gateway.sas():
            listed = [value for key, value in facts.items() if key.startswith("ake")]
            if len(listed) != len(words):
                raise Failure(f"{gateway.name} lists {listed or 'no additional key exchange'}, not {' '.join(words)}")


def _spis(bench):
    return {facts["initiator-spi"] for _, facts in bench.left.sas()} | {
        child["spi-in"] for child in bench.left.children()}


PAIRINGS = [
    ("strongswan-newer", "strongswan-newer"), ("martlet", "strongswan-newer"), ("strongswan-newer", "martlet"),
    ("martlet", "martlet"),
]

#: (name, scenario, procedure)
CASES = [(suite.name, lambda suite=suite: Scenario(suite=suite), tunnel) for suite in SUITES]
