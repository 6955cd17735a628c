"""IKEv2's messages as octets (RFC 7296 §3): payloads in and out, nothing of what they mean."""

import struct

NONE, SA, KE, IDI, IDR, CERT, CERTREQ, AUTH, NONCE, NOTIFY, DELETE, VENDOR, TSI, TSR, SK, CP, EAP, SKF = (
    0, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 53)
IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL = 34, 35, 36, 37


def header(spi_i, spi_r, first, exchange, flags, message_id, length):
    return struct.pack("!8s8sBBBBII", spi_i, spi_r, first, 0x20, exchange, flags, message_id, length)


def chain(payloads):
    """The first payload's type, and all of them linked."""
    out = b""
    for index, (_, body) in enumerate(payloads):
        following = payloads[index + 1][0] if index + 1 < len(payloads) else NONE
        out += struct.pack("!BBH", following, 0, len(body) + 4) + body
    return (payloads[0][0] if payloads else NONE), out


def unchain(first, data):
    """[(type, body)]."""
    payloads = []
    while first != NONE:
        following, _, length = struct.unpack_from("!BBH", data)
        if length < 4 or length > len(data):
            raise ValueError("a payload longer than its message")
        payloads.append((first, data[4:length]))
        first, data = following, data[length:]
        if payloads[-1][0] in (SK, SKF):
            payloads[-1] = (payloads[-1][0], payloads[-1][1], following)
            break
    return payloads


def transform(kind, number, bits=None):
    attributes = struct.pack("!HH", 0x800E, bits) if bits else b""
    return kind, struct.pack("!BBH", kind, 0, number) + attributes


def proposals(protocol, offers, spi=b""):
    """SA's body. An offer is a list of (type, number, bits)."""
    out = b""
    for index, offer in enumerate(offers):
        body = b""
        for place, each in enumerate(offer):
            _, data = transform(*each)
            body += struct.pack("!BBH", 3 if place + 1 < len(offer) else 0, 0, len(data) + 4) + data
        head = struct.pack("!BBBB", index + 1, protocol, len(spi), len(offer)) + spi
        out += struct.pack("!BBH", 2 if index + 1 < len(offers) else 0, 0, len(head) + len(body) + 4) + head + body
    return out


def chosen(body):
    """The one proposal of an answer: (protocol, SPI, {type: (number, bits)})."""
    return offered(body)[0][1:]


def offered(body):
    """Every proposal of an SA: (number, protocol, SPI, {type: (number, bits)}), the first transform of each type."""
    found = []
    while body:
        _, _, length, number, protocol, size, count = struct.unpack_from("!BBHBBBB", body)
        spi, rest, transforms = body[8:8 + size], body[8 + size:length], {}
        for _ in range(count):
            _, _, span, kind, _, identifier = struct.unpack_from("!BBHBBH", rest)
            bits = struct.unpack_from("!HH", rest, 8)[1] if span > 8 else None
            transforms.setdefault(kind, (identifier, bits))
            rest = rest[span:]
        found.append((number, protocol, spi, transforms))
        body = body[length:]
    return found


def notify(kind, data=b"", protocol=0, spi=b""):
    return NOTIFY, struct.pack("!BBH", protocol, len(spi), kind) + spi + data


def notified(body):
    protocol, size, kind = struct.unpack_from("!BBH", body)
    return kind, body[4:4 + size], body[4 + size:]


def selectors(ranges):
    """[(first, last)] of packed addresses."""
    out = struct.pack("!BBH", len(ranges), 0, 0)
    for low, high in ranges:
        out += struct.pack("!BBHHH", 7 if len(low) == 4 else 8, 0, 8 + 2 * len(low), 0, 65535) + low + high
    return out


def request(attributes, kind=1):
    """A configuration payload that asks."""
    body = b"".join(struct.pack("!HH", attribute, 0) for attribute in attributes)
    return CP, struct.pack("!BBH", kind, 0, 0) + body


def attributes(body):
    """{attribute: [value]} of a configuration payload."""
    found, rest = {}, body[4:]
    while len(rest) >= 4:
        kind, length = struct.unpack_from("!HH", rest)
        found.setdefault(kind & 0x7FFF, []).append(rest[4:4 + length])
        rest = rest[4 + length:]
    return found
