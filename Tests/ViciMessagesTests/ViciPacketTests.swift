import Testing
import ViciMessages

/// Packets and trees on the wire.
@Suite struct ViciPacketTests {
    /// The example of the protocol's own documentation.
    private static let example: [UInt8] =
        [3, 4] + Array("key1".utf8) + [0, 6] + Array("value1".utf8)
        + [1, 8] + Array("section1".utf8)
        + [1, 11] + Array("sub-section".utf8)
        + [3, 4] + Array("key2".utf8) + [0, 6] + Array("value2".utf8) + [2]
        + [4, 5] + Array("list1".utf8) + [5, 0, 5] + Array("item1".utf8) + [5, 0, 5] + Array("item2".utf8) + [6]
        + [2]

    private static let exampleTree = ViciTree {
        $0["key1"] = "value1"
        $0.setSection("section1") {
            $0.setSection("sub-section") { $0["key2"] = "value2" }
            $0.setList("list1", ["item1", "item2"])
        }
    }

    @Test func theDocumentedExample() throws {
        #expect(try ViciTree(parsing: Self.example.span) == Self.exampleTree)
        let framed = try ViciPacket.response(Self.exampleTree).framed()
        #expect(framed == [0, 0, 0, UInt8(Self.example.count + 1), 1] + Self.example)
        #expect(
            Self.exampleTree.description
                == "{key1=value1 section1 {sub-section {key2=value2} list1=[item1 item2]}}")
    }

    @Test func everyPacketType() throws {
        let expected: [(ViciPacket, [UInt8])] = [
            (.request("version", ViciTree()), [0, 7] + Array("version".utf8)), (.response(ViciTree()), [1]),
            (.unknownCommand, [2]), (.register("log"), [3, 3] + Array("log".utf8)),
            (.unregister("log"), [4, 3] + Array("log".utf8)), (.confirmed, [5]), (.unknownEvent, [6]),
            (.event("log", ViciTree()), [7, 3] + Array("log".utf8)),
        ]
        for (packet, octets) in expected {
            #expect(try packet.framed() == [0, 0, 0, UInt8(octets.count)] + octets)
            #expect(try ViciPacket(parsing: octets.span) == packet)
        }
    }

    @Test func whatIsWrittenReadsTheSame() throws {
        var generator = Generator(seed: 1)
        for _ in 0..<2_000 {
            let packet = generator.packet()
            let framed = try packet.framed()
            #expect(try ViciPacket(parsing: framed.span.extracting(4...)) == packet)
        }
    }

    /// A message that was cut short is either refused, or says less of the same.
    @Test func truncation() throws {
        var generator = Generator(seed: 2)
        var refused = 0
        for _ in 0..<50 {
            let framed = try ViciPacket.request("x", generator.tree()).framed()
            for end in 4..<framed.count {
                guard let packet = try? ViciPacket(parsing: framed.span.extracting(4..<end)) else {
                    refused += 1
                    continue
                }
                #expect(try packet.framed().dropFirst(4) == framed[4..<end])
            }
        }
        #expect(refused > 1_000)
    }

    /// A message with flipped bits is refused, or is another message that writes as the same octets.
    @Test func bitFlips() throws {
        var generator = Generator(seed: 3)
        var refused = 0
        for _ in 0..<3_000 {
            var octets = Array(try generator.packet().framed().dropFirst(4))
            for _ in 0...Int.random(in: 0...2, using: &generator) {
                let index = Int.random(in: 0..<octets.count, using: &generator)
                octets[index] ^= 1 << UInt8.random(in: 0...7, using: &generator)
            }
            do throws(ViciError) {
                let packet = try ViciPacket(parsing: octets.span)
                #expect(try packet.framed().dropFirst(4) == octets[...])
            } catch {
                refused += 1
                #expect(!error.description.isEmpty)
            }
        }
        #expect(refused > 500)
    }

    @Test(
        arguments: [
            ([], ViciError.short(field: "packet type", needed: 1, had: 0)), ([8], .packetType(8)),
            ([0], .short(field: "name length", needed: 1, had: 0)), ([0, 0], .name), ([0, 1, 7], .name),
            ([0, 1, 0xff], .name), ([2, 0], .trailing(count: 1)), ([3, 1, 120, 9], .trailing(count: 1)),
            ([1, 9], .elementType(9)), ([1, 0], .elementType(0)),
            ([1, 2], .misplaced("a section ends that never began")),
            ([1, 6], .misplaced("a list ends that never began")),
            ([1, 5, 0, 0], .misplaced("a list item stands outside a list")), ([1, 1, 1, 97], .unbalanced("a")),
            ([1, 4, 1, 97], .unbalanced("a")),
            ([1, 4, 1, 97, 3, 1, 97, 0, 0], .misplaced("only items may stand in a list")),
            ([1, 4, 1, 97, 4, 1, 98], .misplaced("only items may stand in a list")),
            ([1, 4, 1, 97, 7], .elementType(7)),
            ([1, 3, 1, 97, 0, 2, 0], .short(field: "value", needed: 2, had: 1)),
            ([1, 3, 1, 97, 0, 0, 3, 1, 97, 0, 0], .duplicate("a")), ([1, 3, 0, 0, 0], .name),
        ] as [([UInt8], ViciError)])
    func refusals(_ octets: [UInt8], _ expected: ViciError) {
        #expect(throws: expected) { try ViciPacket(parsing: octets.span) }
    }

    @Test func depthIsLimitedBothWays() throws {
        func nested(_ depth: Int) -> ViciTree {
            var tree = ViciTree()
            for _ in 0..<depth {
                let inner = tree
                tree = ViciTree { $0[element: "s"] = .section(inner) }
            }
            return tree
        }
        let deepest = try ViciPacket.response(nested(32)).framed()
        #expect(try ViciPacket(parsing: deepest.span.extracting(4...)) == .response(nested(32)))
        #expect(throws: ViciError.depth) { try ViciPacket.response(nested(33)).framed() }
        let tooDeep: [UInt8] = [1] + (0..<33).flatMap { _ in [1, 1, 97] as [UInt8] } + [UInt8](repeating: 2, count: 33)
        #expect(throws: ViciError.depth) { try ViciPacket(parsing: tooDeep.span) }
        // As deep as a segment can be: refused, not a crash.
        let abyss: [UInt8] = [1] + (0..<170_000).flatMap { _ in [1, 1, 97] as [UInt8] }
        #expect(throws: ViciError.depth) { try ViciPacket(parsing: abyss.span) }
    }

    @Test func whatDoesNotFitIsNotWritten() {
        let long = ViciTree { $0["x"] = String(repeating: "y", count: 65_536) }
        #expect(throws: ViciError.valueTooLong("x")) { try ViciPacket.response(long).framed() }
        let named = ViciTree { $0[String(repeating: "n", count: 256)] = "" }
        #expect(throws: ViciError.name) { try ViciPacket.response(named).framed() }
        let large = ViciTree { tree in
            for index in 0..<9 { tree["x\(index)"] = String(repeating: "y", count: 60_000) }
        }
        #expect(throws: ViciError.messageTooLong(540_055)) { try ViciPacket.response(large).framed() }
    }

    @Test func readingTrees() {
        var tree = Self.exampleTree
        #expect(tree["key1"] == "value1" && tree["section1"] == nil && tree["none"] == nil)
        #expect(tree.section("section1")?.list("list1") == ["item1", "item2"])
        #expect(tree.sections.map(\.name) == ["section1"])
        tree["key1"] = "other"
        tree.set("flag", true)
        tree.set("number", 42)
        tree["number"] = nil
        #expect(tree.entries.map(\.name) == ["key1", "section1", "flag"])
        #expect(tree["key1"] == "other" && tree["flag"] == "yes")
        let binary = ViciTree { $0[element: "b"] = .value([0, 0x1b, 65]) }
        #expect(binary.description == "{b=\\x00\\x1bA}")
    }
}
