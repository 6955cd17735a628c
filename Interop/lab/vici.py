"""A VICI client: one request at a time over one connection, and many connections at once for many requests."""

import queue
import socket
import struct
import threading

from .processes import Failure

_REQUEST, _RESPONSE, _UNKNOWN, _REGISTER, _UNREGISTER, _CONFIRMED, _NO_EVENT, _EVENT = range(8)
_SECTION_START, _SECTION_END, _KEY_VALUE, _LIST_START, _LIST_ITEM, _LIST_END = range(1, 7)


def encode(tree):
    """A message: sections are dicts, lists are lists, everything else is a value."""
    out = b""
    for name, value in tree.items():
        key = struct.pack("!B", len(name)) + name.encode()
        if isinstance(value, dict):
            out += bytes([_SECTION_START]) + key + encode(value) + bytes([_SECTION_END])
        elif isinstance(value, list):
            items = b"".join(bytes([_LIST_ITEM]) + _value(item) for item in value)
            out += bytes([_LIST_START]) + key + items + bytes([_LIST_END])
        else:
            out += bytes([_KEY_VALUE]) + key + _value(value)
    return out


def _value(value):
    octets = str(value).encode()
    return struct.pack("!H", len(octets)) + octets


def decode(octets):
    """The tree of a message."""
    tree = {}
    stack, items, position = [tree], None, 0
    try:
        while position < len(octets):
            kind = octets[position]
            position += 1
            if kind == _SECTION_END:
                stack.pop()
                continue
            if kind == _LIST_END:
                items = None
                continue
            if kind == _LIST_ITEM:
                text, position = _text(octets, position, 2)
                items.append(text)
                continue
            name, position = _text(octets, position, 1)
            if kind == _SECTION_START:
                stack.append(stack[-1].setdefault(name, {}))
            elif kind == _LIST_START:
                items = stack[-1].setdefault(name, [])
            elif kind == _KEY_VALUE:
                stack[-1][name], position = _text(octets, position, 2)
            else:
                raise Failure(f"VICI message with an element of type {kind}")
    except (IndexError, AttributeError, struct.error):
        raise Failure("a VICI message is broken") from None
    if len(stack) != 1:
        raise Failure("a VICI message ends inside a section")
    return tree


def _text(octets, position, width):
    length = int.from_bytes(octets[position:position + width], "big")
    end = position + width + length
    if end > len(octets):
        raise IndexError
    return octets[position + width:end].decode(errors="replace"), end


class Vici:
    """One connection to a control socket."""

    def __init__(self, path, timeout=60):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._socket.connect(path)

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def request(self, name, arguments=None):
        """The response to a command."""
        self._send(_REQUEST, name, encode(arguments or {}))
        kind, octets = self._receive()
        if kind != _RESPONSE:
            raise Failure(f"the command {name} was answered by a packet of type {kind}")
        return decode(octets)

    def require(self, name, arguments=None):
        """The response to a command that must succeed."""
        response = self.request(name, arguments)
        if response.get("success", "yes") != "yes":
            raise Failure(f"{name} {arguments}: {response.get('errmsg', 'refused without a reason')}")
        return response

    def listing(self, name, event, arguments=None):
        """All events that a listing command sends, as trees."""
        self._send(_REGISTER, event)
        if self._receive()[0] != _CONFIRMED:
            raise Failure(f"the event {event} is unknown")
        self._send(_REQUEST, name, encode(arguments or {}))
        found = []
        while True:
            kind, octets = self._receive()
            if kind == _RESPONSE:
                break
            if kind == _EVENT:
                found.append(decode(octets[1 + octets[0]:]))
        self._send(_UNREGISTER, event)
        self._receive()
        return found

    def _send(self, kind, name, message=b""):
        packet = struct.pack("!BB", kind, len(name)) + name.encode() + message
        self._socket.sendall(struct.pack("!I", len(packet)) + packet)

    def _receive(self):
        packet = self._exactly(int.from_bytes(self._exactly(4), "big"))
        return packet[0], packet[1:]

    def _exactly(self, count):
        octets = b""
        while len(octets) < count:
            try:
                part = self._socket.recv(count - len(octets))
            except TimeoutError:
                raise Failure("the control socket does not answer") from None
            if not part:
                raise Failure("the control socket was closed")
            octets += part
        return octets


class Listener:
    """Collects events, (name, tree) in order, from the moment it is made until it is closed."""

    EVENTS = ["ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey"]

    def __init__(self, path, events=None):
        self.seen = []
        self._client = Vici(path, timeout=None)
        for event in events or self.EVENTS:
            self._client._send(_REGISTER, event)
            if self._client._receive()[0] != _CONFIRMED:
                raise Failure(f"the event {event} is unknown")
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        try:
            while True:
                kind, octets = self._client._receive()
                if kind == _EVENT:
                    self.seen.append((octets[1:1 + octets[0]].decode(), decode(octets[1 + octets[0]:])))
        except (Failure, OSError):
            pass

    def close(self):
        self._client.close()


def together(path, commands, connections=32, timeout=120):
    """Carries out many commands (name, arguments) over several connections at once. Returns the failures' texts."""
    waiting = queue.SimpleQueue()
    for command in commands:
        waiting.put(command)
    failures = []

    def work():
        try:
            with Vici(path, timeout) as client:
                while True:
                    name, arguments = waiting.get_nowait()
                    try:
                        client.require(name, arguments)
                    except Failure as failure:
                        failures.append(str(failure))
                        if "control socket" in str(failure):
                            return
        except queue.Empty:
            pass
        except OSError as error:
            failures.append(f"{path}: {error}")

    workers = [threading.Thread(target=work, daemon=True) for _ in range(connections)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if not waiting.empty() and not failures:
        failures.append(f"{waiting.qsize()} commands were never sent")
    return failures
