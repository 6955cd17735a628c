import IKEMessages
import Testing

/// Every IKE packet of tcpdump's captures, most of which were made to break a parser.
@Suite struct CaptureTests {
    /// What became of each UDP datagram to or from port 500 or 4500, in order.
    static func outcomes(_ name: String) throws -> [String] {
        try Capture(named: name).datagrams.compactMap { datagram in
            let ports = [datagram.source, datagram.destination]
            guard ports.contains(500) || ports.contains(4500) else { return nil }
            var payload = datagram.payload
            if ports.contains(4500), !ports.contains(500) {
                // RFC 3948 §2: four octets of zero mark IKE among ESP.
                guard payload.starts(with: [0, 0, 0, 0]) else { return "not IKE" }
                payload.removeFirst(4)
            }
            do {
                switch try ReceivedMessage(parsing: payload) {
                case .clear(let message): return message.description
                case .sealed(let message): return message.description
                }
            } catch {
                return "refused: \(error)"
            }
        }
    }

    @Test(arguments: CaptureOutcomes.all) func everyPacketHasItsOutcome(_ capture: CaptureOutcomes) throws {
        #expect(try Self.outcomes(capture.name) == capture.outcomes)
    }

    @Test func messagesInClearAreWrittenAsTheyWere() throws {
        // Real implementations write what we write: nothing is lost or reordered.
        for datagram in try Capture(named: "ikev2four.pcap").datagrams.prefix(2) {
            guard case .clear(let message) = try ReceivedMessage(parsing: datagram.payload) else { continue }
            #expect(try message.encoded() == datagram.payload)
        }
    }

    @Test func everyTruncationAndBitFlipOfARealPacketIsHandled() throws {
        var parsed = 0
        for name in ["ikev2four.pcap", "ikev2pI2.pcap", "ikev2-id-normal.pcap"] {
            for datagram in try Capture(named: name).datagrams.prefix(4) {
                let bytes = datagram.payload
                for cut in 0..<bytes.count {
                    #expect(throws: GrammarError.self) { try ReceivedMessage(parsing: Array(bytes[..<cut])) }
                }
                for bit in 0..<(bytes.count * 8) {
                    var flipped = bytes
                    flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                    guard case .clear(let message)? = try? ReceivedMessage(parsing: flipped) else { continue }
                    parsed += 1
                    #expect(try Message(parsing: message.encoded()) == message)
                }
            }
        }
        #expect(parsed > 1000)
    }
}
