import Clockwork
import GatewayModel
import IPsecCrypto
import WireFormat

/// MD5-Challenge (RFC 3748 §5.4, RFC 1994): the hash of identifier, password and challenge.
///
/// ```
///  |  Value-Size   |  Value ...
///  |  Name ...
/// ```
enum MD5Challenge {
    /// The value that a request or response holds; the name behind it is for logs elsewhere.
    static func value(_ data: [UInt8]) throws(WireError) -> [UInt8] {
        var reader = WireReader(data.span)
        let size = Int(try reader.uint8("value size"))
        guard size > 0 else { throw .forbidden(field: "value size", value: UInt64(size)) }
        return try reader.bytes(size, "value")
    }

    /// The data of a packet with this value.
    static func data(_ value: [UInt8]) -> [UInt8] { [UInt8(truncatingIfNeeded: value.count)] + value }

    /// The answer to a challenge.
    static func response(identifier: UInt8, password: SecretBytes, challenge: [UInt8]) -> SecretBytes {
        LegacyPrimitives.md5(.joined([SecretBytes([identifier]), password, SecretBytes(challenge)]))
    }
}

/// The server of MD5-Challenge.
struct MD5Server: EAPServerMethod {
    let method = EAPMethod.md5
    private let name: [UInt8]
    private var challenge: [UInt8] = []

    /// For the peer of this name.
    init(name: [UInt8]) { self.name = name }

    mutating func begin(identifier: UInt8, _ surroundings: inout EAPSurroundings) -> ServerStep {
        challenge = surroundings.entropy.bytes(16)
        return .request(MD5Challenge.data(challenge))
    }

    mutating func answer(
        _ data: [UInt8], identifier: UInt8, next: UInt8, _ surroundings: inout EAPSurroundings
    ) -> ServerStep {
        guard let value = try? MD5Challenge.value(data), value.count == 16 else {
            return .failed(.malformed("an MD5 response of the wrong length"))
        }
        // A stranger costs the same work.
        let password: SecretBytes
        var isKnown = false
        switch surroundings.secrets.password(of: name) {
        case .text(let text)?: (password, isKnown) = (text, true)
        case .ntHash?: return .failed(.unavailable("an NT hash does not do for EAP-MD5"))
        case nil: password = SecretBytes([])
        }
        let wanted = MD5Challenge.response(identifier: identifier, password: password, challenge: challenge)
        let isRight = wanted == SecretBytes(value)
        guard isKnown else { return .failed(.unknownIdentity(EAPText.name(name))) }
        return isRight ? .done(MethodResult()) : .failed(.wrongPassword(EAPText.name(name)))
    }
}

/// The peer of MD5-Challenge.
struct MD5Peer: EAPPeerMethod {
    let method = EAPMethod.md5
    private let name: [UInt8]
    private(set) var result: MethodResult?

    /// As whom.
    init(name: [UInt8]) { self.name = name }

    mutating func request(
        _ data: [UInt8], identifier: UInt8, _ surroundings: inout EAPSurroundings
    ) -> PeerStep {
        guard let challenge = try? MD5Challenge.value(data) else {
            return .failed(.malformed("an MD5 challenge without a value"))
        }
        guard case .text(let password)? = surroundings.secrets.password(of: name) else {
            return .failed(.unknownIdentity(EAPText.name(name)))
        }
        let value = MD5Challenge.response(identifier: identifier, password: password, challenge: challenge)
        result = MethodResult()
        return .response(MD5Challenge.data(value.exposedBytes()))
    }
}
