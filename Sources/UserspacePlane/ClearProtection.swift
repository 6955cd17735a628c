import LinuxSystem

/// The part of the guard's table that says what is protected: sets of blocks and of ranges, and a rule for what fits into
/// neither.
///
/// It owns what is to be changed and has not been yet, so that a thousand changes become a few commits, and the names of
/// the sets that were made. It belongs to the control thread and has no socket.
struct ClearProtection {
    private var pending: [(selector: ClearSelector, isAddition: Bool)] = []
    private(set) var shapes: [ClearShape] = []
    /// What no set takes since it overlaps with another element: a rule each.
    private(set) var overlapping: [ClearSelector] = []

    /// Carries out a batch; throws when the kernel will have none of it.
    typealias Commit = (NetfilterBatch) throws(SystemError) -> Void

    /// Whether something is to be done.
    var isPending: Bool { !pending.isEmpty }

    /// Puts a selector in with the next ``flush(_:_:rewrite:)``.
    mutating func add(_ selector: ClearSelector) { pending.append((selector, true)) }

    /// Takes a selector out with the next ``flush(_:_:rewrite:)``.
    mutating func remove(_ selector: ClearSelector) {
        if let last = pending.last, last.isAddition, last.selector == selector {
            pending.removeLast()
        } else {
            pending.append((selector, false))
        }
    }

    /// Forgets everything: the table is gone.
    mutating func forget() { self = ClearProtection() }

    /// Changes the sets. `rewrite` makes the chain's rules anew, after those that overlap have changed.
    mutating func flush(_ table: String, _ commit: Commit, rewrite: (Self) throws(SystemError) -> Void)
        throws(SystemError)
    {
        guard !pending.isEmpty else { return }
        let changes = pending
        pending = []
        var start = 0
        while start < changes.count {
            let end = min(start + NetfilterBatch.goodSize, changes.count)
            try flush(changes[start..<end], table, commit, rewrite)
            start = end
        }
    }

    private mutating func flush(
        _ changes: ArraySlice<(selector: ClearSelector, isAddition: Bool)>, _ table: String, _ commit: Commit,
        _ rewrite: (Self) throws(SystemError) -> Void
    ) throws(SystemError) {
        var batch = NetfilterBatch(table: table)
        var together = self
        for change in changes where !together.overlapping.contains(change.selector) {
            together.write(change.selector, change.isAddition, &batch)
        }
        let hasOverlapping = !overlapping.isEmpty && changes.contains { overlapping.contains($0.selector) }
        if !hasOverlapping, (try? commit(batch)) != nil {
            shapes = together.shapes
            return
        }
        // One of them is not taken: a set of ranges has no element that overlaps with another.
        var isChanged = false
        var failure: SystemError?
        for change in changes {
            if let index = overlapping.firstIndex(of: change.selector) {
                if !change.isAddition { overlapping.remove(at: index) }
                isChanged = true
                continue
            }
            var single = NetfilterBatch(table: table)
            var alone = self
            alone.write(change.selector, change.isAddition, &single)
            do {
                try commit(single)
                shapes = alone.shapes
            } catch {
                if change.isAddition {
                    overlapping.append(change.selector)
                    isChanged = true
                } else if failure == nil {
                    failure = error
                }
            }
        }
        if isChanged { try rewrite(self) }
        if let failure { throw failure }
    }

    /// Writes one change, and before it what its set needs.
    private mutating func write(_ selector: ClearSelector, _ isAddition: Bool, _ batch: inout NetfilterBatch) {
        var set = selector.set
        var element: NetfilterBatch.Element?
        if let shape = ClearShape(selector) {
            if !shapes.contains(shape), shapes.count < ClearShape.most {
                shapes.append(shape)
                shape.addSet(to: &batch)
                shape.addLookup(to: &batch, chain: "protected")
            }
            if shapes.contains(shape) {
                set = shape.set
                element = ClearShape.element(selector)
            }
        }
        if isAddition {
            batch.add(element ?? selector.element, to: set)
        } else {
            batch.remove(element ?? selector.element, from: set)
        }
    }

    /// The rules of the chain.
    func addRules(to batch: inout NetfilterBatch, chain: String) {
        for shape in shapes { shape.addLookup(to: &batch, chain: chain) }
        ClearSelector.addLookups(to: &batch, chain: chain)
        for selector in overlapping { batch.addRule(to: chain, selector.steps + [.counter, .verdict(.drop)]) }
    }
}
