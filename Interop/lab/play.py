"""Plays scenario directories as strongSwan's tests have them, with Martlet in either place, and prints a table.

A directory has test.conf, pretest.dat, evaltest.dat, posttest.dat and hosts/<host>/etc/. What a line of evaltest.dat
looks for in strongSwan's own log is asked only of hosts that are strongSwan: Martlet says the same in other words.
"""

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time

from . import credentials
from .freeradius import FreeRADIUS
from .gateways import Martlet, StrongSwan
from .network import PREFIX, Plumbing, sweep
from .playground import DEFAULTS, HOSTS, Playground, addresses
from .processes import ENVIRONMENT, Daemon, Failure, eventually, last_lines, run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OWN = os.path.join(ROOT, "Interop/scenarios")

#: The control first: where it fails, the other columns mean nothing.
PAIRINGS = [("ss", "ss"), ("martlet", "ss"), ("ss", "martlet"), ("martlet", "martlet")]


class Place:
    """Where a gateway runs: what `Gateway` asks of a side."""

    def __init__(self, host, netns):
        self.letter, self.netns = host, netns

    def run(self, command, **options):
        return run(command, netns=self.netns, **options)


class Scenario:
    """A scenario directory, read."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.name = os.path.basename(self.path.rstrip("/"))
        for name in ("test.conf", "pretest.dat", "evaltest.dat", "posttest.dat"):
            if not os.path.exists(os.path.join(self.path, name)):
                raise Failure(f"{self.path} has no {name}")
        self.settings = dict(
            re.findall(r'^([A-Z0-9_]+)="?([^"\n]*)"?$', self._text("test.conf"), re.MULTILINE))
        self.gateways = self.settings.get("IPSECHOSTS", "").split()
        self.watched = self.settings.get("TCPDUMPHOSTS", "").split()
        self.authorities = self.settings.get("RADIUSHOSTS", "").split()
        unknown = [host for host in self.gateways + self.watched + self.authorities if host not in HOSTS]
        if unknown or not self.gateways:
            raise Failure(f"{self.name}: no such hosts: {unknown or 'IPSECHOSTS is empty'}")

    def _text(self, name):
        with open(os.path.join(self.path, name), encoding="utf-8") as source:
            text = source.read()
        for placeholder, address in sorted(addresses()[0].items(), key=lambda pair: -len(pair[0])):
            text = text.replace(placeholder, address)
        return text

    def lines(self, name):
        """The lines of a .dat file, each as its fields."""
        return [line.split("::") for line in self._text(name).splitlines() if line.strip() and line[0] != "#"]

    def file(self, host, name):
        """A file of a host's /etc; empty when there is none."""
        path = os.path.join(self.path, "hosts", host, "etc", name)
        if not os.path.exists(path):
            return ""
        return self._text(os.path.relpath(path, self.path))

    def initiators(self):
        """The gateways that begin: who is told so, else all that are not the last one named."""
        told = [fields[0] for fields in self.lines("pretest.dat") + self.lines("evaltest.dat")
                if len(fields) > 1 and "--initiate" in fields[1]]
        named = [host for host in self.gateways if host in told]
        return named if named and len(named) < len(self.gateways) else self.gateways[:-1]


class Stage:
    """One scenario in one pairing, from nothing to nothing."""

    def __init__(self, scenario, pairing, directory):
        self.scenario, self.directory = scenario, directory
        self.ground = Playground()
        self.captures, self.servers, self.radius = {}, [], {}
        self.credentials = credentials.of(scenario, directory)
        self.checked, self.passed_over = 0, 0
        self.names = addresses()[1]
        first = scenario.initiators()
        self.gateways = {
            host: self._gateway(host, pairing[0] if host in first else pairing[1]) for host in scenario.gateways}

    def _gateway(self, host, kind):
        place = Place(host, self.ground.netns(host))
        gateway = (Martlet if kind == "martlet" else StrongSwan)(place, self.directory)
        options = re.sub(r"\bcharon-systemd\b", "charon", self.scenario.file(host, "strongswan.conf"))
        # Which plugins there are is this machine's business, and where the log goes is the lab's.
        options = re.sub(r"^\s*(load|include)\b.*$", "", options, flags=re.MULTILINE)
        inner = re.search(r"^charon\s*\{\n(.*?)^\}", options, re.MULTILINE | re.DOTALL)
        gateway.settings = inner.group(1) if inner else ""
        text = self.scenario.file(host, "swanctl/swanctl.conf")
        if not text:
            raise Failure(f"{self.scenario.name}: hosts/{host}/etc/swanctl/swanctl.conf is not there")
        if self.credentials:
            self.credentials.equip(host, gateway.directory)
        gateway.write(text + (f"\ncharon {{\n{gateway.settings}\n}}\n" if kind == "martlet" else ""))
        return gateway

    def play(self):
        """All of it; raises Failure with the first thing that was not as it should be."""
        self.ground.up()
        if self.credentials:
            self.servers = self.credentials.serve(self.ground.netns("winnetou"))
        before = {host: Plumbing(gateway.side) for host, gateway in self.gateways.items()}
        for host in self.scenario.watched:
            self._capture(host)
        for fields in self.scenario.lines("pretest.dat"):
            self._command(fields[0], "::".join(fields[1:]), must=True)
        for fields in self.scenario.lines("evaltest.dat"):
            self._evaluate(fields)
        for fields in self.scenario.lines("posttest.dat"):
            self._command(fields[0], "::".join(fields[1:]))
        for host, gateway in self.gateways.items():
            if gateway.daemon is None:
                raise Failure(f"nobody started {host}")
            if gateway.daemon.running:
                raise Failure(f"nobody stopped {host}")
            left = Plumbing(gateway.side).open_leftovers(before[host])
            if left:
                raise Failure(f"{gateway.name} left behind: {'; '.join(left)}")

    def end(self):
        for gateway in self.gateways.values():
            gateway.abandon()
        for helper in [*self.captures.values(), *self.servers, *self.radius.values()]:
            helper.kill()
        self.ground.down()

    def _capture(self, host):
        command = ["tcpdump", "-l", "-n", "-i", "eth0", "not arp and not icmp6[0] == 135 and not icmp6[0] == 136"]
        if host not in self.captures:
            self.captures[host] = Daemon(
                command, os.path.join(self.directory, f"tcpdump-{host}"), netns=self.ground.netns(host))
            eventually(
                lambda: "listening on" in self.captures[host].output(), 5, f"tcpdump listens on {host}")

    # What the files ask for.

    def _command(self, host, command, must=False):
        """Runs a line on a host; what it says. With `must`, one that fails fails the scenario."""
        words = command.split()
        gateway = self.gateways.get(host)
        if words[:1] == ["systemctl"] and len(words) > 2 and words[2].startswith("strongswan"):
            return self._service(host, words[1])
        if words[:1] == ["expect-connection"]:
            return self._expect(gateway, words[1], float(words[2]) if len(words) > 2 else 5)
        if words[:1] in (["iptables-restore"], ["ip6tables-restore"]):
            # A filter that lets IPsec through: not what is looked at here.
            return ""
        if host in self.scenario.authorities and words[-1] == "freeradius":
            return self._radius(host, begins=len(words) == 1)
        environment = {}
        if gateway:
            environment = {
                "SWANCTL_DIR": gateway.directory, "STRONGSWAN_CONF": gateway._client_settings(),
                "PATH": f"{self._words(gateway)}:{ENVIRONMENT['PATH']}",
            }
            command = command.replace("/etc/swanctl", gateway.directory)
        done = run(["bash", "-c", command], netns=self.ground.netns(host), timeout=60, env=environment)
        if must and done.code != 0 and not words[0].startswith(("ping", "sleep")):
            raise Failure(f"pretest, {host}: `{command}` ended with {done.code}: {last_lines(done.text)}")
        return done.out + done.err

    def _words(self, gateway):
        """A directory with a `swanctl` that talks to this host's gateway."""
        place = os.path.join(gateway.directory, "words")
        if not os.path.exists(place):
            os.makedirs(place)
            with open(os.path.join(place, "swanctl"), "w", encoding="utf-8") as sink:
                sink.write(f'#!/bin/sh\nexec /usr/sbin/swanctl "$@" --uri {gateway.uri}\n')
            os.chmod(os.path.join(place, "swanctl"), 0o700)
        return place

    def _service(self, host, verb):
        gateway = self.gateways.get(host)
        if gateway is None:
            raise Failure(f"{host} is not in IPSECHOSTS")
        if verb == "start":
            gateway.start()
        elif verb == "stop":
            gateway.stop()
        elif verb == "reload":
            gateway.daemon.send(signal.SIGHUP)
        elif verb == "kill":
            gateway.crash()
        else:
            raise Failure(f"systemctl {verb} is not known here")
        return ""

    def _radius(self, host, begins):
        """FreeRADIUS with the users that its host has in a file, for the gateway behind the next router."""
        if not begins:
            self.radius[host].kill()
            return ""
        place = os.path.join(self.directory, f"radius-{host}")
        own = self.credentials.server(host)
        address = addresses()[0][f"PH_IP_{host.upper()}"]
        self.radius[host] = FreeRADIUS(
            place, self.ground.netns(host), self.scenario.file(host, "freeradius/secret").strip(),
            self.scenario.file(host, "freeradius/users"), "md5", own, self.credentials.root, address=address,
            client=DEFAULTS[host][0])
        self.radius[host].start()
        return ""

    def _expect(self, gateway, name, seconds):
        eventually(
            lambda: re.search(rf"^\s*{re.escape(name)}:", gateway.swanctl("--list-conns").out, re.MULTILINE),
            seconds, f"{gateway.name} has the connection {name}")
        return ""

    def _evaluate(self, fields):
        if len(fields) < 4:
            raise Failure(f"evaltest: not four fields: {'::'.join(fields)}")
        host, command, pattern, wanted = fields[0], fields[1], "::".join(fields[2:-1]), fields[-1].strip()
        gateway = self.gateways.get(host)
        if host in self.radius and command.startswith("cat /var/log/"):
            said = self.radius[host].log_text()
        elif command.startswith("cat /var/log/"):
            if gateway is None or gateway.kind == "martlet":
                self.passed_over += 1
                return
            said = gateway.log_text()
        elif command.strip() == "tcpdump":
            time.sleep(0.3)
            self._capture(host)
            said, pattern = self._named(self.captures[host].output()), _on_the_wire(pattern)
        elif command.startswith("ip xfrm"):
            # Both planes are in user space: the kernel knows of no SA.
            self.passed_over += 1
            return
        else:
            said = self._command(host, command)
            pattern = pattern.replace("port=500 ", r"port=\(500\|4500\) ")
        lines = run(["grep", "-e", pattern], stdin=said).out.splitlines()
        self.checked += 1
        good = {"YES": bool(lines), "NO": not lines}.get(wanted, str(len(lines)) == wanted)
        if not good:
            raise Failure(
                f"evaltest, {host} ({gateway.kind if gateway else 'host'}): `{command}` has {len(lines)} lines like "
                f"'{pattern[:120]}', wanted {wanted}: {last_lines(said, 3)[-300:]}")

    def _named(self, text):
        """The addresses of a capture as names."""
        for address, name in sorted(self.names.items(), key=lambda pair: -len(pair[0])):
            text = re.sub(rf"(?<![0-9a-f.:]){re.escape(address)}(?=[.: ,]|$)", name, text, flags=re.MULTILINE)
        return text


def _on_the_wire(pattern):
    """ESP by itself or in UDP: strongSwan's user-space plane knows UDP only."""
    return re.sub(r"(\S+) > (\S+): ESP", r"\1.* > \2.*ESP", pattern)


def main(arguments):
    parser = argparse.ArgumentParser(prog="Interop/play", description=__doc__)
    parser.add_argument("directories", nargs="*", metavar="DIR", help="scenarios, or directories of them (our own)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="scenarios whose name contains this")
    parser.add_argument("--pairing", action="append", default=[], metavar="A/B", help="ss/ss, martlet/ss, …: only these")
    parser.add_argument("--martlet", default=os.path.join(ROOT, ".build/release/martlet"))
    parser.add_argument("--list", action="store_true", help="print the names of the scenarios and stop")
    options = parser.parse_args(arguments)
    scenarios = [each for each in _found(options.directories or [OWN])
                 if not options.only or any(word in each.name for word in options.only)]
    if options.list:
        print("\n".join(scenario.name for scenario in scenarios))
        return 0
    if os.geteuid() != 0:
        print("play: network namespaces need root", file=sys.stderr)
        return 2
    Martlet.executable = os.path.abspath(options.martlet)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sweep()
    pairings = [pair for pair in PAIRINGS if not options.pairing or "/".join(pair) in options.pairing]
    rows = [(scenario, {pair: _play(scenario, pair) for pair in _wanted(scenario, pairings)}) for scenario in scenarios]
    return _table(rows, pairings)


def _wanted(scenario, pairings):
    """A scenario of ours may say which pairings it makes sense for."""
    only = scenario.settings.get("PAIRINGS", "").split()
    return [pair for pair in pairings if not only or "/".join(pair) in only]


def _found(directories):
    scenarios = []
    for directory in directories:
        if os.path.exists(os.path.join(directory, "test.conf")):
            scenarios.append(Scenario(directory))
        else:
            scenarios += [Scenario(os.path.join(directory, name)) for name in sorted(os.listdir(directory))
                          if os.path.exists(os.path.join(directory, name, "test.conf"))]
    return scenarios


def _play(scenario, pairing):
    directory = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
    begin, stage, note = time.monotonic(), None, ""
    try:
        stage = Stage(scenario, pairing, directory)
        stage.play()
        verdict = "PASS"
    except Failure as failure:
        verdict, note = "FAIL", str(failure)
        logs = os.path.join(ROOT, ".build/interop/logs", f"play-{scenario.name}-{'-'.join(pairing)}")
        shutil.rmtree(logs, ignore_errors=True)
        shutil.copytree(directory, logs, ignore=lambda _, names: [n for n in names if n in ("swanctl.conf", "vici")])
    finally:
        if stage:
            stage.end()
        shutil.rmtree(directory, ignore_errors=True)
    counts = f"{stage.checked} checks" if stage else ""
    if stage and stage.passed_over:
        counts += f", {stage.passed_over} of strongSwan's own words passed over"
    print(f"{verdict}  {time.monotonic() - begin:6.1f} s  {'/'.join(pairing):<16} {scenario.name:<24}  "
          f"{' '.join(note.split()) or counts}", flush=True)
    return verdict


def _table(rows, pairings):
    width = max([len(scenario.name) for scenario, _ in rows] + [8])
    print("\n" + "scenario".ljust(width) + "".join("/".join(pair).rjust(17) for pair in pairings))
    failed = 0
    for scenario, verdicts in rows:
        control = verdicts.get(("ss", "ss"), "PASS")
        cells = []
        for pair in pairings:
            verdict = verdicts.get(pair, "-")
            if control == "FAIL" and pair not in (("ss", "ss"), ("martlet", "martlet")) and verdict == "FAIL":
                verdict = "void"
            failed += verdict == "FAIL"
            cells.append(verdict.rjust(17))
        print(scenario.name.ljust(width) + "".join(cells))
    print(f"play: {len(rows)} scenarios, {failed} failures")
    return 1 if failed or not rows else 0
