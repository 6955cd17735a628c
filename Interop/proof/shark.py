"""tshark as a second reader of what the plane sent, where it knows the suite."""

import os
import re

import scapy.all as scapy

from lab.processes import Failure, run


def decoded(case, directory):
    """Lets tshark decrypt and check all packets of a case; says so, or why not."""
    if case.suite.shark is None or case.suite.is_ah or case.suite.esn:
        return "scapy"
    path = os.path.join(directory, "capture.pcap")
    with scapy.RawPcapWriter(path, linktype=101) as sink:
        for octets in case.frames:
            sink.write(octets)
    crypt, auth = case.keys["out"]
    words = [f"IPv{case.outer}", "*", "*", f"0x{case.spis['out']:08x}", case.suite.shark[0], "0x" + crypt.hex() if crypt else "",
             case.suite.shark[1], "0x" + auth.hex() if auth else ""]
    entry = ",".join(f'"{word}"' for word in words)
    done = run(
        ["tshark", "-r", path, "-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE",
         "-o", f"uat:esp_sa:{entry}", "-T", "fields", "-e", "icmp.type", "-e", "icmpv6.type", "-e", "esp.icv_good"],
        timeout=30).require()
    lines = [line for line in done.out.splitlines() if line.strip()]
    wanted = re.compile(r"\b(8|0|128|129)\b")
    good = [line for line in lines if wanted.search(line)]
    if len(good) != len(case.frames):
        raise Failure(f"tshark decrypted {len(good)} of {len(case.frames)} packets: {done.text.strip()[:200]}")
    checked = sum(1 for line in lines if line.rstrip().endswith(("1", "True")))
    return f"scapy, tshark ({checked} of {len(lines)} ICVs checked)" if checked else "scapy, tshark (decryption)"
