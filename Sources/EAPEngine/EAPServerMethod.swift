import GatewayModel
import WireFormat

/// What a method of the server's does next.
enum ServerStep {
    /// Ask this: the data behind the type.
    case request([UInt8])
    /// The peer has proved itself.
    case done(MethodResult)
    /// It has not.
    case failed(EAPProblem)
}

/// What a method that succeeded leaves.
struct MethodResult: Sendable {
    /// The MSK; nil where the method makes none.
    var key: SecretBytes?
    /// Who the peer is, where the method knows better than the conversation around it.
    var name: [UInt8]?
    /// The peer's certificate.
    var certificate: PeerCertificate?
}

/// The server's half of one method, from its first request on.
protocol EAPServerMethod: Sendable {
    /// Which method.
    var method: EAPMethod { get }
    /// The first request.
    mutating func begin(identifier: UInt8, _ surroundings: inout EAPSurroundings) -> ServerStep
    /// The peer's answer to the last request. `next` is the identifier of the request that may follow.
    mutating func answer(
        _ data: [UInt8], identifier: UInt8, next: UInt8, _ surroundings: inout EAPSurroundings
    ) -> ServerStep
}

/// What a method of the peer's does next.
enum PeerStep {
    /// Answer this: the data behind the type.
    case response([UInt8])
    /// It makes no sense to go on.
    case failed(EAPProblem)
}

/// The peer's half of one method.
protocol EAPPeerMethod: Sendable {
    /// Which method.
    var method: EAPMethod { get }
    /// What there is when the server says now that it succeeded; nil as long as it may not say so.
    var result: MethodResult? { get }
    /// A request of the server's.
    mutating func request(
        _ data: [UInt8], identifier: UInt8, _ surroundings: inout EAPSurroundings
    ) -> PeerStep
}
