import GatewayModel
import NetworkTypes

/// What a Child SA's policies select.
struct PolicySelectors: Hashable, Sendable {
    let local: [TrafficSelector]
    let remote: [TrafficSelector]
}

/// Which selectors stay blocked although their Child SA is gone, until another one with the same takes them over.
///
/// One Child SA for each, so that tunnels that come and go do not pile up blocks.
struct BlockedSelectors {
    private var children: [PolicySelectors: ChildSAID] = [:]
    private var selectors: [ChildSAID: PolicySelectors] = [:]

    /// Notes that a Child SA's selectors stay blocked; the Child SA that blocked the same before, if it is another one.
    mutating func block(_ blocked: PolicySelectors, by child: ChildSAID) -> ChildSAID? {
        release(child)
        let former = children.updateValue(child, forKey: blocked)
        if let former { selectors[former] = nil }
        selectors[child] = blocked
        return former
    }

    /// A Child SA protects these now: the one that blocked them, if it is another one.
    mutating func takeOver(_ blocked: PolicySelectors, by child: ChildSAID) -> ChildSAID? {
        release(child)
        guard let former = children.drop(blocked) else { return nil }
        selectors[former] = nil
        return former
    }

    /// A Child SA blocks nothing any more.
    mutating func release(_ child: ChildSAID) {
        if let blocked = selectors.drop(child) { children[blocked] = nil }
    }
}

extension Dictionary {
    /// Takes a key out of a dictionary that is empty nearly always: then not even the key is hashed.
    @discardableResult
    mutating func drop(_ key: Key) -> Value? { isEmpty ? nil : removeValue(forKey: key) }
}
