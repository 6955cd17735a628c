import NetworkTypes

/// Address blocks of one family, each with a list of entries, found from the shortest to the longest that holds an
/// address.
///
/// A binary trie with skipped levels, its nodes in one array; freed nodes are used again. An insertion or removal costs a
/// walk of one block's length, a lookup never allocates. It holds numbers only and knows nothing of what they mean.
struct PolicyTrie {
    private struct Node {
        /// The block's bits, aligned to the left, zero after its length.
        var key: UInt128
        var length: UInt8
        /// The first of the block's entries; -1 when it only joins two others.
        var head: Int32
        var zero: Int32 = -1
        var one: Int32 = -1
    }

    private var nodes: [Node] = []
    private var free: [Int32] = []
    private var root: Int32 = -1

    /// Nodes in use.
    var count: Int { nodes.count - free.count }

    /// An address as the trie wants it: its bits aligned to the left.
    static func key(_ address: IPAddress) -> UInt128 {
        address.family == .v4 ? address.bits << 96 : address.bits
    }

    /// The first entry of a block; -1 when it has none.
    func head(_ key: UInt128, _ length: Int) -> Int32 {
        var index = root
        while index >= 0 {
            let node = nodes[Int(index)]
            guard holds(node, key), Int(node.length) <= length else { return -1 }
            if Int(node.length) == length { return node.head }
            index = bit(key, node.length) ? node.one : node.zero
        }
        return -1
    }

    /// Where a walk down the trie starts.
    var start: Int32 { root }

    /// Goes on with a walk from `cursor` to the next longer block that holds the address and has entries, and returns
    /// the first of them; -1 when there is no such block.
    @inline(__always)
    func nextMatch(_ key: UInt128, _ cursor: inout Int32) -> Int32 {
        let nodes = nodes.span
        while cursor >= 0 {
            let node = nodes[Int(cursor)]
            guard holds(node, key) else { return -1 }
            cursor = node.length == 128 ? -1 : bit(key, node.length) ? node.one : node.zero
            if node.head >= 0 { return node.head }
        }
        return -1
    }

    /// Gives a block its first entry; -1 takes the block away.
    mutating func setHead(_ key: UInt128, _ length: Int, _ head: Int32) {
        root = head >= 0 ? insert(key, UInt8(length), head, below: root) : remove(key, UInt8(length), below: root)
    }

    private mutating func insert(_ key: UInt128, _ length: UInt8, _ head: Int32, below index: Int32) -> Int32 {
        guard index >= 0 else { return make(Node(key: key, length: length, head: head)) }
        let here = nodes[Int(index)]
        let shared = min(UInt8((here.key ^ key).leadingZeroBitCount), here.length, length)
        if shared == here.length, shared == length {
            nodes[Int(index)].head = head
            return index
        }
        if shared == here.length {
            if bit(key, here.length) {
                let child = insert(key, length, head, below: here.one)
                nodes[Int(index)].one = child
            } else {
                let child = insert(key, length, head, below: here.zero)
                nodes[Int(index)].zero = child
            }
            return index
        }
        // The two part before either ends, or the new block holds the one that is here.
        var parent = Node(key: key & Self.mask(shared), length: shared, head: shared == length ? head : -1)
        var branch: Int32 = -1
        if shared < length { branch = make(Node(key: key, length: length, head: head)) }
        (parent.zero, parent.one) = bit(here.key, shared) ? (branch, index) : (index, branch)
        return make(parent)
    }

    private mutating func remove(_ key: UInt128, _ length: UInt8, below index: Int32) -> Int32 {
        guard index >= 0 else { return -1 }
        let here = nodes[Int(index)]
        guard holds(here, key), here.length <= length else { return index }
        if here.length == length {
            nodes[Int(index)].head = -1
        } else if bit(key, here.length) {
            let child = remove(key, length, below: here.one)
            nodes[Int(index)].one = child
        } else {
            let child = remove(key, length, below: here.zero)
            nodes[Int(index)].zero = child
        }
        return collapse(index)
    }

    /// A node that says nothing and joins nothing goes away.
    private mutating func collapse(_ index: Int32) -> Int32 {
        let node = nodes[Int(index)]
        guard node.head < 0, node.zero < 0 || node.one < 0 else { return index }
        free.append(index)
        return node.zero >= 0 ? node.zero : node.one
    }

    private mutating func make(_ node: Node) -> Int32 {
        if let index = free.popLast() {
            nodes[Int(index)] = node
            return index
        }
        nodes.append(node)
        return Int32(nodes.count - 1)
    }

    @inline(__always)
    private func holds(_ node: Node, _ key: UInt128) -> Bool { (node.key ^ key) & Self.mask(node.length) == 0 }

    @inline(__always)
    private func bit(_ key: UInt128, _ position: UInt8) -> Bool { key >> UInt128(127 - position) & 1 == 1 }

    @inline(__always)
    private static func mask(_ length: UInt8) -> UInt128 { length == 0 ? 0 : .max << UInt128(128 - length) }
}
