import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// One end replaces a Child SA, and the other one does something of its own meanwhile, right or wrong.
///
/// The situations are those of the field's best list of cases; which of our tests shows which is in
/// `Documentation/collisions.md`.
@Suite struct ChildRekeyingTests {
    /// The groups differ so that an end that begins with its own first one is told of another.
    private static func groups(_ left: String, _ right: String, _ lowest: Lowest = .leftRequest) -> Crossing {
        Crossing(lowest, left: Pair.connection(esp: left), right: Pair.connection(isLeft: false, esp: right))
    }

    @Test(arguments: Side.allCases, ["aes128gcm16", "aes128gcm16-x25519", "aes128gcm16-x25519-ke1_ecp256-ke2_ecp384"])
    func regular(_ side: Side, esp: String) throws {
        let crossing = Crossing(esp: esp)
        crossing.rekeyChild(side)
        crossing.settle()
        #expect(crossing.owner == side)
        try crossing.expectOne()
    }

    /// The peer wants another group of those that it was offered, with and without key exchanges after it.
    @Test(arguments: Side.allCases, ["", "-ke1_ecp384"])
    func theGroupIsNotTheOneThatThePeerWants(_ side: Side, further: String) throws {
        let crossing = Self.groups("aes128gcm16-x25519-ecp256" + further, "aes128gcm16-ecp256-x25519" + further)
        crossing.rekeyChild(side)
        try crossing.pass(from: side)
        #expect(crossing.lastWords(side.other).contains("INVAL_KE"))
        crossing.settle()
        #expect(crossing.owner == side)
        let wanted = crossing[side].summary?.children.first?.algorithms.first(.keyExchange)
        #expect(wanted == (side == .left ? .ecp256 : .x25519))
        try crossing.expectOne()
    }

    /// Who has answered does not begin anew when its own time for the old one comes.
    @Test(arguments: Side.allCases) func whoWasAskedIsLateWithItsOwn(_ side: Side) throws {
        let crossing = Crossing()
        crossing.rekeyChild(side)
        try crossing.pass(from: side)
        let answer = try crossing.keep(from: side.other)
        crossing.rekeyChild(side.other)
        let old = try #require(crossing[side.other].summary?.children.first { $0.state == .rekeyed })
        crossing.handle(side.other, .plane(.volumeReached(old.id, .soft)))
        crossing.handle(side.other, .plane(.sequenceExhausted(old.id)))
        // The replacement is asked to be replaced by the command, and nothing else is.
        let request = try crossing.keep(from: side.other)
        crossing.arrive(request, from: side.other)
        #expect(crossing.lastWords(side).contains("TEMP_FAIL"))
        crossing.arrive(answer, from: side.other)
        crossing.settle()
        #expect(crossing.owner == side)
        try crossing.expectAgreement()
        crossing.advance(.minutes(2))
        try crossing.expectOne()
    }

    /// The same by the data plane only: there is nothing that the other end would have to hear.
    @Test(arguments: Side.allCases) func whoWasAskedIgnoresTheEndOfTheOldOnesTime(_ side: Side) throws {
        let crossing = Crossing()
        let old = try #require(crossing[side.other].summary?.children.first)
        crossing.rekeyChild(side)
        try crossing.pass(from: side)
        let answer = try crossing.keep(from: side.other)
        crossing.handle(side.other, .plane(.volumeReached(old.id, .soft)))
        crossing.handle(side.other, .plane(.sequenceExhausted(old.id)))
        #expect(crossing.isSilent(side.other))
        crossing.arrive(answer, from: side.other)
        crossing.settle()
        #expect(crossing.owner == side)
        try crossing.expectOne()
    }

    /// The old one has carried all that it may before who has replaced it closes it: then the other end does.
    @Test(arguments: Side.allCases, [true, false])
    func whoWasAskedClosesAnOldOneThatIsUsedUp(_ side: Side, beforeTheAnswer: Bool) throws {
        let crossing = Crossing()
        let old = try #require(crossing[side.other].summary?.children.first)
        crossing.rekeyChild(side)
        try crossing.pass(from: side)
        if beforeTheAnswer {
            let answer = try crossing.keep(from: side.other)
            crossing.handle(side.other, .plane(.volumeReached(old.id, .hard)))
            // The closing overtakes the answer: for a moment the one end has closed what the other still sends on.
            crossing.carriesAlways = false
            try crossing.pass(from: side.other)
            crossing.arrive(answer, from: side.other)
        } else {
            try crossing.pass(from: side.other)
            crossing.handle(side.other, .plane(.volumeReached(old.id, .hard)))
        }
        crossing.settle()
        #expect(crossing.owner == side)
        // It was replaced: nobody has to be told that a time is over, and packets on their way are still taken.
        let reasons = crossing[side.other].kinds.compactMap { kind -> Event.CloseReason? in
            if case .childClosed(let child, let reason) = kind, child.id == old.id { reason } else { nil }
        }
        #expect(reasons == [.replaced])
        try crossing.expectOne()
    }

    /// Who has answered is told to close the child: the old one and its replacement go, whatever comes first: the answer, or
    /// the closing of one or both.
    @Test(arguments: Side.allCases, 0...2)
    func whoWasAskedClosesTheChild(_ side: Side, beforeTheAnswer: Int) throws {
        let crossing = Crossing()
        crossing.carriesAlways = false
        crossing.rekeyChild(side)
        try crossing.pass(from: side)
        let answer = try crossing.keep(from: side.other)
        if beforeTheAnswer == 0 { crossing.arrive(answer, from: side.other) }
        crossing.closeChild(side.other)
        for _ in 0..<beforeTheAnswer {
            try crossing.pass(from: side.other)
            try crossing.pass(from: side)
        }
        if beforeTheAnswer > 0 { crossing.arrive(answer, from: side.other) }
        if beforeTheAnswer == 2 { #expect(crossing[side].endpoint.counts.childSAs == 0) }
        crossing.advance(.minutes(1))
        for end in Side.allCases { #expect(crossing[end].endpoint.counts.childSAs == 0, "\(end)") }
        for end in Side.allCases { #expect(crossing[end].endpoint.counts.spis == 0, "\(end)") }
        for end in Side.allCases { #expect(crossing.sends(end) == nil && crossing[end].liveSPIs == [], "\(end)") }
        #expect(crossing[.left].summary?.state == .established && crossing[.right].summary?.state == .established)
        // And it comes up again when somebody wants it.
        crossing[side].effects.removeAll { if case .publish = $0 { true } else { false } }
        crossing[side.other].effects.removeAll { if case .publish = $0 { true } else { false } }
        crossing.handle(side, .command(.initiate(connection: "net", child: "net")))
        crossing.settle()
        try crossing.expectOne()
    }

    /// Who was asked has lost the Child SA: a new one takes its place, and nobody keeps the lost one.
    @Test(arguments: Side.allCases) func whoWasAskedHasLostIt(_ side: Side) throws {
        let crossing = Crossing()
        crossing.carriesAlways = false
        let gateway = crossing[side.other]
        let session = try #require(gateway.endpoint.inOrder.first)
        let lost = try #require(session.context.children.all.first)
        var effects = Effects()
        gateway.endpoint.inTurn(&gateway.environment, &effects) { turn in
            session.context.removeChild(lost.id, .replaced, staysBlocked: true, &turn)
        }
        gateway.effects += effects.take()
        crossing.rekeyChild(side)
        try crossing.pass(from: side)
        #expect(crossing.lastWords(side.other).contains("NO_CHILD_SA"))
        crossing.settle()
        #expect(crossing.owner == side)
        try crossing.expectOne()
    }

    /// Who was asked closes the old Child SA by itself, which is not its business: at once, while the answer is on its way,
    /// or when the other end does as well.
    @Test(arguments: Side.allCases, 0..<3) func whoWasAskedClosesTheOldOne(_ side: Side, moment: Int) throws {
        let crossing = Crossing()
        let old = try #require(crossing[side.other].summary?.children.first)
        crossing.rekeyChild(side)
        try crossing.pass(from: side)
        switch moment {
        case 0:
            let answer = try crossing.keep(from: side.other)
            try crossing.intend(side.other, .deleteChild(old.id, .replaced))
            crossing.carriesAlways = false
            try crossing.pass(from: side.other)
            crossing.arrive(answer, from: side.other)
        case 1:
            try crossing.intend(side.other, .deleteChild(old.id, .replaced))
        default:
            try crossing.pass(from: side.other)
            try crossing.intend(side.other, .deleteChild(old.id, .replaced))
        }
        crossing.settle()
        #expect(crossing.owner == side)
        try crossing.expectOne()
    }

    /// The request comes twice, the answer comes twice and late, the closing is lost once: one replacement all the same.
    @Test(arguments: Side.allCases) func repetitionsMakeNoMore(_ side: Side) throws {
        let crossing = Crossing()
        crossing.rekeyChild(side)
        let request = try crossing.keep(from: side)
        crossing.arrive(request, from: side)
        crossing.arrive(request, from: side)
        let answers = [try crossing.keep(from: side.other), try crossing.keep(from: side.other)]
        #expect(answers[0].bytes == answers[1].bytes)
        crossing.arrive(answers[0], from: side.other)
        _ = try crossing.keep(from: side)
        crossing.arrive(answers[1], from: side.other)
        crossing.arrive(request, from: side)
        #expect(crossing[.left].endpoint.counts.childSAs == 2 && crossing[.right].endpoint.counts.childSAs == 2)
        crossing.advance(.minutes(1))
        #expect(crossing.owner == side)
        try crossing.expectOne()
    }
}
