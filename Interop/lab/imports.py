"""Configurations of other programs and devices, imported: they must come up against strongSwan as the other end."""

import base64
import os
from dataclasses import dataclass

from .network import ping
from .processes import Failure, eventually, run
from .scenario import Scenario

#: The samples that the unit tests read as well. Their outer addresses are replaced by the lab's.
SAMPLES = os.path.join(os.path.dirname(__file__), "..", "..", "Tests", "DialectsTests", "Samples")
ADDRESSES = ("192.0.2.1", "198.51.100.2")


@dataclass(frozen=True)
class Sample:
    """A file, and what strongSwan is told at the other end."""

    name: str
    file: str
    #: What comes up: the connection's name after the import.
    connection: str
    local_id: str
    remote_id: str
    secret: str
    ike: str = "default"
    esp: str = "default"
    #: The networks behind the imported side, one Child SA for each.
    networks: tuple = ("10.1.0.0/24",)
    #: The device into which the other network is to be routed.
    device: str = None


ROWS = [
    Sample("import-ipsec-conf-2010", "strongswan-2010.conf", "net-net", "moon.example.org", "sun.example.org",
           "not-a-real-key-Q2hvb3NlLWEtYmV0dGVyLW9uZQ"),
    Sample("import-ipsec-conf-2018", "strongswan-2018.conf", "branch", *ADDRESSES,
           base64.b64decode("bm90LWEtcmVhbC1rZXktTWFydGxldC10ZXN0cw==").decode(),
           ike="aes256-sha256-modp2048", esp="aes256-sha256-modp2048"),
    Sample("import-libreswan-2023", "libreswan-2023.conf", "hq-branch", "hq.example.org", "branch.example.org",
           "not-a-real-key-TWFydGxldC1saWJyZXN3YW4", ike="aes256gcm16-prfsha512-ecp256", esp="aes256gcm16-ecp256",
           networks=("10.1.0.0/25", "10.1.0.128/25")),
    Sample("import-cisco-crypto-map", "cisco-site-to-site.cfg", "CMAP-10", *ADDRESSES, "not-a-real-key-Q2lzY28",
           ike="aes256-sha256-modp2048", esp="aes256-sha256-modp2048"),
    Sample("import-cisco-tunnel-interface", "cisco-tunnel-interface.cfg", "tunnel0", "hq.example.org",
           "branch.example.org", "not-a-real-key-VlRJ", ike="aes256gcm16-prfsha384-ecp384", esp="aes256gcm16-ecp256",
           device="tunnel0"),
    Sample("import-aws", "aws-strongswan.txt", "Tunnel1", *ADDRESSES, "notArealKey.TWFydGxldA_AWS",
           ike="aes128-sha1-modp2048", esp="aes128-sha1-modp2048", device="Tunnel1"),
    Sample("import-aws-openswan", "aws-openswan.txt", "Tunnel1", *ADDRESSES, "notArealKey.TWFydGxldA_OSW",
           ike="aes128-sha1-modp2048", esp="aes128-sha1-modp2048"),
]


class Imported(Scenario):
    """Side a has what was imported, side b what strongSwan's own documentation would have it write for that."""

    def __init__(self, sample):
        super().__init__(secret=sample.secret)
        self.sample = sample

    def prepare(self, gateway, other):
        if gateway.kind != "martlet":
            return
        self.text = import_sample(self.sample, gateway, other)

    def configuration(self, side, other):
        if side.letter == "a":
            return self.text
        here, there = side.outer[4], other.outer[4]
        known = {ADDRESSES[0]: there, ADDRESSES[1]: here}
        children = "\n".join(f"""      net-{number} {{
        local_ts = 10.2.0.0/24
        remote_ts = {network}
        esp_proposals = {self.sample.esp}
      }}""" for number, network in enumerate(self.sample.networks))
        local = known.get(self.sample.remote_id, self.sample.remote_id)
        remote = known.get(self.sample.local_id, self.sample.local_id)
        return f"""connections {{
  peer {{
    version = 2
    local_addrs = {here}
    remote_addrs = {there}
    proposals = {self.sample.ike}
    mobike = no
    local {{
      auth = psk
      id = {local}
    }}
    remote {{
      auth = psk
      id = {remote}
    }}
    children {{
{children}
    }}
  }}
}}
secrets {{
  ike-peer {{
    id-1 = {local}
    id-2 = {remote}
    secret = "{self.sample.secret}"
  }}
}}
"""


def import_sample(sample, gateway, other):
    """Writes the sample and its secrets with the lab's addresses; returns what `martlet import` makes of them."""
    def place(name, target):
        with open(os.path.join(SAMPLES, name), encoding="utf-8") as source:
            text = source.read()
        for old, new in zip(ADDRESSES, (gateway.side.outer[4], other.side.outer[4])):
            text = text.replace(old, new)
        path = os.path.join(gateway.directory, target)
        with open(path, "w", encoding="utf-8") as sink:
            sink.write(text)
        return path

    file = place(sample.file, sample.file)
    arguments = []
    keys = sample.file.replace(".conf", ".secrets")
    if keys != sample.file:
        arguments = ["--secrets", place(keys, "ipsec.secrets")]
    done = run([gateway.executable, "import", file, *arguments], timeout=20).require()
    if sample.secret in done.err:
        raise Failure("the notes of the import show the secret")
    return done.out


def come_up(bench, options):
    """The imported side brings the tunnel up, and both networks reach each other through it."""
    sample = bench.scenario.sample
    bench.network.up()
    bench.network.prove_guard()
    for gateway in bench.gateways:
        bench.scenario.prepare(gateway, bench.other(gateway))
        gateway.write(bench.scenario.configuration(gateway.side, bench.other(gateway).side))
    # The other end is there first: what starts by itself finds it.
    bench.right.start()
    bench.left.start()
    side = bench.left.side
    side.run([bench.left.executable, "up", sample.connection, "--vici", bench.left.uri], timeout=40).require()
    eventually(lambda: bench.left.children() and bench.right.children(), 10, "a Child SA is there on both sides")
    if sample.device:
        side.run(["ip", "route", "replace", "10.2.0.0/24", "dev", sample.device]).require()
    for here, there in ((bench.network.a, bench.network.b), (bench.network.b, bench.network.a)):
        answered = ping(here, there.inner[4], source=here.inner[4])
        if answered != 3:
            raise Failure(f"{answered} of 3 pings answered from side {here.letter}")
    bench.require_counted()
    bench.network.require_nothing_plain()
    bench.require_secrets_kept()


def all_rows():
    """Name, scenario, procedure."""
    return [(sample.name, lambda sample=sample: Imported(sample), come_up) for sample in ROWS]
