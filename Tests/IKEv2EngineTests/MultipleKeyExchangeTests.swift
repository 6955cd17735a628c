import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// IKE_INTERMEDIATE and IKE_FOLLOWUP_KE (RFC 9242, RFC 9370).
@Suite struct MultipleKeyExchangeTests {
    static let hybrids = [
        "aes128gcm16-prfsha256-x25519-ke1_mlkem768", "aes256gcm16-prfsha384-ecp384-ke1_mlkem1024",
        "aes256-sha256-x25519-ke1_mlkem768-ke2_ecp256-ke3_x448",
        "aes128gcm16-prfaesxcbc-x25519-ke2_mlkem768-ke5_ecp384",
    ]

    private func pair(_ ike: String, esp: String = "aes128gcm16", right: String? = nil) -> Pair {
        Pair(
            left: Pair.connection(ike: ike, esp: esp),
            right: Pair.connection(isLeft: false, ike: right ?? ike, esp: esp))
    }

    private func count(_ exchange: ExchangeType, _ pair: Pair, responses: Bool = false) -> Int {
        pair.trace.filter {
            let header = try? IKEHeader(peeking: $0.datagram.bytes)
            return header?.exchange == exchange && header?.isResponse == responses
        }.count
    }

    private func bothAgree(_ pair: Pair, children: Int = 1) throws {
        let left = try #require(pair.left.summary)
        let right = try #require(pair.right.summary)
        #expect(pair.left.endpoint.summaries().count == 1 && pair.right.endpoint.summaries().count == 1)
        #expect(left.state == .established && right.state == .established)
        #expect(left.initiatorSPI == right.initiatorSPI && left.responderSPI == right.responderSPI)
        #expect(left.children.count == children && right.children.count == children)
        #expect(left.children.map(\.inboundSPI) == right.children.map(\.outboundSPI))
        let sent = try #require(pair.left.installed.last { $0.direction == .outbound })
        let received = try #require(pair.right.installed.last { $0.spi == sent.spi && $0.direction == .inbound })
        #expect(sent.encryptionKey == received.encryptionKey)
        for gateway in [pair.left, pair.right] {
            #expect(gateway.refusals == [])
            #expect(gateway.endpoint.counts.spis == gateway.endpoint.counts.childSAs)
            #expect(gateway.endpoint.counts.openTickets == 0)
        }
    }

    @Test(arguments: hybrids) func severalKeyExchangesMakeOneIKESA(ike: String) throws {
        let pair = pair(ike)
        pair.connect()
        try bothAgree(pair)
        let expected = try #require(pair.left.summary?.algorithms).additionalKeyExchanges.count
        #expect(count(.ikeIntermediate, pair) >= expected)
        let words = Set(try #require(pair.left.summary?.algorithms).description.split(separator: "-"))
        // The PRF follows from the integrity where it is not named.
        #expect(words.isSuperset(of: ike.split(separator: "-")) && words.count <= ike.split(separator: "-").count + 1)
    }

    @Test func sevenAdditionalKeyExchangesAreDone() throws {
        let groups = ["mlkem768", "mlkem1024", "ecp256", "ecp384", "x448", "ecp224", "ecp521"]
        let ike = "aes128gcm16-prfsha256-x25519" + groups.enumerated().map { "-ke\($0 + 1)_\($1)" }.joined()
        let pair = pair(ike)
        pair.connect()
        try bothAgree(pair)
        #expect(pair.left.summary?.algorithms?.additionalKeyExchanges.count == 7)
    }

    @Test func onePartyMayDoWithout() throws {
        let pair = pair(
            "aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke1_none", right: "aes128gcm16-prfsha256-x25519")
        pair.connect()
        try bothAgree(pair)
        #expect(count(.ikeIntermediate, pair) == 0)
        let strict = self.pair("aes128gcm16-prfsha256-x25519-ke1_mlkem768", right: "aes128gcm16-prfsha256-x25519")
        strict.connect()
        #expect(strict.left.isEmpty && strict.right.isEmpty)
    }

    /// Each message of the exchange lost once, and each delivered twice.
    @Test(arguments: 0..<12, [true, false]) func lossAndRepetitionChangeNothing(place: Int, isLost: Bool) throws {
        let pair = pair("aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke2_ecp256")
        var sent = 0
        pair.wire = { datagram, _ in
            sent += 1
            guard sent == place + 1 else { return [datagram] }
            return isLost ? [] : [datagram, datagram]
        }
        pair.connect()
        pair.advance(.seconds(12))
        try bothAgree(pair)
        // And what came of it works.
        pair.wire = { datagram, _ in [datagram] }
        pair.right.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        try bothAgree(pair)
    }

    @Test func anAnswerThatIsLostIsRepeatedUnderTheKeysOfThen() throws {
        let pair = pair("aes128gcm16-prfsha256-x25519-ke1_x448")
        var lost: [UInt8]?
        pair.wire = { datagram, fromLeft in
            let header = try? IKEHeader(peeking: datagram.bytes)
            guard !fromLeft, header?.exchange == .ikeIntermediate, lost == nil else { return [datagram] }
            lost = datagram.bytes
            return []
        }
        pair.connect()
        #expect(pair.left.summary?.state == .connecting)
        pair.advance(.seconds(5))
        try bothAgree(pair)
        #expect(pair.trace.filter { $0.datagram.bytes == lost }.count == 2)
    }

    @Test func aChangedIntermediateMessageIsNoticed() throws {
        // Somebody who can take the first key exchange apart changes what is said in the second.
        let pair = pair("aes128gcm16-prfsha256-x25519-ke1_x448")
        pair.wire = { datagram, fromLeft in
            var changed = datagram
            let header = try? IKEHeader(peeking: datagram.bytes)
            if fromLeft, header?.exchange == .ikeIntermediate { changed.bytes[changed.bytes.count - 20] ^= 1 }
            return [changed]
        }
        pair.connect()
        #expect(pair.left.summary?.state == .connecting)
        #expect(pair.right.drops.contains(.forged))
    }

    @Test(arguments: [true, false]) func anSAIsRekeyedWithAllKeyExchanges(fromLeft: Bool) throws {
        let ike = "aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke2_ecp256"
        let pair = pair(ike, esp: "aes128gcm16-x25519-ke1_mlkem1024-ke4_ecp384")
        pair.connect()
        try bothAgree(pair)
        let gateway = fromLeft ? pair.left : pair.right
        for (round, target) in [Command.Target.child("net", connection: nil), .connection("net")].enumerated() {
            for turn in 1...2 {
                let before = try #require(pair.left.summary)
                gateway.handle(.command(.rekey(target)))
                pair.run()
                try bothAgree(pair)
                let after = try #require(pair.left.summary)
                #expect((before.initiatorSPI == after.initiatorSPI) == (round == 0))
                #expect((before.children.map(\.inboundSPI) == after.children.map(\.inboundSPI)) == (round == 1))
                #expect(count(.ikeFollowupKE, pair) >= 2 * (turn + round * 2))
                #expect(after.algorithms?.additionalKeyExchanges.count == 2)
            }
        }
        // The keys of the new IKE SA's children come from all secrets as well.
        gateway.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        try bothAgree(pair)
    }

    @Test(arguments: 0..<8, [true, false]) func followUpsSurviveLoss(place: Int, isChild: Bool) throws {
        let pair = pair(
            "aes128gcm16-prfsha256-x25519-ke1_ecp384-ke2_ecp256", esp: "aes128gcm16-x25519-ke1_ecp384-ke2_ecp256")
        pair.connect()
        var sent = 0
        pair.wire = { datagram, _ in
            sent += 1
            return sent == place + 1 ? [] : [datagram]
        }
        pair.left.handle(.command(.rekey(isChild ? .child("net", connection: nil) : .connection("net"))))
        pair.run()
        pair.advance(.seconds(20))
        try bothAgree(pair)
    }

    /// Both ends replace the same SA at the same time, with exchanges that take three rounds each.
    @Test(arguments: [true, false], 0..<4) func bothAtOnceLeaveOne(isChild: Bool, lead: Int) throws {
        let pair = pair("aes128gcm16-prfsha256-x25519-ke1_ecp256", esp: "aes128gcm16-x25519-ke1_ecp256")
        pair.connect()
        let target: Command.Target = isChild ? .child("net", connection: nil) : .connection("net")
        pair.left.handle(.command(.rekey(target)))
        pair.run(limit: lead)
        pair.right.handle(.command(.rekey(target)))
        pair.run()
        pair.advance(.seconds(130))
        try bothAgree(pair)
    }

    @Test func aFollowUpWithoutItsBeginningIsRefused() throws {
        let pair = pair("aes128gcm16-prfsha256-x25519", esp: "aes128gcm16-x25519-ke1_ecp384")
        pair.connect()
        // The responder forgets in the meantime.
        pair.wire = { datagram, fromLeft in
            (try? IKEHeader(peeking: datagram.bytes))?.exchange == .ikeFollowupKE && fromLeft ? [] : [datagram]
        }
        pair.left.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        #expect(pair.right.endpoint.counts.spis == 2)
        pair.advance(.seconds(61))
        #expect(pair.right.endpoint.counts.spis == 1)
        pair.wire = { datagram, _ in [datagram] }
        pair.advance(.seconds(60))
        try bothAgree(pair)
    }

    @Test func aLateAnswerToTheQuestionStillCounts() throws {
        let pair = pair("aes128gcm16-prfsha256-x25519-ke1_mlkem768", esp: "aes128gcm16-x25519-ke1_mlkem768")
        pair.right.answersAtOnce = false
        pair.connect()
        #expect(pair.right.questions.count == 1)
        pair.advance(.seconds(5))
        for _ in 0..<3 {
            pair.right.answerAll()
            pair.run()
        }
        try bothAgree(pair)
        pair.left.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        #expect(pair.right.questions.count == 1)
        pair.advance(.seconds(5))
        pair.right.answerAll()
        pair.run()
        try bothAgree(pair)
    }

    @Test func noAnswerToTheQuestionEndsTheAttempt() throws {
        let pair = pair("aes128gcm16-prfsha256-x25519-ke1_mlkem768")
        pair.right.answersAtOnce = false
        pair.connect()
        pair.advance(.seconds(200))
        #expect(pair.left.isEmpty && pair.right.isEmpty)
    }

    // MARK: Questions

    /// A pair whose responder's half of an IKE_FOLLOWUP_KE is being waited for.
    private func waitingPair() throws -> Pair {
        let pair = pair("aes128gcm16-prfsha256-x25519", esp: "aes128gcm16-x25519-ke1_ecp256")
        pair.connect()
        pair.left.handle(.command(.rekey(.child("net", connection: nil))))
        pair.right.answersAtOnce = false
        pair.run()
        let question = try #require(pair.right.questions.first)
        guard case .encapsulate = question.query else {
            Issue.record("another question: \(question.query)")
            return pair
        }
        return pair
    }

    @Test func aFollowupThatIsNotAnsweredInTimeIsRefused() throws {
        let pair = try waitingPair()
        pair.advance(.seconds(31))
        #expect(count(.ikeFollowupKE, pair, responses: true) == 1)
        #expect(pair.left.summary?.state == .established && pair.right.summary?.state == .established)
        #expect(pair.right.endpoint.counts.openTickets == 0 && pair.right.endpoint.counts.spis == 1)
        // Both are ready for the next try.
        pair.right.questions = []
        pair.right.answersAtOnce = true
        pair.advance(.seconds(120))
        try bothAgree(pair)
    }

    /// The time for the next key exchange to come does not end one that has come, whose answer is being made.
    @Test func aFollowupThatCameIsAnswered() throws {
        let pair = pair("aes128gcm16-prfsha256-x25519", esp: "aes128gcm16-x25519-ke1_ecp256")
        pair.connect()
        pair.right.answersAtOnce = false
        let start = pair.now
        pair.wire = { datagram, fromLeft in
            let isFollowup = (try? IKEHeader(peeking: datagram.bytes))?.exchange == .ikeFollowupKE
            return isFollowup && fromLeft && pair.now - start < .seconds(45) ? [] : [datagram]
        }
        pair.left.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        pair.advance(.seconds(50))
        #expect(pair.right.questions.count == 1)
        pair.advance(.seconds(15))
        pair.right.answerAll()
        pair.run()
        #expect(count(.ikeFollowupKE, pair, responses: true) == 1)
        pair.right.answersAtOnce = true
        pair.advance(.seconds(60))
        try bothAgree(pair)
    }

    /// A search for another way, asked for earlier or later, gets its own answer.
    @Test(arguments: [true, false]) func aFollowupAndAnotherQuestionDoNotMeet(isEarlier: Bool) throws {
        let pair = pair("aes128gcm16-prfsha256-x25519", esp: "aes128gcm16-x25519-ke1_ecp256")
        pair.connect()
        pair.left.answersAtOnce = false
        let moved = IPAddress(v4: 0xc000_0207)
        let search = {
            pair.left.path?.local.address = moved
            pair.left.handle(.localAddresses([moved]))
        }
        if isEarlier { search() }
        pair.right.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        if !isEarlier { search() }
        #expect(pair.left.questions.count == 2)
        pair.left.questions.reverse()
        pair.left.answerAll()
        pair.left.answersAtOnce = true
        pair.run()
        #expect(pair.left.summary?.path.local.address == moved)
        try bothAgree(pair)
    }
}
