import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

@Suite struct TicketTests {
    /// Answers that come when a test says so.
    private func slowPair() -> Pair {
        let pair = Pair()
        pair.left.answersAtOnce = false
        pair.right.answersAtOnce = false
        return pair
    }

    private func answerNext(_ gateway: Gateway) {
        guard !gateway.questions.isEmpty else { return }
        let (ticket, query) = gateway.questions.removeFirst()
        gateway.handle(.answer(ticket, gateway.answer(query)))
    }

    @Test func lateAnswersAreGoodEnough() {
        let pair = slowPair()
        pair.initiate()
        for _ in 0..<8 {
            pair.advance(.seconds(3))
            answerNext(pair.left)
            answerNext(pair.right)
        }
        pair.run()
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.summary?.state == .established)
        #expect(pair.left.endpoint.counts.openTickets == 0)
        #expect(pair.right.endpoint.counts.openTickets == 0)
        #expect(pair.right.installed.count == 2)
    }

    @Test(arguments: 0..<4)
    func answersThatNeverCome(which: Int) {
        // path and proof on the left, verification and proof on the right, then verification on the left.
        let pair = slowPair()
        pair.initiate()
        var answered = 0
        for _ in 0..<10 where answered < which {
            pair.run()
            let gateway = pair.left.questions.isEmpty ? pair.right : pair.left
            guard !gateway.questions.isEmpty else { break }
            answerNext(gateway)
            answered += 1
        }
        pair.advance(.seconds(400))
        #expect(pair.left.isEmpty)
        #expect(pair.right.isEmpty)
        let refusals = pair.left.refusals + pair.right.refusals
        #expect(refusals.contains { if case .noInternalAnswer = $0 { true } else { false } })
    }

    @Test func answersAfterTheEndOutOfOrderTwiceOrToNothing() {
        let pair = slowPair()
        pair.initiate()
        let path = pair.left.questions.removeFirst()
        pair.left.handle(.command(.terminate(.connection("net"))))
        #expect(pair.left.isEmpty)
        pair.left.handle(.answer(path.ticket, pair.left.answer(path.query)))
        #expect(pair.left.isEmpty)
        #expect(pair.left.takeOutbox() == [])
        pair.initiate()
        let second = pair.left.questions.removeFirst()
        pair.left.handle(.answer(Ticket(rawValue: 4711), .verified))
        pair.left.handle(.answer(second.ticket, pair.left.answer(second.query)))
        pair.left.handle(.answer(second.ticket, pair.left.answer(second.query)))
        pair.run()
        #expect(pair.left.endpoint.counts.openTickets == 1)
        // An answer of the wrong kind is none.
        let proof = pair.left.questions.removeFirst()
        pair.left.handle(.answer(proof.ticket, .verified))
        #expect(pair.left.isEmpty)
        pair.advance(.seconds(31))
        #expect(pair.right.isEmpty)
    }

    @Test(arguments: [true, false])
    func aProofThatComesWithTheVerdictIsNotAskedFor(isRight: Bool) throws {
        let pair = Pair()
        pair.right.answersAtOnce = false
        pair.initiate()
        pair.run()
        let (ticket, query) = pair.right.questions.removeFirst()
        guard case .verify(let theirs, _) = query else {
            Issue.record("another question: \(query)")
            return
        }
        var ours = theirs
        (ours.signer, ours.other, ours.octets) = (theirs.other, theirs.signer, try #require(theirs.reply))
        guard case .proof(let octets) = pair.right.answer(.prove(ours)) else {
            Issue.record("no proof")
            return
        }
        pair.right.handle(.answer(ticket, .verifiedInReturn(isRight ? octets : octets.map { $0 ^ 1 })))
        #expect(pair.right.questions.isEmpty)
        #expect(pair.right.endpoint.counts.openTickets == 0)
        pair.run()
        // The peer judges what came in return as it judges any proof.
        #expect((pair.left.summary?.state == .established) == isRight)
        #expect((pair.right.summary?.state == .established) == isRight)
    }

    @Test func theResponderVerifiesWhileTheRequestIsRepeated() {
        let pair = Pair()
        pair.right.answersAtOnce = false
        pair.initiate()
        pair.advance(.seconds(20))
        #expect(pair.right.questions.count == 1)
        pair.right.answersAtOnce = true
        pair.right.answerAll()
        pair.run()
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.endpoint.counts.childSAs == 1)
    }
}
