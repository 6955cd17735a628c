public import Clockwork
public import GatewayModel
public import IKEMessages
public import IPsecCrypto
public import NetworkTypes
public import WireFormat

/// The number of a question that an engine asked; each is answered at most once, in any order, or never.
public struct Ticket: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: UInt64
    /// The question with this number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A question about what an engine does not do itself: find a way, use a credential.
public enum Query: Sendable {
    /// Which of our addresses reaches which of the peer's? (Route lookup, later also names.)
    case path(Connection)
    /// Prove that we are `proof.signer`.
    case prove(Proof)
    /// Is this proof of the peer's true?
    case verify(Proof, received: [UInt8])
    /// The answering end's half of an additional key exchange: a fresh shared secret with the owner of this public value,
    /// and what takes it there. A key encapsulation draws its chance inside a library, so a simulator answers for groups
    /// whose chance it brings itself; see ``Answer/encapsulation(_:to:entropy:)``.
    case encapsulate(method: Transform, publicKey: [UInt8])
    /// The post-quantum preshared key of this identity mixed into each of these keys (RFC 8784 §3).
    case mix(ppk: [UInt8], prf: Transform, keys: [SecretBytes])
    /// Which addresses does a client get?
    case lease(LeaseRequest)
    /// When did the last packet come on one of these inbound SAs?
    case lastUse(inbound: [UInt32], outbound: [UInt32] = [])
    /// What comes next in an EAP conversation?
    case eap(EAPQuestion)

    /// What is proved in IKE_AUTH (RFC 7296 §2.15).
    public struct Proof: Sendable {
        /// The connection's name.
        public var connection: String
        /// How.
        public var method: Connection.AuthenticationMethod
        /// Who proves.
        public var signer: Identity
        /// To whom.
        public var other: Identity
        /// The IKE SA's pseudorandom function.
        public var prf: Transform
        /// The octets to be signed or hashed.
        public var octets: [UInt8]
        /// For a signature of ours: with which keys, and what the peer wants to see.
        public var wish: Wish?
        /// For a signature of the peer's: the signature, and what came with it.
        public var evidence: Evidence?
        /// For a proof of the peer's with a shared key: the octets that we prove to it in return, with the same key. Nil
        /// where we do not, or not by the same question.
        public var reply: [UInt8]?

        /// What is proved.
        public init(
            connection: String, method: Connection.AuthenticationMethod, signer: Identity, other: Identity,
            prf: Transform, octets: [UInt8]
        ) {
            self.connection = connection
            self.method = method
            self.signer = signer
            self.other = other
            self.prf = prf
            self.octets = octets
        }

        /// What a signature of ours is to be like.
        public struct Wish: Sendable {
            /// Our certificates, keys and rules.
            public var own: Connection.Authentication
            /// The hashes in the peer's SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4); nil when it sent none.
            public var peerHashes: [UInt16]?
            /// The authorities in the peer's CERTREQ, 20 octets each; empty for any.
            public var authorities: [[UInt8]]
            /// Whether certificates are to go with it.
            public var sendsCertificates: Bool
            /// Whether OCSP answers are to go with the certificates (RFC 4806).
            public var bringsStatus: Bool
            /// What the peer said that it takes (RFC 9593), the preferred first; nil when it said nothing.
            public var peerMethods: [AuthenticationAnnouncement]?

            /// What it is to be like.
            public init(
                own: Connection.Authentication, peerHashes: [UInt16]?, authorities: [[UInt8]], sendsCertificates: Bool
            ) {
                self.own = own
                self.peerHashes = peerHashes
                self.authorities = authorities
                self.sendsCertificates = sendsCertificates
                bringsStatus = false
            }
        }

        /// What a peer proves itself with.
        public struct Evidence: Sendable {
            /// What it has to be like.
            public var required: Connection.PeerAuthentication
            /// The signature.
            public var authentication: AuthenticationPayload
            /// Certificates and what helps to judge them, in the peer's order.
            public var certificates: [CertificatePayload]
            /// Whether both ends announced hashes (RFC 7427), so that nobody needs SHA-1.
            public var hashesAgreed: Bool

            /// What a peer proves itself with.
            public init(
                required: Connection.PeerAuthentication, authentication: AuthenticationPayload,
                certificates: [CertificatePayload], hashesAgreed: Bool
            ) {
                self.required = required
                self.authentication = authentication
                self.certificates = certificates
                self.hashesAgreed = hashesAgreed
            }
        }
    }
}

/// The answer to a ``Query``.
public enum Answer: Sendable {
    /// This way.
    case path(Path)
    /// There is no way; the clause says why.
    case noPath(String)
    /// The AUTH payload's data, for a shared key.
    case proof([UInt8])
    /// The AUTH payload, and the certificates that go with it, our own first.
    case signed(AuthenticationPayload, certificates: [CertificatePayload])
    /// We can't sign; the clause says why.
    case noPrivateKey(String)
    /// The peer's signature is true, and its key is its own.
    case certified(PeerCertificate)
    /// The peer's certificate or key is not good enough.
    case untrusted(CertificateProblem)
    /// The peer's proof is true.
    case verified
    /// The peer's proof is true, and this is ours of ``Query/Proof/reply``: the AUTH payload's data.
    case verifiedInReturn([UInt8])
    /// The peer's proof is false.
    case falseProof
    /// The peer's proof is false, and would be true with a secret much like ours. It weighs no more than
    /// ``falseProof``: only the words for our own people differ.
    case nearMiss(NearMiss)
    /// There is no secret for these identities.
    case noSecret
    /// What the peer gets, and the shared secret.
    case encapsulated([UInt8], SecretBytes)
    /// The peer's public value is none.
    case publicKeyRefused
    /// The keys, each with the post-quantum preshared key in it.
    case mixed([SecretBytes])
    /// These addresses; to be given back by ``Effect/release(_:)``.
    case leased(Lease)
    /// No address; the clause says why.
    case noLease(String)
    /// Then; nil for never, or when nobody knows.
    case lastUse(Instant?)
    /// This comes next.
    case eap(EAPStep)
}

extension Answer {
    /// The answer to ``Query/mix(ppk:prf:keys:)``: prf+(key, SK) for each.
    public static func mixing(_ key: SecretBytes, prf transform: Transform, _ keys: [SecretBytes]) -> Answer {
        guard let prf = PRF(transform) else { return .noSecret }
        return .mixed(keys.map { prf.plus(key: key, secret: $0, seed: [], count: $0.count) })
    }

    /// The answer to ``Query/encapsulate(method:publicKey:)``; for an agreement, the private value is made from `entropy`.
    public static func encapsulation(
        _ method: Transform, to value: [UInt8], entropy: inout some Entropy
    ) -> Answer {
        do throws(KeyAgreementError) {
            if KeyEncapsulation.isEncapsulation(method) {
                let made = try KeyEncapsulation.encapsulate(method, to: value)
                return .encapsulated(made.ciphertext, made.secret)
            }
            let agreement = try KeyAgreement(group: method, entropy: &entropy)
            return .encapsulated(agreement.publicValue, try agreement.sharedSecret(with: value))
        } catch {
            return .publicKeyRefused
        }
    }

    /// In what way the peer's secret differs from ours; nil where that is not known.
    public var nearMiss: NearMiss? {
        if case .nearMiss(let found) = self { found } else { nil }
    }
}
