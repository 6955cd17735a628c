import GatewayModel
import IPsecCrypto
import Testing
import WireFormat

@testable import EAPEngine

/// Both halves of EAP against each other, and against liars.
struct ConversationTests {
    @Test(arguments: [EAPMethod.md5, .gtc, .mschapv2])
    func passwordMethodsSucceed(_ method: EAPMethod) throws {
        var talk = Conversation(EAPRules(methods: [method]), EAPRules(methods: [method]))
        let end = talk.run()
        let (server, peer) = (try #require(end.server.outcome), try #require(end.peer?.outcome))
        #expect(server.identity == .fqdn("carol") && server.method == method.rawValue)
        #expect(server.key == peer.key)
        #expect((server.key != nil) == method.makesKey)
        #expect(!server.provesServer && !peer.provesServer)
    }

    @Test(arguments: [EAPMethod.md5, .gtc, .mschapv2])
    func wrongPasswordFails(_ method: EAPMethod) {
        var talk = Conversation(
            EAPRules(methods: [method]), EAPRules(methods: [method]), peer: Passwords(known: ["carol": "Ar3etTnq"]))
        let end = talk.run()
        #expect(end.server.problem == .wrongPassword("carol"))
        #expect(end.peer?.problem == .refused(method: method.rawValue))
    }

    @Test(arguments: [EAPMethod.md5, .gtc, .mschapv2])
    func strangerFailsAndHearsTheSame(_ method: EAPMethod) {
        var wrong = Conversation(
            EAPRules(methods: [method]), EAPRules(methods: [method]), peer: Passwords(known: ["carol": "x"]))
        var stranger = Conversation(
            EAPRules(methods: [method]), EAPRules(methods: [method]), server: Passwords(),
            peer: Passwords(known: ["carol": "x"]))
        #expect(wrong.run().server.problem == .wrongPassword("carol"))
        #expect(stranger.run().server.problem == .unknownIdentity("carol"))
        // Whoever listens in the middle, or the peer itself, sees no difference.
        #expect(wrong.packets == stranger.packets)
    }

    @Test func ntHashDoesForMSCHAPv2AndGTC() throws {
        let hash = try #require(MSCHAPv2.ntHash(ofPassword: SecretBytes(Array("Ar3etTnp".utf8)))).exposedBytes()
        for method in [EAPMethod.mschapv2, .gtc] {
            var talk = Conversation(
                EAPRules(methods: [method]), EAPRules(methods: [method]), server: Passwords(hashes: ["carol": hash]))
            #expect(talk.run().server.outcome != nil)
        }
        var md5 = Conversation(
            EAPRules(methods: [.md5]), EAPRules(methods: [.md5]), server: Passwords(hashes: ["carol": hash]))
        #expect(md5.run().server.problem == .unavailable("an NT hash does not do for EAP-MD5"))
    }

    @Test func peerGetsTheMethodItAsksFor() throws {
        var talk = Conversation(EAPRules(methods: [.mschapv2, .gtc, .md5]), EAPRules(methods: [.md5]))
        #expect(talk.run().server.outcome?.method == EAPMethod.md5.rawValue)
    }

    @Test func attack4MethodThatIsNotConfiguredIsNotChosenByNAK() {
        var talk = Conversation(EAPRules(methods: [.mschapv2]), EAPRules(methods: [.md5]))
        let end = talk.run()
        #expect(end.server.problem == .noCommonMethod(ours: [.mschapv2], theirs: [4]))
        #expect(end.peer?.problem == .noCommonMethod(ours: [.md5], theirs: [26]))
    }

    @Test func refusedMethodIsNotTriedAgain() {
        // A peer that says no to everything, and wants everything.
        var server = EAPServer(
            EAPServer.Terms(rules: EAPRules(methods: [.mschapv2, .gtc, .md5]), asked: nil, name: [1], ownName: [2]))
        var side = Conversation(EAPRules(), EAPRules()).serverSide
        var step = server.step(nil, &side)
        var asked: [UInt8] = []
        while case .send(let message) = step, asked.count < 10 {
            asked.append(message[4])
            step = server.step(EAPPacket(.response, message[1], .nak, [4, 6, 26]).encoded, &side)
        }
        #expect(asked == [26, 6, 4])
        #expect(step.problem == .noCommonMethod(ours: [.mschapv2, .gtc, .md5], theirs: [4, 6, 26]))
    }

    @Test func methodIsNotRefusedInTheMiddle() {
        var talk = Conversation(EAPRules(methods: [.mschapv2, .md5]), EAPRules(methods: [.mschapv2]))
        let end = talk.run { index, packet in
            // The acknowledgement of the server's proof becomes a wish for MD5.
            index == 5 ? EAPPacket(.response, packet[1], .nak, [4]).encoded : packet
        }
        #expect(end.server.problem == .malformed("a method is refused in the middle of it"))
    }

    @Test func identityHasToBeAllowed() {
        var talk = Conversation(
            EAPRules(methods: [.md5]), EAPRules(methods: [.md5]), asked: .suffix(.rfc822Address, "@example.org"))
        #expect(talk.run().server.problem == .forbiddenIdentity("carol"))
        #expect(talk.packets.count == 3)
    }

    @Test func otherNameInMSCHAPv2IsRefused() {
        // Who may be dave says first that she is carol, whose password nobody asks for then.
        var talk = Conversation(
            EAPRules(methods: [.mschapv2]), EAPRules(methods: [.mschapv2]), name: "dave",
            server: Passwords(known: ["carol": "same", "dave": "same"]), peer: Passwords(known: ["dave": "same"]))
        let end = talk.run { index, packet in
            index == 1 ? EAPPacket(.response, packet[1], .identity, Array("carol".utf8)).encoded : packet
        }
        #expect(end.server.problem == .forbiddenIdentity("dave"))
    }

    // MARK: Attack 1: early EAP-Success

    @Test func attack1SuccessAsTheFirstMessage() {
        var talk = Conversation(EAPRules(methods: [.mschapv2]), EAPRules(methods: [.mschapv2]))
        let step = talk.peer.step(EAPPacket(.success, 1).encoded, &talk.peerSide)
        #expect(step.problem == .malformed("EAP-Success before any method"))
    }

    @Test(arguments: [2, 4])
    func attack1SuccessInTheMiddle(_ index: Int) {
        var talk = Conversation(EAPRules(methods: [.mschapv2]), EAPRules(methods: [.mschapv2]))
        let end = talk.run { $0 == index ? EAPPacket(.success, $1[1]).encoded : $1 }
        let expected: EAPProblem =
            index == 2
            ? .malformed("EAP-Success before any method") : .malformed("EAP-Success before EAP_MSCHAPV2 was done")
        #expect(end.peer?.problem == expected)
    }

    // MARK: Attack 4: MSCHAPv2 success without the server's proof

    @Test(arguments: ["", "S=", "S=407A5589115FD0D6209F510FE9C04566932CDA56 M=x", "M=Welcome"])
    func attack4SuccessWithoutTheProof(_ text: String) {
        var talk = Conversation(EAPRules(methods: [.mschapv2]), EAPRules(methods: [.mschapv2]))
        let end = talk.run { index, packet in
            guard index == 4 else { return packet }
            let message = MSCHAPv2Message.success(identifier: packet[1], text: Array(text.utf8))
            return EAPPacket(.request, packet[1], .init(rawValue: 26), message.data).encoded
        }
        #expect(end.peer?.problem == .serverUnproven)
    }

    @Test func attack4SuccessBeforeTheChallenge() {
        var talk = Conversation(EAPRules(methods: [.mschapv2]), EAPRules(methods: [.mschapv2]))
        let end = talk.run { index, packet in
            guard index == 2 else { return packet }
            let message = MSCHAPv2Message.success(identifier: packet[1], text: Array("S=00".utf8))
            return EAPPacket(.request, packet[1], .init(rawValue: 26), message.data).encoded
        }
        #expect(end.peer?.problem == .malformed("an MSCHAPv2 message out of turn"))
    }

    @Test func serverDoesNotChangeTheMethod() {
        var talk = Conversation(EAPRules(methods: [.mschapv2]), EAPRules(methods: [.mschapv2, .gtc]))
        let end = talk.run { index, packet in
            index == 4 ? EAPPacket(.request, packet[1], .init(rawValue: 6), []).encoded : packet
        }
        #expect(end.peer?.problem == .malformed("the server leaves EAP_MSCHAPV2 in the middle"))
    }

    @Test func endlessRoundsEnd() {
        var peer = EAPPeer(EAPRules(methods: [.md5]), name: Array("carol".utf8))
        var side = Conversation(EAPRules(), EAPRules()).peerSide
        var rounds = 0
        while rounds < 1000 {
            rounds += 1
            let step = peer.step(EAPPacket(.request, 1, .notification, []).encoded, &side)
            guard case .send = step else {
                #expect(step.problem == .tooManyRounds(101))
                break
            }
        }
        #expect(rounds == 101)
    }

    // MARK: Attack 25: lengths that lie

    @Test(arguments: [
        [UInt8](), [2], [2, 1, 0], [2, 1, 0, 3], [2, 1, 0, 4], [2, 1, 0, 9, 26], [2, 1, 0xff, 0xff, 26, 1],
        [2, 1, 0, 6, 4, 0], [2, 1, 0, 6, 4, 16], [2, 1, 0, 7, 26, 2, 1], [9, 1, 0, 4], [2, 1, 0, 5, 254],
        [3, 1, 0, 5, 1],
    ])
    func attack25LengthsThatLie(_ packet: [UInt8]) {
        for method in [EAPMethod.md5, .mschapv2, .gtc] {
            var talk = Conversation(EAPRules(methods: [method]), EAPRules(methods: [method]), asked: nil)
            guard case .send(let first) = talk.server.step(nil, &talk.serverSide) else {
                Issue.record("no first request")
                return
            }
            var answer = packet
            if answer.count > 1 { answer[1] = first[1] }
            #expect(talk.server.step(answer, &talk.serverSide).problem != nil)
            var request = packet
            if request.first == 2 { request[0] = 1 }
            let step = talk.peer.step(request, &talk.peerSide)
            if case .success = step { Issue.record("a broken packet succeeds") }
        }
    }

    @Test func passwordsDoNotTravelInMSCHAPv2AndMD5() {
        for method in [EAPMethod.md5, .mschapv2] {
            var talk = Conversation(EAPRules(methods: [method]), EAPRules(methods: [method]))
            _ = talk.run()
            let secret = Array("Ar3etTnp".utf8)
            for packet in talk.packets where packet.count >= secret.count {
                let found = (0...(packet.count - secret.count)).contains {
                    Array(packet[$0..<($0 + secret.count)]) == secret
                }
                #expect(!found)
            }
        }
    }
}
