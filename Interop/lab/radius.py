"""Clients whom a RADIUS server lets in, behind a Martlet: FreeRADIUS's methods, its accounts, its orders, its death."""

import json
import os
import re
import secrets
import threading
import time
from dataclasses import dataclass, field

from .authority import Issued
from .extensible import NAME, EAPScenario
from .freeradius import FreeRADIUS
from .network import ping
from .planned import restart
from .processes import Failure, eventually
from .refusal import Refusal
from .scenario import CHILD, CONNECTION

#: Where the first server is, and where the second is when there are two.
FIRST, SECOND = 1812, 11812
REQUESTS = 3799
FRAMED = "10.9.0.7"
NAME_SERVER = "10.2.0.53"
FRAMED_6, NAME_SERVER_6 = "fd09::7", "fd02::53"
#: Where servers are, by the family of their addresses.
PLACES = {4: "127.0.0.1", 6: "::1"}


@dataclass
class RADIUSScenario(EAPScenario):
    """The right side is a Martlet that leaves EAP to FreeRADIUS, in its own namespace."""

    gateway: str = "eap-radius"
    #: What the server says of NAME besides, in the words of its `users` file.
    reply: str = ""
    #: More lines of the right side's `remote` section, connection and `eap-radius`.
    remote: str = ""
    connection: str = ""
    settings_of_radius: str = ""
    #: Whether the client asks for an address.
    asks_for_address: bool = False
    #: The families of the addresses that it asks for.
    asked: tuple = (4,)
    #: The family of the servers' addresses.
    family: int = 4
    #: The ports at which servers are configured, the preferred first, and those at which one runs.
    configured: tuple = (FIRST,)
    running: tuple = (FIRST,)
    #: A second connection between the same two sides, by shared keys.
    beside: bool = False
    shared_secret: str = field(default_factory=lambda: "radius-" + secrets.token_urlsafe(24))
    order_secret: str = field(default_factory=lambda: "orders-" + secrets.token_urlsafe(24))
    servers: list = field(default_factory=list)
    is_quiet: bool = False

    def _password(self, side):
        # The gateway's own idea of the password is wrong: nobody shall ask it.
        return super()._password(side) if side.letter == "a" else "not-what-the-server-knows"

    def prepare(self, gateway, other):
        super().prepare(gateway, other)
        if gateway.side.letter == "b":
            place = os.path.join(os.path.dirname(gateway.directory), "pki")
            own, root = Issued(place, "b"), Issued(place, "root")
            method = self.client.removeprefix("eap-")
            names = self._names()
            users = "".join(
                f'{name} Cleartext-Password := "{self.secret}"\n' + (f"\t{self.reply}\n" if self.reply else "")
                for name in sorted(names))
            for port in self.running:
                server = FreeRADIUS(
                    os.path.join(os.path.dirname(gateway.directory), f"radius-{port}"), gateway.side.netns,
                    self.shared_secret, users, method, own, root, port, self.is_quiet, PLACES[self.family])
                self.servers.append(server)
                server.start()

    def _names(self):
        return {NAME, "a.lab"} if "tls" in self.client else {NAME}

    def configuration(self, side, other):
        text = super().configuration(side, other)
        if side.letter == "a":
            if self.asks_for_address:
                wish = ", ".join({4: "0.0.0.0", 6: "::"}[each] for each in self.asked)
                text = text.replace("send_cert = always", f"send_cert = always\n    vips = {wish}").replace(
                    f"local_ts = {self.settings(side, other).local_ts}", "local_ts = dynamic")
            return self._beside(text, side, other)
        text = text.replace("send_cert = always", f"send_cert = always\n    {self.connection}")
        text = text.replace(f"auth = {self.gateway}", f"auth = {self.gateway}\n      {self.remote}")
        if self.asks_for_address:
            text = text.replace(f"remote_ts = {self.settings(side, other).remote_ts}", "remote_ts = dynamic")
        servers = "".join(f"""
        at-{port} {{
          address = {PLACES[self.family]}
          auth_port = {port}
          acct_port = {port + 1}
          preference = {100 - index}
          secret = "{self.shared_secret}"
        }}""" for index, port in enumerate(self.configured))
        return self._beside(text, side, other) + f"""martlet {{
  plugins {{
    eap-radius {{
      accounting = yes
      class_group = yes
      retransmit_tries = 2
      retransmit_timeout = 1.0
      {self.settings_of_radius}
      servers {{{servers}
      }}
      dae {{
        enable = yes
        listen = {PLACES[self.family]}
        secret = "{self.order_secret}"
      }}
    }}
  }}
}}
"""

    def _beside(self, text, side, other):
        if not self.beside:
            return text
        extra = f"""connections {{
  other {{
    local_addrs = {side.outer[6]}
    remote_addrs = {other.outer[6]}
    proposals = {self.suite.ike}
    mobike = no
    local {{
      auth = psk
      id = other-{side.letter}.lab
    }}
    remote {{
      auth = psk
      id = other-{other.letter}.lab
    }}
    children {{
      beside {{
        local_ts = {side.protected[6]}
        remote_ts = {other.protected[6]}
        esp_proposals = {self.suite.esp}
      }}
    }}
  }}
}}
secrets {{
  ike-other {{
    id-1 = other-a.lab
    id-2 = other-b.lab
    secret = "{self.secret}-for-both"
  }}
}}
"""
        return text + extra

    def secrets(self):
        return [*super().secrets(), self.shared_secret, self.order_secret]

    def end(self):
        for server in self.servers:
            server.kill()


def _with_servers(procedure):
    def wrapped(bench, options):
        try:
            return procedure(bench, options)
        finally:
            bench.scenario.end()
    return wrapped


def _require_records(bench, server=0):
    """The server was told of one session: its start and its end. Returns both records."""
    records = eventually(
        lambda: (lambda found: found if {"Start", "Stop"} <= {each["Acct-Status-Type"] for each in found} else None)(
            bench.scenario.servers[server].records()), 5, "FreeRADIUS has the records of the session")
    start = next(each for each in records if each["Acct-Status-Type"] == "Start")
    stop = next(each for each in records if each["Acct-Status-Type"] == "Stop")
    wanted = {
        "User-Name": bench.scenario.known, "NAS-Port-Id": CONNECTION, "NAS-Identifier": "martlet",
        "Acct-Authentic": "RADIUS",
        {4: "NAS-IP-Address", 6: "NAS-IPv6-Address"}[bench.scenario.outside]:
            bench.right.side.outer[bench.scenario.outside],
    }
    for record in (start, stop):
        wrong = {key: record.get(key) for key, value in wanted.items() if record.get(key) != value}
        if wrong or bench.left.side.outer[bench.scenario.outside] not in record.get("Calling-Station-Id", ""):
            raise Failure(f"the server was told {wrong or record}, expected {wanted}")
        if record["Acct-Session-Id"] != start["Acct-Session-Id"]:
            raise Failure("a session changed its number")
    return start, stop


@_with_servers
def tunnel(bench, options):
    """Up, used, down; the gateway knows the client's name, and the server who came, what was used and who went."""
    bench.set_up()
    scenario = bench.scenario
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    facts = [facts for _, facts in bench.right.sas()]
    if [each.get("remote-eap-id") for each in facts] != [scenario.known]:
        raise Failure(f"{bench.right.name} does not call its client '{scenario.known}' in EAP: {facts}")
    # A new IKE SA and a new Child SA in between: the same session, and nothing forgotten.
    bench.left.swanctl("--rekey", "--ike", CONNECTION).require()
    bench.left.swanctl("--rekey", "--child", CHILD).require()
    time.sleep(1)
    bench.require_pings()
    bench.network.require_nothing_plain()
    bench.left.terminate().require()
    bench.require_down()
    _, stop = _require_records(bench)
    # Twice three pings, two families, two directions: 24 there and 24 back.
    counts = {key: int(stop[f"Acct-{key}"]) for key in
              ("Input-Packets", "Output-Packets", "Input-Octets", "Output-Octets", "Session-Time")}
    if counts["Input-Packets"] < 24 or counts["Output-Packets"] < 24 or counts["Input-Octets"] < 24 * 84:
        raise Failure(f"the server was told {counts}")
    if stop["Acct-Terminate-Cause"] != "User-Request":
        raise Failure(f"the session ended by {stop['Acct-Terminate-Cause']}")
    bench.require_clean_stop()
    bench.require_secrets_kept(json.dumps(stop))
    return f"{counts['Input-Packets']} packets in, {counts['Output-Packets']} out, {counts['Session-Time']} s"


@_with_servers
def framed(bench, options):
    """The server gives an address, a name server and a group; the account names the address."""
    bench.set_up()
    bench.left.initiate().require()
    facts = [facts for _, facts in bench.right.sas()]
    given = {4: (FRAMED, NAME_SERVER, "Framed-IP-Address"), 6: (FRAMED_6, NAME_SERVER_6, "Framed-IPv6-Address")}
    wanted = [given[family] for family in bench.scenario.asked]
    if [each.get("remote-vips") for each in facts] != [[address for address, *_ in wanted]]:
        raise Failure(f"the client did not get {wanted}: {[each.get('remote-vips') for each in facts]}")
    here, there = bench.left.side, bench.right.side
    for family, (address, server, _) in zip(bench.scenario.asked, wanted):
        if ping(here, there.inner[family], source=address) != 3:
            raise Failure(f"no answers to pings from {address}")
        if server not in bench.left.log_text():
            raise Failure(f"{bench.left.name} does not say that it was given the name server {server}")
    bench.left.terminate().require()
    bench.require_down()
    start, _ = _require_records(bench)
    for address, _, attribute in wanted:
        if start.get(attribute) != address:
            raise Failure(f"the server was told {attribute} = {start.get(attribute)}")
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"{' and '.join(address for address, *_ in wanted)} for {bench.scenario.known}"


@_with_servers
def restarted(bench, options):
    """Another process takes the gateway's place, and the server sees one session: what both have carried, the time of
    both, and an end that it orders itself."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    restart(bench.right)
    bench.require_up(count=1)
    bench.require_pings()
    done = _order(bench, "disconnect", f'User-Name = "{NAME}", Event-Timestamp = {int(time.time())}')
    if "Received Disconnect-ACK" not in done.text:
        raise Failure(f"no Disconnect-ACK from the new process: {done.text[-300:]}")
    bench.require_down()
    _, stop = _require_records(bench)
    told = [each["Acct-Status-Type"] for each in bench.scenario.servers[0].records()]
    if told.count("Start") != 1 or told.count("Stop") != 1:
        raise Failure(f"the server was told {told}")
    packets = int(stop["Acct-Input-Packets"])
    if packets < 24 or stop["Acct-Terminate-Cause"] != "Admin-Reset":
        raise Failure(f"the server was told of {packets} packets, ended by {stop['Acct-Terminate-Cause']}")
    bench.require_clean_stop()
    bench.require_secrets_kept(json.dumps(stop))
    return f"one session, {packets} packets in, {stop['Acct-Session-Time']} s, ended by the server"


def _order(bench, kind, text, secret=None, count=1):
    secret_file = os.path.join(bench.directory, "order-secret")
    with open(secret_file, "w", encoding="utf-8") as sink:
        sink.write((secret or bench.scenario.order_secret) + "\n")
    os.chmod(secret_file, 0o600)
    return bench.right.side.run(
        ["radclient", "-x", "-r", "1", "-t", "2", "-S", secret_file,
         {4: f"127.0.0.1:{REQUESTS}", 6: f"[::1]:{REQUESTS}"}[bench.scenario.family], kind], stdin=text)


@_with_servers
def disconnect(bench, options):
    """radclient ends the session: with another secret, without a time, and then as it should be."""
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    now = int(time.time())
    refused = [
        _order(bench, "disconnect", f'User-Name = "{NAME}", Event-Timestamp = {now}', secret="guessed-" * 4),
        _order(bench, "disconnect", f'User-Name = "{NAME}", Event-Timestamp = {now - 3600}'),
        _order(bench, "disconnect", f'User-Name = "{NAME}"'),
        _order(bench, "disconnect", f'User-Name = "dave", Event-Timestamp = {now}'),
    ]
    if any("Received Disconnect-ACK" in each.text for each in refused):
        raise Failure(f"a request that nobody may make was obeyed: {[each.text[-200:] for each in refused]}")
    if "Disconnect-NAK" not in refused[2].text or "Disconnect-NAK" not in refused[3].text:
        raise Failure(f"what can't be obeyed is not answered: {refused[2].text[-300:]} {refused[3].text[-300:]}")
    bench.require_up(count=1)
    changed = _order(bench, "coa", f'User-Name = "{NAME}", Session-Timeout = 600, Event-Timestamp = {now}')
    if "Received CoA-ACK" not in changed.text:
        raise Failure(f"no CoA-ACK: {changed.text[-300:]}")
    done = _order(bench, "disconnect", f'User-Name = "{NAME}", Event-Timestamp = {now}')
    if "Received Disconnect-ACK" not in done.text:
        raise Failure(f"no Disconnect-ACK: {done.text[-300:]}")
    bench.require_down()
    _, stop = _require_records(bench)
    if stop["Acct-Terminate-Cause"] != "Admin-Reset":
        raise Failure(f"the session ended by {stop['Acct-Terminate-Cause']}")
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return "NAK, NAK, CoA-ACK, Disconnect-ACK"


@_with_servers
def failover(bench, options):
    """The first server is dead: the second lets the client in, and the next one at once."""
    bench.set_up()
    times = []
    for _ in range(2):
        before = time.monotonic()
        bench.left.initiate(timeout=40).require()
        times.append(time.monotonic() - before)
        bench.require_up(count=1)
        bench.require_pings()
        bench.left.terminate().require()
        bench.require_down()
    _require_records(bench)
    if f"RADIUS server 'at-{FIRST}' does not answer" not in bench.right.log_text():
        raise Failure(f"{bench.right.name} does not say that a server is silent")
    if times[1] > 2.5:
        raise Failure(f"the second client waited {times[1]:.1f} s for a server that is known to be dead")
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"up in {times[0]:.1f} s, then in {times[1]:.1f} s"


@_with_servers
def silent(bench, options):
    """No server answers: the refusal says so, and a tunnel with shared keys comes up meanwhile as ever."""
    bench.set_up()
    swanctl = bench.left.swanctl

    def other():
        before = time.monotonic()
        swanctl("--initiate", "--child", "beside", "--timeout", 10).require()
        taken = time.monotonic() - before
        swanctl("--terminate", "--ike", "other", "--timeout", 10).require()
        return taken

    usual = [other() for _ in range(3)]
    attempts = []
    thread = threading.Thread(target=lambda: attempts.append(bench.left.initiate(timeout=60)))
    thread.start()
    time.sleep(1.5)
    meanwhile = [other() for _ in range(3)]
    if attempts:
        raise Failure("the client that waits for a dead server was refused before the others came up")
    thread.join(80)
    if not attempts or attempts[0].code == 0:
        raise Failure("the client came up although nobody let it in")
    errors = dict(bench.right.last_errors())
    text = json.dumps(errors.get(CONNECTION, {}), ensure_ascii=False)
    for pattern in ("E-RADIUS-SILENT", f"'at-{FIRST}'", f"'at-{SECOND}'", "does not answer"):
        if pattern not in text:
            raise Failure(f"the refusal does not say {pattern}: {text}")
    if max(meanwhile) > 2 * max(usual) + 0.5:
        raise Failure(f"other tunnels took {meanwhile} instead of {usual}")
    # Who comes now need not wait.
    before = time.monotonic()
    if bench.left.initiate(timeout=60).code == 0:
        raise Failure("the client came up although nobody let it in")
    second = time.monotonic() - before
    bench.require_clean_stop()
    bench.require_secrets_kept(attempts[0].text, text)
    return (f"others {max(usual):.2f} s, meanwhile {max(meanwhile):.2f} s; "
            f"the next client was refused after {second:.1f} s")


_REPLY_6 = f'Framed-IPv6-Address = {FRAMED_6}, DNS-Server-IPv6-Address = {NAME_SERVER_6}'
_REPLY = f'Framed-IP-Address = {FRAMED}, MS-Primary-DNS-Server = {NAME_SERVER}, Class = "staff"'

ROWS = [
    (f"radius {name}", lambda settings=settings: RADIUSScenario(**settings), procedure)
    for name, settings, procedure in (
        ("mschapv2", dict(), tunnel),
        ("md5", dict(client="eap-md5"), tunnel),
        ("tls", dict(client="eap-tls", said="a.lab", known="a.lab"), tunnel),
        ("ttls", dict(client="eap-ttls"), tunnel),
        ("peap", dict(client="eap-peap"), tunnel),
        ("framed-address", dict(
            reply=_REPLY, remote="groups = admins, staff", connection="pools = radius", asks_for_address=True), framed),
        ("framed-ipv6-address", dict(
            reply=_REPLY_6, connection="pools = radius", asks_for_address=True, asked=(6,), family=6), framed),
        ("framed-ipv6-prefix", dict(
            reply=f"Framed-IPv6-Prefix = {FRAMED_6}/128, DNS-Server-IPv6-Address = {NAME_SERVER_6}",
            connection="pools = radius", asks_for_address=True, asked=(6,), family=6), framed),
        ("framed-ipv6-interface", dict(
            reply=f"Framed-IPv6-Prefix = fd09::/64, Framed-Interface-Id = 0:0:0:7, "
            f"DNS-Server-IPv6-Address = {NAME_SERVER_6}",
            connection="pools = radius", asks_for_address=True, asked=(6,), family=6), framed),
        ("framed-both-families", dict(
            reply=f"{_REPLY}, {_REPLY_6}", remote="groups = admins, staff", connection="pools = radius",
            asks_for_address=True, asked=(4, 6), family=6), framed),
        ("ipv6-server", dict(family=6, outside=6), tunnel),
        ("disconnect", dict(), disconnect),
        ("ipv6-disconnect", dict(family=6, outside=6), disconnect),
        ("planned-restart", dict(), restarted),
        ("failover", dict(configured=(FIRST, SECOND), running=(SECOND,)), failover),
        ("silent", dict(
            configured=(FIRST, SECOND), running=(), beside=True,
            settings_of_radius="accounting = no"), silent),
    )
]

_FAILED = "AUTHENTICATION_FAILED|AUTH_FAILED|EAP_FAILURE|EAP/FAIL|EAP_MSCHAPV2"

REFUSALS = [
    Refusal("radius wrong-password", lambda: RADIUSScenario(guessed="not-the-password-of-carol"), _FAILED,
            sent=rf"EAP|a\.lab", configured=rf"'at-{FIRST}' does not let '{NAME}' in"),
    Refusal("radius wrong-group", lambda: RADIUSScenario(reply='Class = "guests"', remote="groups = staff"), _FAILED,
            sent=rf"EAP|a\.lab", configured="is for staff.*named guests"),
]


def refuse(refused):
    """The procedure of a refusal, with the servers ended whatever comes."""
    from .refusal import refuse as procedure
    return _with_servers(lambda bench, options: procedure(bench, refused))


def suits(name, left):
    """Whether this kind of client can do what a row asks for: Debian's strongSwan has no PEAP."""
    return left == "martlet" or not name.endswith("peap")
