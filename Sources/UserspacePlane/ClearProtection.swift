import LinuxSystem

/// The part of the guard's table that says what is protected: sets of blocks and of ranges, and a rule for what fits into
/// neither.
///
/// It owns what is to be changed and has not been yet, so that a thousand changes become a few commits, and the names of
/// the sets that were made. It belongs to the control thread and has no socket.
struct ClearProtection {
    private var pending: [(selector: ClearSelector, isAddition: Bool)] = []
    private var shapes: [(shape: ClearShape, set: String)] = []
    /// What no set takes since it overlaps with another element: a rule each, and the chain that it is in.
    private var overlapping: [ClearSelector: Int] = [:]
    private var chains: [Chain] = []

    /// Rules of their own, so few that one message makes all of them anew: none of them is missing for a moment.
    private struct Chain {
        var selectors: [ClearSelector] = []
        /// Whether the kernel has it.
        var isMade = false
        /// Whether the kernel has something else in it.
        var isStale = false

        static let most = 64

        static func name(_ index: Int) -> String { "overlapping\(index)" }
    }

    /// Carries out a batch; throws when the kernel will have none of it.
    typealias Commit = (NetfilterBatch) throws(SystemError) -> Void

    /// Whether something is to be done.
    var isPending: Bool { !pending.isEmpty }

    /// Puts a selector in with the next ``flush(_:_:)``.
    mutating func add(_ selector: ClearSelector) { pending.append((selector, true)) }

    /// Takes a selector out with the next ``flush(_:_:)``.
    mutating func remove(_ selector: ClearSelector) {
        if let last = pending.last, last.isAddition, last.selector == selector {
            pending.removeLast()
        } else {
            pending.append((selector, false))
        }
    }

    /// Forgets everything: the table is gone.
    mutating func forget() { self = ClearProtection() }

    /// Changes the sets, and the rules of what overlaps. What can't be done keeps nothing else from being done; the error
    /// is the first.
    mutating func flush(_ table: String, _ commit: Commit) throws(SystemError) {
        guard !pending.isEmpty else { return }
        let changes = pending
        pending = []
        var failure: SystemError?
        var start = 0
        while start < changes.count {
            let end = min(start + NetfilterBatch.goodSize, changes.count)
            do throws(SystemError) { try flush(changes[start..<end], table, commit) } catch {
                if failure == nil { failure = error }
            }
            start = end
        }
        if let failure { throw failure }
    }

    private mutating func flush(
        _ changes: ArraySlice<(selector: ClearSelector, isAddition: Bool)>, _ table: String, _ commit: Commit
    ) throws(SystemError) {
        var batch = NetfilterBatch(table: table)
        var together = self
        for change in changes where together.overlapping[change.selector] == nil {
            together.write(change.selector, change.isAddition, &batch)
        }
        let hasOverlapping = !overlapping.isEmpty && changes.contains { overlapping[$0.selector] != nil }
        var failure: SystemError?
        if !hasOverlapping, (try? commit(batch)) != nil {
            shapes = together.shapes
        } else {
            // One of them is not taken: a set of ranges has no element that overlaps with another.
            for change in changes {
                do throws(SystemError) { try make(change, table, commit) } catch {
                    if failure == nil { failure = error }
                }
            }
        }
        for index in chains.indices where chains[index].isStale {
            do throws(SystemError) { try rewrite(index, table, commit) } catch {
                if failure == nil { failure = error }
            }
        }
        if let failure { throw failure }
    }

    /// Makes one change by itself; what no set takes is noted to get a rule.
    private mutating func make(
        _ change: (selector: ClearSelector, isAddition: Bool), _ table: String, _ commit: Commit
    ) throws(SystemError) {
        if overlapping[change.selector] != nil {
            if !change.isAddition { removeRule(change.selector) }
            return
        }
        var batch = NetfilterBatch(table: table)
        var alone = self
        alone.write(change.selector, change.isAddition, &batch)
        do {
            try commit(batch)
            shapes = alone.shapes
        } catch {
            guard change.isAddition else { throw error }
            addRule(change.selector)
        }
    }

    // MARK: Rules of their own

    private mutating func addRule(_ selector: ClearSelector) {
        let place = chains.firstIndex { $0.selectors.count < Chain.most } ?? chains.count
        if place == chains.count { chains.append(Chain()) }
        chains[place].selectors.append(selector)
        chains[place].isStale = true
        overlapping[selector] = place
    }

    private mutating func removeRule(_ selector: ClearSelector) {
        guard let place = overlapping.removeValue(forKey: selector) else { return }
        chains[place].selectors.removeAll { $0 == selector }
        chains[place].isStale = true
    }

    /// Makes a chain's rules anew, all at once.
    private mutating func rewrite(_ index: Int, _ table: String, _ commit: Commit) throws(SystemError) {
        var batch = NetfilterBatch(table: table)
        let name = Chain.name(index)
        if chains[index].isMade { batch.flushChain(name) } else { batch.addChain(name) }
        for selector in chains[index].selectors {
            batch.addRule(to: name, selector.steps + [.counter, .verdict(.drop)])
        }
        if !chains[index].isMade { batch.addRule(to: "protected", [.verdict(.jump(name))]) }
        try commit(batch)
        chains[index].isMade = true
        chains[index].isStale = false
    }

    /// Writes one change, and before it what its set needs.
    private mutating func write(_ selector: ClearSelector, _ isAddition: Bool, _ batch: inout NetfilterBatch) {
        let exact = ClearShape(selector).flatMap { self.set(for: $0, &batch) }
        let set = exact ?? selector.set
        let element = exact == nil ? selector.element : ClearShape.element(selector)
        if isAddition { batch.add(element, to: set) } else { batch.remove(element, from: set) }
    }

    /// The set that takes this shape; nil when there are too many of them.
    private mutating func set(for shape: ClearShape, _ batch: inout NetfilterBatch) -> String? {
        if let known = shapes.first(where: { $0.shape == shape }) { return known.set }
        guard shapes.count < ClearShape.most else { return nil }
        shapes.append((shape, shape.set))
        shape.addSet(to: &batch)
        shape.addLookup(to: &batch, chain: "protected")
        return shape.set
    }

    /// The rules of the chain.
    func addRules(to batch: inout NetfilterBatch, chain: String) {
        for known in shapes { known.shape.addLookup(to: &batch, chain: chain) }
        ClearSelector.addLookups(to: &batch, chain: chain)
        for index in chains.indices where chains[index].isMade {
            batch.addRule(to: chain, [.verdict(.jump(Chain.name(index)))])
        }
    }
}
