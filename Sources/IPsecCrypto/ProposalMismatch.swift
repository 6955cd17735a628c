/// Why no proposal was chosen: the offer that came nearest, and what both sides have where it fails.
public struct ProposalMismatch: Hashable, Sendable, CustomStringConvertible {
    /// One type in which the sides have nothing in common.
    public struct Failure: Hashable, Sendable, CustomStringConvertible {
        /// The type.
        public let type: TransformType
        /// What we accept; empty for none.
        public let ours: [Transform]
        /// What was offered; empty for none.
        public let theirs: [Transform]

        /// One clause.
        public var description: String { "\(type): we accept \(Self.list(ours)), offered was \(Self.list(theirs))" }

        private static func list(_ transforms: [Transform]) -> String {
            transforms.isEmpty ? "none" : transforms.map(\.description).joined(separator: ", ")
        }
    }

    /// Our proposal.
    public let ours: Proposal
    /// The offered proposal that came nearest to it.
    public let nearest: Proposal
    /// Its place in the list of offers, from 0.
    public let offeredIndex: Int
    /// Where it fails, by type; never empty.
    public let failures: [Failure]

    /// One clause for each type that fails.
    public var description: String { failures.map(\.description).joined(separator: "; ") }
}

extension Proposal {
    /// Which of the offers came nearest to this proposal, ours, and where it fails; nil when there was no offer for the
    /// same protocol, or one of them can be chosen.
    public func mismatch(against offered: [Proposal]) -> ProposalMismatch? {
        var nearest: ProposalMismatch?
        for (index, offer) in offered.enumerated() where offer.securityProtocol == securityProtocol {
            let failures = failures(against: offer)
            if failures.isEmpty { return nil }
            if failures.count < nearest?.failures.count ?? Int.max {
                nearest = ProposalMismatch(ours: self, nearest: offer, offeredIndex: index, failures: failures)
            }
        }
        return nearest
    }

    /// The same for a list of ours: the pair that fails in the fewest types, the first of equals.
    public static func mismatch(of configured: [Proposal], against offered: [Proposal]) -> ProposalMismatch? {
        var nearest: ProposalMismatch?
        for proposal in configured {
            if offered.contains(where: { proposal.chosen(from: $0) != nil }) { return nil }
            guard let mismatch = proposal.mismatch(against: offered) else { continue }
            if mismatch.failures.count < nearest?.failures.count ?? Int.max { nearest = mismatch }
        }
        return nearest
    }

    private func failures(against offer: Proposal) -> [ProposalMismatch.Failure] {
        let encryption = agreed(.encryption, offer, isAEAD: false, .ours)
        // Where encryption fails already, integrity is judged by what our own ciphers need.
        let isAEAD = (encryption ?? first(.encryption)).map(AlgorithmRegistry.isAEAD) ?? false
        return types(with: offer).compactMap { type in
            guard agreed(type, offer, isAEAD: isAEAD, .ours) == nil else { return nil }
            return .init(type: type, ours: transforms(of: type), theirs: offer.transforms(of: type))
        }
    }
}
