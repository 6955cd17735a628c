import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

@Suite struct PathTests {
    @Test func withoutNATEverythingStaysOnPort500() {
        let pair = Pair(prefersUDPEncapsulation: false)
        pair.connect()
        #expect(pair.trace.count == 4)
        #expect(pair.trace.allSatisfy { $0.datagram.socket == .plain && $0.datagram.path.remote.port == 500 })
        #expect(pair.left.kinds.contains(.natDetected(local: false, remote: false)))
        #expect(pair.right.kinds.contains(.natDetected(local: false, remote: false)))
        #expect(pair.left.installed.allSatisfy { $0.encapsulation == .none })
        #expect(pair.right.installed.allSatisfy { $0.encapsulation == .none })
    }

    @Test(arguments: [true, false])
    func oneSideThatForcesEncapsulationIsEnough(left: Bool) {
        var ours = Pair.connection()
        var theirs = Pair.connection(isLeft: false)
        if left { ours.forcesEncapsulation = true } else { theirs.forcesEncapsulation = true }
        let pair = Pair(left: ours, right: theirs, prefersUDPEncapsulation: false)
        pair.connect()
        #expect(pair.trace.map { $0.datagram.path.remote.port } == [500, 500, 4500, 4500])
        #expect(pair.left.installed.allSatisfy { $0.encapsulation == .udp })
        #expect(pair.right.installed.allSatisfy { $0.encapsulation == .udp })
        #expect(pair.left.installed.count == 2)
        #expect(pair.right.installed.count == 2)
        // Nobody is behind a NAT of whose timers anybody has to think.
        #expect(!pair.left.plane.contains { if case .keepAlive = $0 { true } else { false } })
    }

    /// A NAT in front of the left side: its own address, a port for each of the two sockets.
    private final class NAT {
        let outside = IPAddress(v4: 0xcb00_7105)
        var shift: UInt16 = 20_000

        func carry(_ datagram: Datagram, _ fromLeft: Bool) -> [Datagram] {
            var datagram = datagram
            if fromLeft {
                let port = datagram.path.local.port &+ shift
                datagram.path.local = Endpoint(outside, port)
            } else {
                guard datagram.path.remote.address == outside else { return [] }
                datagram.path.remote = Endpoint(Pair.leftAddress, datagram.path.remote.port &- shift)
            }
            return [datagram]
        }
    }

    private func pairBehindNAT() -> (Pair, NAT) {
        var right = Pair.connection(isLeft: false)
        right.remoteAddresses = []
        let pair = Pair(right: right, prefersUDPEncapsulation: false)
        let nat = NAT()
        pair.wire = { nat.carry($0, $1) }
        pair.connect()
        return (pair, nat)
    }

    @Test func aNATMovesBothToTheOtherPorts() throws {
        let (pair, _) = pairBehindNAT()
        #expect(pair.left.kinds.contains(.natDetected(local: true, remote: false)))
        #expect(pair.right.kinds.contains(.natDetected(local: false, remote: true)))
        let left = try #require(pair.left.summary)
        #expect(left.isBehindNAT)
        #expect(left.path == Path(local: Endpoint(Pair.leftAddress, 4500), remote: Endpoint(Pair.rightAddress, 4500)))
        let right = try #require(pair.right.summary)
        #expect(right.isPeerBehindNAT)
        #expect(right.path.remote == Endpoint(IPAddress(v4: 0xcb00_7105), 24_500))
        #expect(right.path.local.port == 4500)
        #expect(pair.right.installed.allSatisfy { $0.path == right.path && $0.encapsulation == .udp })
        #expect(pair.left.plane.contains { if case .keepAlive(_, let pause) = $0 { pause > .zero } else { false } })
        #expect(!pair.right.plane.contains { if case .keepAlive = $0 { true } else { false } })
    }

    @Test func aNewMappingIsFollowedWhenTheMessageIsAuthenticAndNew() throws {
        let (pair, nat) = pairBehindNAT()
        let before = try #require(pair.right.summary?.path)
        // A repeated request from elsewhere is answered there, and moves nothing.
        let old = pair.trace[2].datagram
        var elsewhere = old.path.reversed
        elsewhere.remote.port = 7
        pair.right.handle(.datagram(Datagram(old.bytes, path: elsewhere, socket: .natTraversal)))
        #expect(pair.right.takeOutbox().map(\.path) == [elsewhere])
        #expect(pair.right.summary?.path == before)
        nat.shift = 30_000
        pair.left.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        let after = try #require(pair.right.summary?.path)
        #expect(after.remote.port == 34_500)
        #expect(pair.right.kinds.contains(.pathChanged(from: before, to: after)))
        #expect(pair.left.summary?.children == [])
    }

    @Test func thePlaneMayNoticeTheNewMappingFirst() throws {
        let (pair, _) = pairBehindNAT()
        let child = try #require(pair.right.summary?.children.first)
        var moved = try #require(pair.right.summary?.path)
        moved.remote.port = 40_000
        pair.right.handle(.plane(.mappingChanged(child.id, moved)))
        #expect(pair.right.summary?.path == moved)
        #expect(pair.right.plane.contains { if case .move(child.id, moved, .udp) = $0 { true } else { false } })
        // Whoever is not behind a NAT stays where it is.
        let ours = try #require(pair.left.summary)
        pair.left.handle(.plane(.mappingChanged(try #require(ours.children.first).id, moved)))
        #expect(pair.left.summary?.path == ours.path)
    }

    /// What was sent to a mapping that is forgotten reached nobody: it goes to the new one at once.
    @Test func aRequestUnderWayFollowsTheMapping() throws {
        let (pair, nat) = pairBehindNAT()
        let before = try #require(pair.right.summary?.path)
        pair.wire = { datagram, fromLeft in fromLeft ? nat.carry(datagram, true) : [] }
        pair.right.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        let request = try #require(pair.trace.last)
        #expect(!request.fromLeft && request.datagram.path.remote.port == before.remote.port)
        nat.shift = 30_000
        pair.wire = { nat.carry($0, $1) }
        pair.trace = []
        pair.left.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        pair.advance(.milliseconds(1))
        #expect(
            pair.trace.contains { !$0.fromLeft && $0.datagram.bytes == request.datagram.bytes },
            "the request goes again, without waiting for its next repetition")
        let ports = pair.trace.filter { !$0.fromLeft }.map(\.datagram.path.remote.port)
        #expect(!ports.isEmpty && ports.allSatisfy { $0 == 34_500 }, "\(ports)")
    }

    /// Who comes from elsewhere lives: a request whose last try went to the old place has one more.
    @Test func aMappingThatThePlaneNoticedEarnsARequestAnotherTry() throws {
        let (pair, _) = pairBehindNAT()
        let child = try #require(pair.right.summary?.children.first)
        pair.wire = { _, _ in [] }
        pair.right.handle(.command(.rekey(.child("net", connection: nil))))
        pair.run()
        pair.advance(.seconds(120))
        let tries = pair.trace.filter { !$0.fromLeft && $0.datagram.path.remote.port == 24_500 }
        let request = try #require(tries.last?.datagram.bytes)
        #expect(tries.count { $0.datagram.bytes == request } == RetransmissionSchedule().tries + 1)
        pair.trace = []
        var moved = try #require(pair.right.summary?.path)
        moved.remote.port = 40_000
        pair.right.handle(.plane(.mappingChanged(child.id, moved)))
        pair.advance(.milliseconds(1))
        #expect(pair.trace.map(\.datagram.bytes) == [request])
        #expect(pair.trace.first?.datagram.path.remote.port == 40_000)
    }

    @Test func aPathIsKeptAliveAsLongAsSomebodyNeedsIt() throws {
        let tables = EndpointTables()
        let path = Path(local: Endpoint(Pair.leftAddress, 4500), remote: Endpoint(Pair.rightAddress, 4500))
        #expect(tables.keepAlive(path))
        #expect(!tables.keepAlive(path))
        #expect(!tables.stopKeepingAlive(path))
        #expect(tables.stopKeepingAlive(path))
        #expect(!tables.stopKeepingAlive(path))
        let (pair, _) = pairBehindNAT()
        pair.left.handle(.command(.terminate(.connection("net"))))
        pair.run()
        let pauses = pair.left.plane.compactMap { command -> Interval? in
            if case .keepAlive(path, let pause) = command { pause } else { nil }
        }
        #expect(pauses == [.seconds(20), .zero])
    }

    @Test func startingOnTheNATTraversalPort() {
        var left = Pair.connection()
        left.remotePort = 4500
        left.localPort = 4500
        let pair = Pair(left: left, prefersUDPEncapsulation: false)
        pair.connect()
        #expect(pair.trace.count == 4)
        #expect(pair.trace.allSatisfy { $0.datagram.socket == .natTraversal })
        #expect(pair.trace.allSatisfy { $0.datagram.path.local.port == 4500 && $0.datagram.path.remote.port == 4500 })
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.summary?.state == .established)
    }

    @Test func anotherNATTraversalPortOfThePeers() {
        var left = Pair.connection()
        left.remoteNATTraversalPort = 14_500
        let pair = Pair(left: left)
        pair.connect()
        #expect(pair.trace.map { $0.datagram.path.remote.port }.prefix(3) == [500, 500, 14_500])
    }

    /// A service that can't follow a change of ports takes who is behind a NAT on port 4500 only.
    @Test(arguments: [(UInt16(500), true), (4500, true), (500, false)])
    func aChangeOfPortsThatIsNotFollowed(start: UInt16, isBehindNAT: Bool) {
        var left = Pair.connection()
        (left.localPort, left.remotePort) = (start, start)
        var right = Pair.connection(isLeft: false)
        right.remoteAddresses = []
        right.refusesPortChange = true
        let pair = Pair(left: left, right: right, prefersUDPEncapsulation: false)
        let nat = NAT()
        if isBehindNAT { pair.wire = { nat.carry($0, $1) } }
        pair.connect()
        guard isBehindNAT, start == 500 else {
            #expect(pair.right.refusals == [] && pair.right.summary?.state == .established)
            return
        }
        let path = Path(local: Endpoint(Pair.rightAddress, 4500), remote: Endpoint(nat.outside, 24_500))
        #expect(pair.right.refusals == [.portChanged(path)])
        #expect(pair.left.isEmpty && pair.right.isEmpty)
    }
}
