import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// Both ends replace the same Child SA at the same time (RFC 7296 §2.8.1), in every order in which their messages may meet.
///
/// Each is shown four times: once for each nonce that may be the lowest, so that either end wins by either of its own.
@Suite struct ChildCollisionTests {
    private static let hybrid = "aes128gcm16-x25519-ke1_ecp384"

    /// Both requests cross, both answers do, and both closings.
    @Test(arguments: Lowest.allCases, ["aes128gcm16", "aes128gcm16-x25519"])
    func bothRequestsCross(_ lowest: Lowest, esp: String) throws {
        let crossing = Crossing(lowest, esp: esp)
        crossing.rekeyChild(.left)
        crossing.rekeyChild(.right)
        crossing.settle()
        #expect(crossing.owner == lowest.stays)
        try crossing.expectOne()
    }

    /// The same where each replacement takes two rounds; only the first one has nonces.
    @Test(arguments: Lowest.allCases) func bothRequestsCrossWithFurtherKeyExchanges(_ lowest: Lowest) throws {
        let crossing = Crossing(lowest, esp: Self.hybrid)
        crossing.rekeyChild(.left)
        crossing.rekeyChild(.right)
        crossing.settle()
        #expect(crossing.owner == lowest.stays)
        try crossing.expectOne()
    }

    /// One end's replacement is done after one round, the other's after two: whoever is done first has closed the old one
    /// before the other comes to its end. The order of who answers decides which of two proposals is used.
    @Test(arguments: Lowest.allCases, Side.allCases)
    func oneTakesARoundMoreThanTheOther(_ lowest: Lowest, longer: Side) throws {
        func connection(_ side: Side) -> Connection {
            Pair.connection(
                isLeft: side == .left,
                esp: side == longer ? "aes128gcm16-x25519,\(Self.hybrid)" : "\(Self.hybrid),aes128gcm16-x25519")
        }
        let crossing = Crossing(lowest, left: connection(.left), right: connection(.right))
        crossing.rekeyChild(.left)
        crossing.rekeyChild(.right)
        crossing.settle()
        #expect(crossing.owner == longer.other)
        let children = try #require(crossing[.left].summary?.children)
        #expect(children.allSatisfy { $0.algorithms.additionalKeyExchanges.isEmpty })
        try crossing.expectAgreement()
        crossing.advance(.minutes(2))
        #expect(crossing.owner == longer.other)
        try crossing.expectOne()
    }

    /// One answer is late: the other end knows of the contest, and decides it, before this one does.
    @Test(arguments: Lowest.allCases, [hybrid, "aes128gcm16"])
    func anAnswerIsLate(_ lowest: Lowest, esp: String) throws {
        let crossing = Crossing(lowest, esp: esp)
        crossing.rekeyChild(.left)
        crossing.rekeyChild(.right)
        try crossing.pass(from: .left)
        try crossing.pass(from: .right)
        if esp == Self.hybrid {
            // Past the first rounds: the last answer is the one that counts.
            try crossing.pass(from: .left)
            try crossing.pass(from: .right)
            try crossing.pass(from: .left)
            try crossing.pass(from: .right)
        }
        let late = try crossing.keep(from: .right)
        try crossing.pass(from: .left)
        // The right one has both, and has said which one it closes.
        #expect(crossing[.right].endpoint.counts.childSAs == 3)
        crossing.arrive(late, from: .right)
        crossing.settle()
        #expect(crossing.owner == lowest.stays)
        try crossing.expectOne()
    }

    /// The same, and what the other end closes is closed before the answer comes.
    @Test(arguments: Lowest.allCases) func anAnswerComesAfterTheClosing(_ lowest: Lowest) throws {
        let crossing = Crossing(lowest)
        crossing.rekeyChild(.left)
        crossing.rekeyChild(.right)
        try crossing.pass(from: .left)
        try crossing.pass(from: .right)
        let late = try crossing.keep(from: .right)
        try crossing.pass(from: .left)
        try crossing.pass(from: .right)
        #expect(crossing.lastWords(.left).hasPrefix("INFORMATIONAL response"))
        crossing.arrive(late, from: .right)
        crossing.settle()
        #expect(crossing.owner == lowest.stays)
        try crossing.expectOne()
    }

    /// One request is late: the other end never hears of a contest, and closes the old one. It asks to wait, since it is
    /// about to; what it says about that comes before or after the closing.
    @Test(arguments: Lowest.allCases, [true, false])
    func aRequestIsLate(_ lowest: Lowest, closingFirst: Bool) throws {
        let crossing = Crossing(lowest)
        crossing.rekeyChild(.left)
        crossing.rekeyChild(.right)
        let late = try crossing.keep(from: .left)
        try crossing.pass(from: .right)
        try crossing.pass(from: .left)
        crossing.arrive(late, from: .left)
        #expect(crossing.lastWords(.right).contains("TEMP_FAIL"))
        let closing = try crossing.keep(from: .right)
        if closingFirst {
            crossing.arrive(closing, from: .right)
            crossing.settle()
        } else {
            try crossing.pass(from: .right)
            // What was replaced by the other end is not in use again.
            #expect(crossing[.left].summary?.children.map(\.state) == [.rekeyed, .installed])
            crossing.arrive(closing, from: .right)
            crossing.settle()
        }
        #expect(crossing.owner == .right)
        try crossing.expectAgreement()
        // Nothing is tried again for what is gone.
        crossing.advance(.minutes(2))
        #expect(crossing.owner == .right)
        try crossing.expectOne()
    }

    /// So late that the old one is closed when it comes: it is about nothing, and a new one is neither made nor closed.
    @Test(arguments: Lowest.allCases) func aRequestComesAfterTheClosing(_ lowest: Lowest) throws {
        let crossing = Crossing(lowest)
        crossing.rekeyChild(.left)
        crossing.rekeyChild(.right)
        let late = try crossing.keep(from: .left)
        try crossing.pass(from: .right)
        try crossing.pass(from: .left)
        try crossing.pass(from: .right)
        try crossing.pass(from: .left)
        #expect(crossing[.right].endpoint.counts.childSAs == 1)
        crossing.arrive(late, from: .left)
        #expect(crossing.lastWords(.right).contains("NO_CHILD_SA"))
        crossing.settle()
        #expect(crossing.owner == .right)
        crossing.advance(.minutes(2))
        #expect(crossing.owner == .right)
        try crossing.expectOne()
    }

    /// So late, and the replacement is closed as well meanwhile: then there is none, and the late request makes none.
    @Test(arguments: Lowest.allCases) func aRequestComesAfterTheChildIsClosed(_ lowest: Lowest) throws {
        let crossing = Crossing(lowest)
        crossing.rekeyChild(.left)
        crossing.rekeyChild(.right)
        let late = try crossing.keep(from: .left)
        try crossing.pass(from: .right)
        try crossing.pass(from: .left)
        try crossing.pass(from: .right)
        try crossing.pass(from: .left)
        crossing.carriesAlways = false
        crossing.closeChild(.right)
        try crossing.pass(from: .right)
        try crossing.pass(from: .left)
        #expect(crossing[.right].endpoint.counts.childSAs == 0)
        crossing.arrive(late, from: .left)
        crossing.settle()
        crossing.advance(.minutes(2))
        try crossing.expectNoChild()
    }

    /// A late request while the other end is between its two rounds, or past them: whoever is at its end first has replaced
    /// the old one, and the other one is told to wait, whatever its nonces are.
    @Test(arguments: Lowest.allCases, [true, false])
    func aRequestIsLateAmongFurtherKeyExchanges(_ lowest: Lowest, afterTheLast: Bool) throws {
        let crossing = Crossing(lowest, esp: Self.hybrid)
        crossing.rekeyChild(.left)
        crossing.rekeyChild(.right)
        let late = try crossing.keep(from: .left)
        try crossing.pass(from: .right)
        try crossing.pass(from: .left)
        if afterTheLast {
            try crossing.pass(from: .right)
            try crossing.pass(from: .left)
        }
        crossing.arrive(late, from: .left)
        crossing.settle()
        #expect(crossing.owner == .right)
        try crossing.expectAgreement()
        crossing.advance(.minutes(2))
        try crossing.expectOne()
    }

    /// Both ends begin with a group that the other one does not want, or one of them does; the contest is between the
    /// second requests.
    @Test(arguments: Lowest.allCases, [true, false])
    func theGroupsAreNotTheOnesThatThePeersWant(_ lowest: Lowest, both: Bool) throws {
        let crossing = Crossing(
            lowest, left: Pair.connection(esp: "aes128gcm16-x25519-ecp256"),
            right: Pair.connection(isLeft: false, esp: both ? "aes128gcm16-ecp256-x25519" : "aes128gcm16-ecp256"))
        crossing.rekeyChild(.left)
        crossing.rekeyChild(.right)
        try crossing.pass(from: .left)
        #expect(crossing.lastWords(.right).contains("INVAL_KE"))
        try crossing.pass(from: .right)
        #expect(crossing.lastWords(.left).contains("INVAL_KE") == both)
        crossing.settle()
        #expect(crossing.owner != nil && (!both || crossing.owner == lowest.stays))
        try crossing.expectOne()
    }

    /// The second request of one end is late, so that only the other end's first one is there.
    @Test(arguments: Lowest.allCases) func theSecondRequestIsLate(_ lowest: Lowest) throws {
        let crossing = Crossing(
            lowest, left: Pair.connection(esp: "aes128gcm16-x25519-ecp256"),
            right: Pair.connection(isLeft: false, esp: "aes128gcm16-ecp256-x25519"))
        crossing.rekeyChild(.left)
        crossing.rekeyChild(.right)
        try crossing.pass(from: .left)
        try crossing.pass(from: .right)
        try crossing.pass(from: .left)
        try crossing.pass(from: .right)
        // Both have been told of another group, and ask again.
        let late = try crossing.keep(from: .left)
        try crossing.pass(from: .right)
        try crossing.pass(from: .left)
        crossing.arrive(late, from: .left)
        #expect(crossing.lastWords(.right).contains("TEMP_FAIL"))
        crossing.settle()
        #expect(crossing.owner == .right)
        crossing.advance(.minutes(2))
        try crossing.expectOne()
    }

    /// The old Child SA has carried all that it may at one end while both replace it: that end closes it, whether it is its
    /// business or not, and nothing else goes with it.
    @Test(arguments: Lowest.allCases, Side.allCases)
    func theOldOneIsUsedUpMeanwhile(_ lowest: Lowest, who: Side) throws {
        for moment in 0..<3 {
            let crossing = Crossing(lowest)
            let old = try #require(crossing[who].summary?.children.first)
            func isUsedUp(_ now: Int) {
                if now == moment { crossing.handle(who, .plane(.volumeReached(old.id, .hard))) }
            }
            crossing.rekeyChild(.left)
            crossing.rekeyChild(.right)
            isUsedUp(0)
            try crossing.pass(from: .left)
            try crossing.pass(from: .right)
            isUsedUp(1)
            try crossing.pass(from: .left)
            try crossing.pass(from: .right)
            isUsedUp(2)
            crossing.settle()
            crossing.advance(.minutes(1))
            #expect(crossing.owner != nil)
            if moment > 0 { #expect(crossing.owner == lowest.stays) }
            try crossing.expectOne()
        }
    }

    /// While what has lost the contest waits for its end, the winner is replaced already.
    @Test(arguments: Lowest.allCases, Side.allCases)
    func theWinnerIsReplacedBeforeTheLoserIsClosed(_ lowest: Lowest, who: Side) throws {
        let crossing = Crossing(lowest)
        crossing.rekeyChild(.left)
        crossing.rekeyChild(.right)
        for _ in 0..<2 {
            try crossing.pass(from: .left)
            try crossing.pass(from: .right)
        }
        for side in Side.allCases {
            let states = crossing[side].summary?.children.map(\.state) ?? []
            #expect(states.count == 3 && states.count { $0 == .installed } == 1, "\(side): \(states)")
        }
        crossing.rekeyChild(who)
        crossing.settle()
        crossing.advance(.minutes(1))
        #expect(crossing.owner == who)
        try crossing.expectOne()
    }
}
