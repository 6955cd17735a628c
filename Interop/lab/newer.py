"""The newest strongSwan that Debian has, in a chroot: for ML-KEM and several key exchanges, which 5.9 does not know.

Nothing of it touches the machine: it is unpacked below `.build`, and runs in a mount namespace of its own.
"""

import os
import shutil

from .gateways import CHARON, KINDS, StrongSwan
from .processes import Failure, run

#: The release of Debian that it is taken from, and what of it is needed.
SUITE = "sid"
PACKAGES = [
    "strongswan-charon", "strongswan-swanctl", "libcharon-extra-plugins", "libcharon-extauth-plugins",
    "libstrongswan-extra-plugins", "libstrongswan-standard-plugins", "iproute2",
]


class StrongSwanNewer(StrongSwan):
    """charon from the chroot; the directory of the case is mounted at the same place inside."""

    kind = "strongswan-newer"
    #: Where it is unpacked.
    root = None

    def command(self):
        _, env = super().command()
        inside = self.root + self.directory
        os.makedirs(inside, exist_ok=True)
        script = " && ".join([
            f"mount --bind {self.directory} {inside}", f"mount -t proc proc {self.root}/proc",
            f"mount --rbind /dev {self.root}/dev", f"mount --rbind /sys {self.root}/sys",
            f"mount -t tmpfs none {self.root}/run", f"exec chroot {self.root} {CHARON}",
        ])
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script], env

    @classmethod
    def unpack(cls):
        """Fetches it when it is not there; what can't be had fails the case."""
        if os.access(cls.root + CHARON, os.X_OK):
            return
        if shutil.which("debootstrap", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            raise Failure("the newest strongSwan needs debootstrap: apt-get install debootstrap")
        half = cls.root + ".new"
        shutil.rmtree(half, ignore_errors=True)
        os.makedirs(os.path.dirname(cls.root), exist_ok=True)
        proxies = {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ}
        done = run(
            ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, half], timeout=600,
            env=proxies)
        if done.code != 0 or not os.access(half + CHARON, os.X_OK):
            raise Failure(f"the newest strongSwan can't be unpacked: {done.text[-400:]}")
        os.rename(half, cls.root)


KINDS[StrongSwanNewer.kind] = StrongSwanNewer
