"""Whether a benchmark can run here, and how it leaves when it is told to."""

import os
import signal
import sys

from .gateways import Martlet, missing
from .network import sweep


def ready(name, options, kinds):
    """Says on standard error what is missing; else chooses the executable, leaves cleanly on signals, and clears up."""
    if os.geteuid() != 0:
        print(f"{name}: network namespaces need root: run it with sudo", file=sys.stderr)
        return False
    Martlet.executable = os.path.abspath(options.martlet)
    absent = missing(kinds, Martlet.executable)
    if not os.access(options.martlet_bench, os.X_OK):
        absent.append(f"no executable {options.martlet_bench}: run `make build`")
    if absent:
        print(f"{name}: {'; '.join(absent)}", file=sys.stderr)
        return False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    sweep()
    return True
