import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// IKE SAs that are replaced and closed at the same time, by both ends or beside their Child SAs (RFC 7296 §2.8.1,
/// §2.25.2). What the Child SAs carry never stops.
@Suite struct IKERekeyingTests {
    private static let plain = "aes128gcm16-prfsha256-x25519"
    private static let hybrid = "aes128gcm16-prfsha256-x25519-ke1_ecp384"

    private static func crossing(_ lowest: Lowest = .leftRequest, ike: String = plain) -> Crossing {
        Crossing(lowest, ike: ike, esp: "aes128gcm16")
    }

    /// From here on the group in use is not the one that either end would choose.
    private static func preferAnotherGroup(_ crossing: Crossing, at sides: [Side] = Side.allCases, further: String = "")
    {
        for side in sides {
            crossing[side].endpoint.inOrder.first?.context.connection.proposals = Pair.proposals(
                "aes128gcm16-prfsha256-ecp256-x25519" + further, .ike)
        }
    }

    /// Whose replacement both ends hold.
    private func owner(_ crossing: Crossing) -> Side? {
        let summaries = crossing[.left].endpoint.summaries()
        return summaries.count == 1 ? summaries[0].isInitiator ? .left : .right : nil
    }

    /// There is a new IKE SA, of this side's, with the Child SA of before.
    private func expectReplaced(
        _ crossing: Crossing, by side: Side?, from before: IKESASummary, at place: SourceLocation = #_sourceLocation
    ) throws {
        let after = try #require(crossing[.left].summary, sourceLocation: place)
        #expect(after.initiatorSPI != before.initiatorSPI, sourceLocation: place)
        #expect(after.children.map(\.inboundSPI) == before.children.map(\.inboundSPI), sourceLocation: place)
        if let side { #expect(owner(crossing) == side, sourceLocation: place) }
        try crossing.expectOne(at: place)
    }

    // MARK: One end

    @Test(arguments: Side.allCases, [plain, hybrid + "-ke2_mlkem768"]) func regular(_ side: Side, ike: String) throws {
        let crossing = Self.crossing(ike: ike)
        let before = try #require(crossing[.left].summary)
        crossing.rekeyIKE(side)
        crossing.settle()
        try expectReplaced(crossing, by: side, from: before)
    }

    @Test(arguments: Side.allCases, ["", "-ke1_ecp384"])
    func theGroupIsNotTheOneThatThePeerWants(_ side: Side, further: String) throws {
        let crossing = Self.crossing(ike: Self.plain + further)
        let before = try #require(crossing[.left].summary)
        Self.preferAnotherGroup(crossing, further: further)
        crossing.rekeyIKE(side)
        try crossing.pass(from: side)
        #expect(crossing.lastWords(side.other).contains("INVAL_KE"))
        crossing.settle()
        #expect(crossing[side].summary?.algorithms?.first(.keyExchange) == .ecp256)
        try expectReplaced(crossing, by: side, from: before)
    }

    // MARK: Both ends

    @Test(arguments: Lowest.allCases, [plain, hybrid]) func bothRequestsCross(_ lowest: Lowest, ike: String) throws {
        let crossing = Self.crossing(lowest, ike: ike)
        let before = try #require(crossing[.left].summary)
        crossing.rekeyIKE(.left)
        crossing.rekeyIKE(.right)
        crossing.settle()
        crossing.advance(.minutes(2))
        try expectReplaced(crossing, by: lowest.stays, from: before)
    }

    /// One end's replacement takes a round more than the other's. Whose answer it is decides which proposal is used.
    @Test(arguments: Lowest.allCases, Side.allCases)
    func oneTakesARoundMoreThanTheOther(_ lowest: Lowest, longer: Side) throws {
        let crossing = Self.crossing(lowest)
        let before = try #require(crossing[.left].summary)
        for side in Side.allCases {
            let texts = side == longer ? "\(Self.plain),\(Self.hybrid)" : "\(Self.hybrid),\(Self.plain)"
            crossing[side].endpoint.inOrder.first?.context.connection.proposals = Pair.proposals(texts, .ike)
        }
        crossing.rekeyIKE(.left)
        crossing.rekeyIKE(.right)
        crossing.settle()
        crossing.advance(.minutes(3))
        #expect(owner(crossing) == longer.other)
        try expectReplaced(crossing, by: longer.other, from: before)
    }

    @Test(arguments: Lowest.allCases, [true, false])
    func theGroupsAreNotTheOnesThatThePeersWant(_ lowest: Lowest, both: Bool) throws {
        let crossing = Self.crossing(lowest)
        let before = try #require(crossing[.left].summary)
        Self.preferAnotherGroup(crossing, at: both ? Side.allCases : [.right])
        if !both {
            crossing[.left].endpoint.inOrder.first?.context.connection.proposals = Pair.proposals(
                "aes128gcm16-prfsha256-x25519-ecp256", .ike)
        }
        crossing.rekeyIKE(.left)
        crossing.rekeyIKE(.right)
        try crossing.pass(from: .left)
        #expect(crossing.lastWords(.right).contains("INVAL_KE"))
        try crossing.pass(from: .right)
        #expect(crossing.lastWords(.left).contains("INVAL_KE") == both)
        crossing.settle()
        crossing.advance(.minutes(2))
        try expectReplaced(crossing, by: both ? lowest.stays : nil, from: before)
    }

    /// The second request of one end is late: the other end never hears of a contest.
    @Test(arguments: Lowest.allCases) func theSecondRequestIsLate(_ lowest: Lowest) throws {
        let crossing = Self.crossing(lowest)
        let before = try #require(crossing[.left].summary)
        Self.preferAnotherGroup(crossing)
        crossing.rekeyIKE(.left)
        crossing.rekeyIKE(.right)
        for _ in 0..<2 {
            try crossing.pass(from: .left)
            try crossing.pass(from: .right)
        }
        let late = try crossing.keep(from: .left)
        try crossing.pass(from: .right)
        try crossing.pass(from: .left)
        crossing.arrive(late, from: .left)
        #expect(crossing.lastWords(.right).contains("TEMP_FAIL"))
        crossing.settle()
        crossing.advance(.minutes(2))
        try expectReplaced(crossing, by: .right, from: before)
    }

    /// One answer is late: the other end decides the contest before this one can.
    @Test(arguments: Lowest.allCases, [plain, hybrid])
    func anAnswerIsLate(_ lowest: Lowest, ike: String) throws {
        for afterTheClosing in [true, false] {
            let crossing = Self.crossing(lowest, ike: ike)
            let before = try #require(crossing[.left].summary)
            crossing.rekeyIKE(.left)
            crossing.rekeyIKE(.right)
            for _ in 0..<(ike == Self.hybrid ? 3 : 1) {
                try crossing.pass(from: .left)
                try crossing.pass(from: .right)
            }
            let late = try crossing.keep(from: .right)
            try crossing.pass(from: .left)
            #expect(crossing[.right].endpoint.counts.ikeSAs == 3)
            if afterTheClosing {
                // What the right one closes is closed first.
                try crossing.pass(from: .right)
                if !crossing.isSilent(.left) { try crossing.pass(from: .left) }
            }
            crossing.arrive(late, from: .right)
            crossing.settle()
            crossing.advance(.minutes(3))
            try expectReplaced(crossing, by: lowest.stays, from: before)
        }
    }

    /// One answer is late, and the other end, which has decided the contest, uses the new IKE SA before it comes: whoever
    /// sees that has its answer.
    @Test(arguments: [Lowest.leftRequest, .rightAnswer]) func theWinnerIsUsedBeforeTheAnswer(_ lowest: Lowest) throws {
        let crossing = Self.crossing(lowest)
        let before = try #require(crossing[.left].summary)
        crossing.rekeyIKE(.left)
        crossing.rekeyIKE(.right)
        try crossing.pass(from: .left)
        try crossing.pass(from: .right)
        let late = try crossing.keep(from: .right)
        try crossing.pass(from: .left)
        let closing = try crossing.keep(from: .right)
        crossing.rekeyChild(.right)
        try crossing.pass(from: .right)
        #expect(crossing.lastWords(.left).contains("CREATE_CHILD_SA response 0 [ SA"))
        crossing.settle()
        // Nobody has to wait for the late answer; what it has made is closed.
        crossing.arrive(late, from: .right)
        crossing.arrive(closing, from: .right)
        crossing.settle()
        try crossing.expectAgreement()
        crossing.advance(.minutes(2))
        #expect(owner(crossing) == .right)
        let after = try #require(crossing[.left].summary)
        #expect(after.initiatorSPI != before.initiatorSPI)
        #expect(after.children.map(\.inboundSPI) != before.children.map(\.inboundSPI))
        try crossing.expectOne()
    }

    /// One request is lost: it comes again when the other end is done.
    @Test(arguments: Lowest.allCases, Side.allCases) func aRequestIsLost(_ lowest: Lowest, from side: Side) throws {
        let crossing = Self.crossing(lowest)
        let before = try #require(crossing[.left].summary)
        crossing.rekeyIKE(.left)
        crossing.rekeyIKE(.right)
        _ = try crossing.keep(from: side)
        crossing.settle()
        try crossing.expectAgreement()
        crossing.advance(.minutes(3))
        try expectReplaced(crossing, by: side.other, from: before)
    }

    /// One request is late: it is told to wait, which comes before or after the closing of the old one.
    @Test(arguments: Lowest.allCases, [true, false])
    func aRequestIsLate(_ lowest: Lowest, closingFirst: Bool) throws {
        let crossing = Self.crossing(lowest)
        let before = try #require(crossing[.left].summary)
        crossing.rekeyIKE(.left)
        crossing.rekeyIKE(.right)
        let late = try crossing.keep(from: .left)
        try crossing.pass(from: .right)
        try crossing.pass(from: .left)
        crossing.arrive(late, from: .left)
        #expect(crossing.lastWords(.right).contains("TEMP_FAIL"))
        let closing = try crossing.keep(from: .right)
        if !closingFirst {
            try crossing.pass(from: .right)
            // Nothing will come of its own: it has taken the other end's.
            let summaries = crossing[.left].endpoint.summaries()
            #expect(summaries.map(\.state) == [.rekeyed, .established])
            #expect(summaries.map(\.children.count) == [0, 1])
        }
        crossing.arrive(closing, from: .right)
        crossing.settle()
        #expect(owner(crossing) == .right)
        crossing.advance(.minutes(2))
        try expectReplaced(crossing, by: .right, from: before)
    }

    /// The same among further key exchanges, between the rounds or after the last: whoever is at its end first has won.
    @Test(arguments: Lowest.allCases, [true, false])
    func aRequestIsLateAmongFurtherKeyExchanges(_ lowest: Lowest, afterTheLast: Bool) throws {
        let crossing = Self.crossing(lowest, ike: Self.hybrid)
        let before = try #require(crossing[.left].summary)
        crossing.rekeyIKE(.left)
        crossing.rekeyIKE(.right)
        let late = try crossing.keep(from: .left)
        for _ in 0..<(afterTheLast ? 2 : 1) {
            try crossing.pass(from: .right)
            try crossing.pass(from: .left)
        }
        crossing.arrive(late, from: .left)
        crossing.settle()
        crossing.advance(.minutes(2))
        try expectReplaced(crossing, by: .right, from: before)
    }

    // MARK: Replacing and closing

    @Test(arguments: Side.allCases, [plain, hybrid])
    func oneReplacesWhatTheOtherCloses(_ side: Side, ike: String) throws {
        for requestFirst in [true, false] {
            let crossing = Self.crossing(ike: ike)
            crossing.carriesAlways = false
            crossing.rekeyIKE(side)
            crossing.closeIKE(side.other)
            try crossing.pass(from: requestFirst ? side : side.other)
            crossing.settle()
            crossing.advance(.minutes(2))
            crossing.expectNothing()
        }
    }

    /// It is closed between the two rounds of its replacement.
    @Test(arguments: Side.allCases, Side.allCases)
    func oneReplacesWhatIsClosedBetweenTheRounds(_ side: Side, closes: Side) throws {
        let crossing = Self.crossing(ike: Self.hybrid)
        crossing.carriesAlways = false
        crossing.rekeyIKE(side)
        try crossing.pass(from: side)
        try crossing.pass(from: side.other)
        crossing.closeIKE(closes)
        crossing.settle()
        crossing.advance(.minutes(2))
        crossing.expectNothing()
    }

    /// The closing is lost once: who wanted the replacement waits, and then there is nothing to be replaced.
    @Test(arguments: Side.allCases) func theClosingIsLost(_ side: Side) throws {
        let crossing = Self.crossing()
        crossing.carriesAlways = false
        crossing.rekeyIKE(side)
        crossing.closeIKE(side.other)
        _ = try crossing.keep(from: side.other)
        try crossing.pass(from: side)
        #expect(crossing.lastWords(side.other).contains("TEMP_FAIL"))
        crossing.settle()
        crossing.advance(.minutes(2))
        crossing.expectNothing()
    }

    @Test(arguments: Side.allCases) func oneClosesIt(_ side: Side) throws {
        let crossing = Self.crossing()
        crossing.carriesAlways = false
        crossing.closeIKE(side)
        crossing.settle()
        crossing.expectNothing()
    }

    @Test(arguments: [Side?.none, .left, .right]) func bothCloseIt(lost: Side?) throws {
        let crossing = Self.crossing()
        crossing.carriesAlways = false
        crossing.closeIKE(.left)
        crossing.closeIKE(.right)
        if let lost {
            _ = try crossing.keep(from: lost)
            crossing.settle()
            // It has heard that the other end wants the same, and has nothing to wait for.
            #expect(crossing[lost].isEmpty)
        }
        crossing.advance(.minutes(2))
        crossing.expectNothing()
    }

    // MARK: Child SAs meanwhile

    /// One end replaces the Child SA, the other the IKE SA: both are told to wait, and both are replaced in the end.
    @Test(arguments: Side.allCases, ["aes128gcm16", "aes128gcm16-x25519-ke1_ecp384"])
    func aChildIsReplacedMeanwhile(_ side: Side, esp: String) throws {
        let crossing = Crossing(esp: esp)
        let before = try #require(crossing[.left].summary)
        crossing.rekeyChild(side)
        crossing.rekeyIKE(side.other)
        try crossing.pass(from: side)
        #expect(crossing.lastWords(side.other).contains("TEMP_FAIL"))
        try crossing.pass(from: side.other)
        #expect(crossing.lastWords(side).contains("TEMP_FAIL"))
        crossing.settle()
        #expect(crossing[.left].summary?.children.map(\.inboundSPI) == before.children.map(\.inboundSPI))
        crossing.advance(.minutes(3))
        let after = try #require(crossing[.left].summary)
        #expect(after.initiatorSPI != before.initiatorSPI)
        #expect(after.children.map(\.inboundSPI) != before.children.map(\.inboundSPI))
        try crossing.expectOne()
    }

    /// The request about the Child SA goes by the new IKE SA and comes before the answer that makes it: it comes again.
    @Test(arguments: Side.allCases) func aChildsRequestOvertakesTheNewIKESA(_ side: Side) throws {
        let crossing = Self.crossing()
        let before = try #require(crossing[.left].summary)
        crossing.rekeyIKE(side)
        try crossing.pass(from: side)
        crossing.rekeyChild(side.other)
        // The one that has answered uses the new IKE SA; the other one learns of it only now.
        let answer = try crossing.keep(from: side.other)
        let request = try crossing.keep(from: side.other)
        crossing.arrive(request, from: side.other)
        crossing.arrive(answer, from: side.other)
        crossing.advance(.minutes(3))
        let after = try #require(crossing[.left].summary)
        #expect(after.initiatorSPI != before.initiatorSPI)
        #expect(after.children.map(\.inboundSPI) != before.children.map(\.inboundSPI))
        try crossing.expectOne()
    }

    /// One end replaces the Child SA, the other closes the IKE SA.
    @Test(arguments: Side.allCases, [true, false])
    func theIKESAIsClosedWhileAChildIsReplaced(_ side: Side, requestFirst: Bool) throws {
        let crossing = Self.crossing()
        crossing.carriesAlways = false
        crossing.rekeyChild(side)
        crossing.closeIKE(side.other)
        try crossing.pass(from: requestFirst ? side : side.other)
        crossing.settle()
        crossing.advance(.minutes(2))
        crossing.expectNothing()
    }
}
