public import NetworkTypes

/// Which packets two ends agree to tunnel (RFC 7296 §2.9): pure set arithmetic over traffic selectors.
///
/// It owns no state and knows no connection. Selectors keep the order in which the configuration names them.
public enum SelectorNarrowing {
    /// The most selectors that an answer holds: what fits into one payload, and what a peer may make us keep.
    public static let maximumSelectors = 255

    /// What both sides select, in the order of `configured`; empty when that is nothing. A selector that another one of
    /// the result includes is left out.
    public static func intersection(
        configured: [TrafficSelector], offered: [TrafficSelector]
    ) -> [TrafficSelector] {
        var result: [TrafficSelector] = []
        for ours in configured {
            for theirs in offered {
                guard let common = ours.intersection(theirs) else { continue }
                if result.contains(where: { $0.contains(common) }) { continue }
                result.removeAll { common.contains($0) }
                guard result.count < maximumSelectors else { return result }
                result.append(common)
            }
        }
        return result
    }

    /// Whether an answer keeps to the offer: it selects something, and nothing that was not offered.
    public static func isNarrowing(_ answer: [TrafficSelector], of offer: [TrafficSelector]) -> Bool {
        !answer.isEmpty && answer.allSatisfy { selector in offer.contains { $0.contains(selector) } }
    }
}
