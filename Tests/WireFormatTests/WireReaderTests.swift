import Testing
import WireFormat

@Suite struct WireReaderTests {
    @Test func readsFieldsInNetworkOrder() throws {
        let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
        var reader = WireReader(bytes.span)
        #expect(try reader.uint8("a") == 1)
        #expect(try reader.uint16("b") == 0x0203)
        #expect(try reader.uint32("c") == 0x0405_0607)
        #expect(try reader.uint64("d") == 0x0809_0a0b_0c0d_0e0f)
        #expect(reader.remaining == 1)
        #expect(reader.peek() == 16)
        #expect(try reader.rest() == [16])
        try reader.finish("all")
    }

    @Test func namesTheShortField() {
        let bytes: [UInt8] = [1, 2, 3]
        var reader = WireReader(bytes.span)
        let error = #expect(throws: WireError.self) { _ = try reader.uint32("KE data") }
        #expect(error == .short(field: "KE data", needed: 4, had: 3))
        #expect(error?.description == "KE data: needed 4 octets, had 3")
    }

    @Test(arguments: [-1, Int.min, 4, Int.max])
    func refusesLengthsThatDoNotFit(_ length: Int) {
        let bytes: [UInt8] = [1, 2, 3]
        var reader = WireReader(bytes.span)
        #expect(throws: WireError.self) { _ = try reader.bytes(length, "x") }
        #expect(throws: WireError.self) { try reader.skip(length, "x") }
        #expect(throws: WireError.self) { _ = try reader.child(length, "x").remaining }
        #expect(reader.offset == 0)
    }

    @Test func confinesNestedStructures() throws {
        let bytes: [UInt8] = [1, 2, 3, 4]
        var reader = WireReader(bytes.span)
        var child = try reader.child(2, "nested")
        #expect(try child.uint8("a") == 1)
        #expect(throws: WireError.self) { _ = try child.uint16("b") }
        do throws(WireError) {
            try child.finish("nested")
            Issue.record("an octet is left")
        } catch {
            #expect(error == .trailing(structure: "nested", count: 1))
        }
        #expect(try reader.uint16("after") == 0x0304)
    }
}

@Suite struct WireWriterTests {
    @Test func writesWhatAReaderReads() throws {
        var writer = WireWriter()
        writer.uint8(7)
        writer.lengthPrefixed16(overhead: 4) { $0.append([1, 2, 3]) }
        writer.uint64(0x0102_0304_0506_0708)
        #expect(writer.bytes == [7, 0, 7, 1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 8])
        #expect(!writer.overflowed)
    }

    @Test func remembersALengthThatDoesNotFit() {
        var writer = WireWriter()
        writer.lengthPrefixed16 { $0.zeros(65_536) }
        #expect(writer.overflowed)
    }

    @Test func patchesLengths() {
        var writer = WireWriter()
        writer.uint32(0)
        writer.patch32(at: 0, 0x0a0b_0c0d)
        #expect(writer.bytes == [10, 11, 12, 13])
        writer.patch32(at: 0, -1)
        #expect(writer.overflowed)
    }
}
