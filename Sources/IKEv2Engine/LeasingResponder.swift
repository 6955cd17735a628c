import GatewayModel
import IKECore

/// The responder near the end of IKE_AUTH: the client has proved who it is, and waits for a virtual address
/// (RFC 7296 §2.19).
///
/// It owns the answer so far. Which address it is, somebody else decides.
struct LeasingResponder: ~Copyable {
    private let state: AnsweringResponder
    private let proven: Held<OwnProof?>

    /// Asks.
    static func start(
        _ state: consuming AnsweringResponder, _ proof: OwnProof?, _ request: LeaseRequest, _ context: SessionContext,
        _ turn: inout Turn
    ) -> Phase {
        context.ask(.lease(request), &turn)
        return .leasing(LeasingResponder(state: state, proven: Held(wrappedValue: proof)))
    }

    /// There is an address, or there is none.
    consuming func answer(_ answer: Answer, _ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        context.takeLease(answer, &turn)
        let proof = proven.wrappedValue
        return state.finish(proof, context, &turn)
    }

    /// The answer did not come in time: the client gets no address, and may ask again.
    consuming func overdue(_ context: SessionContext, _ turn: inout Turn) -> Phase {
        context.settleQuestion(&turn)
        context.takeLease(.noLease("the question was not answered in time"), &turn)
        let proof = proven.wrappedValue
        return state.finish(proof, context, &turn)
    }
}
