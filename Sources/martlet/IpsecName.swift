import ViciMessages

/// What hands give to `ipsec`: a connection or a child (`net`), one of its SAs by number (`net{5}`, `hq[20]`), or all of
/// them (`net{*}`, `hq[*]`).
struct IpsecName: Equatable {
    /// What follows the name.
    enum Instance: Equatable {
        case none
        /// In braces; nil for all.
        case childSA(Int?)
        /// In brackets; nil for all.
        case ikeSA(Int?)
    }

    /// Empty where only the number is given.
    let name: String
    let instance: Instance

    /// Reads a word; nil when what stands in its brackets is no number and no `*`, or nothing is meant.
    init?(_ word: String) {
        guard let last = word.last, last == "}" || last == "]",
            let open = word.lastIndex(of: last == "}" ? "{" : "[")
        else {
            (name, instance) = (word, .none)
            if word.isEmpty { return nil }
            return
        }
        let inner = word[word.index(after: open)...].dropLast()
        let number = inner == "*" ? nil : UInt32(inner).map { Int($0) }
        guard inner == "*" || number != nil else { return nil }
        name = String(word[..<open])
        instance = last == "}" ? .childSA(number) : .ikeSA(number)
        if name.isEmpty, number == nil { return nil }
    }

    /// What `terminate` takes. A bare name is the connection's where there is one (`isConnection`), else a child's.
    func termination(isConnection: Bool) -> ViciTree {
        ViciTree { tree in
            switch instance {
            case .none: tree.set(isConnection ? "ike" : "child", name)
            case .childSA(nil): tree.set("child", name)
            case .childSA(let number?): tree.set("child-id", number)
            case .ikeSA(nil): tree.set("ike", name)
            case .ikeSA(let number?): tree.set("ike-id", number)
            }
        }
    }

    /// An IKE SA with what is meant of it: all of its children where it is meant itself, else those that are; nil when
    /// nothing is.
    func part(of sa: ViciTree, named connection: String) -> ViciTree? {
        let isNamed = name.isEmpty || name == connection
        switch instance {
        case .none where name == connection: return sa
        case .ikeSA(let number):
            return isNamed && (number == nil || sa["uniqueid"] == number.map { String($0) }) ? sa : nil
        case .none, .childSA:
            var number: Int?
            if case .childSA(let wanted) = instance { number = wanted }
            let children = (sa.section("child-sas")?.sections ?? []).filter { _, child in
                (name.isEmpty || child["name"] == name)
                    && (number == nil || child["uniqueid"] == number.map { String($0) })
            }
            guard !children.isEmpty else { return nil }
            return ViciTree(
                sa.entries.map { entry in
                    guard entry.name == "child-sas" else { return (name: entry.name, element: entry.element) }
                    let kept = children.map { (name: $0.name, element: ViciTree.Element.section($0.tree)) }
                    return (name: entry.name, element: .section(ViciTree(kept)))
                })
        }
    }

    /// Whether a configured connection is meant: by its own name, or a child's.
    func isMeant(_ connection: String, _ tree: ViciTree) -> Bool {
        name == connection || (tree.section("children")?.sections ?? []).contains { $0.name == name }
    }
}
