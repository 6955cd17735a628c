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
        let types = types(with: offered)
        result.reserveCapacity(types.count)
        for type in types {
            let methods = type.additionalKeyExchange == nil ? [] : result.exchangeMethods
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
        // Few: looking through them costs less than hashing them.
        var types: [TransformType] = [.integrity]
        types.reserveCapacity(8)
        func note(_ type: TransformType) { if !types.contains(type) { types.append(type) } }
        // AH encrypts nothing: an offer that would is refused by that type.
        if securityProtocol != .ah { note(.encryption) }
        if securityProtocol == .ike {
            note(.prf)
            note(.keyExchange)
        }
        for transform in transforms { note(transform.type) }
        for transform in offered.transforms { note(transform.type) }
        types.sort()
        return types
    }

    /// Whether it has alternatives of a type; without any it stands for that type's number 0.
    private func names(_ type: TransformType) -> Bool { transforms.contains { $0.type == type } }

    /// Whether this is one of the alternatives of its type.
    private func has(_ transform: Transform) -> Bool {
        names(transform.type) ? transforms.contains(transform) : transform == Transform(transform.type, 0)
    }

    /// `used` are the methods of key exchanges before this one: no method is used twice (RFC 9370 §2.2.1).
    private func common(
        _ type: TransformType, _ offered: Proposal, without used: [UInt16] = [], _ preference: ProposalPreference
    ) -> Transform? {
        let isAdditional = type.additionalKeyExchange != nil
        let (first, second) = preference == .ours ? (self, offered) : (offered, self)
        func fits(_ transform: Transform) -> Bool {
            second.has(transform) && (!isAdditional || !used.contains(transform.id))
        }
        guard first.names(type) else {
            let nothing = Transform(type, 0)
            return fits(nothing) ? nothing : nil
        }
        return first.transforms.first { $0.type == type && fits($0) }
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

extension [Transform] {
    /// The numbers of the key exchange methods among these.
    fileprivate var exchangeMethods: [UInt16] {
        filter { $0.id != 0 && $0.keyExchangeMethod.type == .keyExchange }.map(\.id)
    }
}
