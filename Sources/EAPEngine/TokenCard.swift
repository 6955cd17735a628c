import GatewayModel
import IPsecCrypto
import WireFormat

/// The server of Generic Token Card (RFC 3748 §5.6): it shows a prompt and gets the password as it is.
struct TokenServer: EAPServerMethod {
    let method = EAPMethod.gtc
    private let name: [UInt8]

    /// For the peer of this name.
    init(name: [UInt8]) { self.name = name }

    mutating func begin(identifier: UInt8, _ surroundings: inout EAPSurroundings) -> ServerStep {
        .request(Array("Password: ".utf8))
    }

    mutating func answer(
        _ data: [UInt8], identifier: UInt8, next: UInt8, _ surroundings: inout EAPSurroundings
    ) -> ServerStep {
        PasswordCheck.judge(SecretBytes(data), of: name, surroundings.secrets).map { .failed($0) }
            ?? .done(MethodResult())
    }
}

/// Whether a password that came as it is, in a tunnel or by GTC, is somebody's.
enum PasswordCheck {
    /// Why not; nil where it is. A stranger costs the same work.
    static func judge(_ given: SecretBytes, of name: [UInt8], _ secrets: any EAPSecrets) -> EAPProblem? {
        let known = secrets.password(of: name)
        let isRight =
            switch known {
            case .text(let password)?: password == given
            case .ntHash(let hash)?: MSCHAPv2.ntHash(ofPassword: given) == hash
            case nil: given == SecretBytes([UInt8](repeating: 0, count: given.count))
            }
        guard known != nil else { return .unknownIdentity(EAPText.name(name)) }
        return isRight ? nil : .wrongPassword(EAPText.name(name))
    }
}

/// The peer of Generic Token Card.
struct TokenPeer: EAPPeerMethod {
    let method = EAPMethod.gtc
    private let name: [UInt8]
    private(set) var result: MethodResult?

    /// As whom.
    init(name: [UInt8]) { self.name = name }

    mutating func request(
        _ data: [UInt8], identifier: UInt8, _ surroundings: inout EAPSurroundings
    ) -> PeerStep {
        // One password, one answer: a server that asks again asks for something that nobody can type in here.
        guard result == nil else { return .failed(.refused(method: EAPMethod.gtc.rawValue)) }
        guard case .text(let password)? = surroundings.secrets.password(of: name) else {
            return .failed(.unknownIdentity(EAPText.name(name)))
        }
        result = MethodResult()
        return .response(password.exposedBytes())
    }
}
