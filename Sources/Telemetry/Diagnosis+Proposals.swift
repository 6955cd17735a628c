import GatewayModel
import IPsecCrypto

/// Two lists of proposals that have nothing in common, in words.
extension Diagnosis {
    init(
        proposalsDiffer ours: [Proposal], _ theirs: [Proposal], code: String, what: String, key: String, isFixed: Bool
    ) {
        var facts = ["We have \(Self.list(ours))", "The peer offers \(Self.list(theirs))"]
        var causes = ["the algorithms on the two sides have no common combination"]
        // The first Child SA's proposals name no group, whatever is configured for those that follow.
        let isWithoutGroups = key != "proposals" && theirs.allSatisfy { $0.first(.keyExchange) == nil }
        let compared = isWithoutGroups ? ours.map { $0.removing(.keyExchange) } : ours
        var group: Transform?
        var nearest = Proposal.mismatch(of: compared, against: theirs)
        if nearest == nil {
            nearest = Proposal.mismatch(of: ours, against: theirs)
        } else if isWithoutGroups {
            group = ours.flatMap { $0.transforms(of: .keyExchange) }.first { $0.id != 0 && $0.isSound }
        }
        if let nearest {
            let isOnlyPair = ours.count == 1 && theirs.count == 1
            if !isOnlyPair {
                facts.append("The two that come nearest are ours, \(nearest.ours), and the peer's, \(nearest.nearest)")
            }
            causes = ["\(isOnlyPair ? "they" : "the two that come nearest") differ in \(nearest)"]
        }
        self.init(
            code: code, summary: "No proposal for \(what) suits both sides.", facts: facts, causes: causes,
            remedy: isFixed ? Self.remedyAtThePeer(ours) : Self.remedy(ours, theirs, group, key))
    }

    /// Where the connection's profile says which algorithms there are, only the peer can have others.
    private static func remedyAtThePeer(_ ours: [Proposal]) -> String {
        let line = Proposal.suggestion(from: ours, configured: []).map { ", such as `\($0)`" } ?? ""
        return "Let the peer offer one of ours\(line): the connection's `profile` decides what may stand here."
    }

    /// What to write, and where: nothing weak.
    private static func remedy(_ ours: [Proposal], _ theirs: [Proposal], _ group: Transform?, _ key: String) -> String {
        let wanted = securityProtocol(of: key)
        let offered = theirs.filter { $0.securityProtocol == wanted }
        guard var addition = Proposal.suggestion(from: offered, configured: ours) else {
            let defaults = Proposal.defaults(for: wanted)
            let own =
                Proposal.suggestion(from: ours, configured: []) ?? Proposal.suggestion(from: defaults, configured: [])
            let line = own.map { ", such as `\($0)`" } ?? ""
            return offered.isEmpty
                ? "Let the peer offer one of ours\(line)."
                : "Let the peer offer something stronger\(line): all that it offers has something weak or unknown in it."
        }
        if let group { addition.transforms.append(group) }
        let isDefault = ours == Proposal.defaults(for: wanted)
        let kept = isDefault ? ["default"] : ours.compactMap(\.soundPart).map(\.description)
        let line = (kept + ["\(addition)"]).joined(separator: ", ")
        return "Write `\(key) = \(line)` here, or add one of ours at the peer."
    }

    private static func securityProtocol(of key: String) -> SecurityProtocol {
        switch key {
        case "proposals": .ike
        case "ah_proposals": .ah
        default: .esp
        }
    }
}
