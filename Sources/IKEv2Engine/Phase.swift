import GatewayModel
import IKECore
import IKEMessages
import StateRecords

/// Where an IKE SA is on its way. Each case owns exactly what belongs to it, and gives it up with itself: an ephemeral
/// key cannot outlive the state that needs it.
///
/// Every input consumes the present state and puts its successor in place; to forget the successor does not compile.
enum Phase: ~Copyable {
    // We started it.

    /// We ask for the way to the peer.
    case findingPath(PathSearch)
    /// We sent IKE_SA_INIT.
    case initiating(InitInitiator)
    /// We sent IKE_INTERMEDIATE.
    case intermediate(IntermediateInitiator)
    /// We have keys, and ask for a post-quantum preshared key to be mixed in.
    case mixing(MixingInitiator)
    /// We have keys, and ask for our proof.
    case proving(ProvingInitiator)
    /// We sent IKE_AUTH.
    case authenticating(AuthInitiator)
    /// We ask whether the responder's proof is true.
    case verifying(VerifyingInitiator)
    /// An end proves more than one identity.
    case inRounds(RoundInitiator)
    /// We prove ourselves by EAP.
    case eapAsking(EAPInitiator)

    // The peer started it.

    /// We answered IKE_SA_INIT and have not computed anything yet.
    case halfOpen(HalfOpenResponder)
    /// We have keys, and wait for an IKE_INTERMEDIATE that they open.
    case answeringIntermediate(IntermediateResponder)
    /// We ask for an encapsulation.
    case encapsulating(EncapsulatingResponder)
    /// We have keys, and wait for an IKE_AUTH that they open.
    case awaitingAuth(AuthResponder)
    /// We ask for a post-quantum preshared key to be mixed in.
    case mixingAnswer(MixingResponder)
    /// We ask whether the initiator's proof is true.
    case checking(CheckingResponder)
    /// We ask for our proof.
    case answering(AnsweringResponder)
    /// An end proves more than one identity.
    case answeringRounds(RoundResponder)
    /// The initiator proves itself by EAP.
    case eapAnswering(EAPResponder)
    /// We ask for the initiator's virtual addresses.
    case leasing(LeasingResponder)

    // Either.

    /// Both have proved who they are.
    case established(Established)
    /// We told the peer that it is over.
    case leaving(Leaving)
    /// It is over.
    case ended(Held<Event.CloseReason>)

    /// It is over, for this reason.
    static func closed(_ reason: Event.CloseReason) -> Phase { .ended(Held(wrappedValue: reason)) }

    /// Whether the peer began it and has not shown yet that it had our answer.
    var awaitsFirstAuth: Bool {
        switch self {
        case .halfOpen: true
        case .awaitingAuth: true
        default: false
        }
    }

    /// Why it is over; nil while it is not.
    var closeReason: Event.CloseReason? {
        switch self {
        case .ended(let reason): reason.wrappedValue
        default: nil
        }
    }

    /// How far it is.
    enum Stage {
        /// Neither established nor at its end.
        case connecting
        /// Both have proved who they are.
        case established
        /// The peer was told that it is over.
        case leaving
        /// It is over.
        case over
    }

    /// How far it is.
    var stage: Stage {
        switch self {
        case .established: .established
        case .leaving: .leaving
        case .ended: .over
        default: .connecting
        }
    }

    /// Whether another process could go on from here.
    var canBeHandedOver: Bool {
        switch self {
        case .established(let state): state.canBeHandedOver
        default: false
        }
    }

    /// Appends the keys and what the exchange that is under way comes to; nothing unless both are established.
    func write(to writer: RecordWriter) {
        switch self {
        case .established(let state):
            state.keys.write(to: writer)
            writer.optional(state.remainder) { writer.put($0) }
        default: break
        }
    }

    /// A message in clear came: the answer to our IKE_SA_INIT, or nothing that matters.
    mutating func receive(_ message: Message, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn) {
        switch consume self {
        case .initiating(let state): self = state.receive(message, arrival, context, &turn)
        case let other:
            context.drop(.unexpected("\(message.header.exchange) in clear"), arrival, &turn)
            self = other
        }
    }

    /// A sealed message came.
    mutating func receive(
        _ message: SealedMessage, _ arrival: Arrival, _ context: SessionContext, _ turn: inout Turn
    ) {
        switch consume self {
        case .authenticating(let state): self = state.receive(message, arrival, context, &turn)
        case .halfOpen(let state): self = state.receive(message, arrival, context, &turn)
        case .intermediate(let state): self = state.receive(message, arrival, context, &turn)
        case .answeringIntermediate(let state): self = state.receive(message, arrival, context, &turn)
        case .awaitingAuth(let state):
            let isRepeated = context.repeatsIntermediate(message, state.keys, arrival, &turn)
            self = isRepeated ? .awaitingAuth(state) : state.receive(message, arrival, context, &turn)
        case .inRounds(let state): self = state.receive(message, arrival, context, &turn)
        case .answeringRounds(let state): self = state.receive(message, arrival, context, &turn)
        case .eapAsking(let state): self = state.receive(message, arrival, context, &turn)
        case .eapAnswering(let state): self = state.receive(message, arrival, context, &turn)
        case .established(let state): self = state.receive(message, arrival, context, &turn)
        case .leaving(let state): self = state.receive(message, arrival, context, &turn)
        case let other:
            context.drop(.unexpected("\(message.header.exchange) too early"), arrival, &turn)
            self = other
        }
    }

    /// A question was answered.
    mutating func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) {
        switch consume self {
        case .findingPath(let state): self = state.answer(answer, context, &turn)
        case .proving(let state): self = state.answer(answer, context, &turn)
        case .verifying(let state): self = state.answer(answer, context, &turn)
        case .checking(let state): self = state.answer(answer, context, &turn)
        case .answering(let state): self = state.answer(answer, context, &turn)
        case .encapsulating(let state): self = state.answer(answer, context, &turn)
        case .mixing(let state): self = state.answer(answer, context, &turn)
        case .mixingAnswer(let state): self = state.answer(answer, context, &turn)
        case .established(let state): self = state.answer(answer, context, &turn)
        case .leasing(let state): self = state.answer(answer, context, &turn)
        case .inRounds(let state): self = state.answer(answer, context, &turn)
        case .answeringRounds(let state): self = state.answer(answer, context, &turn)
        case .eapAsking(let state): self = state.answer(answer, context, &turn)
        case .eapAnswering(let state): self = state.answer(answer, context, &turn)
        case let other: self = other
        }
    }

    /// A question has taken too long.
    mutating func answerOverdue(_ context: SessionContext, _ turn: inout Turn) {
        switch consume self {
        case .findingPath: self = .closed(.failed(context.noAnswer(to: "path", &turn)))
        case .proving: self = .closed(.failed(context.noAnswer(to: "proof", &turn)))
        case .verifying(let state): self = state.overdue(context, &turn)
        case .checking(let state): self = state.overdue(context, &turn)
        case .answering(let state): self = state.overdue(context, &turn)
        case .encapsulating(let state): self = state.overdue(context, &turn)
        case .mixing: self = .closed(.failed(context.noAnswer(to: "post-quantum key", &turn)))
        case .mixingAnswer(let state): self = state.overdue(context, &turn)
        case .leasing(let state): self = state.overdue(context, &turn)
        case .inRounds(let state): self = state.overdue(context, &turn)
        case .answeringRounds(let state): self = state.overdue(context, &turn)
        case .eapAsking(let state): self = state.overdue(context, &turn)
        case .eapAnswering(let state): self = state.overdue(context, &turn)
        case .established(let state): self = state.overdue(context, &turn)
        case let other: self = other
        }
    }

    /// The peer's additional key exchange did not come.
    mutating func followupOverdue(_ context: SessionContext, _ turn: inout Turn) {
        switch consume self {
        case .established(var state):
            state.forgetFollowup(context, &turn)
            self = .established(state)
        case let other: self = other
        }
    }

    /// All tries of our request went unanswered.
    mutating func gaveUp(_ refusal: Refusal, _ context: SessionContext, _ turn: inout Turn) {
        switch consume self {
        case .established:
            // Somebody here waits for the end already: that is why it ends, then.
            for case .deleteIKESA(let reason) in context.agenda.intents {
                self = .closed(reason)
                return
            }
            // The peer has been heard since, by its own replacement of this IKE SA.
            if context.rivalIsAlive, context.succeedRival(&turn) {
                self = .closed(.replaced)
                return
            }
            context.refuse(refusal, &turn)
            self = .closed(.peerDead)
        case .leaving(let state): self = .closed(state.reason)
        case .authenticating(let state): self = state.gaveUp(refusal, context, &turn)
        case .inRounds(let state): self = state.gaveUp(refusal, context, &turn)
        case .eapAsking(let state): self = state.gaveUp(refusal, context, &turn)
        default:
            context.refuse(refusal, &turn)
            self = .closed(.failed(refusal))
        }
    }

    /// The IKE SA is to end: at once when nothing is established, else the peer is told first.
    mutating func leave(_ reason: Event.CloseReason, _ context: SessionContext, _ turn: inout Turn) {
        switch consume self {
        case .established(let state):
            context.agenda.add(.deleteIKESA(reason))
            context.requests.curtail(now: turn.now)
            self = state.proceed(context, &turn)
        case .authenticating(let state): self = state.leave(reason, context, &turn)
        case .verifying(let state): self = state.leave(reason, context, &turn)
        case .inRounds(let state): self = state.leave(reason, context, &turn)
        case .eapAsking(let state): self = state.leave(reason, context, &turn)
        case .leaving(let state): self = .leaving(state)
        case .ended(let first): self = .ended(first)
        default: self = .closed(reason)
        }
    }

    /// The IKE SA ends, and nobody is told.
    mutating func abandon(_ reason: Event.CloseReason) {
        switch consume self {
        case .ended(let first): self = .ended(first)
        default: self = .closed(reason)
        }
    }

    /// Takes up the next intent, when the IKE SA is established and nothing else is under way.
    mutating func proceed(_ context: SessionContext, _ turn: inout Turn) {
        switch consume self {
        case .established(let state): self = state.proceed(context, &turn)
        case let other: self = other
        }
    }
}

extension SessionContext {
    /// Another part of the gateway did not answer in time.
    func noAnswer(to question: String, _ turn: inout Turn) -> Refusal {
        settleQuestion(&turn)
        let refusal = Refusal.noInternalAnswer(question: question)
        refuse(refusal, &turn)
        return refusal
    }
}
