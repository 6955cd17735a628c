import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// Clients that are sent to another gateway (RFC 5685).
@Suite struct RedirectTests {
    static let second = IPAddress(v4: 0xc633_6402)  // 198.51.100.2
    static let third = IPAddress(v4: 0xc633_6403)

    /// A client and gateways, each with an address and where it sends clients.
    final class Site {
        let client: Gateway
        var gateways: [(address: IPAddress, gateway: Gateway)] = []
        var now = Instant.zero + .seconds(1)
        var trace: [(to: IPAddress, bytes: [UInt8])] = []
        /// What happens to a datagram for the client.
        var toClient: ([UInt8]) -> [[UInt8]] = { [$0] }

        init(
            _ sites: [(IPAddress, Redirection?)], client change: (inout Connection) -> Void = { _ in },
            gateway changeGateway: (inout Connection) -> Void = { _ in }
        ) {
            var connection = Pair.connection()
            change(&connection)
            client = Gateway("client", Configuration(connections: [connection]), seed: 1)
            client.path = Path(local: Endpoint(Pair.leftAddress, 0), remote: Endpoint(Pair.rightAddress, 0))
            client.secrets = [(nil, nil, Array("the same key".utf8))]
            client.followsQueries = true
            for (index, site) in sites.enumerated() {
                var connection = Pair.connection(isLeft: false)
                connection.localAddresses = [.prefix(IPPrefix(host: site.0))]
                connection.redirection = site.1
                changeGateway(&connection)
                let gateway = Gateway("gw\(index)", Configuration(connections: [connection]), seed: UInt64(index) + 9)
                gateway.secrets = client.secrets
                gateways.append((site.0, gateway))
            }
        }

        func run() {
            for _ in 0..<100 {
                var isQuiet = true
                for datagram in client.takeOutbox() {
                    isQuiet = false
                    trace.append((datagram.path.remote.address, datagram.bytes))
                    guard let site = gateways.first(where: { $0.address == datagram.path.remote.address }) else {
                        continue
                    }
                    site.gateway.handle(
                        .datagram(Datagram(datagram.bytes, path: datagram.path.reversed, socket: datagram.socket)))
                }
                for site in gateways {
                    for datagram in site.gateway.takeOutbox() {
                        isQuiet = false
                        for bytes in toClient(datagram.bytes) {
                            client.handle(
                                .datagram(Datagram(bytes, path: datagram.path.reversed, socket: datagram.socket)))
                        }
                    }
                }
                if isQuiet { return }
            }
        }

        func advance(_ interval: Interval) {
            let end = now + interval
            let all = [client] + gateways.map(\.gateway)
            while let next = all.compactMap({ $0.endpoint.nextDeadline }).min(), next <= end {
                now = max(now, next)
                for gateway in all {
                    gateway.environment.now = now
                    if let due = gateway.endpoint.nextDeadline, due <= now { gateway.handle(.deadline) }
                }
                run()
            }
            now = end
            for gateway in all { gateway.environment.now = now }
        }

        func connect() {
            client.handle(.command(.initiate(connection: "net", child: "net")))
            run()
        }

        /// The notify types of the client's IKE_SA_INIT requests, and where they went.
        var initiations: [(to: IPAddress, notifies: [NotifyPayload])] {
            trace.compactMap { entry in
                guard let message = try? Message(parsing: entry.bytes), let request = try? IKESAInit.Request(message)
                else { return nil }
                return (entry.to, request.notifies)
            }
        }

        var serving: [Int] {
            gateways.indices.filter { gateways[$0].gateway.endpoint.counts.childSAs > 0 }
        }
    }

    private static func sent(_ gateway: Gateway) -> [Redirection] {
        gateway.kinds.compactMap { if case .redirected(let redirection, byUs: _) = $0 { redirection } else { nil } }
    }

    @Test(arguments: [Redirection.Moment.initiation, .authentication])
    func aClientGoesWhereItIsSent(_ moment: Redirection.Moment) throws {
        let redirection = Redirection(to: .address(Self.second), at: moment)
        let site = Site([(Pair.rightAddress, redirection), (Self.second, nil)])
        site.connect()
        #expect(site.serving == [1])
        #expect(site.client.endpoint.summaries().count == 1)
        #expect(site.client.summary?.path.remote.address == Self.second)
        #expect(site.client.summary?.children.count == 1)
        #expect(site.gateways[0].gateway.isEmpty, "nothing stays at the first gateway")
        #expect(site.gateways[0].gateway.installed.isEmpty)
        #expect(Self.sent(site.client) == [redirection] && Self.sent(site.gateways[0].gateway) == [redirection])
        #expect(site.client.refusals.isEmpty)
        let initiations = site.initiations
        #expect(initiations.map(\.to) == [Pair.rightAddress, Self.second])
        #expect(initiations.first?.notifies.contains(.redirectSupported) == true)
        let from = try #require(initiations.last?.notifies.first(.redirectedFrom))
        #expect(RedirectNotification(from.data)?.gateway == .address(Pair.rightAddress))
        #expect(site.client.endpoint.counts.spis == 1 && site.client.endpoint.counts.openTickets == 0)
    }

    /// In IKE_SA_INIT nothing is remembered: the responder's SPI is zero, and no key was made.
    @Test func aGatewayRemembersNothingOfWhomItSendsAway() throws {
        let site = Site([(Pair.rightAddress, Redirection(to: .name("gw-2.example"), at: .initiation))])
        var answers: [Message] = []
        site.toClient = { bytes in
            if let message = try? Message(parsing: bytes) { answers.append(message) }
            return []
        }
        site.connect()
        let answer = try #require(answers.first)
        #expect(answer.header.responderSPI == 0 && answer.payloads.count == 1)
        #expect(site.gateways[0].gateway.isEmpty && site.gateways[0].gateway.questions.isEmpty)
    }

    /// Whoever has not seen the request can't know its nonce: its redirection is not one (RFC 5685 §3).
    @Test func aRedirectionWithoutTheNonceIsPassedOver() {
        let redirection = Redirection(to: .address(Self.second), at: .initiation)
        let site = Site([(Pair.rightAddress, redirection), (Self.second, nil)])
        site.toClient = { bytes in
            guard let message = try? Message(parsing: bytes) else { return [bytes] }
            let forged = RedirectNotification(.address(Self.third), nonce: [UInt8](repeating: 1, count: 32))
            let bytes = try? Message(message.header, [.notify(NotifyPayload(.redirect, forged.data))]).encoded()
            return bytes.map { [$0] } ?? []
        }
        site.connect()
        #expect(site.client.summary?.state == .connecting)
        #expect(Self.sent(site.client).isEmpty)
        #expect(site.client.drops.count == 1)
        // The true one, when the request is sent again.
        site.toClient = { [$0] }
        site.advance(.seconds(5))
        #expect(site.serving == [1])
    }

    @Test func whoDoesNotFollowIsServedHere() {
        for moment in [Redirection.Moment.initiation, .authentication] {
            let site = Site(
                [(Pair.rightAddress, Redirection(to: .address(Self.second), at: moment)), (Self.second, nil)],
                client: { $0.followsRedirects = false })
            site.connect()
            #expect(site.serving == [0])
            #expect(site.initiations.first?.notifies.contains(.redirectSupported) == false)
            // Asked for by hand it is not possible either.
            #expect(site.gateways[0].gateway.summary?.canBeRedirected == false)
        }
    }

    /// Gateways that send their clients to each other (RFC 5685 §7).
    @Test(arguments: [Redirection.Moment.initiation, .authentication])
    func aLoopEnds(_ moment: Redirection.Moment) {
        let site = Site([
            (Pair.rightAddress, Redirection(to: .address(Self.second), at: moment)),
            (Self.second, Redirection(to: .address(Pair.rightAddress), at: moment)),
        ])
        site.connect()
        site.advance(.seconds(1))
        #expect(site.initiations.count == 6)
        #expect(
            site.client.refusals.contains { if case .redirectRefused = $0 { true } else { false } })
        #expect(site.client.isEmpty && site.serving.isEmpty)
        #expect(site.gateways.allSatisfy { $0.gateway.isEmpty })
    }

    @Test(arguments: ["0.0.0.0", "224.0.0.1", "127.0.0.1", "255.255.255.255", "::1", "::", "ff02::1"])
    func noGatewayIsThere(text: String) throws {
        let address = try #require(IPAddress(text))
        let site = Site([(Pair.rightAddress, Redirection(to: .address(address), at: .initiation))])
        site.connect()
        #expect(site.client.isEmpty && site.initiations.count == 1)
        let refusal = Refusal.redirectRefused(to: .address(address), reason: "that is no gateway's address")
        #expect(site.client.refusals == [refusal])
    }

    /// The other gateway has to prove the same identity; where none is configured, that is the first one's address.
    @Test func theOtherGatewayHasToBeTheSamePeer() {
        for moment in [Redirection.Moment.initiation, .authentication] {
            let site = Site(
                [(Pair.rightAddress, Redirection(to: .address(Self.second), at: moment)), (Self.second, nil)],
                client: { $0.remote.identity = nil },
                gateway: { $0.local.identity = nil })
            site.connect()
            #expect(site.serving.isEmpty)
            #expect(site.client.refusals.count == 1 || site.gateways[1].gateway.refusals.count == 1)
        }
    }

    @Test func aConnectedClientMoves() throws {
        let site = Site([(Pair.rightAddress, nil), (Self.second, nil)])
        site.connect()
        #expect(site.serving == [0])
        let first = site.gateways[0].gateway
        let id = try #require(first.summary)
        #expect(id.canBeRedirected && site.client.summary?.canBeRedirected == false)
        first.handle(.command(.redirect(id.id, to: .address(Self.second))))
        site.run()
        #expect(site.serving == [1])
        #expect(first.isEmpty)
        #expect(site.client.endpoint.summaries().count == 1)
        #expect(site.client.summary?.children.count == 1)
        #expect(site.client.liveSPIs.count == 2)
        // What it had stayed until it had the new one.
        let removed = site.client.effects.firstIndex { if case .plane(.remove) = $0 { true } else { false } }
        let installed = site.client.effects.lastIndex { if case .plane(.install) = $0 { true } else { false } }
        #expect(try #require(installed) < (try #require(removed)))
        #expect(site.initiations.last?.notifies.contains(.redirectedFrom) == true)
    }

    /// The other gateway is not there: the client keeps what it has, until the gateway ends it.
    @Test func aClientThatFindsNobodyStaysUntilItIsSentAway() throws {
        let site = Site([(Pair.rightAddress, nil)])
        site.connect()
        let first = site.gateways[0].gateway
        first.handle(.command(.redirect(try #require(first.summary).id, to: .address(Self.second))))
        site.run()
        site.advance(.seconds(59))
        #expect(site.serving == [0])
        site.advance(.seconds(2))
        #expect(site.serving.isEmpty && first.isEmpty)
        site.advance(.seconds(400))
        #expect(site.client.isEmpty)
    }

    /// Only the gateway redirects: who started the IKE SA has nobody to send anywhere (RFC 5685 §10).
    @Test func aClientCannotSendItsGatewayAway() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.authenticate()
        let before = pair.right.summary
        let redirect = NotifyPayload(.redirect, RedirectNotification(.address(Self.second)).data)
        #expect(rogue.ask(.informational, 2, [.notify(redirect)]).count == 1)
        #expect(pair.right.summary == before && pair.right.endpoint.summaries().count == 1)
        #expect(Self.sent(pair.right).isEmpty)
    }

    @Test func aMovedClientProvesItselfAnewWhereItIs() {
        let site = Site(
            [(Pair.rightAddress, Redirection(to: .address(Self.second), at: .initiation)), (Self.second, nil)],
            client: {
                $0.reauthTime = .hours(1)
                $0.rekeyTime = .zero
            })
        site.connect()
        let count = site.initiations.count
        site.advance(.hours(2))
        #expect(site.initiations.count > count)
        #expect(site.initiations.dropFirst(count).allSatisfy { $0.to == Self.second })
        #expect(site.serving == [1])
    }
}
