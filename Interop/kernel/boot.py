"""Boots a Linux kernel as an ordinary process (User-Mode Linux): no virtual machine, no disk image, no network.

Debian's package `user-mode-linux` is enough; MARTLET_GUEST_KERNEL names another kernel with everything built in.
"""

import glob
import os
import re
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


class NoGuest(Exception):
    """The guest cannot be booted, or died: the text says why."""


def kernel():
    """The kernel and the directory of its modules, empty when it has all built in."""
    own = os.environ.get("MARTLET_GUEST_KERNEL")
    if own:
        if not os.access(own, os.X_OK):
            raise NoGuest(f"MARTLET_GUEST_KERNEL: {own} cannot be executed")
        return own, ""
    debian = shutil.which("linux.uml", path="/usr/bin:/usr/local/bin")
    modules = sorted(glob.glob("/usr/lib/uml/modules/*"))
    if debian is None or not modules:
        raise NoGuest("no User-Mode Linux here: run `make setup` (Debian's package user-mode-linux)")
    return debian, modules[-1]


def boot(command, control, timeout, memory=768, show=print):
    """Runs a command line as the guest's root and returns its exit status; each line that it prints is given to `show`.

    `control` is the one directory of the host's that the guest may write to.
    """
    binary, modules = kernel()
    status = os.path.join(control, "status")
    console = os.path.join(control, "console")
    with open(os.path.join(control, "start"), "w", encoding="utf-8") as script:
        script.write(f"""stty -F /dev/ttyS0 raw -echo
ip link set lo up
for module in ipv6 tun veth; do modprobe $module 2>/dev/null; done
cd {HERE}/..
{command}
echo $? > {status}
sync
exec /usr/bin/python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'
""")
    state = tempfile.mkdtemp(prefix="uml-", dir=control)
    reading, writing = os.pipe()
    with open(console, "wb") as sink:
        process = subprocess.Popen(
            [binary, f"mem={memory}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
             f"init={HERE}/init", f"umid=martlet{os.getpid()}", f"uml_dir={state}", "con=null", "con0=null,fd:2",
             "con1=null", "ssl=null", f"ssl0=null,fd:{writing}", "quiet", "loglevel=1", "random.trust_cpu=on",
             f"martlet_control={control}", f"martlet_modules={modules}"],
            stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, pass_fds=[writing], start_new_session=True)
    os.close(writing)
    killer = _after(timeout, process)
    try:
        with os.fdopen(reading, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                show(line.rstrip("\r\n"))
        process.wait()
    finally:
        killer.cancel()
        _kill(process)
    if not os.path.exists(status):
        with open(console, encoding="utf-8", errors="replace") as source:
            said = " | ".join(re.sub(r"\s+", " ", line) for line in source.read().splitlines()[-6:])
        raise NoGuest(f"the guest ended without a result (after {timeout} s at most): {said}")
    with open(status, encoding="utf-8") as source:
        return int(source.read())


def _after(seconds, process):
    import threading
    timer = threading.Timer(seconds, _kill, [process])
    timer.daemon = True
    timer.start()
    return timer


def _kill(process):
    """The kernel is a few processes in a session of its own."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
    process.wait()
