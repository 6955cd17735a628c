import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import WireFormat

/// The initiator before IKE_AUTH, where a post-quantum preshared key goes into the keys (RFC 8784 §3).
///
/// It owns the keys on their way. The preshared key itself never comes here: mixing it in is a question.
struct MixingInitiator: ~Copyable {
    private let keys: SessionKeys
    private let transcript: Transcript
    /// The keys with it, while a proof without it is asked for; nil while they are asked for themselves.
    private let mixed: SessionKeys.Roots?

    /// Asks, where both ends have such a key; else goes on without.
    static func start(
        _ keys: SessionKeys, _ transcript: Transcript, _ context: SessionContext, _ turn: inout Turn
    ) -> Phase {
        let connection = context.connection
        if connection.childless == .force, !context.peerIsChildless {
            return failed("an IKE SA that begins without a child (childless = force)", context, &turn)
        }
        guard let identity = connection.ppkIdentity else {
            guard !connection.ppkRequired else { return failed(SessionContext.ppkDemand, context, &turn) }
            return ProvingInitiator.start(keys, transcript, context, &turn)
        }
        guard context.peerKnowsPPKs else {
            guard !connection.ppkRequired else { return failed(SessionContext.ppkDemand, context, &turn) }
            return ProvingInitiator.start(keys, transcript, context, &turn)
        }
        // It goes with our proof, which EAP makes later; the responder's first one comes before that.
        if connection.local.method == .eap { return ProvingInitiator.start(keys, transcript, context, &turn) }
        context.askToMix(identity.data, keys, &turn)
        return .mixing(MixingInitiator(keys: keys, transcript: transcript, mixed: nil))
    }

    private static func failed(_ demand: String, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.refuse(.notMet(demand: demand), &turn)
        return .closed(.failed(.notMet(demand: demand)))
    }

    /// The keys are there, or the key is not; or the proof without it is there.
    consuming func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        let connection = context.connection
        if let mixed {
            // Should the responder not know the key, it takes this proof (RFC 8784 §3).
            if case .proof(let data) = answer { context.proofWithoutPPK = data }
            return Self.goOn(mixed, keys, transcript, context, &turn)
        }
        guard case .mixed(let list) = answer, let mixed = SessionKeys.Roots(list) else {
            guard !connection.ppkRequired else { return Self.failed(SessionContext.ppkDemand, context, &turn) }
            return ProvingInitiator.start(keys, transcript, context, &turn)
        }
        guard !connection.ppkRequired else { return Self.goOn(mixed, keys, transcript, context, &turn) }
        let identity = connection.ownIdentity(at: context.path.local.address)
        let proof = Query.Proof(
            connection: connection.name, method: connection.local.method, signer: identity,
            other: context.expectedPeer, prf: keys.suite.prf.transform,
            octets: transcript.initiatorProof(IdentificationPayload(identity).body, keys))
        context.ask(.prove(proof), &turn)
        return .mixing(MixingInitiator(keys: keys, transcript: transcript, mixed: mixed))
    }

    private static func goOn(
        _ mixed: SessionKeys.Roots, _ keys: SessionKeys, _ transcript: Transcript, _ context: SessionContext,
        _ turn: inout Turn
    ) -> Phase {
        keys.mix(mixed)
        context.ppkInUse = context.connection.ppkIdentity?.data
        return ProvingInitiator.start(keys, transcript, context, &turn)
    }
}

/// The responder of IKE_AUTH, where the initiator names a post-quantum preshared key (RFC 8784 §3).
struct MixingResponder: ~Copyable {
    private let keys: SessionKeys
    private let transcript: Transcript
    private let request: AuthRequest

    /// Asks, where the initiator names a key; else goes on to its proof.
    static func start(
        _ keys: SessionKeys, _ transcript: Transcript, _ request: AuthRequest, _ context: SessionContext,
        _ turn: inout Turn
    ) -> Phase {
        // Without a proof in it the request begins EAP, whose proof will name it.
        guard request.body.authentication != nil, let name = context.namedPPK(request.body.notifies) else {
            return CheckingResponder.start(keys, transcript, request, context, &turn)
        }
        context.ppkInUse = name
        context.askToMix(name, keys, &turn)
        return .mixingAnswer(MixingResponder(keys: keys, transcript: transcript, request: request))
    }

    /// The keys are there, or the key is not.
    consuming func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        var request = request
        if case .mixed(let list) = answer, let mixed = SessionKeys.Roots(list) {
            keys.mix(mixed)
        } else {
            context.ppkInUse = nil
            if let other = request.body.notifies.first(.noPPKAuth), let proof = request.body.authentication {
                var body = request.body
                body.authentication = AuthenticationPayload(proof.method, other.data)
                request = AuthRequest(body, request.header, request.arrival)
            } else {
                context.isPPKUnknown = true
            }
        }
        return CheckingResponder.start(keys, transcript, request, context, &turn)
    }

    /// They did not come in time.
    consuming func overdue(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        return context.refuseAuthentication(
            .noInternalAnswer(question: "post-quantum key"), request.header, request.arrival, keys, &turn)
    }
}

extension SessionKeys {
    /// The keys from which everything else follows, and into which a post-quantum preshared key is mixed: SK_d, SK_pi and
    /// SK_pr (RFC 8784 §3).
    struct Roots {
        let derivation: SecretBytes
        let initiatorProof: SecretBytes
        let responderProof: SecretBytes

        /// The same as a list.
        var list: [SecretBytes] { [derivation, initiatorProof, responderProof] }

        init(derivation: SecretBytes, initiatorProof: SecretBytes, responderProof: SecretBytes) {
            self.derivation = derivation
            self.initiatorProof = initiatorProof
            self.responderProof = responderProof
        }

        /// From a list; nil when it holds another number.
        init?(_ list: [SecretBytes]) {
            guard list.count == 3 else { return nil }
            self.init(derivation: list[0], initiatorProof: list[1], responderProof: list[2])
        }
    }
}

extension SessionContext {
    /// What is missing when the configuration demands such a key.
    static let ppkDemand = "a post-quantum preshared key that both sides have (ppk_required)"

    /// Asks to mix a post-quantum preshared key into the keys.
    func askToMix(_ identity: [UInt8], _ keys: SessionKeys, _ turn: inout Turn) {
        ask(.mix(ppk: identity, prf: keys.suite.prf.transform, keys: keys.roots.list), &turn)
    }

    /// What our IKE_SA_INIT request says about these extensions.
    var extensionOffer: [NotifyPayload] {
        fragmentationNotifies + (connection.ppkIdentity == nil ? [] : [NotifyPayload(.usePPK)])
    }

    /// The peer's answer to it.
    func takeExtensions(_ notifies: [NotifyPayload]) {
        peerTakesFragments = notifies.contains(.fragmentationSupported)
        peerKnowsPPKs = notifies.contains(.usePPK)
        peerIsChildless = notifies.contains(.childlessIKEv2Supported)
    }

    /// Adds what we answer to the peer's.
    func answerExtensions(_ notifies: [NotifyPayload], to answer: inout [NotifyPayload]) {
        takeExtensions(notifies)
        peerKnowsPPKs = peerKnowsPPKs && connection.knowsPPKs
        if peerTakesFragments { answer += fragmentationNotifies }
        if peerKnowsPPKs { answer.append(NotifyPayload(.usePPK)) }
        if connection.childless != .never { answer.append(NotifyPayload(.childlessIKEv2Supported)) }
    }

    /// What our IKE_AUTH request says about the key: its name, of a fixed kind, and the proof without it.
    var ppkNotifies: [NotifyPayload] {
        guard let ppkInUse else { return [] }
        return [NotifyPayload(.ppkIdentity, [2] + ppkInUse)]
            + (proofWithoutPPK.map { [NotifyPayload(.noPPKAuth, $0)] } ?? [])
    }

    /// What our answer to IKE_AUTH says about it: that it is in use.
    var ppkAnswer: [NotifyPayload] { ppkInUse == nil ? [] : [NotifyPayload(.ppkIdentity)] }

    /// The key that a message with a proof names; nil where it names none, or nobody agreed on such keys. The first octet
    /// says how the identity was made; the key is found by the rest (RFC 8784 §5.1).
    func namedPPK(_ notifies: [NotifyPayload]) -> [UInt8]? {
        guard peerKnowsPPKs, let named = notifies.first(.ppkIdentity), named.data.count > 1 else { return nil }
        return Array(named.data.dropFirst())
    }

    /// The responder uses the key, or it does not.
    func settlePPK(_ notifies: [NotifyPayload], _ keys: SessionKeys) throws(PeerFault) {
        proofWithoutPPK = nil
        guard ppkInUse != nil, !notifies.contains(.ppkIdentity) else { return }
        guard !connection.ppkRequired else { throw .unauthenticated(.notMet(demand: Self.ppkDemand)) }
        keys.unmix()
        ppkInUse = nil
    }

    /// Whether our IKE_AUTH goes without a child (RFC 6023).
    var beginsChildless: Bool {
        switch connection.childless {
        case .never, .allow: false
        case .prefer, .force: peerIsChildless
        }
    }

    /// Why an IKE_AUTH request is refused, whatever it proves; nil when nothing speaks against it.
    func objection(to request: IKEAuth.Request.Identified) -> Refusal? {
        if isPPKUnknown { return .notMet(demand: "the post-quantum preshared key that the peer names") }
        if connection.ppkRequired, ppkInUse == nil, request.authentication != nil || !peerKnowsPPKs {
            return .notMet(demand: Self.ppkDemand)
        }
        switch connection.childless {
        case .never where request.child == nil: return .notMet(demand: "a child in IKE_AUTH (childless = never)")
        case .force where request.child != nil: return .notMet(demand: "IKE_AUTH without a child (childless = force)")
        default: return nil
        }
    }
}
