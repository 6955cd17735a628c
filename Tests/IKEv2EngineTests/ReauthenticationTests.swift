import Clockwork
import GatewayModel
import IKECore
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// A new authentication in place of an old one (RFC 7296 §2.8.3, RFC 4478).
@Suite struct ReauthenticationTests {
    private static func pair(
        left change: (inout Connection) -> Void = { _ in }, right changeRight: (inout Connection) -> Void = { _ in }
    ) -> Pair {
        var left = Pair.connection()
        left.rekeyTime = .zero
        left.children[0].rekeyTime = .zero
        change(&left)
        var right = Pair.connection(isLeft: false)
        right.rekeyTime = .zero
        right.children[0].rekeyTime = .zero
        changeRight(&right)
        let pair = Pair(left: left, right: right)
        pair.connect()
        return pair
    }

    private static func yearly(_ connection: inout Connection) {
        connection.reauthTime = .hours(1)
        connection.overTime = .minutes(6)
        connection.randTime = .minutes(3)
    }

    /// Whether packets of the child were protected, or blocked, all the time since it came up.
    private static func neverOpened(_ gateway: Gateway) -> Bool {
        gateway.plane.allSatisfy { if case .unprotect(_, staysBlocked: false) = $0 { false } else { true } }
    }

    /// `swanctl --rekey --ike NAME --reauth`: now, whatever the configuration says of times; only by who started it.
    @Test(arguments: [true, false]) func onCommand(_ makesFirst: Bool) throws {
        let pair = Self.pair(left: { $0.makesBeforeBreaking = makesFirst })
        let first = try #require(pair.left.summary?.id)
        pair.right.handle(.command(.reauthenticate(.connection(pair.right.summary?.connection ?? ""))))
        pair.run()
        #expect(pair.left.summary?.id == first)
        pair.left.effects = []
        pair.left.handle(.command(.reauthenticate(.ikeSA(first))))
        pair.advance(.seconds(10))
        #expect(pair.left.summary?.id != first && pair.left.summary?.state == .established)
        #expect(pair.left.summary?.children.map(\.name) == ["net"])
        #expect(pair.left.endpoint.counts.ikeSAs == 1 && pair.right.endpoint.counts.ikeSAs == 1)
        #expect(pair.left.closeReasons == [.replaced])
        // One that is there first is in force when the old one goes; else a block stays in between.
        #expect(makesFirst || Self.neverOpened(pair.left))
    }

    @Test func theNewOneIsUpBeforeTheOldOneEnds() throws {
        let pair = Self.pair(left: Self.yearly)
        let first = try #require(pair.left.summary?.id)
        let protection = try #require(pair.left.summary?.children.first?.protection)
        pair.advance(.minutes(56))
        #expect(pair.left.summary?.id == first)
        pair.left.effects = []
        pair.advance(.minutes(5))
        #expect(pair.left.endpoint.counts.ikeSAs == 1 && pair.right.endpoint.counts.ikeSAs == 1)
        #expect(pair.left.summary?.id != first)
        #expect(pair.left.summary?.children.map(\.name) == ["net"])
        #expect(pair.left.summary?.children.map(\.protection) == [protection])
        #expect(pair.left.closeReasons == [.replaced])
        // At every moment there was a Child SA.
        var protected = 1
        for command in pair.left.plane {
            switch command {
            case .protect: protected += 1
            case .unprotect: protected -= 1
            default: break
            }
            #expect(protected > 0)
        }
        // And so on.
        pair.advance(.hours(3))
        #expect(pair.left.closeReasons.count >= 3 && pair.left.closeReasons.allSatisfy { $0 == .replaced })
        #expect(pair.left.endpoint.counts.childSAs == 1 && pair.right.endpoint.counts.childSAs == 1)
        #expect(pair.left.endpoint.counts.spis == 1)
    }

    @Test func theOldOneMayEndFirst() throws {
        let pair = Self.pair(left: {
            Self.yearly(&$0)
            $0.makesBeforeBreaking = false
        })
        let first = try #require(pair.left.summary?.id)
        pair.left.effects = []
        pair.advance(.minutes(61))
        #expect(pair.left.summary?.id != first && pair.left.summary?.state == .established)
        #expect(pair.left.summary?.children.map(\.name) == ["net"])
        #expect(pair.left.closeReasons == [.replaced])
        #expect(Self.neverOpened(pair.left), "packets wait in between")
    }

    /// Who ends the connection between the old IKE SA and the new one wants no new one.
    @Test func whatIsEndedInBetweenStaysDown() {
        let pair = Self.pair(left: {
            Self.yearly(&$0)
            $0.makesBeforeBreaking = false
        })
        pair.wire = { _, fromLeft in
            // The farewell is on its way.
            if fromLeft { pair.left.handle(.command(.terminate(.connection("net")))) }
            return []
        }
        pair.advance(.minutes(61))
        pair.wire = { datagram, _ in [datagram] }
        pair.advance(.minutes(10))
        #expect(pair.left.endpoint.counts.ikeSAs == 0 && pair.left.endpoint.counts.childSAs == 0)
    }

    /// The end that did not start waits for the other; its own trust ends all the same.
    @Test func theResponderTellsHowLongItsTrustLasts() {
        let pair = Self.pair(right: Self.yearly)
        #expect(pair.left.summary?.reauthenticationDue != nil, "RFC 4478")
        #expect(pair.right.summary?.reauthenticationDue == nil)
        pair.advance(.minutes(61))
        #expect(pair.left.closeReasons == [.replaced])
        #expect(pair.left.endpoint.counts.childSAs == 1)
    }

    @Test func withoutAnAnswerTheTrustEnds() {
        let pair = Self.pair(left: Self.yearly)
        pair.wire = { _, _ in [] }
        pair.advance(.minutes(80))
        #expect(pair.left.closeReasons.contains(.expired))
        #expect(pair.left.endpoint.counts.childSAs == 0)
    }

    @Test func aFailedAttemptIsRepeatedWhileThereIsTime() {
        let pair = Self.pair(left: Self.yearly)
        pair.right.secrets = [(nil, nil, Array("another key".utf8))]
        pair.advance(.minutes(61))
        #expect(pair.left.endpoint.counts.childSAs == 1, "the old one goes on")
        #expect(pair.left.refusals.count > 1)
        pair.right.secrets = pair.left.secrets
        pair.advance(.minutes(1))
        #expect(pair.left.closeReasons.filter { $0 == .replaced }.count == 1)
        #expect(pair.left.endpoint.counts.childSAs == 1 && pair.left.endpoint.counts.ikeSAs == 1)
    }

    /// New keys prove nothing: the end of the trust is inherited.
    @Test func rekeyingDoesNotPutItOff() throws {
        let pair = Self.pair(left: {
            Self.yearly(&$0)
            $0.rekeyTime = .minutes(20)
        })
        let due = try #require(pair.left.summary?.reauthenticationDue)
        pair.advance(.minutes(45))
        #expect(pair.left.closeReasons.count >= 2, "it was rekeyed")
        #expect(pair.left.summary?.reauthenticationDue == due)
        pair.advance(.minutes(16))
        #expect(pair.left.summary?.reauthenticationDue.map { $0 > due } == true)
        #expect(pair.left.endpoint.counts.childSAs == 1)
    }

    /// It is due while the IKE SA is being rekeyed, by us or by both at once: who takes its place takes this on as well.
    @Test(arguments: [true, false], [true, false])
    func whatFallsInARekeyingIsDoneAfterIt(_ makesFirst: Bool, _ isContest: Bool) throws {
        let pair = Self.pair(left: { $0.makesBeforeBreaking = makesFirst })
        let first = try #require(pair.left.summary?.id)
        pair.left.handle(.command(.rekey(.ikeSA(first))))
        if isContest { pair.right.handle(.command(.rekey(.connection(pair.right.summary?.connection ?? "")))) }
        pair.left.handle(.command(.reauthenticate(.ikeSA(first))))
        pair.advance(.seconds(40))
        let proofs = pair.left.effects.filter { if case .ask(_, .prove) = $0 { true } else { false } }
        #expect(proofs.count == 2, "who we are was proved anew")
        #expect(pair.left.summary?.state == .established)
        #expect(pair.left.summary?.children.map(\.name) == ["net"])
        // Nothing is left that would bring it up once more.
        pair.right.handle(.command(.terminate(.connection(pair.right.summary?.connection ?? ""))))
        pair.advance(.seconds(40))
        #expect(pair.left.endpoint.counts.ikeSAs == 0 && pair.right.endpoint.counts.ikeSAs == 0)
    }

    @Test func aVirtualAddressStays() throws {
        let address = IPAddress(v4: 0x0a03_0001)
        let pair = Self.pair(
            left: {
                Self.yearly(&$0)
                $0.virtualAddresses = [.unspecified(.v4)]
                $0.children[0].localSelectors = [.dynamic]
            },
            right: {
                $0.pools = ["p"]
                $0.children[0].remoteSelectors = [.dynamic]
            })
        // The first attempt found the pool empty.
        #expect(pair.left.endpoint.counts.childSAs == 0)
        let lease = Answer.leased(
            Lease(identity: .fqdn("left.example"), loans: [Lease.Loan(pool: "p", address: address)]))
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        pair.right.lends = [lease, lease]
        pair.connect()
        #expect(pair.left.endpoint.counts.childSAs == 1)
        pair.advance(.minutes(61))
        #expect(pair.left.endpoint.counts.childSAs == 1 && pair.right.lends.isEmpty)
        // One added, one more added, one removed: the host has it all the time.
        var users = 0
        for command in pair.left.plane {
            switch command {
            case .addAddress: users += 1
            case .removeAddress:
                users -= 1
                #expect(users > 0)
            default: break
            }
        }
        #expect(users == 1)
        #expect(pair.right.released.count == 1)
    }
}
