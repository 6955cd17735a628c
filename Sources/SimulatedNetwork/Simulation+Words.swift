import GatewayModel
import IKECore
import IKEMessages
import WireFormat

/// How the trace writes things down: never a key, and nothing that depends on the order of a dictionary.
extension Simulation {
    static func describe(_ bytes: [UInt8]) -> String {
        let header = WireHeader(bytes).map { $0.description } ?? "something"
        return "\(header), \(bytes.count) octets \(TraceDigest.of(bytes))"
    }

    static func describe(_ command: PlaneCommand) -> String {
        switch command {
        case .install(let association):
            "install \(association.direction.rawValue) \(Hex.encode(association.spi)) child \(association.child) "
                + "\(association.encryption) \(association.path) keys "
                + "\(TraceDigest.of(association.encryptionKey.exposedBytes() + association.integrityKey.exposedBytes()))"
        case .remove(let direction, let spi, _): "remove \(direction.rawValue) \(Hex.encode(spi))"
        case .protect(let child, let local, let remote, let spi):
            "protect child \(child) \(local) \(remote) with \(Hex.encode(spi))"
        case .retire(let spi, _): "retire \(Hex.encode(spi))"
        case .unprotect(let child, let staysBlocked): "unprotect child \(child)\(staysBlocked ? ", stays blocked" : "")"
        case .move(let child, let path, let encapsulation): "move child \(child) \(path) \(encapsulation)"
        case .trap(let policy): "trap packets of \(policy.connection)/\(policy.child)"
        case .keepAlive(let path, let interval): "keep alive \(path) every \(interval)"
        case .addAddress(let address, let owner): "add address \(address) for IKE SA \(owner)"
        case .removeAddress(let address, let owner): "remove address \(address) of IKE SA \(owner)"
        }
    }

    static func name(_ query: Query) -> String {
        switch query {
        case .path(let connection): "path of \(connection.name)"
        case .prove(let proof): "prove \(proof.signer) to \(proof.other)"
        case .verify(let proof, _): "verify \(proof.signer)"
        case .mix: "mix a post-quantum key"
        case .encapsulate(let method, _): "exchange keys by \(method)"
        case .lease(let request): "lease for \(request.identity)"
        case .lastUse(let inbound, let outbound): "last use of \(inbound.count + outbound.count) SAs"
        case .eap(let question): "EAP, \(question.message?.count ?? 0) octets"
        }
    }

    static func name(_ answer: Answer) -> String {
        switch answer {
        case .path(let path): "path \(path)"
        case .noPath: "no path"
        case .proof(let octets): "proof \(TraceDigest.of(octets))"
        case .verified: "verified"
        case .verifiedInReturn(let octets): "verified, proof \(TraceDigest.of(octets))"
        case .falseProof: "false proof"
        case .nearMiss: "false proof, with a secret much like ours"
        case .noSecret: "no secret"
        case .signed(let authentication, _): "signature \(TraceDigest.of(authentication.data))"
        case .noPrivateKey: "no private key"
        case .certified: "certified"
        case .untrusted: "untrusted"
        case .mixed: "mixed"
        case .encapsulated: "keys exchanged"
        case .publicKeyRefused: "public value refused"
        case .leased(let lease): "lease \(lease.addresses)"
        case .noLease: "no lease"
        case .eap(.send(let message)): "EAP, \(message.count) octets"
        case .eap(.success): "EAP success"
        case .eap(.failure): "EAP failure"
        case .lastUse(let last): "last use \(last.map(String.init(describing:)) ?? "never")"
        }
    }
}
