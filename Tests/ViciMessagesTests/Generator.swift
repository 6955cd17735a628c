import ViciMessages

/// Chance that is the same in every run.
struct Generator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }

    /// A tree with everything that a message may hold.
    mutating func tree(depth: Int = 0) -> ViciTree {
        var tree = ViciTree()
        for index in 0..<Int.random(in: 0...(depth > 3 ? 2 : 5), using: &self) {
            let name = "\(["key", "a-b", "ünïcode", "x"].randomElement(using: &self) ?? "x")-\(index)"
            switch Int.random(in: 0...(depth > 5 ? 1 : 2), using: &self) {
            case 0: tree[element: name] = .value(octets(upTo: 300))
            case 1:
                let count = Int.random(in: 0...4, using: &self)
                tree[element: name] = .list((0..<count).map { _ in octets(upTo: 20) })
            default: tree[element: name] = .section(self.tree(depth: depth + 1))
            }
        }
        return tree
    }

    mutating func octets(upTo limit: Int) -> [UInt8] {
        let count = Int.random(in: 0...limit, using: &self)
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) }
    }

    /// A packet of any kind.
    mutating func packet() -> ViciPacket {
        switch Int.random(in: 0...7, using: &self) {
        case 0: .request("list-sas", tree())
        case 1: .response(tree())
        case 2: .unknownCommand
        case 3: .register("list-sa")
        case 4: .unregister("log")
        case 5: .confirmed
        case 6: .unknownEvent
        default: .event("control-log", tree())
        }
    }
}
