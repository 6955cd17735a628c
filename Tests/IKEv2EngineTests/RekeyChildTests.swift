import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

@Suite struct RekeyChildTests {
    /// The one Child SA of both ends, which must be the same and have the same keys.
    private func onlyChild(_ pair: Pair) throws -> (left: ChildSASummary, right: ChildSASummary) {
        let left = try #require(pair.left.summary?.children)
        let right = try #require(pair.right.summary?.children)
        #expect(left.map(\.state) == [.installed])
        #expect(right.map(\.state) == [.installed])
        let ours = try #require(left.first)
        let theirs = try #require(right.first)
        #expect(ours.inboundSPI == theirs.outboundSPI && ours.outboundSPI == theirs.inboundSPI)
        for (sender, receiver, spi) in [
            (pair.left, pair.right, ours.outboundSPI), (pair.right, pair.left, theirs.outboundSPI),
        ] {
            let outbound = sender.installed.last { $0.direction == .outbound && $0.spi == spi }
            let inbound = receiver.installed.last { $0.direction == .inbound && $0.spi == spi }
            #expect(try #require(outbound).encryptionKey == #require(inbound).encryptionKey)
        }
        for gateway in [pair.left, pair.right] {
            #expect(gateway.endpoint.counts.spis == 1)
            #expect(gateway.liveSPIs.count == 2)
            #expect(gateway.refusals == [])
        }
        return (ours, theirs)
    }

    private func rekey(_ gateway: Gateway) {
        gateway.handle(.command(.rekey(.child("net", connection: "net"))))
    }

    @Test(arguments: [true, false], ["aes128gcm16", "aes128gcm16-x25519", "aes128gcm16-ecp256-none"])
    func aChildIsReplacedWithNewKeysAndTheOldOneGoes(fromLeft: Bool, esp: String) throws {
        let pair = Pair(left: Pair.connection(esp: esp), right: Pair.connection(isLeft: false, esp: esp))
        pair.connect()
        let before = try onlyChild(pair)
        let starter = fromLeft ? pair.left : pair.right
        rekey(starter)
        #expect(starter.summary?.children.first?.state == .rekeying)
        pair.run()
        let after = try onlyChild(pair)
        #expect(after.left.id != before.left.id)
        #expect(after.left.inboundSPI != before.left.inboundSPI)
        #expect(after.left.localSelectors == before.left.localSelectors)
        #expect(after.left.algorithms.first(.keyExchange) == Pair.proposals(esp, .esp)[0].first(.keyExchange))
        // Four messages, two of them for the deletion.
        #expect(pair.trace.count == 8)
        let firstKey = starter.installed.first { $0.direction == .inbound }?.encryptionKey
        let lastKey = starter.installed.last { $0.direction == .inbound }?.encryptionKey
        #expect(firstKey != lastKey)
    }

    /// What status calls `reqid` is that of what is protected: it outlives Child SAs and IKE SAs.
    @Test(arguments: [true, false])
    func theNumberOfWhatIsProtectedStays(fromLeft: Bool) throws {
        let pair = Pair()
        pair.connect()
        let first = try onlyChild(pair)
        for target in [
            Command.Target.child("net", connection: nil), .connection("net"), .child("net", connection: nil),
        ] {
            (fromLeft ? pair.left : pair.right).handle(.command(.rekey(target)))
            pair.run()
            let next = try onlyChild(pair)
            #expect(next.left.protection == first.left.id.rawValue && next.right.protection == first.right.id.rawValue)
        }
        #expect(try onlyChild(pair).left.id != first.left.id)
        // Nobody protects it any more: whoever does next begins anew, and nothing is left behind.
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        #expect(pair.left.endpoint.tables.protections.count == 0 && pair.right.endpoint.tables.protections.count == 0)
        pair.connect()
        let again = try onlyChild(pair).left
        #expect(again.protection == again.id.rawValue && again.protection != first.left.protection)
    }

    /// There is always an inbound SA for what the peer sends, and packets change over from one SA to the other.
    @Test func noMomentIsWithoutAProtection() {
        let pair = Pair()
        pair.connect()
        rekey(pair.left)
        pair.run()
        for gateway in [pair.left, pair.right] {
            let words = gateway.plane.map { command -> String in
                switch command {
                case .install(let association): association.direction.rawValue
                case .remove(let direction, _, _): "remove \(direction.rawValue)"
                case .retire: "retire"
                case .protect: "protect"
                case .unprotect(_, let staysBlocked): staysBlocked ? "block" : "unprotect"
                default: "other"
                }
            }
            #expect(
                words == ["inbound", "outbound", "protect", "inbound", "outbound", "protect", "remove outbound"]
                    + ["retire", "unprotect"])
        }
    }

    /// Who was asked cannot know whether its answer has arrived, and whether the peer can open what comes by the new Child
    /// SA: it goes on with the old one until that is closed (RFC 7296 §2.8).
    @Test func whoWasAskedChangesOverWhenTheOldOneIsClosed() throws {
        let pair = Pair()
        pair.connect()
        let before = try onlyChild(pair).right
        func lastPath() -> UInt32? {
            pair.right.plane.reversed().lazy.compactMap { command -> UInt32? in
                if case .protect(_, _, _, let spi) = command { spi } else { nil }
            }.first
        }
        var isLost = false
        pair.wire = { datagram, fromLeft in
            guard !fromLeft, !isLost else { return [datagram] }
            isLost = true
            return []
        }
        rekey(pair.left)
        pair.run()
        #expect(pair.right.summary?.children.map(\.state) == [.rekeyed, .installed])
        #expect(lastPath() == before.outboundSPI)
        pair.advance(.seconds(30))
        #expect(isLost)
        #expect(lastPath() == (try onlyChild(pair)).right.outboundSPI)
    }

    @Test func rekeyTimeTriggersItAndChancePutsItEarlier() throws {
        var left = Pair.connection()
        left.children[0].rekeyTime = .minutes(10)
        left.children[0].randTime = .minutes(2)
        let pair = Pair(left: left)
        pair.connect()
        let first = try onlyChild(pair).left
        let due = try #require(first.rekeyDue)
        #expect(due > pair.now + .minutes(8) && due < pair.now + .minutes(10))
        pair.advance(due - pair.now - .seconds(1))
        #expect(try onlyChild(pair).left.id == first.id)
        pair.advance(.seconds(2))
        #expect(try onlyChild(pair).left.id != first.id)
    }

    @Test func aChildThatRunsOutOfSequenceNumbersIsReplaced() throws {
        let pair = Pair()
        pair.connect()
        let first = try onlyChild(pair).right
        pair.right.handle(.plane(.sequenceExhausted(first.id)))
        pair.run()
        #expect(try onlyChild(pair).right.id != first.id)
    }

    @Test func aLifetimeEndsAChildThatWasNotReplaced() throws {
        var left = Pair.connection()
        left.children[0].rekeyTime = .zero
        left.children[0].lifeTime = .minutes(5)
        let pair = Pair(left: left)
        pair.connect()
        pair.advance(.minutes(6))
        #expect(pair.left.summary?.children == [])
        #expect(pair.right.summary?.children == [])
    }

    /// Both start at the same time; the nonces decide, and one Child SA is left.
    @Test(arguments: 1...12)
    func bothReplaceAChildAtOnce(seed: Int) throws {
        let pair = Pair(seed: UInt64(seed))
        pair.connect()
        let before = try onlyChild(pair)
        rekey(pair.left)
        rekey(pair.right)
        pair.run()
        let after = try onlyChild(pair)
        #expect(after.left.id != before.left.id)
    }

    /// The same with one of the four messages lost, whichever it is, and sent again.
    @Test(arguments: 0..<8, 1...4)
    func bothReplaceAChildAtOnceAndAMessageIsLost(lost: Int, seed: Int) throws {
        let pair = Pair(seed: UInt64(seed))
        pair.connect()
        let before = try onlyChild(pair)
        var count = 0
        pair.wire = { datagram, _ in
            defer { count += 1 }
            return count == lost ? [] : [datagram]
        }
        rekey(pair.left)
        rekey(pair.right)
        pair.advance(.minutes(2))
        let after = try onlyChild(pair)
        #expect(after.left.id != before.left.id)
        #expect(after.left.inboundSPI != before.left.inboundSPI)
    }

    @Test(arguments: [true, false])
    func aChildThatTheOtherEndClosesIsNotReplaced(rekeysFirst: Bool) {
        let pair = Pair()
        pair.connect()
        if rekeysFirst { rekey(pair.left) }
        pair.right.handle(.command(.terminate(.child("net", connection: "net"))))
        if !rekeysFirst { rekey(pair.left) }
        pair.run()
        for gateway in [pair.left, pair.right] {
            #expect(gateway.summary?.children == [])
            #expect(gateway.summary?.state == .established)
            #expect(gateway.liveSPIs == [])
            #expect(gateway.endpoint.counts.spis == 0)
        }
    }

    @Test func aChildThatIsClosedHereWhileItIsReplacedGoesWithItsReplacement() {
        let pair = Pair()
        pair.connect()
        rekey(pair.left)
        pair.left.handle(.command(.terminate(.child("net", connection: "net"))))
        pair.run()
        for gateway in [pair.left, pair.right] {
            #expect(gateway.summary?.children == [])
            #expect(gateway.liveSPIs == [])
            #expect(gateway.endpoint.counts.spis == 0)
        }
    }

    @Test func narrowedSelectorsStayAsTheyAre() throws {
        var right = Pair.connection(isLeft: false)
        right.children[0].localSelectors = [SelectorTemplate(Pair.prefix("10.2.7.0/24"))]
        let pair = Pair(right: right)
        pair.connect()
        let before = try onlyChild(pair).left
        rekey(pair.left)
        pair.run()
        #expect(try onlyChild(pair).left.remoteSelectors == before.remoteSelectors)
        rekey(pair.right)
        pair.run()
        #expect(try onlyChild(pair).left.remoteSelectors == before.remoteSelectors)
    }
}

@Suite struct RekeyContestTests {
    /// All orders of four different nonces: the exchange with the lowest loses, and the ends never both say "mine".
    @Test func theLowestOfFourNoncesLoses() {
        let values: [[UInt8]] = [[0], [0, 0], [0, 1], [9]]
        for a in 0..<4 {
            for b in 0..<4 where b != a {
                let rest = (0..<4).filter { $0 != a && $0 != b }
                let ours = [values[a], values[b]]
                let theirs = rest.map { values[$0] }
                let contest = RekeyContest(ours: ours, theirs: theirs)
                #expect(contest.oursStays == !(a == 0 || b == 0))
                #expect(RekeyContest(ours: theirs, theirs: ours).oursStays != contest.oursStays)
            }
        }
    }

    @Test func noRequestAboutSomethingThatEndsIsTakenOn() {
        typealias Table = CollisionTable
        for ours in Table.Ours.allCases {
            // Deletions are always answered (RFC 7296 §2.25).
            #expect(Table.verdict(.deleteChild, while: ours) != .temporaryFailure)
            #expect(Table.verdict(.deleteIKESA, while: ours) != .temporaryFailure)
            let aboutIKESA: Set<Table.Ours> = [.rekeyingIKESA, .rekeyedIKESA, .closingIKESA]
            for theirs in [Table.Theirs.createChild, .rekeyChild] where aboutIKESA.contains(ours) {
                #expect(Table.verdict(theirs, while: ours) == .temporaryFailure)
            }
        }
        #expect(Table.verdict(.rekeyChild, while: .rekeyingThisChild) == .answerAndContest)
        #expect(Table.verdict(.rekeyIKESA, while: .rekeyingIKESA) == .answerAndContest)
        #expect(Table.verdict(.rekeyChild, while: .closingThisChild) == .temporaryFailure)
        #expect(Table.verdict(.rekeyIKESA, while: .creatingChild) == .temporaryFailure)
        #expect(Table.verdict(.createChild, while: .rekeyingThisChild) == .answer)
        let contests = Table.Theirs.allCases.flatMap { theirs in
            Table.Ours.allCases.filter { Table.verdict(theirs, while: $0) == .answerAndContest }
        }
        #expect(contests.count == 2)
    }
}
