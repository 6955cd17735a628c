"""A namespace with the plane under test, and a wire at whose other end nobody is but this process."""

import ctypes
import os
import re
import select
import socket
import time

from lab.processes import run

_LIBC = ctypes.CDLL(None, use_errno=True)
_ALL_IP = {0x0800, 0x86dd}

#: The plane's side and ours: outer addresses, and the hosts inside.
OUTER = {"near": {4: "10.9.0.1", 6: "fd09::1"}, "far": {4: "10.9.0.2", 6: "fd09::2"}}
INNER = {"near": {4: "10.1.0.1", 6: "fd01::1"}, "far": {4: "10.2.0.1", 6: "fd02::1"}}
NETS = {"near": {4: "10.1.0.0/16", 6: "fd01::/64"}, "far": {4: "10.2.0.0/16", 6: "fd02::/64"}}


class Wire:
    """Makes both namespaces and removes them."""

    def __init__(self):
        self.near, self.far = (f"mlscapy{os.getpid()}-{side}" for side in ("a", "b"))

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self):
        for name in (self.near, self.far):
            run(["ip", "netns", "add", name]).require()
        run(["ip", "link", "add", "va", "netns", self.near, "type", "veth", "peer", "name", "vb", "netns",
             self.far]).require()
        for name, device in ((self.near, "va"), (self.far, "vb")):
            for word in ("lo", device):
                self._ip(name, f"link set {word} up")
        # Nobody answers at our end but this process: no address, no neighbour discovery.
        run(["sysctl", "-qw", "net.ipv6.conf.vb.disable_ipv6=1"], netns=self.far)
        hardware = {
            name: re.search(r"link/ether (\S+)", self._ip(name, f"link show {device}")).group(1)
            for name, device in ((self.near, "va"), (self.far, "vb"))}
        self.near_mac, self.far_mac = hardware[self.near], hardware[self.far]
        for family, length in ((4, 24), (6, 64)):
            nodad = " nodad" if family == 6 else ""
            self._ip(self.near, f"addr add {OUTER['near'][family]}/{length} dev va{nodad}")
            self._ip(self.near, f"addr add {INNER['near'][family]}/{32 if family == 4 else 128} dev lo{nodad}")
            self._ip(self.near, f"neigh replace {OUTER['far'][family]} lladdr {self.far_mac} dev va nud permanent")
        self.socket = self._inside(self.far, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
        self.socket.bind(("vb", 3))

    def __exit__(self, *_):
        for name in (self.near, self.far):
            run(["ip", "netns", "del", name])

    @staticmethod
    def _ip(name, words):
        return run(["ip", *words.split()], netns=name).require().out

    @staticmethod
    def _inside(name, work):
        """Does something in a namespace, and comes back."""
        here = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            if _LIBC.setns(there, 0) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            return work()
        finally:
            _LIBC.setns(here, 0)
            os.close(here)
            os.close(there)

    def send(self, packet):
        """An IP packet, as octets, to the plane's side."""
        kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
        frame = bytes.fromhex((self.near_mac + self.far_mac).replace(":", "")) + kind + packet
        self.socket.send(frame)

    def receive(self, timeout):
        """The next IP packet that the plane's side sent, as octets; None when none came."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self.socket], [], [], left)
            if not ready:
                return None
            frame, (_, _, direction, _, _) = self.socket.recvfrom(65535)
            kind = int.from_bytes(frame[12:14], "big")
            if direction == socket.PACKET_OUTGOING or kind not in _ALL_IP or frame[0] & 1:
                continue
            return frame[14:]
        return None

    def drain(self):
        while self.receive(0.01) is not None:
            pass
