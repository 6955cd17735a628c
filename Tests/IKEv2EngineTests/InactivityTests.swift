import Clockwork
import GatewayModel
import IKECore
import Testing

@testable import IKEv2Engine

/// A child that nobody uses is closed, and nothing else.
@Suite struct InactivityTests {
    private static func pair(dpd: Interval = .zero, dynamic change: (inout ChildTemplate) -> Void = { _ in }) -> Pair {
        var left = Pair.connection()
        left.children[0].inactivity = .seconds(30)
        left.dpdDelay = dpd
        change(&left.children[0])
        let pair = Pair(left: left)
        pair.connect()
        return pair
    }

    private func closed(_ gateway: Gateway) -> [Event.CloseReason] {
        gateway.kinds.compactMap { if case .childClosed(_, let reason) = $0 { reason } else { nil } }
    }

    @Test func withoutAnyPacket() {
        let pair = Self.pair()
        pair.advance(.seconds(29))
        #expect(pair.left.summary?.children.count == 1)
        pair.advance(.seconds(2))
        #expect(pair.left.summary?.children.isEmpty == true)
        #expect(pair.right.summary?.children.isEmpty == true)
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.summary?.state == .established)
        #expect(closed(pair.left) == [.inactive])
        #expect(closed(pair.right) == [.byPeer])
        #expect(pair.left.liveSPIs.isEmpty && pair.right.liveSPIs.isEmpty)
        // And again, when somebody wants it.
        pair.initiate("net")
        pair.run()
        #expect(pair.left.summary?.children.map(\.state) == [.installed])
        pair.advance(.seconds(31))
        #expect(closed(pair.left) == [.inactive, .inactive])
    }

    /// The time counts from the last packet, in either direction; both are asked about.
    @Test func packetsKeepIt() throws {
        let pair = Self.pair()
        let start = pair.now
        let child = try #require(pair.left.summary?.children.first)
        pair.left.lastUse = start + .seconds(25)
        pair.left.answersAtOnce = false
        pair.advance(.seconds(31))
        guard case .lastUse(let inbound, let outbound)? = pair.left.questions.first?.query else {
            Issue.record("\(pair.left.questions.map(\.query))")
            return
        }
        #expect(inbound == [child.inboundSPI])
        #expect(outbound == [child.outboundSPI])
        pair.left.answersAtOnce = true
        pair.left.answerAll()
        pair.advance(.seconds(23))
        #expect(pair.left.summary?.children.count == 1)
        pair.advance(.seconds(2))
        #expect(closed(pair.left) == [.inactive])
    }

    /// The clock of a plane that runs ahead keeps nothing alive for ever.
    @Test func aPacketOfTheFutureCountsAsOneOfNow() {
        let pair = Self.pair()
        pair.left.lastUse = pair.now + .hours(10)
        pair.advance(.seconds(31))
        pair.left.lastUse = nil
        pair.advance(.seconds(31))
        #expect(closed(pair.left) == [.inactive])
    }

    /// Whoever never answers is asked again, and the child stays: silence is no proof.
    @Test func aPlaneThatDoesNotAnswer() {
        let pair = Self.pair()
        pair.left.answersAtOnce = false
        pair.advance(.seconds(120))
        #expect(pair.left.summary?.children.count == 1)
        #expect(pair.left.questions.count >= 2)
        pair.left.answersAtOnce = true
        pair.left.answerAll()
        pair.advance(.seconds(61))
        #expect(closed(pair.left) == [.inactive])
    }

    /// Liveness asks the plane as well; neither question gets lost for the other.
    @Test func besideLiveness() {
        let pair = Self.pair(dpd: .seconds(30))
        pair.advance(.seconds(33))
        #expect(closed(pair.left) == [.inactive])
        #expect(pair.left.kinds.contains(.peerAlive))
    }

    /// An IKE SA that is replaced hands the time on with the child.
    @Test func acrossARekeyedIKESA() {
        let pair = Self.pair()
        pair.advance(.seconds(20))
        pair.left.handle(.command(.rekey(.connection("net"))))
        pair.run()
        #expect(pair.left.summary?.children.count == 1)
        pair.advance(.seconds(9))
        #expect(pair.left.summary?.children.count == 1)
        pair.advance(.seconds(2))
        #expect(closed(pair.left) == [.inactive])
        #expect(pair.left.summary?.state == .established)
    }

    /// A child that is rekeyed begins anew.
    @Test func acrossARekeyedChild() {
        let pair = Self.pair()
        pair.advance(.seconds(20))
        pair.left.handle(.command(.rekey(.child("net", connection: nil))))
        pair.advance(.seconds(28))
        #expect(pair.left.summary?.children.map(\.state) == [.installed])
        pair.advance(.seconds(3))
        #expect(pair.left.summary?.children.isEmpty == true)
        #expect(closed(pair.left) == [.replaced, .inactive])
    }

    @Test func onlyWhereConfigured() {
        let pair = Pair()
        pair.connect()
        pair.advance(.minutes(30))
        #expect(pair.left.summary?.children.count == 1)
        #expect(pair.left.questions.isEmpty)
    }
}
