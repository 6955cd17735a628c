import IKEMessages
import Testing
import WireFormat

/// What every codec must withstand.
enum Codec {
    static let header = IKEHeader(
        initiatorSPI: 0x0102_0304_0506_0708, responderSPI: 0x1112_1314_1516_1718, exchange: .informational,
        flags: [.initiator], messageID: 3)

    /// Round trip, canonical writing, every truncation, every single-bit flip, of one payload in a datagram and of its
    /// body alone.
    static func check(_ payload: Payload, hasOpenEnd: Bool, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let message = Message(header, [payload])
        try check(message, sourceLocation: sourceLocation)

        // The body alone, cut at every octet, with all outer lengths right: a body that ends in free octets may be
        // shorter, and is then another valid body; any other must be refused.
        let bytes = try message.encoded()
        let bodyStart = IKEHeader.byteCount + 4
        for cut in bodyStart..<bytes.count {
            let outcome = Result { try Message(parsing: fitted(Array(bytes[..<cut]))) }
            switch outcome {
            case .success(let other):
                #expect(hasOpenEnd, "cut at \(cut - bodyStart)", sourceLocation: sourceLocation)
                #expect(other != message, sourceLocation: sourceLocation)
                try expectFixpoint(other, sourceLocation: sourceLocation)
            case .failure(let error):
                #expect(error is GrammarError, sourceLocation: sourceLocation)
            }
        }
        // One octet more than the body: never the same payload.
        let longer = Result { try Message(parsing: fitted(bytes + [0])) }
        #expect((try? longer.get()) != message, sourceLocation: sourceLocation)
    }

    /// The same for a whole message in clear.
    static func check(_ message: Message, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let bytes = try message.encoded()
        #expect(try Message(parsing: bytes) == message, sourceLocation: sourceLocation)
        #expect(try Message(parsing: bytes).encoded() == bytes, sourceLocation: sourceLocation)
        for cut in 0..<bytes.count {
            #expect(throws: GrammarError.self, "cut at \(cut)", sourceLocation: sourceLocation) {
                try ReceivedMessage(parsing: Array(bytes[..<cut]))
            }
            // The header's length is right, a payload's is not.
            if cut > IKEHeader.byteCount {
                var fitting = Array(bytes[..<cut])
                patch(&fitting, at: 24, UInt32(cut))
                let parsed = Result { try ReceivedMessage(parsing: fitting) }
                #expect((try? parsed.get()) == nil, "cut at \(cut)", sourceLocation: sourceLocation)
            }
        }
        for bit in 0..<(bytes.count * 8) {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            guard let received = try? ReceivedMessage(parsing: flipped) else { continue }
            switch received {
            case .clear(let other): try expectFixpoint(other, sourceLocation: sourceLocation)
            // A flipped next payload can name SK.
            case .sealed(let sealed): #expect(sealed.bytes == flipped, sourceLocation: sourceLocation)
            }
        }
    }

    /// What was read can be written, and is then read as the same.
    static func expectFixpoint(_ message: Message, sourceLocation: SourceLocation) throws {
        let written = try message.encoded()
        #expect(try Message(parsing: written) == message, sourceLocation: sourceLocation)
        #expect(try Message(parsing: written).encoded() == written, sourceLocation: sourceLocation)
    }

    /// The octets of a message with one payload, with both lengths made to fit.
    static func fitted(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        patch(&bytes, at: 24, UInt32(bytes.count))
        let length = bytes.count - IKEHeader.byteCount
        bytes[30] = UInt8(length >> 8)
        bytes[31] = UInt8(length & 255)
        return bytes
    }

    static func patch(_ bytes: inout [UInt8], at offset: Int, _ value: UInt32) {
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * index)) }
    }

    /// Octets that are easy to recognise.
    static func octets(_ count: Int, from start: UInt8 = 1) -> [UInt8] {
        (0..<count).map { start &+ UInt8(truncatingIfNeeded: $0) }
    }
}
