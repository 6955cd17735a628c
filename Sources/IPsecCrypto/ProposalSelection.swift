/// Whose order decides between alternatives that both sides have.
public enum ProposalPreference: Hashable, Sendable {
    /// Ours.
    case ours
    /// The peer's.
    case theirs
}

/// What came of comparing two lists of proposals.
public struct ProposalSelection: Hashable, Sendable {
    /// Exactly one transform of each type that the offer has.
    public let proposal: Proposal
    /// Which of our proposals it comes from.
    public let ourIndex: Int
    /// Which of the offered proposals it comes from.
    public let offeredIndex: Int
}

extension Proposal {
    /// What this proposal, ours, has in common with an offer: one transform of each type (RFC 7296 §3.3.6); nil when
    /// there is a type without one.
    ///
    /// A type that a side leaves out is the same as its number 0: no key exchange, no integrity, sequence numbers of
    /// 32 bits. The answer holds the types that the offer has. An AEAD chosen drops integrity that a peer offered
    /// beside it. Numbers and key lengths must be equal.
    /// - Parameters:
    ///   - offered: One proposal of the peer's. As the initiator, its answer.
    ///   - preference: Whose order decides.
    public func chosen(from offered: Proposal, preferring preference: ProposalPreference = .ours) -> Proposal? {
        guard securityProtocol == offered.securityProtocol else { return nil }
        let encryption = common(.encryption, offered, preference)
        let isAEAD = encryption.map(AlgorithmRegistry.isAEAD) ?? false
        var result: [Transform] = []
        for type in types(with: offered) {
            let methods = result.filter { $0.id != 0 && $0.keyExchangeMethod.type == .keyExchange }.map(\.id)
            guard let transform = agreed(type, offered, isAEAD: isAEAD, without: methods, preference) else {
                return nil
            }
            if offered.offers(transform) { result.append(transform) }
        }
        return Proposal(securityProtocol, result)
    }

    /// Whether `answer` is a choice from this proposal, ours: exactly one transform of each type, in any order.
    public func allows(answer: Proposal) -> Bool {
        guard let choice = chosen(from: answer) else { return false }
        return choice.transforms.count == answer.transforms.count && Set(choice.transforms) == Set(answer.transforms)
    }

    /// The first pair of proposals that have a choice in common; pairs are tried in the order of the preferred side.
    public static func select(
        from offered: [Proposal], configured: [Proposal], preferring preference: ProposalPreference = .ours
    ) -> ProposalSelection? {
        let outer = preference == .ours ? configured.indices : offered.indices
        let inner = preference == .ours ? offered.indices : configured.indices
        for first in outer {
            for second in inner {
                let (ourIndex, offeredIndex) = preference == .ours ? (first, second) : (second, first)
                if let proposal = configured[ourIndex].chosen(from: offered[offeredIndex], preferring: preference) {
                    return ProposalSelection(proposal: proposal, ourIndex: ourIndex, offeredIndex: offeredIndex)
                }
            }
        }
        return nil
    }

    // MARK: One type at a time

    /// Every type that either side has or that the protocol needs, in the order of their numbers.
    func types(with offered: Proposal) -> [TransformType] {
        var types = Set(transforms.map(\.type)).union(offered.transforms.map(\.type))
        types.insert(.integrity)
        // AH encrypts nothing: an offer that would is refused by that type.
        if securityProtocol != .ah { types.insert(.encryption) }
        if securityProtocol == .ike { types.formUnion([.prf, .keyExchange]) }
        return types.sorted()
    }

    /// The alternatives of a type; where there are none, its number 0.
    private func alternatives(_ type: TransformType) -> [Transform] {
        let named = transforms(of: type)
        return named.isEmpty ? [Transform(type, 0)] : named
    }

    /// `used` are the methods of key exchanges before this one: no method is used twice (RFC 9370 §2.2.1).
    private func common(
        _ type: TransformType, _ offered: Proposal, without used: [UInt16] = [], _ preference: ProposalPreference
    ) -> Transform? {
        let isAdditional = type.additionalKeyExchange != nil
        let ours = alternatives(type).filter { !isAdditional || !used.contains($0.id) }
        let theirs = offered.alternatives(type)
        return preference == .ours ? ours.first(where: theirs.contains) : theirs.first(where: ours.contains)
    }

    /// What is chosen of one type, number 0 for nothing; nil when the sides have nothing in common, or have in common
    /// what the protocol cannot do without.
    func agreed(
        _ type: TransformType, _ offered: Proposal, isAEAD: Bool, without used: [UInt16] = [],
        _ preference: ProposalPreference
    ) -> Transform? {
        if type == .integrity && isAEAD { return Transform(.integrity, 0) }
        guard let transform = common(type, offered, without: used, preference) else { return nil }
        guard transform.id == 0 else { return transform }
        if type == .encryption, securityProtocol == .ah { return transform }
        switch type {
        case .encryption, .prf, .integrity: return nil
        case .keyExchange: return securityProtocol == .ike ? nil : transform
        default: return transform
        }
    }

    private func offers(_ transform: Transform) -> Bool { transforms.contains(transform) }
}
