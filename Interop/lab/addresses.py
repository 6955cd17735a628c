"""Virtual addresses and prefixes: clients ask, the gateway lends from pools; who comes back gets the same; a full pool
refuses."""

import ipaddress
import json
from dataclasses import dataclass

from .network import ping
from .planned import restart
from .processes import Failure
from .scenario import CHILD, CONNECTION, Scenario

#: The pool of each family: two addresses, for three clients.
POOLS = {4: "10.3.0.1-10.3.0.2", 6: "fd03::1-fd03::2"}
NAME_SERVER = "10.2.0.53"
#: Two prefixes of 64 bits.
PREFIXES = "fd04::/63"


@dataclass
class Clients(Scenario):
    """Side a has three clients of side b's pools, each with an identity of its own; they share the key."""

    clients: int = 3
    vips: str = "0.0.0.0, ::"
    names: str = "four, six"
    pools: str = f"""pools {{
  four {{
    addrs = {POOLS[4]}
    dns = {NAME_SERVER}
  }}
  six {{
    addrs = {POOLS[6]}
  }}
}}
"""

    def configuration(self, side, other):
        connections = "".join(self._connection(side, other, number) for number in range(self.clients))
        owners = [f"{letter}{_suffix(number)}.lab" for letter in "ab" for number in range(self.clients)]
        ids = "\n".join(f"    id-{index} = {owner}" for index, owner in enumerate(owners))
        pools = "" if side.letter == "a" else self.pools
        return f"""connections {{
{connections}}}
secrets {{
  ike-lab {{
{ids}
    secret = "{self.secret}"
  }}
}}
{pools}"""

    def _connection(self, side, other, number):
        mine = self.settings(side, other)
        is_client = side.letter == "a"
        return f"""  {CONNECTION}{_suffix(number)} {{
    version = 2
    local_addrs = {side.outer[4]}
    remote_addrs = {other.outer[4]}
    proposals = {mine.ike}
    mobike = no
    {f"vips = {self.vips}" if is_client else f"pools = {self.names}"}
    local {{
      auth = psk
      id = {side.letter}{_suffix(number)}.lab
    }}
    remote {{
      auth = psk
      id = {other.letter}{_suffix(number)}.lab
    }}
    children {{
      {CHILD}{_suffix(number)} {{
        local_ts = {"dynamic" if is_client else mine.local_ts}
        remote_ts = {mine.remote_ts if is_client else "dynamic"}
        esp_proposals = {mine.esp}
      }}
    }}
  }}
"""


@dataclass
class Prefixes(Clients):
    """The same with an IPv4 address and an IPv6 prefix for each, of which there are two."""

    vips: str = "0.0.0.0, ::/64"
    names: str = "both"
    pools: str = f"""pools {{
  both {{
    addrs = 10.3.0.1-10.3.0.9
    prefixes = {PREFIXES}
    prefix_length = 64
  }}
}}
"""


def _suffix(number):
    return str(number + 1) if number else ""


def lend(bench, options):
    """Two clients get addresses of both families and use them; a third finds the pools full; one comes back."""
    bench.set_up()
    first = _connect(bench, 0)
    second = _connect(bench, 1)
    if set(first) & set(second):
        raise Failure(f"two clients have the same address: {first}, {second}")
    for addresses in (first, second):
        _require_use(bench, addresses)
    _require_full(bench)
    if NAME_SERVER not in bench.left.log_text():
        raise Failure(f"{bench.left.name} does not say that it was given the name server {NAME_SERVER}")
    bench.left.swanctl("--terminate", "--ike", CONNECTION, "--timeout", 10).require()
    for address in first:
        if address in _addresses(bench.left.side):
            raise Failure(f"{bench.left.name} keeps {address} after its tunnel has ended")
    again = _connect(bench, 0)
    if again != first:
        raise Failure(f"who came back got {again} in place of {first}")
    _require_use(bench, again)
    bench.network.require_nothing_plain()
    for number in (0, 1):
        bench.left.swanctl("--terminate", "--ike", CONNECTION + _suffix(number), "--timeout", 10).require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return f"{', '.join(first)} and {', '.join(second)}"


def lend_prefixes(bench, options):
    """Two clients get prefixes of their own and use addresses of them, also after both gateways' restarts; a third gets
    its IPv4 address alone; one that has left can't use its prefix, and comes back to it."""
    bench.set_up()
    a, b = bench.network.a, bench.network.b
    for side in bench.network.sides:
        side.run(["nft", "add", "rule", "netdev", "guard", "out", "ip6", "saddr", PREFIXES, "counter", "name", "plain",
                  "return"]).require()
    prefixes = [_lent(bench, number) for number in (0, 1)]
    if len(set(prefixes)) != 2:
        raise Failure(f"two clients have the same prefix: {prefixes}")
    hosts = [str(ipaddress.ip_network(prefix)[7]) for prefix in prefixes]
    for host in hosts:
        a.run(["ip", "addr", "add", f"{host}/128", "dev", "lo"]).require()
    _require_use(bench, hosts)
    pools = bench.right.swanctl("--list-pools", "--leases").require().out
    for gateway in bench.gateways:
        restart(gateway)
    if bench.right.swanctl("--list-pools", "--leases").require().out != pools:
        raise Failure(f"{bench.right.name} has other leases after its restart than before: {pools}")
    _require_use(bench, hosts)
    _initiate(bench, 2).require()
    bench.require_up()
    _require_said(bench.right, "and no prefix: all 2 prefixes of pool 'both' are in use")
    _require_said(bench.left, f"packets to {b.protected[6]} are refused while child '{CHILD}3' is up")
    for number in (1, 2):
        bench.left.swanctl("--terminate", "--ike", CONNECTION + _suffix(number), "--timeout", 10).require()
    if ping(a, b.inner[6], source=hosts[1], wait=1):
        raise Failure(f"packets from {hosts[1]}, another client's, cross the first client's tunnel")
    if ping(a, b.inner[6], source=hosts[0]) != 3:
        raise Failure(f"packets from {hosts[0]} do not cross any more")
    again = _lent(bench, 1)
    if again != prefixes[1]:
        raise Failure(f"who came back got {again} in place of {prefixes[1]}")
    bench.network.require_nothing_plain()
    for number in (0, 1):
        bench.left.swanctl("--terminate", "--ike", CONNECTION + _suffix(number), "--timeout", 10).require()
    for host in hosts:
        a.run(["ip", "addr", "del", f"{host}/128", "dev", "lo"]).require()
    bench.require_down()
    bench.require_clean_stop()
    bench.require_secrets_kept()
    return ", ".join(prefixes)


def _lent(bench, number):
    """Brings a client up; its prefix, on which both sides agree."""
    _initiate(bench, number).require()
    bench.require_up()
    name = CONNECTION + _suffix(number)
    ours, theirs = (
        [facts.get(key) for each, facts in gateway.sas() if each == name]
        for gateway, key in ((bench.left, "local-prefixes"), (bench.right, "remote-prefixes")))
    if len(ours) != 1 or not ours[0] or len(ours[0]) != 1 or ours != theirs:
        raise Failure(f"client {name} has the prefixes {ours}, and the gateway lent {theirs}")
    return ours[0][0]


def _require_said(gateway, text):
    if text not in gateway.log_text():
        raise Failure(f"{gateway.name} does not say '{text}'")


def _initiate(bench, number):
    return bench.left.swanctl("--initiate", "--child", CHILD + _suffix(number), "--timeout", 15, timeout=25)


def _connect(bench, number):
    """Brings a client up; its addresses, on which both sides agree and which its host has."""
    _initiate(bench, number).require()
    bench.require_up()
    name = CONNECTION + _suffix(number)
    ours, theirs = (
        [facts.get(key) for each, facts in gateway.sas() if each == name]
        for gateway, key in ((bench.left, "local-vips"), (bench.right, "remote-vips")))
    if len(ours) != 1 or not ours[0] or ours != theirs:
        raise Failure(f"client {name} has the addresses {ours}, and the gateway lent {theirs}")
    families = sorted(6 if ":" in address else 4 for address in ours[0])
    if families != [4, 6]:
        raise Failure(f"client {name} has not one address of each family: {ours[0]}")
    missing = [address for address in ours[0] if address not in _addresses(bench.left.side)]
    if missing:
        raise Failure(f"the host of {bench.left.name} has no address {', '.join(missing)}")
    return ours[0]


def _require_use(bench, addresses):
    """Packets from and to the virtual addresses, both ways."""
    a, b = bench.network.a, bench.network.b
    for address in addresses:
        family = 6 if ":" in address else 4
        for side, source, target in ((a, address, b.inner[family]), (b, b.inner[family], address)):
            answered = ping(side, target, source=source)
            if answered != 3:
                raise Failure(f"{answered} of 3 pings answered from {source} to {target}")


def _require_full(bench):
    """The third client is refused, and whoever is Martlet says why."""
    if _initiate(bench, 2).code == 0:
        raise Failure("a third client came up although the pools have two addresses")
    for gateway, code in ((bench.left, "E-PEER-NO-ADDRESS"), (bench.right, "E-NO-LEASE")):
        if gateway.kind != "martlet":
            continue
        said = [error.get("code") for name, error in gateway.last_errors() if name == CONNECTION + _suffix(2)]
        if said != [code]:
            raise Failure(f"{gateway.name} says {said} about the full pools in place of {code}")
    bench.left.swanctl("--terminate", "--ike", CONNECTION + _suffix(2), "--timeout", 10)


def _addresses(side):
    """All addresses of a side's links."""
    listing = json.loads(side.run(["ip", "-j", "addr"]).require().out)
    return {address.get("local") for link in listing for address in link["addr_info"]}
