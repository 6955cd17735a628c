"""OCSP answers that `openssl ocsp` does not give: out of date, and by a server that takes its time.

As a program it is such a server: `status.py PORT FILE [SECONDS]` answers every request with the file's octets, after so
many seconds.
"""

import http.server
import os
import subprocess
import sys
import time


def _element(octets, place):
    """The tag, the content's place and the end of the DER element at `place`."""
    length, start = octets[place + 1], place + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(octets[start:start + count], "big"), start + count
    return octets[place], start, start + length


def _elements(octets):
    """The elements of a content, each with its head."""
    place, found = 0, []
    while place < len(octets):
        _, _, end = _element(octets, place)
        found.append(octets[place:end])
        place = end
    return found


def _wrap(tag, *parts):
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _content(element):
    _, start, end = _element(element, 0)
    return element[start:end]


def dated(answer, year, key):
    """The same answer as if it had been given in `year`, signed again with `key` (a file; SHA-256)."""
    status, wrapped = _elements(_content(answer))
    kind, basic = _elements(_content(_content(wrapped)))
    parts = _elements(_content(_content(basic)))
    data, algorithm, rest = parts[0], parts[1], parts[3:]

    def older(element):
        # GeneralizedTime has four digits of a year in front.
        if element[0] == 0x18:
            return _wrap(0x18, str(year).encode() + _content(element)[4:])
        return _wrap(element[0], *map(older, _elements(_content(element)))) if element[0] & 0x20 else element

    data = older(data)
    signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=data, capture_output=True, check=True)
    basic = _wrap(0x04, _wrap(0x30, data, algorithm, _wrap(0x03, b"\0" + signed.stdout), *rest))
    return _wrap(0x30, status, _wrap(0xA0, _wrap(0x30, kind, basic)))


def command(port, path, seconds=0):
    """The server as a command line."""
    return ["python3", os.path.abspath(__file__), str(port), path, str(seconds)]


def main():
    port, path, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    with open(path, "rb") as source:
        answer = source.read()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            time.sleep(seconds)
            self.send_response(200)
            self.send_header("Content-Type", "application/ocsp-response")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 1024
        daemon_threads = True

    Server(("127.0.0.1", port), Answer).serve_forever()


if __name__ == "__main__":
    main()
