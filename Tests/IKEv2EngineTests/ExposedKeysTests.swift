import Clockwork
import GatewayModel
import IKECore
import IPsecCrypto
import NetworkTypes
import Testing
import WireFormat

@testable import IKEv2Engine

/// Keys leave the engine only when somebody insists, and then they are those in use.
@Suite struct ExposedKeysTests {
    private func pair(_ ike: String) -> Pair {
        Pair(left: Pair.connection(ike: ike), right: Pair.connection(isLeft: false, ike: ike))
    }

    private func spis(_ gateway: Gateway) -> [UInt64] {
        gateway.exposed.flatMap { [$0.initiatorSPI, $0.responderSPI] }
    }

    @Test func nothingComesOutUnasked() {
        let pair = pair("aes128gcm16-prfsha256-x25519-ke1_mlkem768")
        pair.connect()
        for gateway in [pair.left, pair.right] {
            gateway.handle(.command(.rekey(.connection("net"))))
            pair.run()
        }
        #expect(pair.left.summary?.state == .established)
        #expect(pair.left.exposed.isEmpty && pair.right.exposed.isEmpty)
    }

    @Test(arguments: ["aes128gcm16-prfsha256-x25519", "aes256-sha256-modp2048"])
    func bothEndsPutOutTheSameKeys(ike: String) throws {
        let pair = pair(ike)
        pair.left.environment.exposesKeys = true
        pair.right.environment.exposesKeys = true
        pair.connect()
        for gateway in [pair.left, pair.right] {
            let summary = try #require(gateway.summary)
            #expect(spis(gateway) == [summary.initiatorSPI, summary.responderSPI])
            #expect(gateway.exposed.map(\.intermediate) == [nil])
        }
        pair.right.handle(.command(.rekey(.connection("net"))))
        pair.run()
        let summary = try #require(pair.left.summary)
        #expect(pair.left.exposed.count == 2 && pair.right.exposed.count == 2)
        #expect(spis(pair.left).suffix(2) == [summary.initiatorSPI, summary.responderSPI])
        for (ours, theirs) in zip(pair.left.exposed, pair.right.exposed) {
            #expect(ours.initiatorSPI == theirs.initiatorSPI && ours.responderSPI == theirs.responderSPI)
            #expect(ours.encryption == theirs.encryption && ours.integrity == theirs.integrity)
            #expect(ours.initiator.encryption == theirs.initiator.encryption)
            #expect(ours.initiator.integrity == theirs.initiator.integrity)
            #expect(ours.responder.encryption == theirs.responder.encryption)
            #expect(ours.initiator.encryption != ours.responder.encryption)
            #expect(ours.initiator.encryption.count >= 16)
        }
        #expect(pair.left.exposed[0].initiator.encryption != pair.left.exposed[1].initiator.encryption)
    }

    /// Each further key exchange gives the IKE SA other keys under the same SPIs (RFC 9370 §2.2.2); who reads a capture is
    /// told which of them an IKE_INTERMEDIATE was sent under.
    @Test func furtherKeyExchangesAreFurtherKeys() {
        let pair = pair("aes256-sha256-x25519-ke1_mlkem768-ke2_ecp256")
        pair.left.environment.exposesKeys = true
        pair.right.environment.exposesKeys = true
        pair.connect()
        for gateway in [pair.left, pair.right] {
            #expect(gateway.exposed.count == 3)
            #expect(Set(spis(gateway)).count == 2)
            #expect(gateway.exposed.map(\.intermediate) == [1, 2, nil])
        }
        for (ours, theirs) in zip(pair.left.exposed, pair.right.exposed) {
            #expect(ours.initiator.encryption == theirs.initiator.encryption)
        }
        #expect(pair.left.exposed[0].initiator.encryption != pair.left.exposed[2].initiator.encryption)
        // A replacement has all its key exchanges behind it, by IKE_FOLLOWUP_KE (§2.2.4), when it has keys.
        pair.left.handle(.command(.rekey(.connection("net"))))
        pair.run()
        #expect(pair.left.exposed.count == 4 && pair.right.exposed.count == 4)
        #expect(pair.left.exposed.last?.intermediate == nil)
    }
}
