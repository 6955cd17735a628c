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

    /// How far apart the two are. Where encryption fails already, it hides whether integrity would, and counts for both.
    var distance: Int { Self.distance(failures) }

    static func distance(_ failures: [Failure]) -> Int {
        failures.count + (failures.contains { $0.type == .encryption } ? 1 : 0)
    }

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
            if ProposalMismatch.distance(failures) < nearest?.distance ?? Int.max {
                nearest = ProposalMismatch(ours: self, nearest: offer, offeredIndex: index, failures: failures)
            }
        }
        return nearest
    }

    /// The same for a list of ours: the pair that is the least far apart, the first of equals.
    public static func mismatch(of configured: [Proposal], against offered: [Proposal]) -> ProposalMismatch? {
        var nearest: ProposalMismatch?
        for proposal in configured {
            if offered.contains(where: { proposal.chosen(from: $0) != nil }) { return nil }
            guard let mismatch = proposal.mismatch(against: offered) else { continue }
            if mismatch.distance < nearest?.distance ?? Int.max { nearest = mismatch }
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

extension Transform {
    /// Whether it may be suggested: it is known, nothing speaks against it, and every peer means the same by its number.
    public var isSound: Bool {
        guard id != 0 else {
            return type == .keyExchange || type == .sequenceNumbers || type.additionalKeyExchange != nil
        }
        return AlgorithmRegistry.algorithm(for: self).map { $0.weakness == nil && !$0.needsPeerVendor } ?? false
    }
}

extension Proposal {
    /// One choice from these offers that could be configured as it stands, of the offer that comes nearest to what is
    /// configured, with nothing weak or unknown in it; nil when every offer needs something that is.
    public static func suggestion(from offered: [Proposal], configured: [Proposal]) -> Proposal? {
        var nearest: (distance: Int, choice: Proposal)?
        for offer in offered {
            guard let choice = offer.soundChoice(preferring: configured.flatMap(\.transforms)) else { continue }
            let same = configured.filter { $0.securityProtocol == offer.securityProtocol }
            let distance = same.map { ProposalMismatch.distance($0.failures(against: choice)) }.min() ?? 0
            if distance < nearest?.distance ?? Int.max { nearest = (distance, choice) }
        }
        return nearest?.choice
    }

    /// The same without what is weak or unknown; nil when it can't do without.
    public var soundPart: Proposal? {
        soundChoice(preferring: []).map { _ in Proposal(securityProtocol, transforms.filter(\.isSound)) }
    }

    /// One sound transform of each type, where possible one of those that are preferred; nil where a type has none.
    private func soundChoice(preferring preferred: [Transform]) -> Proposal? {
        func pick(_ type: TransformType) -> Transform? {
            let sound = transforms(of: type).filter(\.isSound)
            return sound.first { preferred.contains($0) } ?? sound.first
        }
        var needed: [TransformType] = []
        var chosen: [Transform] = []
        if securityProtocol != .ah {
            guard let encryption = pick(.encryption) else { return nil }
            chosen.append(encryption)
        }
        if !(chosen.first.map(AlgorithmRegistry.isAEAD) ?? false) { needed.append(.integrity) }
        if securityProtocol == .ike { needed += [.prf, .keyExchange] }
        for type in [.keyExchange] + TransformType.additionalKeyExchanges + [.sequenceNumbers]
        where !needed.contains(type) && first(type) != nil { needed.append(type) }
        for type in needed {
            guard let transform = pick(type) else { return nil }
            if transform.id != 0 || type == .sequenceNumbers { chosen.append(transform) }
        }
        return Proposal(securityProtocol, chosen)
    }
}
