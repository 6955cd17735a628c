"""How a scripted client gets in: IKE_SA_INIT and IKE_AUTH, with a certificate or by EAP."""

import os
import socket
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from . import clients, eap, wire
from .exchange import Channel, Keys, Refused
from .suite import KeyExchange, prf

COOKIE, INVALID_KE, NAT_SOURCE, NAT_DESTINATION = 16390, 17, 16388, 16389
#: sha256WithRSAEncryption, with its length in front, as AUTH carries it.
SHA256_RSA = bytes.fromhex("0f300d06092a864886f70d01010b0500")


class Entrance(Channel):
    """A client that authenticates; `_take_child` of whoever builds on it gets the first Child SA."""

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
