import WireFormat

/// The elements of a message on the wire.
///
/// Reading is a loop with a stack of its own, so that no message, however nested, can exhaust the thread's stack.
extension ViciTree {
    private enum Tag {
        static let sectionStart: UInt8 = 1
        static let sectionEnd: UInt8 = 2
        static let keyValue: UInt8 = 3
        static let listStart: UInt8 = 4
        static let listItem: UInt8 = 5
        static let listEnd: UInt8 = 6
    }

    /// A section while it is being read.
    private struct Open {
        let name: String
        var tree = ViciTree()
        var names: Set<String> = []

        mutating func add(_ name: String, _ element: Element) throws(ViciError) {
            guard names.insert(name).inserted else { throw .duplicate(name) }
            tree.append(name, element)
        }
    }

    /// Reads the elements of a message, all of them. With `isSecret`, its value `data` is a key or a password.
    public init(parsing bytes: Span<UInt8>, isSecret: Bool = false) throws(ViciError) {
        var reader = WireReader(bytes)
        var open: [Open] = []
        var current = Open(name: "")
        var list: (name: String, items: [[UInt8]])?
        while !reader.isAtEnd {
            let tag = try reader.viciOctet("element type")
            if list != nil {
                switch tag {
                case Tag.listItem:
                    let item = try reader.viciValue("list item")
                    list?.items.append(item)
                    continue
                case Tag.listEnd:
                    if let done = list { try current.add(done.name, .list(done.items)) }
                    list = nil
                    continue
                case Tag.sectionStart, Tag.sectionEnd, Tag.keyValue, Tag.listStart:
                    throw .misplaced("only items may stand in a list")
                default: throw .elementType(tag)
                }
            }
            switch tag {
            case Tag.sectionStart:
                let name = try reader.viciName(ofSection: true)
                guard open.count < Self.maximumDepth else { throw .depth }
                open.append(current)
                current = Open(name: name)
            case Tag.sectionEnd:
                guard var parent = open.popLast() else { throw .misplaced("a section ends that never began") }
                try parent.add(current.name, .section(current.tree))
                current = parent
            case Tag.keyValue:
                let name = try reader.viciName()
                let element: Element =
                    isSecret && open.isEmpty && name == "data"
                    ? .secret(try reader.viciSecret("value")) : .value(try reader.viciValue("value"))
                try current.add(name, element)
            case Tag.listStart: list = (try reader.viciName(), [])
            case Tag.listItem: throw .misplaced("a list item stands outside a list")
            case Tag.listEnd: throw .misplaced("a list ends that never began")
            default: throw .elementType(tag)
            }
        }
        if let list { throw .unbalanced(list.name) }
        guard open.isEmpty else { throw .unbalanced(current.name) }
        self = current.tree
    }

    /// Writes the elements of a message.
    func write(into writer: inout WireWriter) throws(ViciError) { try write(into: &writer, depth: 0) }

    private func write(into writer: inout WireWriter, depth: Int) throws(ViciError) {
        guard depth <= Self.maximumDepth else { throw .depth }
        for entry in entries {
            switch entry.element {
            case .value(let octets):
                writer.uint8(Tag.keyValue)
                try writer.viciName(entry.name)
                try writer.viciValue(octets, of: entry.name)
            case .list(let items):
                writer.uint8(Tag.listStart)
                try writer.viciName(entry.name)
                for item in items {
                    writer.uint8(Tag.listItem)
                    try writer.viciValue(item, of: entry.name)
                }
                writer.uint8(Tag.listEnd)
            case .secret(let secret):
                writer.uint8(Tag.keyValue)
                try writer.viciName(entry.name)
                // Only clients write one.
                try writer.viciValue(secret.exposedBytes(), of: entry.name)
            case .section(let tree):
                writer.uint8(Tag.sectionStart)
                try writer.viciName(entry.name, ofSection: true)
                try tree.write(into: &writer, depth: depth + 1)
                writer.uint8(Tag.sectionEnd)
            }
        }
    }
}
