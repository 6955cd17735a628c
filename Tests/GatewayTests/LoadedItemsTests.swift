import StateRecords
import Testing
import ViciMessages
import ViciServer
import WireFormat

@testable import Gateway

/// What control clients have loaded reaches the next process as they said it.
@Suite("LoadedItems")
struct LoadedItemsTests {
    private static func again(_ items: LoadedItems) throws -> [(name: String, item: ViciItem)] {
        let writer = RecordWriter(capacity: 512)
        items.write(to: writer)
        var reader = RecordReader(writer.buffer.withSpan { SecretBytes(copying: $0) }, version: 1)
        return try LoadedItems.read(from: &reader)
    }

    private static let connection = ViciItem(
        .connection, name: "hq",
        fields: ViciTree([
            ("version", .value(Array("2".utf8))),
            ("local_addrs", .list([Array("192.0.2.1".utf8), [0xff, 0]])),
            ("children", .section(ViciTree([("net", .section(ViciTree([("esn", .value([]))])))]))),
        ]))
    private static let secret = ViciItem(
        .sharedSecret, name: nil,
        fields: ViciTree([("type", .value(Array("IKE".utf8))), ("data", .secret(SecretBytes([1, 2, 3, 4])))]))

    @Test("Values, lists, sections and secrets are read as they were written, in the order in which they came")
    func returns() throws {
        var items = LoadedItems()
        items.note(Self.secret, "2")
        items.note(Self.connection, "1")
        let read = try Self.again(items)
        #expect(read.map(\.name) == ["2", "1"])
        #expect(read.map(\.item) == [Self.secret, Self.connection])
    }

    @Test func whatWasUnloadedIsNotThere() throws {
        var items = LoadedItems()
        items.note(Self.connection, "hq")
        items.note(Self.connection, "branch")
        items.note(Self.secret, "hq")
        items.forget(.connection, "hq")
        #expect(try Self.again(items).map(\.name) == ["branch", "hq"])
        items.forget([.sharedSecret])
        #expect(try Self.again(items).map(\.name) == ["branch"])
    }

    @Test("What is loaded again takes the place of what it was, at the end")
    func laterOneWins() throws {
        var items = LoadedItems()
        items.note(Self.connection, "hq")
        items.note(Self.secret, "s")
        var changed = Self.connection
        changed.fields = ViciTree([("version", .value(Array("1".utf8)))])
        items.note(changed, "hq")
        let read = try Self.again(items)
        #expect(read.map(\.item) == [Self.secret, changed])
    }
}
