public import GatewayModel
public import IKECore
import IPsecCrypto
import NetworkTypes
public import WireFormat

/// Answers as a gateway with a list of shared keys does (RFC 7296 §2.15).
///
/// It owns secrets of simulated gateways, which protect nothing.
public struct SharedKeyProvider: Provider {
    private let keys: [String: SecretBytes]

    /// The shared key of each host and connection, by ``name(host:connection:)``.
    public init(keys: [String: SecretBytes]) { self.keys = keys }

    /// How a host's key for a connection is called in the list.
    public static func name(host: String, connection: String) -> String { "\(host):\(connection)" }

    /// The identity whose post-quantum preshared key nobody has.
    public static let missingPPK = Array("missing".utf8)

    /// The answer to a question of `host`.
    public func answer(_ query: Query, for host: SimulatedHost) -> Answer? {
        switch query {
        case .path(let connection):
            guard let remote = connection.remoteAddresses.lazy.compactMap(\.single).first else {
                return .noPath("the peer has no address")
            }
            return .path(
                Path(
                    local: Endpoint(host.address, connection.localPort),
                    remote: Endpoint(remote, connection.remotePort)))
        case .prove(let proof):
            guard let octets = octets(proof, host) else { return .noSecret }
            return .proof(octets)
        case .verify(let proof, let received):
            guard let octets = octets(proof, host) else { return .noSecret }
            guard ConstantTime.equal(octets, received) else { return .falseProof }
            var reply = proof
            guard let asked = proof.reply else { return .verified }
            reply.octets = asked
            return self.octets(reply, host).map { .verifiedInReturn($0) } ?? .verified
        case .mix(let identity, let prf, let keys):
            // Everybody has the key of every name but one.
            return identity == Self.missingPPK
                ? .noSecret : .mixing(SecretBytes(identity + [1]), prf: prf, keys)
        case .encapsulate(let method, let value):
            return .encapsulation(method, to: value, entropy: &host.entropy)
        case .lease(let request): return Self.lease(request)
        // Nobody here has an EAP method.
        case .eap: return nil
        case .lastUse(let inbound, let outbound):
            let uses =
                inbound.map { host.plane.counters(.inbound, spi: $0)?.lastUse }
                + outbound.map { host.plane.counters(.outbound, spi: $0)?.lastUse }
            return .lastUse(uses.compactMap { $0 }.max())
        }
    }

    /// One address for each identity, however often it asks: 10.64.0.0/10 holds them.
    private static func lease(_ request: LeaseRequest) -> Answer {
        let number = TraceDigest.of(request.identity.data).value & 0x3f_ffff
        let loans = request.wanted.filter { $0.family == .v4 }.prefix(1).map { _ in
            Lease.Loan(pool: "simulated", address: IPAddress(v4: 0x0a40_0000 | UInt32(truncatingIfNeeded: number)))
        }
        guard !loans.isEmpty else { return .noLease("only IPv4 is simulated") }
        return .leased(Lease(identity: request.identity, loans: Array(loans)))
    }

    /// There is nothing to take back: addresses follow from identities.
    public func takeBack(_ lease: Lease, from host: SimulatedHost) {}

    /// prf(prf(Shared Secret, "Key Pad for IKEv2"), octets).
    private func octets(_ proof: Query.Proof, _ host: SimulatedHost) -> [UInt8]? {
        guard let key = keys[Self.name(host: host.name, connection: proof.connection)], let prf = PRF(proof.prf)
        else { return nil }
        let padded = prf.compute(key: key, Array("Key Pad for IKEv2".utf8))
        return prf.compute(key: padded, proof.octets).exposedBytes()
    }
}
