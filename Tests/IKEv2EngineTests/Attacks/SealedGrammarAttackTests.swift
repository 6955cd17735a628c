import Clockwork
import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing

@testable import IKEv2Engine

/// Messages that are sealed with the right keys and lie inside, by their numbers in the project's list: what a stranger may
/// send before he has proved anything, and a tenant after it.
@Suite struct SealedGrammarAttackTests {
    /// Chains of payloads as they lie in a sealed message, with the type of the first one.
    private static let chains: [(UInt8, [UInt8])] = {
        var chains: [(UInt8, [UInt8])] = []
        for type: UInt8 in [33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 47, 48, 49, 54, 200] {
            for length: UInt8 in [0, 3, 255] { chains.append((type, [0, 0, 0, length])) }
            chains.append((type, [0, 0, 0xff, 0xff] + [UInt8](repeating: 1, count: 60)))
            // The next one is not there.
            chains.append((type, [type, 0, 0, 4]))
        }
        // Within it what may only be outside, and chains without an end.
        for type: UInt8 in [46, 53] { chains.append((type, [0, 0, 0, 8, 0, 1, 0, 1])) }
        chains.append((43, (0..<300).flatMap { _ in [43, 0, 0, 4] as [UInt8] }))
        chains.append((33, [0, 0, 0, 12, 0, 0, 0, 8, 1, 3, 4, 255]))
        chains.append((42, [0, 0, 0, 12, 3, 4, 0xff, 0xff, 1, 2, 3, 4]))
        chains.append((42, [0, 0, 0, 8, 1, 0, 0, 9]))
        chains.append((44, [0, 0, 0, 8, 255, 0, 0, 0]))
        chains.append((47, [0, 0, 0, 12, 1, 0, 0, 0, 0, 1, 0xff, 0xff]))
        return chains
    }()

    @Test(
        "Attack 21: payload chains that lie within a sealed message end the IKE SA or are ignored, and install nothing")
    func attack21Sealed() throws {
        for (type, content) in Self.chains {
            // Before anybody has proved anything.
            let early = Pair()
            let stranger = try #require(RoguePeer(early))
            let filled = content + [UInt8](repeating: 0, count: max(0, 80 - content.count))
            let bytes = try #require(stranger.fragment(.ikeAuth, 1, 1, of: 1, filled, first: type))
            let answers = stranger.opened(stranger.deliver(bytes))
            for answer in answers { expectError(answer) }
            #expect(early.right.installed.isEmpty && early.right.summary?.state != .established, "\(type) \(content)")
            // And after it, in each exchange.
            for exchange: ExchangeType in [.createChildSA, .informational, .ikeFollowupKE] {
                let pair = Pair()
                let rogue = try #require(RoguePeer(pair))
                #expect(rogue.authenticate { $0.notifies = [NotifyPayload(.fragmentationSupported)] }.count == 1)
                let bytes = try #require(rogue.fragment(exchange, 2, 1, of: 1, content, first: type))
                for answer in rogue.opened(rogue.deliver(bytes)) { expectError(answer) }
                #expect(pair.right.installed.count == 2, "\(type) \(content.prefix(8))")
                #expect(pair.right.endpoint.counts.ikeSAs <= 1 && pair.right.endpoint.counts.spis <= 1)
            }
        }
    }

    /// An answer says nothing but what is wrong, or nothing.
    private func expectError(_ answer: OpenedMessage) {
        for payload in answer.payloads {
            guard case .notify(let notify) = payload else {
                Issue.record("an answer with \(payload)")
                return
            }
            let errors: [NotifyType] = [
                .invalidSyntax, .unsupportedCriticalPayload, .authenticationFailed, .stateNotFound, .noProposalChosen,
            ]
            #expect(errors.contains(notify.type))
        }
    }

    /// A fragment may have payloads in clear before it (RFC 7383 §2.5): they are part of what is authenticated, and nothing
    /// else.
    @Test("Attack 22: payloads before a fragment, as many as there may be and more, count for nothing")
    func attack22Outer() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        for count in [1, 2, 100, 253, 254, 255, 256, 300] {
            for type: UInt8 in [200, 41, 43, 35, 53, 46, 0] {
                let outer = [UInt8](repeating: type, count: count)
                let bytes = rogue.fragment(.ikeAuth, 1, 1, of: 2, [0, 0, 0, 4], outer: outer)
                #expect(rogue.deliver(try #require(bytes)) == [])
            }
        }
        let session = try #require(pair.right.endpoint.inOrder.first)
        #expect(session.context.reassembly.count <= 64, "one piece, whatever stood before it")
        #expect(rogue.authenticate().count == 1 && pair.right.summary?.state == .established)
    }

    private static func selectors(_ count: Int, says: Int? = nil) -> [UInt8] {
        [UInt8(says ?? count), 0, 0, 0]
            + (0..<count).flatMap { index in
                [7, 0, 0, 16, 0, 0, 255, 255, 10, 1, UInt8(index & 0xff), 0, 10, 1, UInt8(index & 0xff), 255] as [UInt8]
            }
    }

    /// Selectors that lie, or are as many as a payload holds: in the first Child SA and in later ones.
    private static let lies: [(String, [UInt8])] = [
        (
            "an IPv4 type with IPv6's length",
            [1, 0, 0, 0, 7, 0, 0, 40, 0, 0, 255, 255] + [UInt8](repeating: 1, count: 32)
        ),
        (
            "an IPv4 type with addresses of 16 octets",
            [1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 255, 255] + [UInt8](repeating: 1, count: 32)
        ),
        ("a label", [1, 0, 0, 0, 10, 0, 0, 8, 1, 2, 3, 4]),
        ("a label without an end", [1, 0, 0, 0, 10, 0, 255, 255, 1]),
        ("fewer than it says", selectors(3, says: 255)), ("more than it says", selectors(255, says: 1)),
        ("a type that is none", [1, 0, 0, 0, 99, 0, 0, 8, 0, 0, 255, 255]),
        ("ports that run backwards", [1, 0, 0, 0, 7, 6, 0, 16, 0, 9, 0, 5, 10, 1, 0, 0, 10, 1, 0, 9]),
    ]

    @Test("Attack 24: selectors that lie make no Child SA, with IKE_AUTH or later")
    func attack24Both() throws {
        for (what, body) in Self.lies {
            for isFirst in [true, false] {
                let pair = Pair()
                let rogue = try #require(RoguePeer(pair))
                func forged(_ payloads: [Payload]) -> [Payload] {
                    payloads.map {
                        $0.type == .initiatorSelectors ? .unknown(.initiatorSelectors, UnknownPayload(body)) : $0
                    }
                }
                if isFirst {
                    _ = rogue.authenticate(changing: forged)
                    #expect(pair.right.installed.isEmpty, "\(what) in IKE_AUTH")
                    continue
                }
                #expect(rogue.authenticate().count == 1)
                let request = CreateChildSA.Request.child(
                    CreateChildSA.Child(
                        negotiation: RoguePeer.child(spi: 0xaaaa_0001),
                        nonce: NoncePayload([UInt8](repeating: 7, count: 32))))
                for answer in rogue.ask(.createChildSA, 2, forged(request.payloads)) {
                    #expect(
                        answer.payloads == [.notify(NotifyPayload(.invalidSyntax))]
                            || answer.payloads == [.notify(NotifyPayload(.tsUnacceptable))], "\(what) later")
                }
                #expect(pair.right.installed.count == 2, "\(what) later")
            }
        }
    }

    /// They are narrowed to what is configured: whoever names much gets no more.
    @Test("Attack 32: 255 selectors at each end are one Child SA with what is configured, and cost little")
    func attack32Selectors() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        #expect(rogue.authenticate().count == 1)
        // One in two lies outside of what is configured.
        let many = (0..<255).map { TrafficSelector(Pair.prefix("10.\($0 % 2 == 0 ? 1 : 7).\($0).0/24")) }
        let theirs = (0..<255).map { TrafficSelector(Pair.prefix("10.\($0 % 2 == 0 ? 2 : 7).\($0).0/24")) }
        for index: UInt32 in 0..<20 {
            var negotiation = RoguePeer.child(spi: 0xaaaa_0000 + index)
            negotiation.initiatorSelectors = TrafficSelectorPayload(many)
            negotiation.responderSelectors = TrafficSelectorPayload(theirs)
            let request = CreateChildSA.Request.child(
                CreateChildSA.Child(negotiation: negotiation, nonce: NoncePayload([UInt8](repeating: 7, count: 32))))
            #expect(rogue.ask(.createChildSA, 2 + index, request.payloads).count == 1)
        }
        #expect(pair.right.endpoint.counts.childSAs == 21)
        let ours = TrafficSelector(Pair.prefix("10.2.0.0/16"))
        let peers = TrafficSelector(Pair.prefix("10.1.0.0/16"))
        for child in pair.right.summary?.children ?? [] {
            #expect(child.localSelectors.count <= 128 && child.remoteSelectors.count <= 128)
            #expect(SelectorNarrowing.isNarrowing(child.localSelectors, of: [ours]))
            #expect(SelectorNarrowing.isNarrowing(child.remoteSelectors, of: [peers]))
        }
        #expect(rogue.ask(.informational, 22, [.delete(DeletePayload(.ikeSA))]).count == 1)
        #expect(pair.right.isEmpty)
    }

    @Test("Attack 32: who asks for a thousand addresses is lent no more than a few, in one question")
    func attack32Addresses() throws {
        var right = Pair.connection(isLeft: false)
        right.pools = ["pool"]
        let pair = Pair(right: right)
        let rogue = try #require(RoguePeer(pair))
        let attributes =
            (0..<500).map { _ in ConfigurationAttribute(.internalIP4Address) }
            + (0..<500).map { _ in ConfigurationAttribute(.internalIP6Address) }
        _ = rogue.authenticate { $0.configuration = ConfigurationPayload(.request, attributes) }
        let asked = pair.right.effects.compactMap { effect -> LeaseRequest? in
            if case .ask(_, .lease(let request)) = effect { request } else { nil }
        }
        #expect(asked.count == 1)
        #expect((1...8).contains(asked.first?.wanted.count ?? 0))
        #expect(pair.right.endpoint.counts.openTickets == 0)
    }
}
