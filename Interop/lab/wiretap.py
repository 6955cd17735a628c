"""What Wireshark sees of a whole life with the keys that `martlet run --save-keys` wrote: every kind of message, by name."""

import os
import re
import time

from .extensions import ExtendedScenario
from .hybrid import PAIRINGS as NEWEST, SUITES as HYBRIDS
from .processes import Failure, eventually, last_lines, run
from .scenario import CHILD, CONNECTION, SUITES

#: Payloads by number (RFC 7296 §3.2, RFC 7383 §2.5), as this file calls them.
PAYLOADS = {
    33: "SA", 34: "KE", 35: "IDi", 36: "IDr", 37: "CERT", 38: "CERTREQ", 39: "AUTH", 40: "Ni/Nr", 41: "N", 42: "D",
    43: "V", 44: "TSi", 45: "TSr", 46: "SK", 47: "CP", 48: "EAP", 53: "SKF",
}
EXCHANGES = {
    34: "IKE_SA_INIT", 35: "IKE_AUTH", 36: "CREATE_CHILD_SA", 37: "INFORMATIONAL", 43: "IKE_INTERMEDIATE",
    44: "IKE_FOLLOWUP_KE",
}
#: N(ADDITIONAL_KEY_EXCHANGE), the link from one exchange of RFC 9370 §2.2.4 to the next.
LINK = 16441


class Message:
    """One IKE message as tshark tells it."""

    def __init__(self, line):
        exchange, flag, number, payloads, notifies, frame = line.split("\t")
        self.exchange = EXCHANGES.get(int(exchange.split(",")[0]), exchange)
        self.is_response = flag.split(",")[0] in ("1", "True")
        self.number = int(number.split(",")[0], 0)
        self.payloads = [PAYLOADS.get(int(word), word) for word in payloads.split(",") if word]
        self.notifies = [int(word) for word in notifies.split(",") if word]
        self.frame = int(frame)

    @property
    def inside(self):
        """What was encrypted: all payloads after the encrypted one's own."""
        for word in ("SK", "SKF"):
            if word in self.payloads:
                return self.payloads[self.payloads.index(word) + 1:]
        return self.payloads

    def __repr__(self):
        kind = "response" if self.is_response else "request"
        return f"{self.frame}: {self.exchange} {kind} {self.number} [ {' '.join(self.payloads)} ]"


def watched(bench, options):
    """A tunnel's whole life in one capture, and all of it can be read with the saved keys."""
    martlet = next(gateway for gateway in bench.gateways if gateway.kind == "martlet")
    keys = os.path.join(bench.directory, "keys")
    refused = run([martlet.executable, "run", "--config", "/nowhere", "--save-keys", keys], timeout=10)
    if refused.code == 0 or "--insecure" not in refused.text or os.path.exists(keys):
        raise Failure(f"--save-keys without --insecure was not refused: {last_lines(refused.text)}")
    martlet.more = ["--save-keys", keys, "--insecure"]
    bench.set_up()
    capture = os.path.join(bench.directory, "capture.pcap")
    side = bench.network.a
    tap = bench.helper(
        ["tcpdump", "-i", side.device, "-w", capture, "-U", "-B", "16384", "-Z", "root",
         "udp port 500 or udp port 4500"], side, "tcpdump")
    eventually(lambda: "listening on" in tap.output(), 5, "tcpdump listens")
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    for gateway in bench.gateways:
        for target in (("--child", CHILD), ("--ike", CONNECTION)):
            before = _spis(bench)
            gateway.swanctl("--rekey", *target).require()
            eventually(lambda before=before: before - _spis(bench), 10, f"{gateway.name} has other SPIs after --rekey")
            bench.require_up(count=1)
    bench.require_pings()
    # Liveness: nothing passes for longer than both wait.
    time.sleep(5)
    bench.left.terminate().require()
    bench.require_down()
    time.sleep(0.5)
    tap.stop()
    if not re.search(r"\b0 packets dropped by kernel", tap.output()):
        raise Failure(f"the capture is not whole: {last_lines(tap.output())}")
    for name in ("ikev2_decryption_table", "esp_sa"):
        if os.stat(os.path.join(keys, name)).st_mode & 0o077:
            raise Failure(f"others may read {name}")
    note = judge(bench, capture, keys)
    if "INSECURE" not in martlet.log_text():
        raise Failure("the log does not say that keys are saved")
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return note


def judge(bench, capture, keys):
    """Reads the capture with tshark; every encrypted message must show its payloads."""
    messages = _read(capture, keys)
    # With several key exchanges an IKE SA has several sets of keys, of which Wireshark takes one: each IKE_INTERMEDIATE has
    # a profile of its own.
    for number in range(1, _further(bench.scenario.suite.ike) + 1):
        again = {message.frame: message for message in _read(capture, os.path.join(keys, f"intermediate-{number}"))}
        messages = [again[message.frame] if message.exchange == "IKE_INTERMEDIATE" and message.number == number
                    else message for message in messages]
    hidden = [message for message in messages if message.exchange != "IKE_SA_INIT" and _is_hidden(message)]
    if hidden:
        raise Failure(f"tshark can't read {len(hidden)} of {len(messages)} messages: {hidden[:3]}")
    seen = _require_all(bench, messages)
    blind = _read(capture, None)
    if any(message.inside for message in blind if message.exchange != "IKE_SA_INIT"):
        raise Failure("without the keys tshark reads messages too: the check shows nothing")
    icmp = _packets(capture, keys)
    if icmp < 24:
        raise Failure(f"tshark sees {icmp} pings inside ESP of 24")
    if _packets(capture, None):
        raise Failure("without the keys tshark sees pings too")
    return f"{len(messages)} messages and {icmp} pings read: {', '.join(seen)}"


def _is_hidden(message):
    """An empty INFORMATIONAL has nothing inside; a fragment but the last one has nothing to show by itself."""
    if message.exchange == "INFORMATIONAL" or "SKF" in message.payloads:
        return False
    return not message.inside


def _require_all(bench, messages):
    """Every exchange of this life was there, with what it is about."""
    def some(name, is_response, *payloads, notify=None):
        found = [message for message in messages
                 if message.exchange == name and message.is_response == is_response
                 and all(payload in message.payloads for payload in payloads)
                 and (notify is None or notify in message.notifies)]
        if not found:
            raise Failure(f"tshark shows no {name} {'response' if is_response else 'request'} with {payloads} {notify}")
        return found

    seen = []
    for is_response in (False, True):
        some("IKE_SA_INIT", is_response, "SA", "KE", "Ni/Nr", "N")
        some("IKE_AUTH", is_response, "IDr" if is_response else "IDi", "AUTH", "SA", "TSi", "TSr")
        # A Child SA's replacement, which a request names by N(REKEY_SA), and an IKE SA's, which has no selectors.
        some("CREATE_CHILD_SA", is_response, "SA", "Ni/Nr", "TSi", "TSr", notify=None if is_response else 16393)
        replaced = [message for message in some("CREATE_CHILD_SA", is_response, "SA", "Ni/Nr", "KE")
                    if "TSi" not in message.payloads]
        if len(replaced) < 2:
            raise Failure(f"tshark shows {len(replaced)} replacements of the IKE SA where there were two")
        some("INFORMATIONAL", is_response)
    some("INFORMATIONAL", False, "D")
    seen += ["IKE_SA_INIT", "IKE_AUTH", "CREATE_CHILD_SA", "INFORMATIONAL with D"]
    if bench.scenario.networks:
        fragments = [message for message in messages if "SKF" in message.payloads]
        whole = [message for message in fragments if message.exchange == "IKE_AUTH" and "TSr" in message.payloads]
        if len(fragments) < 8 or {message.is_response for message in whole} != {False, True}:
            raise Failure(f"tshark joins no IKE_AUTH of {len(fragments)} fragments: {fragments[:4]}")
        seen.append(f"{len(fragments)} fragments")
    suite = bench.scenario.suite
    if _further(suite.ike):
        for is_response in (False, True):
            found = {message.number for message in some("IKE_INTERMEDIATE", is_response, "KE")}
            if found != set(range(1, _further(suite.ike) + 1)):
                raise Failure(f"tshark shows key exchanges in the IKE_INTERMEDIATE messages {sorted(found)}")
        seen.append(f"{_further(suite.ike)} IKE_INTERMEDIATE")
    # Each side has rekeyed the IKE SA and the child once.
    count = 2 * (_further(suite.ike) + _further(suite.esp))
    if count:
        for is_response in (False, True):
            found = some("IKE_FOLLOWUP_KE", is_response, "KE")
            if len({message.frame for message in found}) < count:
                raise Failure(f"tshark shows {len(found)} of {count} IKE_FOLLOWUP_KE: {found}")
        some("CREATE_CHILD_SA", True, "KE", notify=LINK)
        some("IKE_FOLLOWUP_KE", False, "KE", notify=LINK)
        seen.append(f"{count} IKE_FOLLOWUP_KE")
    return seen


def _further(proposal):
    """How many additional key exchanges a proposal has (RFC 9370)."""
    return len({word.partition("_")[0] for word in proposal.split("-") if re.match(r"ke[1-7]_(?!none)", word)})


def _profile(keys):
    """The directory that Wireshark reads its preferences and tables from; none for what a stranger sees."""
    return {"WIRESHARK_CONFIG_DIR": keys or "/nonexistent"}


def _read(capture, keys):
    fields = ["isakmp.exchangetype", "isakmp.flag_r", "isakmp.messageid", "isakmp.typepayload",
              "isakmp.notify.msgtype", "frame.number"]
    done = run(
        ["tshark", "-r", capture, "-Y", "isakmp", "-T", "fields", *[word for field in fields for word in ("-e", field)]],
        timeout=60, env=_profile(keys)).require()
    return [Message(line) for line in done.out.splitlines() if line.split("\t")[0]]


def _packets(capture, keys):
    # The saved profile says by itself that ESP is to be decrypted.
    told = [] if keys else ["-o", "esp.enable_encryption_decode:TRUE"]
    done = run(
        ["tshark", "-r", capture, *told, "-Y", "icmp.type == 8 or icmpv6.type == 128", "-T", "fields", "-e", "esp.spi"],
        timeout=60, env=_profile(keys)).require()
    return len([line for line in done.out.splitlines() if line.strip()])


def _spis(bench):
    return {facts["initiator-spi"] for _, facts in bench.left.sas()} | {
        child["spi-in"] for child in bench.left.children()}


class LivelyScenario(ExtendedScenario):
    """With liveness requests every two seconds."""

    def configuration(self, side, other):
        return super().configuration(side, other).replace("    mobike = no\n", "    mobike = no\n    dpd_delay = 2s\n")


EVERYBODY = {("martlet", "strongswan"), ("strongswan", "martlet"), ("martlet", "martlet")}
_THREE = next(suite for suite in HYBRIDS if suite.name == "pq-three")
_CBC = next(suite for suite in SUITES if suite.name.startswith("aes256-sha256"))

#: (name, scenario, procedure, pairings that have it)
CASES = [
    ("wireshark", LivelyScenario, watched, EVERYBODY),
    ("wireshark-cbc", lambda: LivelyScenario(suite=_CBC), watched,
     {("martlet", "strongswan"), ("strongswan", "martlet")}),
    ("wireshark-fragments", lambda: LivelyScenario(networks=190), watched, {("martlet", "strongswan")}),
    ("wireshark-fragments", lambda: LivelyScenario(networks=190, networks_side="b"), watched,
     {("strongswan", "martlet")}),
    ("wireshark-intermediate", lambda: LivelyScenario(suite=HYBRIDS[0]), watched, {("martlet", "martlet")}),
    ("wireshark-intermediate-three", lambda: LivelyScenario(suite=_THREE), watched, {("martlet", "martlet")}),
]

#: The same with the newest strongSwan, which knows several key exchanges: only when asked for by name.
NEWEST_CASES = [
    (name, scenario, procedure, [pair for pair in NEWEST if set(pair) == {"martlet", "strongswan-newer"}])
    for name, scenario, procedure, _ in CASES if name.startswith("wireshark-intermediate")
]
