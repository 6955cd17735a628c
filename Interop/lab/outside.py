"""Other people's tools judge what we give out: PyPI's vici client, promtool, systemd-analyze, three shells, man."""

import glob
import json
import os
import re
import shutil
import subprocess
import tempfile

from .emitted import unpacked
from .gateways import Martlet
from .processes import Failure, eventually, run
from .scenario import CHILD, CONNECTION

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
VICI = "6.0.3"
#: The most that `systemd-analyze security` may say.
EXPOSURE = 2.0

#: The names that dashboards made for torilabs' exporter ask for.
EXPECTED = """ike_count ike_status ike_version ike_initiator ike_established_seconds ike_rekey_seconds
ike_encryption_key_size ike_children_size ike_nat_local ike_nat_remote sa_status sa_encap sa_encryption_key_size
sa_inbound_bytes sa_outbound_bytes sa_inbound_packets sa_outbound_packets sa_last_inbound_seconds
sa_last_outbound_seconds sa_established_seconds sa_rekey_seconds sa_lifetime_seconds conn_count conn_version
conn_reauth_time conn_rekey_time conn_child_count""".split()

#: What promtool says of names that end like a histogram's and are not ours to choose.
COUNTS = re.compile(r"strongswan_(ike|conn|conn_child|cert)_count non-histogram .* \"_count\" suffix")

#: What drives a gateway through PyPI's client, run by a Python that has nothing else of ours.
SCRIPT = """
import socket, sys, threading, time, vici
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
session = vici.Session(link)
listener = socket.socket(socket.AF_UNIX)
listener.connect(sys.argv[1])
seen = set()
def listen():
    for name, event in vici.Session(listener).listen(["ike-updown", "child-updown", "child-rekey", "log"]):
        seen.add(name if isinstance(name, str) else name.decode())
threading.Thread(target=listen, daemon=True).start()
time.sleep(0.5)
def require(what, truth):
    if not truth:
        sys.exit(f"PyPI's vici: {what}")
require("version", session.version()["daemon"])
session.load_conn({"extra": {"version": "2", "remote_addrs": ["192.0.2.7"], "local": {"auth": "psk", "id": "x"},
    "remote": {"auth": "psk", "id": "y"}, "children": {"e": {"remote_ts": ["10.88.0.0/16"]}}}})
require("get-conns", b"extra" in session.get_conns()["conns"])
require("list-conns", [each for each in session.list_conns() if "extra" in each])
session.unload_conn({"name": "extra"})
session.load_shared({"type": "IKE", "id": "k", "data": "not-a-secret-that-anybody-uses", "owners": ["y"]})
require("get-shared", b"k" in session.get_shared()["keys"])
session.unload_shared({"id": "k"})
session.load_pool({"p": {"addrs": "10.89.0.0/24"}})
require("get-pools", session.get_pools({})["p"]["size"] == b"254")
session.unload_pool({"name": "p"})
require("get-algorithms", "encryption" in session.get_algorithms())
log = list(session.initiate({"child": "CHILD", "timeout": "10000"}))
require("initiate streams control-log", any(b"msg" in each or "msg" in each for each in log))
sas = list(session.list_sas())
require("list-sas", sas and sas[0]["CONNECTION"]["state"] == b"ESTABLISHED")
require("stats", session.stats()["ikesas"]["total"] == b"1")
require("get-counters", int(session.get_counters()["counters"][""]["ike-init-out-req"]) >= 1)
require("rekey", int(session.rekey({"child": "CHILD"})["matches"]) == 1)
for command in (session.list_policies, session.list_certs, session.list_authorities):
    list(command({}))
try:
    session.load_token({"handle": "00", "slot": "1", "module": "x", "pin": "1"})
    sys.exit("a token was loaded")
except vici.exception.CommandException as error:
    require("a refusal says why", "tokens" in str(error))
for _ in range(50):
    if {"ike-updown", "child-updown", "child-rekey", "log"} <= seen:
        break
    time.sleep(0.1)
require(f"events, of which {seen} came", {"ike-updown", "child-updown", "child-rekey", "log"} <= seen)
list(session.terminate({"ike": "CONNECTION"}))
require("terminate", not list(session.list_sas()))
print("done")
"""


def pypi_client(bench, options):
    """`pip install vici` drives a gateway through a tunnel's whole life."""
    bench.set_up()
    client = _pypi()
    script = SCRIPT.replace("CHILD", CHILD).replace("CONNECTION", CONNECTION)
    done = run(["python3", "-c", script, bench.left.socket], timeout=60, env={"PYTHONPATH": client})
    if done.code != 0 or done.out.strip() != "done":
        raise Failure(f"PyPI's vici ended with {done.code}: {done.text[-600:]}")
    bench.require_down()
    bench.require_clean_stop()
    return f"vici {VICI}"


def _pypi():
    """The directory with the client, fetched once."""
    place = os.path.join(ROOT, ".build", "peers", f"vici-{VICI}")
    if not os.path.isdir(os.path.join(place, "vici")):
        done = run(
            ["python3", "-m", "pip", "install", "--quiet", "--no-deps", "--target", place, f"vici=={VICI}"],
            timeout=120, env=dict(os.environ))
        if done.code != 0:
            raise Failure(f"PyPI's vici can't be fetched: {done.text[-400:]}")
    return place


def promtool(bench, options):
    """promtool has nothing to say against the metrics, with a tunnel up and one that fails; all names are there."""
    tool = os.path.join(unpacked("prometheus"), "usr/bin/promtool")
    bench.set_up()
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    page = run([Martlet.executable, "metrics", "--vici", bench.left.uri], timeout=20).require().out
    _promtool(tool, page)
    missing = [name for name in EXPECTED if not re.search(rf"^strongswan_{name}[ {{]", page, re.MULTILINE)]
    if missing:
        raise Failure(f"these names are not there: {missing}")
    _over_http(bench, tool)
    return f"{len(EXPECTED)} names of the exporter's, {len(page.splitlines())} lines"


def _promtool(tool, page):
    done = subprocess.run([tool, "check", "metrics"], input=page, capture_output=True, text=True, timeout=20)
    # 3: it reads the page and does not like a name. These are the exporter's own, which dashboards ask for.
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and not COUNTS.match(line)]
    if done.returncode not in (0, 3) or complaints:
        raise Failure(f"promtool ended with {done.returncode}: {complaints}")


def _over_http(bench, tool):
    """The same over HTTP, and 503 when the gateway is gone."""
    served = bench.helper(
        [Martlet.executable, "metrics", "--listen", "127.0.0.1:9814", "--vici", bench.left.uri], bench.left.side,
        "metrics-server")
    eventually(lambda: "Serving" in served.output(), 5, "metrics are served")
    asked = bench.left.side.run(["python3", "-c", FETCH], timeout=20).require().out
    _promtool(tool, asked)
    if "martlet_tunnel_up{" not in asked:
        raise Failure(f"/metrics says {asked[:200]!r}")
    outside = bench.left.side.run(
        [Martlet.executable, "metrics", "--listen", f"{bench.left.side.outer[4]}:9814", "--vici", bench.left.uri])
    if outside.code != 1 or "loopback" not in outside.err:
        raise Failure(f"--listen on another address ended with {outside.code}: {outside.text}")
    bench.left.stop()
    gone = bench.left.side.run(["python3", "-c", FETCH], timeout=20)
    if "503" not in gone.text:
        raise Failure(f"without a gateway, /metrics says {gone.text[-200:]!r}")


FETCH = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9814/metrics', timeout=9).read().decode())"


def package(bench, options):
    """The Debian package: its unit, manual page and completions, each judged by the program that it is for."""
    directory = tempfile.mkdtemp(dir=bench.directory)
    packager = [os.path.join(ROOT, "Packaging/deb"), Martlet.executable, directory]
    made = run(packager, timeout=120)
    if "libswift" in run(["ldd", Martlet.executable]).out:
        # It would run on this machine, and on no user's.
        if made.code != 1 or "needs Swift's libraries" not in made.err:
            raise Failure(f"a program that needs Swift's libraries was packaged: {made.text}")
        made = run(packager, timeout=120, env={"MARTLET_SHARED_SWIFT": "1"})
    made = made.require().out.split()[-1]
    root = os.path.join(directory, "root")
    run(["dpkg-deb", "--extract", made, root], timeout=60).require()
    facts = [_exposure(root), _manual(root), *_completions(root)]
    told = run([os.path.join(root, "usr/bin/martlet"), "version"], timeout=10).require().out
    if not told.startswith("martlet "):
        raise Failure(f"the packaged program says {told!r}")
    return ", ".join(facts)


def _exposure(root):
    unit = os.path.join(root, "lib/systemd/system/martlet.service")
    done = run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit], timeout=60)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.text)
    if not found:
        raise Failure(f"systemd-analyze says no exposure: {done.text[-400:]}")
    if float(found[1]) > EXPOSURE:
        raise Failure(f"the unit's exposure is {found[1]}, above {EXPOSURE}")
    # The program is not installed here: a true path stands in for it.
    with open(unit, encoding="utf-8") as source:
        text = source.read().replace("/usr/bin/martlet", Martlet.executable)
    checked = os.path.join(root, "martlet.service")
    with open(checked, "w", encoding="utf-8") as sink:
        sink.write(text)
    verified = run(["systemd-analyze", "verify", "--man=no", checked], timeout=60)
    complaints = [line for line in verified.text.splitlines() if "martlet" in line]
    if complaints:
        raise Failure(f"systemd-analyze verify: {complaints}")
    return f"exposure {found[1]}"


def _manual(root):
    page = os.path.join(root, "usr/share/man/man1/martlet.1.gz")
    done = run(["sh", "-c", f"zcat {page} | groff -K utf8 -man -Tutf8 -ww"], timeout=30)
    if done.code != 0 or done.err.strip():
        raise Failure(f"groff on the manual page: {done.err[-400:]}")
    text = run(["zcat", page], timeout=10).require().out.replace("\\-", "-")
    commands = re.findall(r"^  ([a-z][a-z-]*)  ", run([Martlet.executable, "--help"], timeout=10).out, re.MULTILINE)
    if len(commands) < 20 or any(command not in text for command in commands):
        raise Failure(f"the manual page lacks {[command for command in commands if command not in text]}")
    return f"manual page with {len(commands)} commands"


def _completions(root):
    places = {
        "bash": "bash-completion/completions/martlet", "zsh": "zsh/vendor-completions/_martlet",
        "fish": "fish/vendor_completions.d/martlet.fish"}
    for shell, place in places.items():
        path = os.path.join(root, "usr/share", place)
        program, environment = shutil.which(shell), {}
        if not program:
            base = unpacked(shell)
            program = os.path.join(base, "bin" if shell == "zsh" else "usr/bin", shell)
            if shell == "fish":
                libraries = glob.glob(os.path.join(unpacked("libpcre2-32-0"), "usr/lib/*"))
                environment["LD_LIBRARY_PATH"] = ":".join(libraries)
        done = run([program, "--no-execute" if shell == "fish" else "-n", path], timeout=30, env=environment)
        if done.code != 0 or done.err.strip():
            raise Failure(f"{shell} does not take its completions: {done.text[-300:]}")
        with open(path, encoding="utf-8") as source:
            if "doctor" not in source.read():
                raise Failure(f"{shell}'s completions do not know `doctor`")
        yield f"{shell}'s completions"


def live_log(bench, options):
    """`martlet log --follow --level ike=2,esp=2` tells of messages and packets of the connection that is named."""
    bench.set_up()
    command = [Martlet.executable, "log", "--follow", "--level", "ike=2,esp=2,chd=-1", "--vici", bench.left.uri]
    told = bench.helper([*command, CONNECTION], bench.left.side, "log-named")
    nobody = run([*command, "another"])
    if nobody.code != 1 or CONNECTION not in nobody.err:
        raise Failure(f"the log of a connection that there is not ended with {nobody.code}: {nobody.text[-200:]}")
    values = bench.helper([*command, "--json"], bench.left.side, "log-json")
    bench.left.initiate().require()
    bench.require_up(count=1)
    bench.require_pings()
    eventually(lambda: "packets out" in told.output(), 5, "the log tells of packets")
    text = told.output()
    for wanted in (rf"\[IKE\] <{CONNECTION}\|\d+> chose aes128gcm16", rf"\[ESP\] <{CONNECTION}\|\d+> child '{CHILD}': \d+ pack"):
        if not re.search(wanted, text):
            raise Failure(f"the log has no line /{wanted}/: {text[-600:]}")
    if "[CHD]" in text:
        raise Failure("the log has lines of a part that was turned off")
    groups = {json.loads(line)["data"]["group"] for line in values.output().splitlines()}
    if not {"IKE", "ESP"} <= groups:
        raise Failure(f"as JSON, the log has {groups}")
    wrong = run([Martlet.executable, "log", "--level", "eps=1", "--vici", bench.left.uri])
    if wrong.code != 64 or "esp" not in wrong.err:
        raise Failure(f"--level eps=1 ended with {wrong.code}: {wrong.text}")
    bench.left.terminate().require()
    return f"{len(text.splitlines())} lines"


ROWS = [("log-live", live_log), ("pypi-vici", pypi_client), ("metrics-promtool", promtool), ("debian-package", package)]
