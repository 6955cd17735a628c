import Clockwork
import GatewayModel
import IPsecCrypto
import WireFormat

/// The peer of EAP-MSCHAPv2.
///
/// It owns what it said last. A server that does not prove that it knows the password gets no further than that: neither
/// an early success nor a missing proof leads to a key.
struct MSCHAPv2Peer: EAPPeerMethod {
    let method = EAPMethod.mschapv2
    private let name: [UInt8]
    private var stage = Stage.new

    private enum Stage {
        case new
        /// The response went out: what the server must prove, and the key of then.
        case answered(proof: [UInt8], key: SecretBytes)
        /// The server has proved itself.
        case proved(SecretBytes)
        /// The server refused us.
        case refused
    }

    /// As whom.
    init(name: [UInt8]) { self.name = name }

    var result: MethodResult? {
        if case .proved(let key) = stage { MethodResult(key: key) } else { nil }
    }

    mutating func request(
        _ data: [UInt8], identifier: UInt8, _ surroundings: inout EAPSurroundings
    ) -> PeerStep {
        let message: MSCHAPv2Message
        do throws(WireError) { message = try MSCHAPv2Message(request: data) } catch {
            return .failed(.malformed("MSCHAPv2: \(error)"))
        }
        switch (stage, message) {
        case (.new, .challenge(let number, let challenge, _)): return answer(challenge, number, &surroundings)
        case (.answered(let wanted, let key), .success(_, let text)):
            guard let proof = MSCHAPv2Message.proof(in: text), ConstantTime.equal(proof, wanted) else {
                return .failed(.serverUnproven)
            }
            stage = .proved(key)
            return .response(MSCHAPv2Message.successSeen.data)
        case (.answered, .failure):
            // The words are the server's, and nobody's here; a retry would send the same password again.
            stage = .refused
            return .response(MSCHAPv2Message.failureSeen.data)
        default: return .failed(.malformed("an MSCHAPv2 message out of turn"))
        }
    }

    private mutating func answer(
        _ challenge: [UInt8], _ number: UInt8, _ surroundings: inout EAPSurroundings
    ) -> PeerStep {
        guard let hash = surroundings.secrets.password(of: name)?.ntHash else {
            return .failed(.unknownIdentity(EAPText.name(name)))
        }
        let own = surroundings.entropy.bytes(16)
        guard let response = MSCHAPv2.ntResponse(authenticator: challenge, peer: own, name: name, hash: hash) else {
            return .failed(.unavailable("MSCHAPv2 can't be computed"))
        }
        stage = .answered(
            proof: MSCHAPv2.authenticatorResponse(
                hash: hash, ntResponse: response, peer: own, authenticator: challenge, name: name),
            key: MSCHAPv2.sessionKey(hash: hash, ntResponse: response))
        return .response(
            MSCHAPv2Message.response(identifier: number, peerChallenge: own, ntResponse: response, name: name).data)
    }
}
