import Clockwork
import GatewayModel
import IPsecCrypto
import WireFormat

/// The server of EAP-MSCHAPv2.
///
/// It owns its challenge and, between the peer's proof and its own, the key. It never keeps a password.
struct MSCHAPv2Server: EAPServerMethod {
    let method = EAPMethod.mschapv2
    private let name: [UInt8]
    private let ownName: [UInt8]
    private var stage = Stage.new

    private enum Stage {
        case new
        /// The challenge went out, under this MS-CHAPv2-ID.
        case challenged([UInt8], identifier: UInt8)
        /// The peer has proved itself, and hears our proof.
        case proved(SecretBytes)
    }

    /// For the peer of this name; `ownName` is the server's.
    init(name: [UInt8], ownName: [UInt8]) {
        self.name = name
        self.ownName = Array(ownName.prefix(64))
    }

    mutating func begin(identifier: UInt8, _ surroundings: inout EAPSurroundings) -> ServerStep {
        let challenge = surroundings.entropy.bytes(16)
        stage = .challenged(challenge, identifier: identifier)
        return .request(MSCHAPv2Message.challenge(identifier: identifier, challenge, name: ownName).data)
    }

    mutating func answer(
        _ data: [UInt8], identifier: UInt8, next: UInt8, _ surroundings: inout EAPSurroundings
    ) -> ServerStep {
        let message: MSCHAPv2Message
        do throws(WireError) { message = try MSCHAPv2Message(response: data) } catch {
            return .failed(.malformed("MSCHAPv2: \(error)"))
        }
        switch (stage, message) {
        case (
            .challenged(let challenge, let number), .response(let answered, let peerChallenge, let response, let said)
        ):
            guard answered == number else { return .failed(.malformed("an MSCHAPv2 response to another challenge")) }
            return judge(challenge, peerChallenge, response, said, number, &surroundings)
        case (.proved(let key), .successSeen): return .done(MethodResult(key: key))
        default: return .failed(.malformed("an MSCHAPv2 message out of turn"))
        }
    }

    private mutating func judge(
        _ challenge: [UInt8], _ peerChallenge: [UInt8], _ response: [UInt8], _ said: [UInt8], _ number: UInt8,
        _ surroundings: inout EAPSurroundings
    ) -> ServerStep {
        // A stranger costs the same work, and hears the same words.
        let known = surroundings.secrets.password(of: name)?.ntHash
        let hash = known ?? SecretBytes([UInt8](repeating: 0, count: 16))
        let wanted = MSCHAPv2.ntResponse(authenticator: challenge, peer: peerChallenge, name: said, hash: hash)
        let isRight = wanted.map { ConstantTime.equal($0, response) } ?? false
        // The password is that of the name that was said first: both must be the same.
        let isSameName = MSCHAPv2.userName(said) == MSCHAPv2.userName(name)
        if known != nil, isRight, isSameName {
            let proof = MSCHAPv2.authenticatorResponse(
                hash: hash, ntResponse: response, peer: peerChallenge, authenticator: challenge, name: said)
            stage = .proved(MSCHAPv2.sessionKey(hash: hash, ntResponse: response))
            let text = "S=" + Hex.encode(proof).uppercased() + " M=Welcome"
            return .request(MSCHAPv2Message.success(identifier: number, text: Array(text.utf8)).data)
        }
        let problem: EAPProblem =
            if known == nil {
                .unknownIdentity(EAPText.name(name))
            } else if !isSameName {
                .forbiddenIdentity(EAPText.name(said))
            } else {
                .wrongPassword(EAPText.name(name))
            }
        // EAP-Failure follows at once: a failure packet of MSCHAPv2's own would only offer another try.
        return .failed(problem)
    }
}
