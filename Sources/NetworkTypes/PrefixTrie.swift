/// Finds the longest block that holds an address, over both families.
///
/// A binary trie with skipped levels: every node holds a block, and a child differs from its parent in a bit after the
/// parent's length. It owns its nodes in one array; it never allocates to look something up.
public struct PrefixTrie<Value> {
    fileprivate struct Node {
        var prefix: IPPrefix
        var value: Value?
        var children: (Int32, Int32) = (-1, -1)
    }

    private var nodes: [Node] = []
    private var roots: (v4: Int32, v6: Int32) = (-1, -1)

    /// How many blocks have a value.
    public private(set) var count = 0

    /// Starts empty.
    public init() {}

    /// Gives `prefix` a value in place of the one that it had.
    public mutating func insert(_ prefix: IPPrefix, _ value: Value) {
        let root = prefix.family == .v4 ? roots.v4 : roots.v6
        let top = insert(prefix, value, below: root)
        if prefix.family == .v4 { roots.v4 = top } else { roots.v6 = top }
    }

    /// The value of exactly `prefix`.
    public subscript(_ prefix: IPPrefix) -> Value? {
        var index = prefix.family == .v4 ? roots.v4 : roots.v6
        while index >= 0 {
            let node = nodes[Int(index)]
            if node.prefix == prefix { return node.value }
            guard node.prefix.contains(prefix), node.prefix.length < prefix.length else { return nil }
            index = child(of: node, toward: prefix.address)
        }
        return nil
    }

    /// The value of the longest block that holds `address`.
    public func longestMatch(_ address: IPAddress) -> (prefix: IPPrefix, value: Value)? {
        var best: (IPPrefix, Value)?
        forEachMatch(address) { prefix, value in best = (prefix, value) }
        return best
    }

    /// Calls `body` with every block that holds `address`, the shortest first.
    public func forEachMatch(_ address: IPAddress, _ body: (IPPrefix, Value) -> Void) {
        var index = address.family == .v4 ? roots.v4 : roots.v6
        while index >= 0 {
            let node = nodes[Int(index)]
            guard node.prefix.contains(address) else { return }
            if let value = node.value { body(node.prefix, value) }
            guard !node.prefix.isHost else { return }
            index = child(of: node, toward: address)
        }
    }

    /// Takes the value of `prefix` away and returns it. The node stays until the trie is built anew.
    @discardableResult
    public mutating func remove(_ prefix: IPPrefix) -> Value? {
        var index = prefix.family == .v4 ? roots.v4 : roots.v6
        while index >= 0 {
            if nodes[Int(index)].prefix == prefix {
                defer { nodes[Int(index)].value = nil }
                if nodes[Int(index)].value != nil { count -= 1 }
                return nodes[Int(index)].value
            }
            guard nodes[Int(index)].prefix.contains(prefix) else { return nil }
            index = child(of: nodes[Int(index)], toward: prefix.address)
        }
        return nil
    }

    private mutating func insert(_ prefix: IPPrefix, _ value: Value, below index: Int32) -> Int32 {
        guard index >= 0 else { return append(prefix, value) }
        let existing = nodes[Int(index)].prefix
        if existing == prefix {
            if nodes[Int(index)].value == nil { count += 1 }
            nodes[Int(index)].value = value
            return index
        }
        if existing.contains(prefix) {
            let right = bit(prefix.address, existing.length)
            let below = right ? nodes[Int(index)].children.1 : nodes[Int(index)].children.0
            let child = insert(prefix, value, below: below)
            if right { nodes[Int(index)].children.1 = child } else { nodes[Int(index)].children.0 = child }
            return index
        }
        let parent: Int32
        if prefix.contains(existing) {
            parent = append(prefix, value)
        } else {
            parent = append(commonPrefix(prefix, existing), nil)
            let leaf = append(prefix, value)
            attach(leaf, to: parent)
        }
        attach(index, to: parent)
        return parent
    }

    private mutating func append(_ prefix: IPPrefix, _ value: Value?) -> Int32 {
        nodes.append(Node(prefix: prefix, value: value))
        if value != nil { count += 1 }
        return Int32(nodes.count - 1)
    }

    private mutating func attach(_ child: Int32, to parent: Int32) {
        if bit(nodes[Int(child)].prefix.address, nodes[Int(parent)].prefix.length) {
            nodes[Int(parent)].children.1 = child
        } else {
            nodes[Int(parent)].children.0 = child
        }
    }

    private func child(of node: Node, toward address: IPAddress) -> Int32 {
        bit(address, node.prefix.length) ? node.children.1 : node.children.0
    }

    private func bit(_ address: IPAddress, _ position: Int) -> Bool {
        address.bits >> UInt128(address.family.bitWidth - 1 - position) & 1 == 1
    }

    private func commonPrefix(_ a: IPPrefix, _ b: IPPrefix) -> IPPrefix {
        let shared = (a.address.bits ^ b.address.bits).leadingZeroBitCount - (128 - a.family.bitWidth)
        let length = max(0, min(shared, a.length, b.length))
        return IPPrefix(a.address, length: length) ?? .everything(a.family)
    }
}

extension PrefixTrie: Sendable where Value: Sendable {}
extension PrefixTrie.Node: Sendable where Value: Sendable {}
