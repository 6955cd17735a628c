import StateRecords
import ViciMessages
import ViciServer
import WireFormat

/// What control clients have loaded, as they said it: for the process that goes on from here, which has no file of it.
///
/// It owns the items in the order in which they came, in memory that zeroes itself: secrets are among them.
struct LoadedItems {
    private struct Key: Hashable {
        var kind: ViciItem.Kind
        var name: String
    }

    private var items: [Key: (order: UInt64, item: SecretBytes)] = [:]
    private var next: UInt64 = 0

    /// An item was loaded under a name.
    mutating func note(_ item: ViciItem, _ name: String) {
        let writer = RecordWriter(capacity: 512)
        item.write(to: writer)
        items[Key(kind: item.kind, name: name)] = (next, writer.buffer.withSpan { SecretBytes(copying: $0) })
        next += 1
    }

    /// Something was unloaded.
    mutating func forget(_ kind: ViciItem.Kind, _ name: String) { items[Key(kind: kind, name: name)] = nil }

    /// All of these kinds were.
    mutating func forget(_ kinds: Set<ViciItem.Kind>) { items = items.filter { !kinds.contains($0.key.kind) } }

    /// Appends them.
    func write(to writer: RecordWriter) {
        writer.list(items.sorted { $0.value.order < $1.value.order }) { entry in
            writer.text(entry.key.name)
            writer.secret(entry.value.item)
        }
    }

    /// Reads them back.
    static func read(
        from reader: inout RecordReader
    ) throws(RecordError) -> [(name: String, item: ViciItem)] {
        try reader.list("items") { reader throws(RecordError) in
            let name = try reader.text("item")
            var record = RecordReader(try reader.secret("item"), version: reader.version)
            return (name, try ViciItem(from: &record))
        }
    }
}

extension ViciItem {
    fileprivate func write(to writer: RecordWriter) {
        writer.text(kind.rawValue)
        writer.optional(name) { writer.text($0) }
        fields.write(to: writer)
    }

    fileprivate init(from reader: inout RecordReader) throws(RecordError) {
        guard let kind = Kind(rawValue: try reader.text("kind")) else { throw .badValue("kind") }
        let name = try reader.optional("name") { reader throws(RecordError) in try reader.text("name") }
        self.init(kind, name: name, fields: try ViciTree(from: &reader, depth: 0))
    }
}

extension ViciTree {
    fileprivate func write(to writer: RecordWriter) {
        writer.list(entries) { entry in
            writer.text(entry.name)
            switch entry.element {
            case .value(let octets):
                writer.uint8(0)
                writer.octets(octets)
            case .list(let list):
                writer.uint8(1)
                writer.list(list) { writer.octets($0) }
            case .section(let tree):
                writer.uint8(2)
                tree.write(to: writer)
            case .secret(let secret):
                writer.uint8(3)
                writer.secret(secret)
            }
        }
    }

    fileprivate init(from reader: inout RecordReader, depth: Int) throws(RecordError) {
        guard depth <= Self.maximumDepth else { throw .badValue("section") }
        self.init(
            try reader.list("section") { reader throws(RecordError) -> (name: String, element: Element) in
                let name = try reader.text("key")
                switch try reader.uint8("element") {
                case 0: return (name, .value(try reader.octets("value")))
                case 1:
                    return (
                        name,
                        .list(
                            try reader.list("values") { reader throws(RecordError) in try reader.octets("value") })
                    )
                case 2: return (name, .section(try ViciTree(from: &reader, depth: depth + 1)))
                case 3: return (name, .secret(try reader.secret("value")))
                default: throw .badValue("element")
                }
            })
    }
}
