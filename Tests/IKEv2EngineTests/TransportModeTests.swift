import Clockwork
import GatewayModel
import IKECore
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// How transport mode is agreed on, and what a NAT makes of it (RFC 7296 §1.3.1, §2.23.1).
struct TransportModeTests {
    /// A connection between the hosts themselves.
    private static func connection(
        isLeft: Bool, _ mode: ChildTemplate.Mode, ipProtocol: IPProtocolNumber = .any
    ) -> Connection {
        var connection = Pair.connection(isLeft: isLeft)
        connection.children[0].mode = mode
        connection.children[0].localSelectors = [SelectorTemplate(nil, ipProtocol: ipProtocol)]
        connection.children[0].remoteSelectors = [SelectorTemplate(nil, ipProtocol: ipProtocol)]
        // Anybody may answer or ask: behind a NAT the address is not ours to know.
        if !isLeft { connection.remoteAddresses = [] }
        return connection
    }

    private static func host(_ address: IPAddress, _ ipProtocol: IPProtocolNumber = .any) -> [TrafficSelector] {
        [TrafficSelector(AddressRange(host: address), ipProtocol: ipProtocol)]
    }

    /// Both SAs of the newest Child SA, inbound first.
    private static func newest(_ gateway: Gateway) -> [SecurityAssociation] { gateway.installed.suffix(2) }

    @Test(arguments: [
        (ChildTemplate.Mode.transport, ChildTemplate.Mode.transport, ChildTemplate.Mode.transport),
        (.transport, .tunnel, .tunnel), (.tunnel, .transport, .tunnel), (.tunnel, .tunnel, .tunnel),
    ])
    func bothMustWantIt(_ left: ChildTemplate.Mode, _ right: ChildTemplate.Mode, _ result: ChildTemplate.Mode) {
        let pair = Pair(
            left: Self.connection(isLeft: true, left), right: Self.connection(isLeft: false, right),
            prefersUDPEncapsulation: false)
        pair.connect()
        for gateway in [pair.left, pair.right] {
            #expect(gateway.installed.map(\.mode) == [result, result])
            #expect(gateway.summary?.children.first?.mode == result)
            #expect(gateway.refusals == [])
        }
        #expect(pair.left.installed.first?.localSelectors == Self.host(Pair.leftAddress))
        #expect(pair.left.installed.first?.remoteSelectors == Self.host(Pair.rightAddress))
    }

    @Test func networksBehindTheHostsAreTunnelled() {
        var (left, right) = (Self.connection(isLeft: true, .transport), Self.connection(isLeft: false, .transport))
        left.children[0].localSelectors = [SelectorTemplate(Pair.prefix("10.1.0.0/16"))]
        right.children[0].remoteSelectors = [SelectorTemplate(Pair.prefix("10.1.0.0/16"))]
        let pair = Pair(left: left, right: right, prefersUDPEncapsulation: false)
        pair.connect()
        for gateway in [pair.left, pair.right] { #expect(gateway.installed.map(\.mode) == [.tunnel, .tunnel]) }
    }

    @Test func aRekeyKeepsTheMode() throws {
        let pair = Pair(
            left: Self.connection(isLeft: true, .transport), right: Self.connection(isLeft: false, .transport),
            prefersUDPEncapsulation: false)
        pair.connect()
        for gateway in [pair.left, pair.right] {
            gateway.handle(.command(.rekey(.child("net", connection: nil))))
            pair.run()
        }
        for gateway in [pair.left, pair.right] {
            #expect(gateway.installed.map(\.mode) == [ChildTemplate.Mode](repeating: .transport, count: 6))
            #expect(gateway.liveSPIs.count == 2)
        }
    }

    /// A NAT in front of the left side, or of the right one, as the other sees it.
    private static func throughNAT(_ pair: Pair, leftSeenAs left: IPAddress?, rightReachedAs right: IPAddress?) {
        pair.wire = { datagram, fromLeft in
            var path = datagram.path
            if fromLeft {
                if let left { path.local = Endpoint(left, path.local.port &+ 1000) }
                if right != nil { path.remote = Endpoint(Pair.rightAddress, path.remote.port) }
            } else {
                if left != nil { path.remote = Endpoint(Pair.leftAddress, path.remote.port &- 1000) }
                if let right { path.local = Endpoint(right, path.local.port) }
            }
            return [Datagram(datagram.bytes, path: path, socket: datagram.socket)]
        }
    }

    @Test(arguments: [IPProtocolNumber.any, .gre])
    func behindANATEachSideNamesTheAddressesThatItSees(_ ipProtocol: IPProtocolNumber) throws {
        let mapped = IPAddress(v4: 0xcb00_7105)  // 203.0.113.5
        let pair = Pair(
            left: Self.connection(isLeft: true, .transport, ipProtocol: ipProtocol),
            right: Self.connection(isLeft: false, .transport, ipProtocol: ipProtocol),
            prefersUDPEncapsulation: false)
        Self.throughNAT(pair, leftSeenAs: mapped, rightReachedAs: nil)
        pair.connect()
        try Self.check(
            pair, left: (Pair.leftAddress, Pair.rightAddress), right: (Pair.rightAddress, mapped), ipProtocol)
        // Whoever rekeys, each goes on with its own view.
        for gateway in [pair.left, pair.right] {
            gateway.handle(.command(.rekey(.child("net", connection: nil))))
            pair.run()
            try Self.check(
                pair, left: (Pair.leftAddress, Pair.rightAddress), right: (Pair.rightAddress, mapped), ipProtocol)
        }
        for gateway in [pair.left, pair.right] { #expect(gateway.installed.count == 6) }
    }

    @Test func aResponderBehindANATIsReachedByItsOtherAddress() throws {
        let reached = IPAddress(v4: 0xcb00_7109)
        var left = Self.connection(isLeft: true, .transport)
        left.remoteAddresses = [.prefix(IPPrefix(host: reached))]
        let pair = Pair(
            left: left, right: Self.connection(isLeft: false, .transport), prefersUDPEncapsulation: false)
        pair.left.path = Path(local: Endpoint(Pair.leftAddress, 0), remote: Endpoint(reached, 0))
        Self.throughNAT(pair, leftSeenAs: nil, rightReachedAs: reached)
        pair.connect()
        try Self.check(
            pair, left: (Pair.leftAddress, reached), right: (Pair.rightAddress, Pair.leftAddress), .any)
    }

    private static func check(
        _ pair: Pair, left: (IPAddress, IPAddress), right: (IPAddress, IPAddress), _ ipProtocol: IPProtocolNumber
    ) throws {
        for (gateway, ends) in [(pair.left, left), (pair.right, right)] {
            try #require(newest(gateway).count == 2)
            for association in newest(gateway) {
                #expect(association.mode == .transport)
                #expect(association.encapsulation == .udp)
                #expect(association.localSelectors == host(ends.0, ipProtocol), "\(gateway.name)")
                #expect(association.remoteSelectors == host(ends.1, ipProtocol), "\(gateway.name)")
            }
            #expect(gateway.refusals == [])
        }
    }
}
