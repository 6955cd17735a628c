import Clockwork
import GatewayModel
import IKEMessages
import Testing

@testable import IKEv2Engine

@Suite struct WindowTests {
    private var entropy = SeededEntropy(seed: 7)

    @Test mutating func aRequestGoesOutAsTheScheduleSays() {
        var window = RequestWindow(RetransmissionSchedule(tries: 2, timeout: .seconds(4), base: 2))
        window.open(.ikeSAInit, [[1, 2, 3]], now: .zero, &entropy)
        #expect(window.nextID == 1)
        #expect(!window.isFree)
        #expect(window.deadline == .zero + .seconds(4))
        #expect(window.tick(now: .zero + .seconds(3), &entropy) == .idle)
        #expect(window.tick(now: .zero + .seconds(4), &entropy) == .resend([[1, 2, 3]], attempt: 1))
        #expect(window.deadline == .zero + .seconds(12))
        #expect(window.tick(now: .zero + .seconds(12), &entropy) == .resend([[1, 2, 3]], attempt: 2))
        #expect(window.tick(now: .zero + .seconds(28), &entropy) == .gaveUp(.ikeSAInit, tries: 3, waited: .seconds(28)))
        #expect(window.isFree)
        #expect(window.deadline == nil)
    }

    @Test mutating func oneRequestAtATime() {
        var window = RequestWindow(RetransmissionSchedule())
        window.open(.ikeAuth, [[1]], now: .zero, &entropy)
        window.open(.informational, [[2]], now: .zero, &entropy)
        #expect(window.inFlight?.datagrams == [[1]])
        #expect(window.nextID == 1)
        #expect(window.isAnswered(by: 0, .ikeAuth))
        #expect(!window.isAnswered(by: 0, .informational))
        #expect(!window.isAnswered(by: 1, .ikeAuth))
        window.close()
        #expect(!window.isAnswered(by: 0, .ikeAuth))
    }

    @Test mutating func fewerTriesThanTheScheduleHas() {
        var window = RequestWindow(RetransmissionSchedule(tries: 5, timeout: .seconds(1), base: 1))
        window.open(.informational, [[1]], tries: 1, now: .zero, &entropy)
        #expect(window.tick(now: .zero + .seconds(1), &entropy) == .resend([[1]], attempt: 1))
        #expect(
            window.tick(now: .zero + .seconds(2), &entropy) == .gaveUp(.informational, tries: 2, waited: .seconds(2)))
    }

    /// The peer takes nothing else before it: it may have been lost.
    @Test mutating func curtailedItIsSentAgainTwiceInAll() {
        var window = RequestWindow(RetransmissionSchedule(tries: 5, timeout: .seconds(4), base: 10))
        window.open(.informational, [[1]], now: .zero, &entropy)
        _ = window.tick(now: .zero + .seconds(4), &entropy)
        #expect(window.deadline == .zero + .seconds(44))
        window.curtail(now: .zero + .seconds(5))
        #expect(window.deadline == .zero + .seconds(6))
        #expect(window.tick(now: .zero + .seconds(6), &entropy) == .resend([[1]], attempt: 2))
        #expect(window.deadline == .zero + .seconds(7))
        window.curtail(now: .zero + .milliseconds(6500))
        #expect(
            window.tick(now: .zero + .seconds(7), &entropy) == .gaveUp(.informational, tries: 3, waited: .seconds(7)))
    }

    /// A sign of life after the last try earns one more, three times: then a peer that never answers is given up.
    @Test mutating func aSignOfLifeAfterTheLastTryEarnsOneMore() {
        var window = RequestWindow(RetransmissionSchedule(tries: 1, timeout: .seconds(2), base: 2))
        window.open(.informational, [[1]], now: .zero, &entropy)
        window.peerSpoke(now: .zero + .seconds(1))
        #expect(window.tick(now: .zero + .seconds(1), &entropy) == .idle)
        #expect(window.tick(now: .zero + .seconds(2), &entropy) == .resend([[1]], attempt: 1))
        var now = Instant.zero + .seconds(3)
        for _ in 0..<RequestWindow.maximumReprieves {
            window.peerSpoke(now: now)
            #expect(window.tick(now: now, &entropy) == .resend([[1]], attempt: 1))
            now = now + .seconds(1)
        }
        window.peerSpoke(now: now)
        #expect(window.tick(now: now, &entropy) == .idle)
        let end = now + .seconds(4)
        #expect(window.tick(now: end, &entropy) == .gaveUp(.informational, tries: 2, waited: end - .zero))
    }

    @Test mutating func restartingGoesBackToMessageIDZero() {
        var window = RequestWindow(RetransmissionSchedule())
        window.open(.ikeSAInit, [[1]], now: .zero, &entropy)
        window.restart()
        #expect(window.isFree)
        #expect(window.nextID == 0)
    }

    @Test func responsesAreRepeatedOnlyForTheLastRequest() {
        var window = ResponseWindow(expecting: 0)
        #expect(window.judge(0) == .fresh)
        #expect(window.judge(1) == .future)
        #expect(window.judge(.max) == .future)
        window.accept()
        #expect(window.judge(0) == .suspended)
        #expect(window.judge(1) == .fresh)
        window.answered([[9, 9]])
        #expect(window.judge(0) == .replay([[9, 9]]))
        window.accept()
        window.answered([[8]])
        #expect(window.judge(0) == .stale)
        #expect(window.judge(1) == .replay([[8]]))
        #expect(window.judge(2) == .fresh)
        #expect(window.judge(3) == .future)
    }

    @Test func aWindowThatStartsAtOneTakesNothingForARepetition() {
        let window = ResponseWindow(expecting: 1)
        #expect(window.judge(0) == .stale)
        #expect(window.judge(1) == .fresh)
    }

    @Test func messageIDsEnd() {
        var window = ResponseWindow(expecting: .max)
        window.accept()
        window.answered([[1]])
        #expect(window.expected == nil)
        #expect(window.judge(.max) == .replay([[1]]))
        #expect(window.judge(0) == .stale)
    }
}

@Suite struct AgendaTests {
    @Test func deletionGoesFirstThenTheOrderOfAsking() {
        var agenda = Agenda()
        agenda.add(.probe)
        agenda.add(.createChild("b"))
        agenda.add(.createChild("a"))
        agenda.add(.deleteChild(ChildSAID(rawValue: 1), .asked))
        agenda.add(.probe)
        agenda.add(.deleteIKESA(.asked))
        var order: [Intent] = []
        while let next = agenda.next() { order.append(next) }
        #expect(
            order == [
                .deleteIKESA(.asked), .deleteChild(ChildSAID(rawValue: 1), .asked), .createChild("b"),
                .createChild("a"), .probe,
            ])
    }

    @Test func whatIsMootIsDropped() {
        var agenda = Agenda()
        agenda.add(.createChild("a"))
        agenda.add(.createChild("b"))
        agenda.drop { $0 == .createChild("a") }
        #expect(agenda.intents == [.createChild("b")])
    }
}
