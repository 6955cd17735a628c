"""One IKE SA of a scripted client: it establishes, rekeys, answers, and carries a ping. It never retries for long."""

import os
import socket
import struct
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from . import clients, eap, wire
from .suite import DH, ENCR, ESN, INTEG, PRF, KeyExchange, Sealing, prf, prf_octets, prf_plus

#: sha256WithRSAEncryption, with its length in front, as AUTH carries it.
SHA256_RSA = bytes.fromhex("0f300d06092a864886f70d01010b0500")
MARKER = b"\0\0\0\0"
COOKIE, INVALID_KE, NAT_SOURCE, NAT_DESTINATION, REKEY_SA = 16390, 17, 16388, 16389, 16393


class Refused(Exception):
    """The gateway said no, or what it must not say."""


class Keys:
    """What RFC 7296 §2.14 makes of an exchange, seen from the initiator."""

    def __init__(self, chosen, seed_key, nonces, spis, secret):
        self.prf = chosen[PRF][0]
        self.sealing = Sealing(chosen)
        size = prf_octets(self.prf)
        lengths = [size, self.sealing.integ_octets, self.sealing.integ_octets, self.sealing.key_octets,
                   self.sealing.key_octets, size, size]
        stream = prf_plus(self.prf, seed_key, nonces + spis, sum(lengths))
        parts = []
        for length in lengths:
            parts.append(stream[:length])
            stream = stream[length:]
        self.d, ai, ar, ei, er, self.pi, self.pr = parts
        self.initiator, self.responder = (ei, ai), (er, ar)

    @classmethod
    def first(cls, chosen, nonces, spis, secret):
        return cls(chosen, prf(chosen[PRF][0], nonces, secret), nonces, spis, secret)

    def next(self, chosen, nonces, spis, secret):
        return Keys(chosen, prf(self.prf, self.d, secret + nonces), nonces, spis, secret)


class Session:
    """A client of `kind` on one UDP socket."""

    def __init__(self, kind, own, server, user, password=None, authority=None, identity=None, pair=None, group=None):
        self.kind = clients.KINDS[kind]
        self.own, self.server = own, server
        self.user, self.password = user, password
        self.authority, self.server_name, self.pair = authority, identity, pair
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((own, 4500))
        self.plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.plain.bind((own, 500))
        self.floated = self.kind.floats_first
        self.is_initiator = True
        self.next_id, self.expected_id = 0, 0
        self.last_answer = {}
        self.partial = {}
        self.heard = []
        self.children = []
        self.echoes = 0
        self.seen = []

    # Messages.

    def _send(self, data):
        if self.floated:
            self.socket.sendto(MARKER + data, (self.server, 4500))
        else:
            self.plain.sendto(data, (self.server, 500))

    def _receive(self, seconds):
        """The next IKE message; ESP is put aside."""
        end = time.monotonic() + seconds
        while True:
            mine = self.socket if self.floated else self.plain
            mine.settimeout(max(0.01, end - time.monotonic()))
            try:
                data, _ = mine.recvfrom(65535)
            except TimeoutError:
                return None
            if not self.floated:
                return data
            if data[:4] == MARKER:
                return data[4:]
            if len(data) > 8:
                self.heard.append(data)
                return b""

    def _sealed(self, exchange, flags, message_id, payloads):
        first, plain = wire.chain(payloads)
        sealing = self.keys.sealing
        block = max(4, sealing.block)
        pad = -(len(plain) + 1) % block
        plain += bytes(pad) + bytes([pad])
        body = sealing.iv + len(plain) + sealing.icv
        head = wire.header(self.spi_i, self.spi_r, wire.SK, exchange, flags, message_id, 28 + 4 + body)
        before = head + struct.pack("!BBH", first, 0, 4 + body)
        key, integ = self.keys.initiator if self.is_initiator else self.keys.responder
        return before + sealing.seal(key, integ, before, plain)

    def _opened(self, data):
        """(exchange, flags, ID, payloads) of a sealed message; None of a fragment that is not the last."""
        first, exchange, flags, message_id = data[16], data[18], data[19], struct.unpack_from("!I", data, 20)[0]
        kind, body, inner = wire.unchain(first, data[28:])[-1]
        extra = 4 if kind == wire.SKF else 0
        before, sealed = data[:28 + 4 + extra], body[extra:]
        key, integ = self.keys.responder if self.is_initiator else self.keys.initiator
        plain = self.keys.sealing.open(key, integ, before, sealed)
        plain = plain[:len(plain) - 1 - plain[-1]]
        if kind == wire.SKF:
            number, total = struct.unpack_from("!HH", body)
            parts = self.partial.setdefault((message_id, flags & 0x20), {})
            parts[number] = (inner, plain)
            if len(parts) < total:
                return None
            inner = parts[1][0]
            plain = b"".join(parts[place][1] for place in range(1, total + 1))
        return exchange, flags, message_id, wire.unchain(inner, plain)

    def request(self, exchange, payloads, tries=4):
        """Sends, and waits for the answer; meanwhile the gateway's own requests are answered."""
        message_id, self.next_id = self.next_id, self.next_id + 1
        flags = 0x08 if self.is_initiator else 0
        data = self._sealed(exchange, flags, message_id, payloads)
        for _ in range(tries):
            self._send(data)
            end = time.monotonic() + 2
            while time.monotonic() < end:
                found = self.serve(end - time.monotonic())
                if found and found[2] == message_id:
                    return found[3]
        raise Refused(f"no answer to exchange {exchange}")

    def serve(self, seconds):
        """Takes one message: answers a request of the gateway's; gives back a response."""
        data = self._receive(seconds)
        if not data:
            return None
        pair = data[:16]
        if pair != self.spi_i + self.spi_r:
            return None
        found = self._opened(data)
        if found is None:
            return None
        if found[1] & 0x20:
            return found
        self._answer(*found)
        return None

    def _answer(self, exchange, _flags, message_id, payloads):
        if message_id in self.last_answer:
            self._send(self.last_answer[message_id])
            return
        answer, then = self._reply(exchange, payloads)
        flags = 0x20 | (0x08 if self.is_initiator else 0)
        data = self._sealed(exchange, flags, message_id, answer)
        self.last_answer = {message_id: data}
        self._send(data)
        if then:
            then()

    # IKE_SA_INIT.

    def init(self):
        self.spi_i, self.spi_r = os.urandom(8), bytes(8)
        self.nonce = os.urandom(48 if self.kind.name.startswith("windows") else 16 if self.kind.name == "apple" else 32)
        cookie, groups = None, list(self.kind.groups)
        group = groups[0]
        for _ in range(4):
            exchange = KeyExchange(group)
            # The client believes that it is behind a NAT, as nearly all are: its own hash matches nothing.
            nat = [wire.notify(NAT_SOURCE, os.urandom(20)), wire.notify(NAT_DESTINATION, os.urandom(20))]
            payloads = [(wire.SA, wire.proposals(1, self.kind.ike)),
                        (wire.KE, struct.pack("!HH", group, 0) + exchange.public), (wire.NONCE, self.nonce),
                        *clients.after_nonce(self.kind, nat)]
            if cookie:
                payloads.insert(0, wire.notify(COOKIE, cookie))
            first, body = wire.chain(payloads)
            sent = wire.header(self.spi_i, bytes(8), first, wire.IKE_SA_INIT, 0x08, 0, 28 + len(body)) + body
            answer = None
            for _ in range(4):
                self._send(sent)
                answer = self._receive(2)
                if answer:
                    break
            if not answer:
                raise Refused("no answer to IKE_SA_INIT")
            found = wire.unchain(answer[16], answer[28:])
            notifies = {wire.notified(body)[0]: wire.notified(body)[2] for kind, body in found if kind == wire.NOTIFY}
            if COOKIE in notifies and not any(kind == wire.SA for kind, _ in found):
                cookie = notifies[COOKIE]
                continue
            if INVALID_KE in notifies:
                wanted = struct.unpack("!H", notifies[INVALID_KE])[0]
                if wanted not in groups:
                    raise Refused(f"the gateway asks for group {wanted}, which this client has not")
                group = wanted
                continue
            return self._agreed(sent, answer, found, exchange)
        raise Refused("the gateway sends the client from one group to the other")

    def _agreed(self, sent, answer, found, exchange):
        bodies = dict(found)
        if wire.SA not in bodies:
            raise Refused(f"IKE_SA_INIT: notify {[wire.notified(b)[0] for k, b in found if k == wire.NOTIFY]}")
        self.spi_r = answer[8:16]
        _, _, self.chosen = wire.chosen(bodies[wire.SA])
        nonce = bodies[wire.NONCE]
        secret = exchange.shared(bodies[wire.KE][4:])
        self.keys = Keys.first(self.chosen, self.nonce + nonce, self.spi_i + self.spi_r, secret)
        self.init_sent, self.init_answer, self.nonces = sent, answer, (self.nonce, nonce)
        self.next_id, self.floated = 1, True

    # IKE_AUTH.

    def authenticate(self):
        """By EAP with a password, or with a certificate: whichever was given."""
        self.identity = self._identity()
        self.child_spi = os.urandom(4)
        everything = [(socket.inet_aton("0.0.0.0"), socket.inet_aton("255.255.255.255")), (bytes(16), b"\xff" * 16)]
        parts = {
            "idi": [(wire.IDI, self.identity)],
            "idr": [(wire.IDR, b"\x02\0\0\0" + self.server_name.encode())],
            "certreq": [(wire.CERTREQ, b"\x04" + b"".join(os.urandom(20) for _ in range(40)) + self._authority_hash())],
            "mobike": [wire.notify(clients.MOBIKE)], "initial-contact": [wire.notify(clients.INITIAL_CONTACT)],
            "no-tfc": [wire.notify(clients.NO_TFC)], "non-first": [wire.notify(clients.NON_FIRST_FRAGMENTS)],
            "eap-only": [wire.notify(clients.EAP_ONLY)], "cp": [wire.request(self.kind.attributes)],
            "sa": [(wire.SA, wire.proposals(3, self.kind.esp, self.child_spi))],
            "ts": [(wire.TSI, wire.selectors(everything)), (wire.TSR, wire.selectors(everything))],
        }
        payloads = [payload for part in self.kind.auth for payload in parts[part]]
        if self.pair:
            place = 1 + next(i for i, (kind, _) in enumerate(payloads) if kind == wire.IDI)
            payloads[place:place] = [(wire.CERT, b"\x04" + self._own_certificate()), (wire.AUTH, self._sign())]
        found = self.request(wire.IKE_AUTH, payloads)
        self._check_server(found)
        if not self.pair:
            found = self._converse(found)
        self._take_child(found, self.nonces[0] + self.nonces[1], self.child_spi)
        bodies = dict(found)
        if wire.CP not in bodies:
            raise Refused("the gateway gives no addresses")
        given = wire.attributes(bodies[wire.CP])
        self.addresses = [socket.inet_ntoa(value) for value in given.get(1, []) if len(value) == 4]
        self.servers = [socket.inet_ntoa(value) for value in given.get(3, []) if len(value) == 4]

    def _identity(self):
        if self.kind.identity == "address" and self.pair:
            # With a certificate of the machine, Windows is what the certificate says.
            with open(self.pair[0], "rb") as source:
                return b"\x09\0\0\0" + x509.load_pem_x509_certificate(source.read()).subject.public_bytes()
        if self.kind.identity == "address":
            return b"\x01\0\0\0" + socket.inet_aton(self.own)
        kind = 3 if "@" in self.user else 2
        return bytes([kind, 0, 0, 0]) + self.user.encode()

    def _authority_hash(self):
        with open(self.authority, "rb") as source:
            key = x509.load_pem_x509_certificate(source.read()).public_key()
        digest = hashes.Hash(hashes.SHA1())
        digest.update(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
        return digest.finalize()

    def _octets(self, message, nonce, identity, key):
        return message + nonce + prf(self.keys.prf, key, identity)

    def _own_certificate(self):
        with open(self.pair[0], "rb") as source:
            return x509.load_pem_x509_certificate(source.read()).public_bytes(serialization.Encoding.DER)

    def _sign(self):
        """RSA with SHA-1, as RFC 7296 §3.8 says for method 1; with SHA-256 where hashes are named (RFC 7427)."""
        with open(self.pair[1], "rb") as source:
            key = serialization.load_pem_private_key(source.read(), None)
        octets = self._octets(self.init_sent, self.nonces[1], self.identity, self.keys.pi)
        if "hashes" in self.kind.init:
            return b"\x0e\0\0\0" + SHA256_RSA + key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
        return b"\x01\0\0\0" + key.sign(octets, padding.PKCS1v15(), hashes.SHA1())

    def _check_server(self, found):
        """The chain is one certificate below the authority; the name is the one that was asked for."""
        bodies = {}
        for kind, body in found:
            bodies.setdefault(kind, body)
        if wire.AUTH not in bodies or wire.CERT not in bodies:
            raise Refused(f"no proof: notifies {[wire.notified(b)[0] for k, b in found if k == wire.NOTIFY]}")
        certificate = x509.load_der_x509_certificate(bodies[wire.CERT][1:])
        with open(self.authority, "rb") as source:
            authority = x509.load_pem_x509_certificate(source.read())
        key = authority.public_key()
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(certificate.signature, certificate.tbs_certificate_bytes,
                       ec.ECDSA(certificate.signature_hash_algorithm))
        else:
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(),
                       certificate.signature_hash_algorithm)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if self.server_name not in names.get_values_for_type(x509.DNSName):
            raise Refused(f"the gateway's certificate has no name {self.server_name}")
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if x509.oid.ExtendedKeyUsageOID.SERVER_AUTH not in usage:
            raise Refused("the gateway's certificate is none for servers")
        octets = self._octets(self.init_answer, self.nonces[0], bodies[wire.IDR], self.keys.pr)
        method, proof = bodies[wire.AUTH][0], bodies[wire.AUTH][4:]
        if method == 14:
            size = proof[0]
            proof, octets_hash = proof[1 + size:], hashes.SHA256()
            certificate.public_key().verify(proof, octets, padding.PKCS1v15(), octets_hash)
        elif method == 1:
            certificate.public_key().verify(proof, octets, padding.PKCS1v15(), hashes.SHA1())
        else:
            raise Refused(f"authentication method {method}")
        self.proof_method, self.server_identity = method, bodies[wire.IDR]

    def _converse(self, found):
        """EAP to its end, then AUTH on both sides by its key."""
        conversation = eap.Client(self.user, self.password)
        for _ in range(12):
            bodies = dict(found)
            if wire.EAP not in bodies:
                raise Refused(f"EAP ended: notifies {[wire.notified(b)[0] for k, b in found if k == wire.NOTIFY]}")
            try:
                answer = conversation.answer(bodies[wire.EAP])
            except ValueError as error:
                raise Refused(str(error)) from None
            if answer is None:
                break
            found = self.request(wire.IKE_AUTH, [(wire.EAP, answer)])
        self.methods = conversation.methods
        own = self._octets(self.init_sent, self.nonces[1], self.identity, self.keys.pi)
        proof = self._shared(conversation.msk, own)
        found = self.request(wire.IKE_AUTH, [(wire.AUTH, b"\x02\0\0\0" + proof)])
        bodies = dict(found)
        if wire.AUTH not in bodies:
            raise Refused(f"no AUTH: notifies {[wire.notified(b)[0] for k, b in found if k == wire.NOTIFY]}")
        theirs = self._octets(self.init_answer, self.nonces[0], self.server_identity, self.keys.pr)
        if bodies[wire.AUTH][4:] != self._shared(conversation.msk, theirs):
            raise Refused("the gateway's AUTH after EAP is wrong")
        return found

    def _shared(self, key, octets):
        return prf(self.keys.prf, prf(self.keys.prf, key, b"Key Pad for IKEv2"), octets)

    # Child SAs.

    def _take_child(self, found, nonces, own_spi, secret=b"", first=True):
        bodies = dict(found)
        if wire.SA not in bodies:
            raise Refused(f"no Child SA: notifies {[wire.notified(b)[0] for k, b in found if k == wire.NOTIFY]}")
        _, spi, chosen = wire.chosen(bodies[wire.SA])
        self._install(chosen, own_spi, spi, nonces, secret, we_started=True)

    def _install(self, chosen, own, theirs, nonces, secret, we_started):
        sealing = Sealing(chosen)
        length = sealing.key_octets + sealing.integ_octets
        stream = prf_plus(self.keys.prf, self.keys.d, secret + nonces, 2 * length)
        keys = [(part[:sealing.key_octets], part[sealing.key_octets:])
                for part in (stream[:length], stream[length:])]
        outgoing, incoming = keys if we_started else keys[::-1]
        self.children.append({"own": own, "theirs": theirs, "sealing": sealing, "out": outgoing, "in": incoming,
                              "sequence": 0})

    def ping(self, target, count=3):
        """Echo requests through the newest Child SA; how many were answered."""
        child, answered = self.children[-1], 0
        for number in range(count):
            self._echo(child, target, number)
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                self.serve(end - time.monotonic())
                if any(self._is_answer(data, target) for data in self._drain()):
                    answered += 1
                    break
        return answered

    def _drain(self):
        heard, self.heard = self.heard, []
        return heard

    def _echo(self, child, target, number):
        self.echoes += 1
        icmp = struct.pack("!BBHHH", 8, 0, 0, 0x4D41, self.echoes) + b"martlet replay"
        icmp = icmp[:2] + struct.pack("!H", _checksum(icmp)) + icmp[4:]
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), number, 0, 64, 1, 0,
                           socket.inet_aton(self.addresses[0]), socket.inet_aton(target))
        packet = head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + icmp
        block = max(4, child["sealing"].block)
        pad = -(len(packet) + 2) % block
        packet += bytes(range(1, pad + 1)) + bytes([pad, 4])
        child["sequence"] += 1
        before = child["theirs"] + struct.pack("!I", child["sequence"])
        key, integ = child["out"]
        self.socket.sendto(before + child["sealing"].seal(key, integ, before, packet), (self.server, 4500))

    def _is_answer(self, data, target):
        for child in self.children:
            if data[:4] == child["own"]:
                key, integ = child["in"]
                plain = child["sealing"].open(key, integ, data[:8], data[8:])
                return plain[12:16] == socket.inet_aton(target) and plain[20] == 0
        return False

    # Rekeying, by either side.

    def rekey_child(self):
        """As these clients do: no key exchange of its own."""
        old, own, nonce = self.children[-1], os.urandom(4), os.urandom(32)
        everything = [(socket.inet_aton("0.0.0.0"), socket.inet_aton("255.255.255.255"))]
        found = self.request(wire.CREATE_CHILD_SA, [
            wire.notify(REKEY_SA, b"", 3, old["own"]), (wire.SA, wire.proposals(3, self.kind.esp, own)),
            (wire.NONCE, nonce), (wire.TSI, wire.selectors(everything)), (wire.TSR, wire.selectors(everything))])
        bodies = dict(found)
        if wire.NONCE not in bodies:
            raise Refused(f"no rekeying: notifies {[wire.notified(b)[0] for k, b in found if k == wire.NOTIFY]}")
        self._take_child(found, nonce + bodies[wire.NONCE], own)
        self.request(wire.INFORMATIONAL, [(wire.DELETE, struct.pack("!BBH", 3, 4, 1) + old["own"])])
        self.children.remove(old)

    def rekey_ike(self):
        group = self.chosen[DH][0]
        exchange, nonce, spi = KeyExchange(group), os.urandom(32), os.urandom(8)
        found = self.request(wire.CREATE_CHILD_SA, [
            (wire.SA, wire.proposals(1, self.kind.ike, spi)), (wire.NONCE, nonce),
            (wire.KE, struct.pack("!HH", group, 0) + exchange.public)])
        bodies = dict(found)
        if wire.SA not in bodies:
            raise Refused(f"no rekeying: notifies {[wire.notified(b)[0] for k, b in found if k == wire.NOTIFY]}")
        _, theirs, chosen = wire.chosen(bodies[wire.SA])
        keys = self.keys.next(chosen, nonce + bodies[wire.NONCE], spi + theirs, exchange.shared(bodies[wire.KE][4:]))
        self.request(wire.INFORMATIONAL, [(wire.DELETE, struct.pack("!BBH", 1, 0, 0))])
        self._succeed(keys, spi, theirs, True)

    def _succeed(self, keys, spi_i, spi_r, is_initiator):
        self.keys, self.spi_i, self.spi_r, self.is_initiator = keys, spi_i, spi_r, is_initiator
        self.next_id, self.last_answer = 0, {}

    def _reply(self, exchange, payloads):
        """What the client answers to the gateway's request, and what it does after that."""
        bodies = dict(payloads)
        if exchange == wire.INFORMATIONAL:
            return self._informed(payloads)
        if exchange != wire.CREATE_CHILD_SA:
            return [wire.notify(7)], None
        rekeyed = [wire.notified(body) for kind, body in payloads if kind == wire.NOTIFY]
        rekeyed = next((spi for kind, spi, _ in rekeyed if kind == REKEY_SA), None)
        nonce = os.urandom(32)
        if rekeyed is None and wire.TSI not in bodies:
            return self._rekeyed_ike(bodies, nonce)
        return self._rekeyed_child(bodies, nonce)

    def _choose(self, body, wanted):
        """The first of the gateway's proposals that is one of ours: its body, and what it says."""
        rest = body
        for number, protocol, spi, transforms in wire.offered(body):
            length = struct.unpack_from("!H", rest, 2)[0]
            rest = rest[length:]
            for offer in wanted:
                ours = {}
                for kind, identifier, bits in offer:
                    ours.setdefault(kind, set()).add((identifier, bits))
                if all(transforms[kind] in ours.get(kind, {(0, None)}) for kind in transforms):
                    return number, protocol, spi, transforms
        raise Refused("the gateway rekeys with what this client has not")

    @staticmethod
    def _one(number, protocol, spi, transforms):
        out = b""
        items = sorted(transforms.items())
        for place, (kind, (identifier, bits)) in enumerate(items):
            _, data = wire.transform(kind, identifier, bits)
            out += struct.pack("!BBH", 3 if place + 1 < len(items) else 0, 0, len(data) + 4) + data
        head = struct.pack("!BBBB", number, protocol, len(spi), len(items)) + spi
        return struct.pack("!BBH", 0, 0, 4 + len(head) + len(out)) + head + out

    def _rekeyed_child(self, bodies, nonce):
        number, protocol, theirs, transforms = self._choose(bodies[wire.SA], self.kind.esp)
        own = os.urandom(4)
        nonces = bodies[wire.NONCE] + nonce
        answer = [(wire.SA, self._one(number, protocol, own, transforms)), (wire.NONCE, nonce),
                  (wire.TSI, bodies[wire.TSI]), (wire.TSR, bodies[wire.TSR])]
        self.seen.append("rekey-child")
        return answer, lambda: self._install(transforms, own, theirs, nonces, b"", we_started=False)

    def _rekeyed_ike(self, bodies, nonce):
        number, protocol, theirs, transforms = self._choose(bodies[wire.SA], self.kind.ike)
        group = struct.unpack_from("!H", bodies[wire.KE])[0]
        exchange, own = KeyExchange(group), os.urandom(8)
        answer = [(wire.SA, self._one(number, protocol, own, transforms)), (wire.NONCE, nonce),
                  (wire.KE, struct.pack("!HH", group, 0) + exchange.public)]
        keys = self.keys.next(
            transforms, bodies[wire.NONCE] + nonce, theirs + own, exchange.shared(bodies[wire.KE][4:]))
        self.seen.append("rekey-ike")
        self.successor = (keys, theirs, own)
        return answer, None

    def _informed(self, payloads):
        answer, then = [], None
        for kind, body in payloads:
            if kind != wire.DELETE:
                continue
            if body[0] == 1:
                successor = getattr(self, "successor", None)
                if successor:
                    self.successor = None
                    then = lambda: self._succeed(*successor, False)  # noqa: E731
                else:
                    self.seen.append("deleted")
            else:
                spis = [body[4 + 4 * place:8 + 4 * place] for place in range(struct.unpack_from("!H", body, 2)[0])]
                gone = [child for child in self.children if child["theirs"] in spis]
                self.children = [child for child in self.children if child not in gone]
                answer.append((wire.DELETE, struct.pack("!BBH", 3, 4, len(gone))
                               + b"".join(child["own"] for child in gone)))
        return answer, then

    def leave(self):
        self.request(wire.INFORMATIONAL, [(wire.DELETE, struct.pack("!BBH", 1, 0, 0))])


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[:len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
