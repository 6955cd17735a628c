import Clockwork
import GatewayModel
import WireFormat

@testable import EAPEngine

/// Passwords by name.
struct Passwords: EAPSecrets {
    var known: [String: String] = [:]
    var hashes: [String: [UInt8]] = [:]

    func password(of name: [UInt8]) -> EAPPassword? {
        let name = String(decoding: name, as: UTF8.self)
        if let hash = hashes[name] { return .ntHash(SecretBytes(hash)) }
        return known[name].map { .text(SecretBytes(Array($0.utf8))) }
    }
}

/// Two halves that talk to each other, and what has come of it.
struct Conversation {
    var server: EAPServer
    var peer: EAPPeer
    var serverSide: EAPSurroundings
    var peerSide: EAPSurroundings
    /// All packets, in order, the server's first.
    var packets: [[UInt8]] = []

    /// What both have come to.
    struct End {
        var server: EAPStep
        var peer: EAPStep?
    }

    init(
        _ rules: EAPRules, _ peerRules: EAPRules, name: String = "carol", asked: IdentityPattern? = .any,
        server passwords: Passwords = Passwords(known: ["carol": "Ar3etTnp"]),
        peer peerPasswords: Passwords = Passwords(known: ["carol": "Ar3etTnp"])
    ) {
        server = EAPServer(
            EAPServer.Terms(
                rules: rules, asked: asked, name: Array("carol".utf8), ownName: Array("moon.example".utf8)))
        peer = EAPPeer(peerRules, name: Array(name.utf8))
        serverSide = EAPSurroundings(entropy: SeededEntropy(seed: 1), secrets: passwords)
        peerSide = EAPSurroundings(entropy: SeededEntropy(seed: 2), secrets: peerPasswords)
    }

    /// Lets them talk until one of them is done; `between` may change what travels.
    mutating func run(_ between: (Int, [UInt8]) -> [UInt8] = { $1 }) -> End {
        var step = server.step(nil, &serverSide)
        while true {
            let toPeer: [UInt8]
            switch step {
            case .send(let message), .success(let message, _), .failure(let message, _): toPeer = message
            }
            let arrived = between(packets.count, toPeer)
            packets.append(arrived)
            let answer = peer.step(arrived, &peerSide)
            guard case .send(let response) = answer, case .send = step else { return End(server: step, peer: answer) }
            let received = between(packets.count, response)
            packets.append(received)
            step = server.step(received, &serverSide)
        }
    }
}

extension EAPStep {
    var outcome: EAPOutcome? { if case .success(_, let outcome) = self { outcome } else { nil } }
    var problem: EAPProblem? { if case .failure(_, let problem) = self { problem } else { nil } }
}
