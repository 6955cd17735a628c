public import Clockwork
public import IPsecCrypto
public import NetworkTypes

/// Why a tunnel, or a part of it, did not come up or came down: the facts, not the sentence.
///
/// Where we are the one that refuses, it holds both sides' values; where the peer refuses, what we sent. It never holds a
/// secret. Telemetry turns it into words.
public enum Refusal: Error, Hashable, Sendable {
    // We refuse.

    /// No configured connection has these addresses.
    case noConnection(Path)
    /// The peer went on from another port than the one on which it started, and the connection does not follow that.
    case portChanged(Path)
    /// No IKE proposal suits both. Where ours are fixed (`isFixed`), the peer has to have others.
    case noIKEProposal(ours: [Proposal], theirs: [Proposal], isFixed: Bool = false)
    /// No ESP or AH proposal suits both.
    case noChildProposal(child: String, ours: [Proposal], theirs: [Proposal], isFixed: Bool = false)
    /// AH is configured, and a NAT is on the way, or ESP is made to travel in UDP (`isForced`).
    case authenticationHeaderNeedsPlainPath(child: String, isForced: Bool)
    /// The peer is somebody else than the configuration says.
    case identityMismatch(expected: [IdentityPattern], received: Identity)
    /// The peer asks for somebody whom we are not.
    case notUs(asked: Identity, ours: [Identity])
    /// There is no secret for these two identities.
    case noSecret(local: Identity, remote: Identity)
    /// The peer's proof does not match: with a shared key, the keys differ, and it may be known how. With a post-quantum
    /// preshared key mixed in (RFC 8784), that one may be what differs.
    case wrongProof(
        local: Identity, remote: Identity, method: Connection.AuthenticationMethod, nearMiss: NearMiss? = nil,
        withPPK: Bool = false)
    /// The peer proves itself in another way than the configuration asks for.
    case wrongMethod(expected: Connection.AuthenticationMethod, received: UInt8, remote: Identity)
    /// The peer's certificate or key is not good enough.
    case untrusted(remote: Identity, CertificateProblem)
    /// We can't sign: one clause.
    case noPrivateKey(local: Identity, reason: String)
    /// EAP came to nothing: as whom, `isPeer` when that is the other end.
    case eapFailed(identity: Identity, isPeer: Bool, EAPProblem)
    /// No packets that both would tunnel. Selectors are named from our side.
    case selectorsDisjoint(
        oursLocal: [TrafficSelector], oursRemote: [TrafficSelector], theirsLocal: [TrafficSelector],
        theirsRemote: [TrafficSelector])
    /// The peer chose something that we did not offer.
    case choseWhatWasNotOffered(what: String)
    /// The peer's message breaks the protocol.
    case malformed(exchange: String, reason: String)
    /// The key exchange failed: the peer's public value is not one.
    case badKeyExchange(group: Transform, reason: String)
    /// The configuration demands something that the peer does not do, or that is not there.
    case notMet(demand: String)
    /// The data plane would not take it: an SA, an address, or the policies of a Child SA.
    case planeRefused(reason: String, isPolicy: Bool = false)
    /// Too many half-open IKE SAs: of this peer's address, or in all, so that one had to make room.
    case tooManyHalfOpen(Path, ofAddress: Bool)
    /// These two are connected already, and the configuration says that the old IKE SA is kept.
    case alreadyConnected(local: Identity, remote: Identity)

    /// A gateway sends us to another one, and we do not go there; one clause says why.
    case redirectRefused(to: Host, reason: String)
    /// A client gets no virtual address and no prefix; the clause says why. `wanted` has hosts for addresses, and nothing
    /// when it asked for none.
    case noLease(identity: Identity, wanted: [IPPrefix], reason: String)
    /// The gateway gave us none of the virtual addresses that we asked for, and did not say why.
    case noVirtualAddress(wanted: [IPPrefix])

    // The peer refuses.

    /// The peer answered with an error notify; `offer` is what we had sent.
    case byPeer(notify: UInt16, name: String, exchange: String, offer: Offer)

    // Nobody answers.

    /// A peer that had our answer to its IKE_SA_INIT did not go on with IKE_AUTH.
    case notGoneOn(Path, waited: Interval)
    /// No answer after all tries.
    case noAnswer(exchange: String, path: Path, tries: Int, waited: Interval)
    /// The connection's own addresses are unknown: no route, or the name can't be looked up.
    case noPath(remote: String, reason: String)
    /// A question to another part of the gateway was not answered in time.
    case noInternalAnswer(question: String)

    /// What we had sent when the peer refused.
    public struct Offer: Hashable, Sendable {
        /// Both ends.
        public var path: Path
        /// The IKE or ESP proposals.
        public var proposals: [Proposal]
        /// Whom we said we are.
        public var localIdentity: Identity?
        /// Whom we asked for, or expect.
        public var remoteIdentity: IdentityPattern?
        /// How we proved it.
        public var method: Connection.AuthenticationMethod?
        /// How the peer is to prove itself.
        public var expectedMethod: Connection.AuthenticationMethod?
        /// Whether a post-quantum preshared key was mixed in (RFC 8784).
        public var usesPPK = false
        /// Packets on our side.
        public var localSelectors: [TrafficSelector]
        /// Packets on the peer's side.
        public var remoteSelectors: [TrafficSelector]

        /// What we had sent.
        public init(
            path: Path, proposals: [Proposal] = [], localIdentity: Identity? = nil,
            remoteIdentity: IdentityPattern? = nil, method: Connection.AuthenticationMethod? = nil,
            expectedMethod: Connection.AuthenticationMethod? = nil, localSelectors: [TrafficSelector] = [],
            remoteSelectors: [TrafficSelector] = []
        ) {
            self.path = path
            self.proposals = proposals
            self.localIdentity = localIdentity
            self.remoteIdentity = remoteIdentity
            self.method = method
            self.expectedMethod = expectedMethod
            self.localSelectors = localSelectors
            self.remoteSelectors = remoteSelectors
        }
    }
}
