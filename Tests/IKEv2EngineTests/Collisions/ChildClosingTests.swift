import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// One end closes or makes a Child SA while the other one replaces or closes something (RFC 7296 §2.25.1).
@Suite struct ChildClosingTests {
    /// A second child, which is not up.
    private static func twoChildren(ike: String = "aes128gcm16-prfsha256-x25519", esp: String = "aes128gcm16")
        -> Crossing
    {
        let both = Side.allCases.map { side -> Connection in
            var connection = Pair.connection(isLeft: side == .left, ike: ike)
            var second = Pair.child("second", isLeft: side == .left, esp: esp)
            let (near, far) = (Pair.prefix("10.3.0.0/16"), Pair.prefix("10.4.0.0/16"))
            second.localSelectors = [SelectorTemplate(side == .left ? near : far)]
            second.remoteSelectors = [SelectorTemplate(side == .left ? far : near)]
            connection.children.append(second)
            return connection
        }
        let crossing = Crossing(left: both[0], right: both[1])
        crossing.carriesAlways = false
        return crossing
    }

    private static func closing(esp: String = "aes128gcm16") -> Crossing {
        let crossing = Crossing(esp: esp)
        crossing.carriesAlways = false
        return crossing
    }

    private func begin(_ side: Side, _ crossing: Crossing) {
        crossing.handle(side, .command(.initiate(connection: "net", child: "second")))
    }

    // MARK: Closing

    @Test(arguments: Side.allCases) func regular(_ side: Side) throws {
        let crossing = Self.closing()
        crossing.closeChild(side)
        crossing.settle()
        try crossing.expectNoChild()
    }

    /// Each is answered with nothing: what an end has asked to close itself is not in its answer (RFC 7296 §1.4.1).
    @Test func bothCloseIt() throws {
        let crossing = Self.closing()
        crossing.closeChild(.left)
        crossing.closeChild(.right)
        for side in Side.allCases {
            try crossing.pass(from: side)
            #expect(crossing.lastWords(side.other).hasSuffix("[ ]"))
        }
        crossing.settle()
        try crossing.expectNoChild()
    }

    /// Both close it, and what one of them asks, or answers, is lost. Whoever has been asked has nothing to wait for.
    @Test(arguments: Side.allCases, [true, false]) func bothCloseItAndAMessageIsLost(_ side: Side, request: Bool) throws
    {
        let crossing = Self.closing()
        crossing.closeChild(.left)
        crossing.closeChild(.right)
        if !request { try crossing.pass(from: side.other) }
        _ = try crossing.keep(from: side)
        if !request { _ = try crossing.keep(from: side) }
        crossing.settle()
        #expect(crossing[side].endpoint.counts.childSAs == 0)
        crossing.advance(.minutes(1))
        try crossing.expectNoChild()
    }

    // MARK: Closing and replacing the same Child SA

    /// The closing and the request for a replacement cross: nothing is left, whichever comes first.
    @Test(arguments: Side.allCases, ["aes128gcm16", "aes128gcm16-x25519-ke1_ecp384"])
    func oneReplacesWhatTheOtherCloses(_ side: Side, esp: String) throws {
        let crossing = Self.closing(esp: esp)
        crossing.rekeyChild(side)
        crossing.closeChild(side.other)
        try crossing.pass(from: side)
        #expect(crossing.lastWords(side.other).contains("TEMP_FAIL"))
        crossing.settle()
        try crossing.expectNoChild()
        crossing.advance(.minutes(2))
        try crossing.expectNoChild()
    }

    /// It is closed between the two rounds of its replacement, by either end.
    @Test(arguments: Side.allCases, Side.allCases)
    func oneReplacesWhatIsClosedBetweenTheRounds(_ side: Side, closes: Side) throws {
        let crossing = Self.closing(esp: "aes128gcm16-x25519-ke1_ecp384")
        crossing.rekeyChild(side)
        try crossing.pass(from: side)
        try crossing.pass(from: side.other)
        crossing.closeChild(closes)
        if closes == side.other {
            // The closing comes first, then the second round.
            let round = try crossing.keep(from: side)
            try crossing.pass(from: side.other)
            crossing.arrive(round, from: side)
        }
        crossing.settle()
        crossing.advance(.minutes(2))
        for end in Side.allCases { #expect(crossing.sends(end) == nil && crossing[end].liveSPIs == [], "\(end)") }
        for end in Side.allCases { #expect(crossing[end].endpoint.counts.spis == 0, "\(end)") }
        try crossing.expectNoChild()
    }

    /// The closing is lost once: who wanted the replacement is told to wait, and does not find the Child SA when it has.
    @Test(arguments: Side.allCases) func theClosingIsLost(_ side: Side) throws {
        let crossing = Self.closing()
        crossing.rekeyChild(side)
        crossing.closeChild(side.other)
        _ = try crossing.keep(from: side.other)
        try crossing.pass(from: side)
        #expect(crossing.lastWords(side.other).contains("TEMP_FAIL"))
        crossing.settle()
        crossing.advance(.minutes(2))
        try crossing.expectNoChild()
    }

    /// The request for a replacement is lost once: when it comes, there is nothing to be replaced.
    @Test(arguments: Side.allCases) func theRequestIsLost(_ side: Side) throws {
        let crossing = Self.closing()
        crossing.rekeyChild(side)
        crossing.closeChild(side.other)
        _ = try crossing.keep(from: side)
        try crossing.pass(from: side.other)
        try crossing.pass(from: side)
        try crossing.expectRequestUnderWay(side)
        crossing.advance(.minutes(2))
        #expect(
            crossing[side.other].kinds.contains { kind in
                if case .sent(let text, _, _) = kind { text.contains("NO_CHILD_SA") } else { false }
            })
        try crossing.expectNoChild()
    }

    /// The answer that asks to wait comes after the closing.
    @Test(arguments: Side.allCases) func theAnswerComesAfterTheClosing(_ side: Side) throws {
        let crossing = Self.closing()
        crossing.rekeyChild(side)
        crossing.closeChild(side.other)
        let closing = try crossing.keep(from: side.other)
        try crossing.pass(from: side)
        let answer = try crossing.keep(from: side.other)
        crossing.arrive(closing, from: side.other)
        crossing.settle()
        crossing.arrive(answer, from: side.other)
        crossing.settle()
        crossing.advance(.minutes(2))
        try crossing.expectNoChild()
    }

    // MARK: The IKE SA is replaced meanwhile

    /// One end closes the Child SA, the other replaces the IKE SA: the Child SA is gone and the IKE SA is a new one.
    @Test(arguments: Side.allCases) func theIKESAIsReplacedMeanwhile(_ side: Side) throws {
        let crossing = Self.closing()
        let before = try #require(crossing[side].summary?.initiatorSPI)
        crossing.closeChild(side)
        crossing.rekeyIKE(side.other)
        try crossing.pass(from: side.other)
        #expect(crossing.lastWords(side).contains("TEMP_FAIL"))
        crossing.settle()
        try crossing.expectNoChild()
        crossing.advance(.minutes(2))
        try crossing.expectNoChild()
        #expect(crossing[side].summary?.initiatorSPI != before)
    }

    /// One end closes the Child SA, the other the IKE SA.
    @Test(arguments: Side.allCases, [true, false])
    func theIKESAIsClosedMeanwhile(_ side: Side, childFirst: Bool) throws {
        let crossing = Self.closing()
        crossing.closeChild(side)
        crossing.closeIKE(side.other)
        try crossing.pass(from: childFirst ? side : side.other)
        crossing.settle()
        crossing.advance(.minutes(1))
        crossing.expectNothing()
    }

    // MARK: Making one more

    @Test(arguments: Side.allCases) func theSameChildIsNotMadeTwice(_ side: Side) throws {
        let crossing = Self.twoChildren()
        begin(side, crossing)
        begin(side, crossing)
        crossing.settle()
        begin(side, crossing)
        begin(side.other, crossing)
        #expect(crossing.isSilent(.left) && crossing.isSilent(.right))
        try crossing.expectOne(["net", "second"])
    }

    @Test(arguments: Side.allCases) func oneMoreTakesSeveralKeyExchanges(_ side: Side) throws {
        let crossing = Self.twoChildren(esp: "aes128gcm16-x25519-ke1_mlkem768-ke2_ecp256")
        begin(side, crossing)
        crossing.settle()
        let second = crossing[side].summary?.children.first { $0.name == "second" }
        #expect(second?.algorithms.additionalKeyExchanges.count == 2)
        try crossing.expectOne(["net", "second"])
    }

    /// Both ends ask to wait, and the child comes up on the new IKE SA.
    @Test(arguments: Side.allCases) func oneMoreMeetsTheReplacementOfTheIKESA(_ side: Side) throws {
        let crossing = Self.twoChildren()
        let before = try #require(crossing[side].summary?.initiatorSPI)
        begin(side, crossing)
        crossing.rekeyIKE(side.other)
        try crossing.pass(from: side)
        #expect(crossing.lastWords(side.other).contains("TEMP_FAIL"))
        try crossing.pass(from: side.other)
        #expect(crossing.lastWords(side).contains("TEMP_FAIL"))
        crossing.advance(.minutes(3))
        #expect(crossing[side].summary?.initiatorSPI != before)
        try crossing.expectOne(["net", "second"])
    }

    /// One end makes one more, the other one closes the IKE SA.
    @Test(arguments: Side.allCases, [true, false])
    func oneMoreMeetsTheEndOfTheIKESA(_ side: Side, childFirst: Bool) throws {
        let crossing = Self.twoChildren()
        begin(side, crossing)
        crossing.closeIKE(side.other)
        try crossing.pass(from: childFirst ? side : side.other)
        crossing.settle()
        crossing.advance(.minutes(1))
        crossing.expectNothing()
    }

    /// Both ends make the same one at the same time: two Child SAs for the same packets harm nobody, and both ends agree.
    @Test func bothMakeTheSameOne() throws {
        let crossing = Self.twoChildren()
        begin(.left, crossing)
        begin(.right, crossing)
        crossing.settle()
        try crossing.expectAgreement(["net", "second", "second"])
        for side in Side.allCases { #expect(crossing.carries(from: side), "\(side)") }
        crossing.handle(.left, .command(.terminate(.child("second", connection: nil))))
        crossing.settle()
        try crossing.expectAgreement(["net"])
    }
}

extension Crossing {
    /// The request of this side's is still without an answer.
    func expectRequestUnderWay(_ side: Side) throws {
        let session = try #require(self[side].endpoint.inOrder.first)
        #expect(session.context.requests.inFlight?.exchange == .createChildSA)
    }
}
