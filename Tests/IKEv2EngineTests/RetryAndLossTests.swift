import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// What a datagram is, by its header.
func header(_ datagram: Datagram) -> IKEHeader? { try? IKEHeader(peeking: datagram.bytes) }

@Suite struct RetryTests {
    @Test func theResponderWantsAnotherGroup() {
        let pair = Pair(
            left: Pair.connection(ike: "aes128gcm16-prfsha256-x25519-ecp256"),
            right: Pair.connection(isLeft: false, ike: "aes128gcm16-prfsha256-ecp256"))
        pair.connect()
        #expect(pair.left.kinds.contains(.keyExchangeRetried(from: .x25519, to: .ecp256)))
        #expect(pair.left.summary?.state == .established)
        #expect(pair.trace.count == 6)
        #expect(pair.trace.prefix(4).allSatisfy { header($0.datagram)?.messageID == 0 })
        #expect(pair.right.endpoint.counts.halfOpen == 0)
    }

    @Test(arguments: [
        (NotifyType.invalidKEPayload, [UInt8(0), 14]), (.invalidKEPayload, [1]),
    ])
    func aGroupThatWeDidNotOfferEndsTheAttempt(type: NotifyType, data: [UInt8]) throws {
        let pair = Pair()
        pair.initiate()
        let request = try #require(pair.left.takeOutbox().first)
        let sent = try #require(header(request))
        let answer = Message(
            IKEHeader(
                initiatorSPI: sent.initiatorSPI, responderSPI: 0, exchange: .ikeSAInit, flags: .response, messageID: 0),
            [.notify(NotifyPayload(type, data))])
        pair.left.handle(
            .datagram(Datagram(try answer.encoded(), path: request.path, socket: .plain)))
        guard case .choseWhatWasNotOffered = try #require(pair.left.refusals.last) else {
            Issue.record("refused for another reason: \(pair.left.refusals)")
            return
        }
        #expect(pair.left.isEmpty)
    }

    @Test func demandsThatComeTwiceAreMetOnce() {
        var limits = Limits()
        limits.cookieThreshold = 0
        let pair = Pair(
            left: Pair.connection(ike: "aes128gcm16-prfsha256-x25519-ecp256"),
            right: Pair.connection(isLeft: false, ike: "aes128gcm16-prfsha256-ecp256"), limits: limits)
        pair.wire = { datagram, fromLeft in fromLeft ? [datagram] : [datagram, datagram, datagram] }
        pair.connect()
        #expect(pair.left.summary?.state == .established)
        #expect(pair.left.refusals == [])
        #expect(pair.trace.filter { $0.fromLeft }.count == 4)
    }

    @Test func cookiesAreDemandedAndAnswered() {
        var limits = Limits()
        limits.cookieThreshold = 0
        let pair = Pair(limits: limits)
        pair.connect()
        #expect(pair.left.kinds.contains(.cookieDemanded(byUs: false)))
        #expect(pair.right.kinds.contains(.cookieDemanded(byUs: true)))
        #expect(pair.left.summary?.state == .established)
        #expect(pair.trace.count == 6)
        // The cookie is the first payload of the second request, and everything after it is unchanged.
        let first = try? Message(parsing: pair.trace[0].datagram.bytes)
        let second = try? Message(parsing: pair.trace[2].datagram.bytes)
        if case .notify(let notify)? = second?.payloads.first {
            #expect(notify.type == .cookie)
        } else {
            Issue.record("no cookie in front")
        }
        #expect(second.map { Array($0.payloads.dropFirst()) } == first?.payloads)
    }

    @Test func cookiesAndAnotherGroupInOneAttempt() {
        var limits = Limits()
        limits.cookieThreshold = 0
        let pair = Pair(
            left: Pair.connection(ike: "aes128gcm16-prfsha256-x25519-ecp256"),
            right: Pair.connection(isLeft: false, ike: "aes128gcm16-prfsha256-ecp256"), limits: limits)
        pair.connect()
        #expect(pair.left.summary?.state == .established)
        #expect(pair.trace.count == 8)
    }

    @Test func anEndlessDemandForCookiesIsNotFollowed() throws {
        let pair = Pair()
        pair.initiate()
        var sent = 0
        for round in 0..<10 {
            guard let request = pair.left.takeOutbox().first, let head = header(request) else { break }
            sent += 1
            let answer = Message(
                IKEHeader(
                    initiatorSPI: head.initiatorSPI, responderSPI: 0, exchange: .ikeSAInit, flags: .response,
                    messageID: 0), [.notify(NotifyPayload(.cookie, [UInt8(round)]))])
            pair.left.handle(.datagram(Datagram(try answer.encoded(), path: request.path, socket: .plain)))
        }
        #expect(sent == 1 + InitInitiator.retryLimits.cookies)
        #expect(pair.left.endpoint.counts.ikeSAs == 1)
    }

    @Test func halfOpenLimitsHold() {
        var limits = Limits()
        limits.halfOpenPerAddress = 1
        let pair = Pair(limits: limits)
        pair.initiate()
        let request = pair.left.takeOutbox()
        for datagram in request {
            pair.right.handle(.datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: .plain)))
        }
        #expect(pair.right.endpoint.counts.halfOpen == 1)
        let other = Pair(seed: 99)
        other.initiate()
        for datagram in other.left.takeOutbox() {
            pair.right.handle(.datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: .plain)))
        }
        // It may be somebody else who writes this address: whoever shows that he is there gets in, once.
        #expect(pair.right.endpoint.counts.halfOpen == 1)
        #expect(pair.right.kinds.contains(.cookieDemanded(byUs: true)))
        for seed: UInt64 in [99, 100] {
            let proven = Pair(seed: seed)
            proven.initiate()
            for _ in 0..<2 {
                for datagram in proven.left.takeOutbox() {
                    pair.right.handle(
                        .datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: .plain)))
                }
                for datagram in pair.right.takeOutbox() {
                    proven.left.handle(
                        .datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: .plain)))
                }
            }
        }
        #expect(pair.right.endpoint.counts.halfOpen == 2)
        #expect(pair.right.drops.contains(.tooManyHalfOpen))
        #expect(pair.right.endpoint.recentRefusals.count == 1)
        pair.advance(.seconds(31))
        #expect(pair.right.endpoint.counts.halfOpen == 0)
    }
}

@Suite struct LossTests {
    @Test(arguments: 0..<4)
    func anyOneMessageMayBeLost(which: Int) {
        let pair = Pair()
        var count = 0
        pair.wire = { datagram, _ in
            defer { count += 1 }
            return count == which ? [] : [datagram]
        }
        pair.connect()
        pair.advance(.seconds(5))
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.summary?.state == .established)
        #expect(pair.left.endpoint.counts.childSAs == 1)
        #expect(pair.right.endpoint.counts.ikeSAs == 1)
        #expect(pair.left.installed.count == 2)
        #expect(pair.right.installed.count == 2)
        // What is sent again is the same octet for octet.
        let repeated = pair.trace.filter { entry in
            pair.trace.filter { $0.fromLeft == entry.fromLeft && $0.datagram.bytes == entry.datagram.bytes }.count > 1
        }
        #expect(repeated.count >= 2)
    }

    @Test func everythingTwice() {
        let pair = Pair()
        pair.wire = { datagram, _ in [datagram, datagram] }
        pair.connect()
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.endpoint.counts.ikeSAs == 1)
        #expect(pair.right.endpoint.counts.halfOpen == 0)
        #expect(pair.left.installed.count == 2)
        #expect(pair.right.installed.count == 2)
    }

    @Test func aRepeatedRequestGetsTheSameOctets() throws {
        let pair = Pair()
        pair.connect()
        let request = pair.trace[2].datagram
        let response = pair.trace[3].datagram
        for _ in 0..<3 {
            pair.right.handle(
                .datagram(Datagram(request.bytes, path: request.path.reversed, socket: request.socket)))
            #expect(pair.right.takeOutbox() == [response])
        }
        #expect(pair.right.kinds.contains(.answeredAgain(messageID: 1)))
        #expect(pair.right.endpoint.counts.childSAs == 1)
        // After the next request, the last but one is history.
        pair.left.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        pair.right.handle(.datagram(Datagram(request.bytes, path: request.path.reversed, socket: request.socket)))
        #expect(pair.right.takeOutbox() == [])
        #expect(pair.right.drops.last == .outsideWindow(messageID: 1))
    }

    @Test func anOldIKESAInitDoesNotMakeANewIKESA() throws {
        let pair = Pair()
        pair.initiate()
        let request = try #require(pair.left.takeOutbox().first)
        let arriving = Input.datagram(Datagram(request.bytes, path: request.path.reversed, socket: .plain))
        pair.right.handle(arriving)
        let first = pair.right.takeOutbox()
        pair.right.handle(arriving)
        #expect(pair.right.takeOutbox() == first)
        #expect(pair.right.endpoint.counts.halfOpen == 1)
        for datagram in first {
            pair.left.handle(.datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: .plain)))
        }
        pair.run()
        #expect(pair.right.summary?.state == .established)
        pair.right.handle(arriving)
        #expect(pair.right.takeOutbox() == [])
        #expect(pair.right.endpoint.counts.ikeSAs == 1)
    }

    /// The responder's view of a firewall that lets port 500 through and nothing else.
    @Test func whoBeginsAndDoesNotGoOn() throws {
        let pair = Pair()
        pair.wire = { datagram, isFromLeft in isFromLeft && datagram.bytes.dropFirst(18).first == 35 ? [] : [datagram] }
        pair.connect()
        pair.advance(.seconds(40))
        let refusal = pair.right.refusals.first
        guard case .notGoneOn(_, let waited)? = refusal else {
            Issue.record("\(pair.right.refusals)")
            return
        }
        #expect(waited >= .seconds(30))
        #expect(pair.right.endpoint.counts.ikeSAs == 0)
    }

    @Test func nobodyThere() throws {
        var connection = Pair.connection()
        connection.keyingTries = 2
        let pair = Pair(left: connection)
        pair.wire = { _, _ in [] }
        pair.connect()
        pair.advance(.seconds(167))
        #expect(pair.trace.count == 7)
        guard case .noAnswer(let exchange, _, let tries, _) = try #require(pair.left.refusals.first) else {
            Issue.record("\(pair.left.refusals)")
            return
        }
        #expect(exchange == "IKE_SA_INIT")
        #expect(tries == 6)
        #expect(pair.left.endpoint.counts.ikeSAs == 1)
        pair.advance(.seconds(200))
        #expect(pair.trace.count == 12)
        #expect(pair.left.isEmpty)
        #expect(pair.left.endpoint.lastRefusal(ofConnection: "net") != nil)
    }
}
