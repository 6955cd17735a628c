import GatewayModel
import IKECore
import IKEMessages
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// Known attacks on the order of an exchange, by their numbers in the project's list: each was a hole in somebody's
/// gateway once.
@Suite struct AuthenticationAttackTests {
    private let filler = Payload.nonce(NoncePayload([UInt8](repeating: 0, count: 64)))

    private func notifies(_ answer: OpenedMessage?) -> [NotifyType]? {
        answer?.payloads.compactMap { if case .notify(let notify) = $0 { notify.type } else { nil } }
    }

    private func rekey(_ old: UInt32, to new: UInt32) -> [Payload] {
        CreateChildSA.Request.child(
            CreateChildSA.Child(
                negotiation: RoguePeer.child(spi: new), nonce: NoncePayload([UInt8](repeating: 7, count: 32)),
                notifies: [NotifyPayload(.rekeySA, .esp, spi: old)])
        ).payloads
    }

    @Test("Attack 2: other exchanges before IKE_AUTH has ended establish nothing")
    func attack2() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        let requests: [(ExchangeType, [Payload])] = [
            (.createChildSA, rekey(1, to: 2)), (.informational, [.delete(DeletePayload(.ikeSA)), filler]),
            (.informational, [.notify(NotifyPayload(.updateSAAddresses)), filler]),
            (.informational, [.notify(NotifyPayload(.redirect, [1, 4, 10, 0, 0, 1])), filler]),
        ]
        for (exchange, payloads) in requests {
            #expect(rogue.ask(exchange, 1, payloads) == [])
            #expect(pair.right.summary?.state != .established)
        }
        #expect(pair.right.installed.isEmpty)
        #expect(rogue.authenticate().count == 1)
        #expect(pair.right.summary?.state == .established)
    }

    @Test("Attack 3: without a proof, or with one of a kind that nobody asked for, there is no IKE SA")
    func attack3() throws {
        let pair = Pair()
        let proofs: [AuthenticationPayload?] = [
            nil, AuthenticationPayload(AuthenticationMethod(rawValue: 0), [1]),
            AuthenticationPayload(AuthenticationMethod(rawValue: 13), []),
            AuthenticationPayload(AuthenticationMethod(rawValue: 14), [1, 2, 3]),
            AuthenticationPayload(AuthenticationMethod(rawValue: 201), [UInt8](repeating: 1, count: 32)),
            AuthenticationPayload(.sharedKey, []), AuthenticationPayload(.sharedKey, [UInt8](repeating: 0, count: 32)),
        ]
        for proof in proofs {
            let rogue = try #require(RoguePeer(pair))
            let answer = rogue.authenticate { $0.authentication = proof }
            let told = notifies(answer.first)
            #expect(told == [.authenticationFailed] || told == [.invalidSyntax])
            #expect(pair.right.installed.isEmpty)
            #expect(pair.right.isEmpty)
        }
        #expect(!pair.right.kinds.contains { if case .ikeEstablished = $0 { true } else { false } })
    }

    @Test("Attack 6: another version, a turned flag and our own words sent back are dropped")
    func attack6() throws {
        let pair = Pair()
        var attacks = 0
        pair.wire = { datagram, fromLeft in
            guard datagram.bytes[18] == 35 else { return [datagram] }
            var changed: [Datagram] = []
            for (index, value) in [(17, UInt8(0x10)), (17, 0x30), (19, datagram.bytes[19] ^ 8)] {
                var copy = datagram
                copy.bytes[index] = value
                changed.append(copy)
            }
            attacks += changed.count
            let mirror = fromLeft ? pair.left : pair.right
            mirror.handle(.datagram(Datagram(datagram.bytes, path: datagram.path, socket: datagram.socket)))
            return changed + [datagram]
        }
        pair.connect()
        #expect(attacks >= 6)
        #expect(pair.left.summary?.state == .established)
        #expect(pair.right.summary?.state == .established)
        #expect(pair.left.endpoint.counts.ikeSAs == 1)
        #expect(pair.right.endpoint.counts.ikeSAs == 1)
    }

    @Test("Attack 7: who replaces the same Child SA twice, or what is half made, gets one Child SA")
    func attack7() throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.authenticate()
        let first = rogue.ask(.createChildSA, 2, rekey(0xc0ff_ee00, to: 0xaaaa_0001))
        #expect(first.first?.payloads.contains { $0.type == .securityAssociation } == true)
        let second = rogue.ask(.createChildSA, 3, rekey(0xc0ff_ee00, to: 0xaaaa_0002))
        #expect(notifies(second.first) == [.temporaryFailure])
        let third = rogue.ask(.createChildSA, 4, rekey(0xaaaa_0002, to: 0xaaaa_0003))
        #expect(notifies(third.first) == [.childSANotFound])
        let deletion = Payload.delete(DeletePayload(.children(.esp, spis: [0xc0ff_ee00])))
        #expect(rogue.ask(.informational, 5, [deletion]).count == 1)
        #expect(rogue.ask(.informational, 6, [deletion]).first?.payloads == [])
        #expect(pair.right.endpoint.counts.childSAs == 1)
        #expect(pair.right.summary?.children.first?.outboundSPI == 0xaaaa_0001)
        #expect(pair.right.liveSPIs.count == 2)
    }

    @Test("Attack 8: nobody deletes what is another's, what is not there, or without the keys")
    func attack8() throws {
        let pair = Pair()
        pair.connect()
        let honest = try #require(pair.right.summary)
        let child = try #require(honest.children.first)
        let live = Set(pair.right.liveSPIs)
        let rogue = try #require(RoguePeer(pair))
        #expect(rogue.authenticate().count == 1)
        #expect(pair.right.endpoint.counts.childSAs == 2)
        let strangers: [[UInt32]] = [
            [child.outboundSPI], [child.inboundSPI], [child.outboundSPI, child.inboundSPI], [0], [], [1, 1, 1],
            Array(0x1000..<0x1200),
        ]
        for (number, spis) in strangers.enumerated() {
            for (step, which) in [SecurityProtocol.esp, .ah].enumerated() {
                let deletion = Payload.delete(DeletePayload(.children(which, spis: spis)))
                let answer = rogue.ask(.informational, UInt32(2 + 2 * number + step), [deletion])
                #expect(answer.first?.payloads.isEmpty != false)
            }
        }
        // Its own, which is heeded once.
        let own = Payload.delete(DeletePayload(.children(.esp, spis: [0xc0ff_ee00, 0xc0ff_ee00])))
        let next = UInt32(2 + 2 * strangers.count)
        #expect(rogue.ask(.informational, next, [own]).first?.payloads.count == 1)
        #expect(rogue.ask(.informational, next + 1, [own]).first?.payloads == [])
        #expect(pair.right.endpoint.counts.childSAs == 1)

        // Without keys, in this version's words or in the older one's: Hash, then Delete (RFC 2408 §3.15).
        let head = WireProposal.octets(honest.initiatorSPI) + WireProposal.octets(honest.responderSPI)
        let plain: [UInt8] = [0, 0, 0, 8, 1, 0, 0, 0]
        let old: [UInt8] =
            [12, 0, 0, 24] + [UInt8](repeating: 0, count: 20) + [0, 0, 0, 16, 0, 0, 0, 1, 3, 4, 0, 1]
            + WireProposal.octets(child.outboundSPI)
        for (first, version, exchange, flags, body) in [
            (42, 0x20, 37, 8, plain), (42, 0x20, 37, 0, plain), (8, 0x10, 5, 0, old), (12, 0x10, 5, 0, plain),
        ] as [(UInt8, UInt8, UInt8, UInt8, [UInt8])] {
            for id: UInt8 in 0..<4 {
                let forged =
                    head + [first, version, exchange, flags, 0, 0, 0, id, 0, 0, 0, UInt8(28 + body.count)] + body
                #expect(rogue.deliver(forged).isEmpty)
            }
        }
        #expect(pair.right.endpoint.counts.ikeSAs == 2)
        #expect(pair.right.endpoint.counts.childSAs == 1)
        #expect(live.isSubset(of: pair.right.liveSPIs))
        // The owner still may.
        pair.left.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        #expect(pair.right.endpoint.counts.childSAs == 0)
    }

    @Test("Attack 14: every flipped bit of a sealed request is dropped in silence, and moves nothing")
    func attack14() throws {
        let pair = Pair()
        pair.connect()
        var captured: Datagram?
        pair.wire = { datagram, fromLeft in
            if fromLeft { captured = captured ?? datagram }
            return []
        }
        pair.left.handle(.command(.terminate(.child("net", connection: nil))))
        pair.run()
        let request = try #require(captured)
        _ = pair.right.takeOutbox()
        for bit in (28 * 8)..<(request.bytes.count * 8) {
            var copy = request.bytes
            copy[bit / 8] ^= 1 << UInt8(bit % 8)
            pair.right.handle(.datagram(Datagram(copy, path: request.path.reversed, socket: request.socket)))
            #expect(pair.right.takeOutbox().isEmpty)
        }
        #expect(pair.right.endpoint.counts.childSAs == 1)
        pair.right.handle(.datagram(Datagram(request.bytes, path: request.path.reversed, socket: request.socket)))
        #expect(pair.right.takeOutbox().count == 1)
        #expect(pair.right.endpoint.counts.childSAs == 0)
    }

    @Test(
        "Attack 23: identities of any length, type and wording prove nothing and stop nothing",
        arguments: [
            (2, "$(reboot)"), (2, ";\n`id`\u{0}%s%n"), (3, ""), (1, "abc"), (5, "x"), (9, "\u{30}\u{84}"),
            (200, "left"),
            (11, "left.example"), (2, String(repeating: "a", count: 40_000)),
        ] as [(Int, String)])
    func attack23(_ type: Int, _ text: String) throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        let body = [UInt8(type), 0, 0, 0] + Array(text.utf8)
        let identity = Payload.unknown(.initiatorIdentification, UnknownPayload(body))
        let proof = Payload.authentication(AuthenticationPayload(.sharedKey, [UInt8](repeating: 1, count: 32)))
        let answers = rogue.ask(.ikeAuth, 1, [identity, proof, filler])
        #expect(answers.allSatisfy { notifies($0) == [.authenticationFailed] || notifies($0) == [.invalidSyntax] })
        #expect(pair.right.summary?.state != .established)
        #expect(pair.right.installed.isEmpty)
    }

    @Test(
        "Attack 24: selectors that lie about themselves make no Child SA",
        arguments: [
            [], [2, 0, 0, 0], [1, 0, 0, 0, 7, 0, 0, 0],
            [1, 0, 0, 0, 7, 0, 0, 255, 0, 0, 255, 255, 10, 1, 0, 0, 10, 1, 0, 9],
            [1, 0, 0, 0, 8, 0, 0, 16, 0, 0, 255, 255, 10, 1, 0, 0, 10, 1, 0, 9],
            [1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 255, 255, 10, 1, 0, 9, 10, 1, 0, 0],
            [2, 0, 0, 0, 7, 0, 0, 16, 0, 0, 255, 255, 10, 1, 0, 0, 10, 1, 0, 9],
            [1, 0, 0, 0, 10, 0, 0, 8, 1, 2, 3, 4],
        ] as [[UInt8]])
    func attack24(_ body: [UInt8]) throws {
        let pair = Pair()
        let rogue = try #require(RoguePeer(pair))
        _ = rogue.authenticate()
        let honest = CreateChildSA.Request.child(
            CreateChildSA.Child(
                negotiation: RoguePeer.child(spi: 0xaaaa_0001), nonce: NoncePayload([UInt8](repeating: 7, count: 32)))
        ).payloads
        let forged = honest.map { payload in
            payload.type == .initiatorSelectors
                ? Payload.unknown(.initiatorSelectors, UnknownPayload(body)) : payload
        }
        let told = notifies(rogue.ask(.createChildSA, 2, forged).first)
        #expect(told == [.invalidSyntax] || told == [.tsUnacceptable])
        #expect(pair.right.installed.count == (told == nil ? -1 : 2))
    }
}
