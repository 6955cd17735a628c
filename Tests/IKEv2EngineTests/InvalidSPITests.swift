import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// Packets for Child SAs that are not there (RFC 7296 §1.5).
@Suite struct InvalidSPITests {
    private static func pair() -> Pair {
        let pair = Pair()
        pair.connect()
        pair.advance(.seconds(15))
        pair.left.effects = []
        pair.right.effects = []
        pair.trace = []
        return pair
    }

    /// A packet of the left's reaches the right, which has no SA for it.
    private static func stray(_ pair: Pair, _ spi: UInt32, from address: IPAddress = Pair.leftAddress) {
        let path = Path(local: Endpoint(Pair.rightAddress, 4500), remote: Endpoint(address, 4500))
        pair.right.handle(.plane(.unknownSPI(spi, path)))
        pair.run()
    }

    private static func inClear(_ spi: UInt32, _ pair: Pair) throws {
        let header = IKEHeader(
            initiatorSPI: 0, responderSPI: 0, exchange: .informational, flags: .initiator, messageID: 0)
        let octets = (0..<4).reversed().map { UInt8(truncatingIfNeeded: spi >> (8 * UInt32($0))) }
        let bytes = try Message(header, [.notify(NotifyPayload(.invalidSPI, octets))]).encoded()
        let path = Path(local: Endpoint(Pair.leftAddress, 4500), remote: Endpoint(Pair.rightAddress, 4500))
        pair.left.handle(.datagram(Datagram(bytes, path: path, socket: .natTraversal)))
        pair.run()
    }

    private static func received(_ gateway: Gateway) -> [String] {
        gateway.kinds.compactMap { if case .received(let text, _, _) = $0 { text } else { nil } }
    }

    @Test func thePeerIsToldInTheIKESA() {
        let pair = Self.pair()
        Self.stray(pair, 0xdead_0001)
        #expect(pair.trace.count == 2, "the report and its answer")
        #expect(Self.received(pair.left).contains { $0.contains("INVAL") })
        #expect(pair.left.closeReasons == [] && pair.left.endpoint.counts.childSAs == 1)
    }

    @Test("Attack 33: packets for SPIs that nobody has lead to few reports, and to none outside of an IKE SA")
    func attack33() {
        let pair = Self.pair()
        for spi in 0..<1_000 {
            Self.stray(pair, 0xdead_0000 + UInt32(spi))
            Self.stray(pair, 0xdead_0000 + UInt32(spi), from: IPAddress(v4: 0x0a00_0000 + UInt32(spi)))
            pair.advance(.milliseconds(20))
        }
        let sent = pair.trace.count { !$0.fromLeft }
        #expect((1...3).contains(sent), "20 seconds, at most one in ten")
    }

    /// Whoever sends packets with SPIs of nobody's from addresses of nobody's keeps no peer from being told.
    @Test func strangersUseNothingUp() {
        let pair = Self.pair()
        for number in UInt32(0)..<500 {
            Self.stray(pair, 0xdead_0000 + number, from: IPAddress(v4: 0x0a00_0000 + number))
        }
        #expect(pair.trace.isEmpty)
        Self.stray(pair, 0xdead_0001)
        #expect(pair.trace.count == 2, "the report and its answer")
    }

    /// Nor does a peer that was told and goes on.
    @Test func whoWasToldUsesNothingUp() {
        let pair = Self.pair()
        for number in UInt32(0)..<500 { Self.stray(pair, 0xdead_0000 + number) }
        #expect(pair.trace.count == 2)
        let left = pair.right.endpoint.tables.strayPackets.reports.take(now: pair.right.environment.now)
        #expect(left, "nine of ten are there for others")
    }

    /// The right has lost the Child SA: what the left sends comes to nothing until it is made anew.
    @Test func aLostChildComesBack() throws {
        let pair = Self.pair()
        let session = try #require(pair.right.endpoint.inOrder.first)
        let lost = try #require(session.context.children.all.first)
        var effects = Effects()
        pair.right.endpoint.inTurn(&pair.right.environment, &effects) { turn in
            session.context.removeChild(lost.id, .failed(.planeRefused(reason: "lost")), staysBlocked: true, &turn)
        }
        Self.stray(pair, lost.agreement.inboundSPI)
        #expect(pair.left.endpoint.counts.childSAs == 1 && pair.right.endpoint.counts.childSAs == 1)
        let left = try #require(pair.left.summary?.children.first)
        let right = try #require(pair.right.summary?.children.first)
        #expect(left.inboundSPI == right.outboundSPI && left.outboundSPI == right.inboundSPI)
        #expect(left.outboundSPI != lost.agreement.inboundSPI)
    }

    /// A peer that says so of a Child SA that it has: it is replaced, and nothing is lost.
    @Test func aWrongReportCostsARekeyingAtMost() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.authenticate()
        let child = try #require(pair.right.summary?.children.first)
        let octets = (0..<4).reversed().map { UInt8(truncatingIfNeeded: child.outboundSPI >> (8 * UInt32($0))) }
        let report: [Payload] = [.notify(NotifyPayload(.invalidSPI, octets))]
        // It was made just now: the packet may have overtaken its message.
        #expect(rogue.ask(.informational, 2, report).count == 1)
        #expect(pair.right.summary?.children.first?.state == .installed)
        pair.right.environment.now = pair.right.environment.now + .seconds(11)
        for id: UInt32 in 3..<50 { _ = rogue.ask(.informational, id, report) }
        let asked = pair.right.kinds.count {
            if case .sent(let text, _, _) = $0 { text.contains("CREATE_CHILD_SA") } else { false }
        }
        #expect(asked == 1)
        #expect(pair.right.endpoint.counts.childSAs == 1)
    }

    @Test func aHintInClearLeadsToOneQuestionAtMost() throws {
        let pair = Self.pair()
        let child = try #require(pair.left.summary?.children.first)
        try Self.inClear(0xdead_beef, pair)
        #expect(pair.trace.isEmpty, "it names nothing that is there")
        for _ in 0..<100 { try Self.inClear(child.outboundSPI, pair) }
        #expect(pair.trace.count == 2, "a question and its answer")
        #expect(pair.left.kinds.contains(.peerAlive))
        #expect(pair.left.summary?.children.first == child)
    }
}
