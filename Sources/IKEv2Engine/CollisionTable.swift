import GatewayModel

/// What our request under way is about.
enum Activity: Hashable {
    /// None is under way, or one that is in nobody's way.
    case none
    /// A new Child SA.
    case creatingChild
    /// A Child SA in place of this one.
    case rekeyingChild(ChildSAID)
    /// The end of a Child SA; nil for one that never came up here.
    case closingChild(ChildSAID?)
    /// An IKE SA in place of this one.
    case rekeyingIKESA
}

/// What happens when both ends want something at the same time (RFC 7296 §2.25): one pure table, and the only place that
/// knows.
enum CollisionTable {
    /// What we are about.
    enum Ours: Hashable, CaseIterable {
        /// Nothing that matters.
        case nothing
        /// We make a new Child SA.
        case creatingChild
        /// We replace the Child SA that the peer speaks of.
        case rekeyingThisChild
        /// We replace another one.
        case rekeyingAnotherChild
        /// The Child SA that the peer speaks of has been replaced already, and waits for its end.
        case rekeyedThisChild
        /// We close, or are about to close, the Child SA that the peer speaks of.
        case closingThisChild
        /// We close another one.
        case closingAnotherChild
        /// We replace the IKE SA.
        case rekeyingIKESA
        /// The IKE SA has been replaced already, and waits for its end.
        case rekeyedIKESA
        /// We close the IKE SA.
        case closingIKESA
    }

    /// What the peer asks for.
    enum Theirs: Hashable, CaseIterable {
        case createChild
        case rekeyChild
        case deleteChild
        case rekeyIKESA
        case deleteIKESA
    }

    /// What we do about it.
    enum Verdict: Hashable {
        /// Answer as if we were about nothing.
        case answer
        /// Answer, and let the nonces decide later which of the two replacements stays.
        case answerAndContest
        /// Answer, and forget what we were about.
        case answerAndForget
        /// Answer TEMPORARY_FAILURE: the peer may try again later.
        case temporaryFailure
    }

    /// What we do about a request of the peer's.
    static func verdict(_ theirs: Theirs, while ours: Ours) -> Verdict {
        switch (theirs, ours) {
        // Children that are being replaced or closed on an IKE SA that goes on (§2.25.1).
        case (.rekeyChild, .rekeyingThisChild): .answerAndContest
        case (.rekeyChild, .closingThisChild), (.rekeyChild, .rekeyedThisChild): .temporaryFailure
        case (.deleteChild, .rekeyingThisChild): .answerAndForget
        case (.createChild, .nothing), (.rekeyChild, .nothing), (.deleteChild, .nothing): .answer
        case (.createChild, .creatingChild), (.rekeyChild, .creatingChild), (.deleteChild, .creatingChild): .answer
        case (.createChild, .rekeyingThisChild), (.createChild, .rekeyedThisChild): .answer
        case (.createChild, .closingThisChild): .answer
        case (.deleteChild, .closingThisChild), (.deleteChild, .rekeyedThisChild): .answer
        case (.createChild, .rekeyingAnotherChild), (.rekeyChild, .rekeyingAnotherChild): .answer
        case (.deleteChild, .rekeyingAnotherChild): .answer
        case (.createChild, .closingAnotherChild), (.rekeyChild, .closingAnotherChild): .answer
        case (.deleteChild, .closingAnotherChild): .answer

        // Children of an IKE SA that is being replaced or closed (§2.25.2).
        case (.createChild, .rekeyingIKESA), (.rekeyChild, .rekeyingIKESA): .temporaryFailure
        case (.createChild, .rekeyedIKESA), (.rekeyChild, .rekeyedIKESA): .temporaryFailure
        case (.createChild, .closingIKESA), (.rekeyChild, .closingIKESA): .temporaryFailure
        case (.deleteChild, .rekeyingIKESA), (.deleteChild, .rekeyedIKESA), (.deleteChild, .closingIKESA): .answer

        // The IKE SA itself.
        case (.rekeyIKESA, .nothing), (.rekeyIKESA, .rekeyedThisChild): .answer
        case (.rekeyIKESA, .rekeyingIKESA): .answerAndContest
        case (.rekeyIKESA, .creatingChild), (.rekeyIKESA, .rekeyingThisChild): .temporaryFailure
        case (.rekeyIKESA, .rekeyingAnotherChild), (.rekeyIKESA, .closingThisChild): .temporaryFailure
        case (.rekeyIKESA, .closingAnotherChild), (.rekeyIKESA, .rekeyedIKESA): .temporaryFailure
        case (.rekeyIKESA, .closingIKESA): .temporaryFailure
        case (.deleteIKESA, .rekeyingIKESA): .answerAndForget
        case (.deleteIKESA, .nothing), (.deleteIKESA, .creatingChild), (.deleteIKESA, .rekeyingThisChild): .answer
        case (.deleteIKESA, .rekeyingAnotherChild), (.deleteIKESA, .rekeyedThisChild): .answer
        case (.deleteIKESA, .closingThisChild), (.deleteIKESA, .closingAnotherChild): .answer
        case (.deleteIKESA, .rekeyedIKESA), (.deleteIKESA, .closingIKESA): .answer
        }
    }
}

extension SessionContext {
    /// What we are about, seen from a request that speaks of this Child SA, or of none.
    func collision(_ child: ChildSA?) -> CollisionTable.Ours {
        if isReplaced { return .rekeyedIKESA }
        if agenda.intents.contains(where: { if case .deleteIKESA = $0 { true } else { false } }) {
            return .closingIKESA
        }
        if activity == .rekeyingIKESA { return .rekeyingIKESA }
        if let child {
            if child.state == .deleting || isToBeClosed(child.id) { return .closingThisChild }
            if child.state == .rekeyed { return .rekeyedThisChild }
            if activity == .rekeyingChild(child.id) { return .rekeyingThisChild }
        }
        switch activity {
        case .none, .rekeyingIKESA: return .nothing
        case .creatingChild: return .creatingChild
        case .rekeyingChild: return .rekeyingAnotherChild
        case .closingChild: return .closingAnotherChild
        }
    }

    /// Whether the peer may know a Child SA that this IKE SA does not hold (yet, or any more).
    var mayHearOfMoreChildren: Bool {
        if isReplaced { return true }
        switch activity {
        case .creatingChild, .rekeyingChild: return true
        case .none, .closingChild, .rekeyingIKESA: return false
        }
    }

    /// Whether a Child SA is closed as soon as its turn comes.
    func isToBeClosed(_ id: ChildSAID) -> Bool { plannedEnd(of: id) != nil }

    /// Why a Child SA is closed as soon as its turn comes; nil when it is not.
    func plannedEnd(of id: ChildSAID) -> Event.CloseReason? {
        for case .deleteChild(id, let reason) in agenda.intents { return reason }
        return nil
    }
}
