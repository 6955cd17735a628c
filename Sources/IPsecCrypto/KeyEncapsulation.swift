public import Clockwork
internal import Crypto
public import WireFormat

/// Our half of one key encapsulation: an ephemeral ML-KEM key pair (FIPS 203), whose public key travels to the peer and
/// whose private key opens what the peer makes of it.
///
/// It owns the private key. That is made from the entropy it is given and nothing else, so that a seeded run repeats.
/// The other half, ``encapsulate(_:to:)``, draws its randomness inside the library: an engine asks for it.
public final class KeyEncapsulation: Sendable {
    /// The method; its type says in which of the exchanges it is used.
    public let method: Transform
    /// The encapsulation key as it travels.
    public let publicKey: [UInt8]
    private let key: PrivateKey

    private enum PrivateKey: Sendable {
        case mlkem768(MLKEM768.PrivateKey)
        case mlkem1024(MLKEM1024.PrivateKey)
    }

    /// Whether a method is an encapsulation, and not an agreement in which both ends do the same.
    public static func isEncapsulation(_ method: Transform) -> Bool { parameters(of: method) != nil }

    /// Octets of an encapsulation key; nil when the method is no encapsulation.
    public static func publicKeyLength(of method: Transform) -> Int? { parameters(of: method)?.publicKeyLength }

    private static func parameters(of method: Transform) -> MLKEMParameters? {
        guard case .keyExchange(.mlkem(let parameters)) = AlgorithmRegistry.specification(of: method) else {
            return nil
        }
        return parameters
    }

    /// Makes a key pair from 64 octets of `entropy`.
    public convenience init(method: Transform, entropy: inout some Entropy) throws(KeyAgreementError) {
        let seed = SecretBytes(count: 64) { octets in entropy.fill(&octets) }
        try self.init(method: method, seed: seed)
    }

    /// The key pair of a seed (FIPS 203 §7.1: d and z).
    init(method: Transform, seed: SecretBytes) throws(KeyAgreementError) {
        guard let parameters = Self.parameters(of: method) else { throw .unknownGroup(method) }
        self.method = method
        do {
            // The library copies the seed into memory that it wipes; the array in between lives as long as the call.
            switch parameters {
            case .mlkem768:
                let made = try MLKEM768.PrivateKey(seedRepresentation: seed.exposedBytes(), publicKey: nil)
                publicKey = Array(made.publicKey.rawRepresentation)
                key = .mlkem768(made)
            case .mlkem1024:
                let made = try MLKEM1024.PrivateKey(seedRepresentation: seed.exposedBytes(), publicKey: nil)
                publicKey = Array(made.publicKey.rawRepresentation)
                key = .mlkem1024(made)
            }
        } catch {
            throw .libraryRefused(method)
        }
    }

    /// The shared secret in the peer's ciphertext. A ciphertext of the right length always opens: a wrong one to a secret
    /// that the peer does not have.
    public func decapsulate(_ ciphertext: [UInt8]) throws(KeyAgreementError) -> SecretBytes {
        guard let parameters = Self.parameters(of: method) else { throw .unknownGroup(method) }
        guard ciphertext.count == parameters.ciphertextLength else {
            throw .publicValueLength(method, expected: parameters.ciphertextLength, had: ciphertext.count)
        }
        do {
            switch key {
            case .mlkem768(let key): return Self.secret(try key.decapsulate(ciphertext))
            case .mlkem1024(let key): return Self.secret(try key.decapsulate(ciphertext))
            }
        } catch {
            throw .publicValueRefused(method)
        }
    }

    /// A shared secret for the owner of `publicKey`, and the ciphertext in which it travels there. No two are alike.
    /// - Throws: `publicValueLength` or `publicValueRefused` when it is no encapsulation key (FIPS 203 §7.2).
    public static func encapsulate(
        _ method: Transform, to publicKey: [UInt8]
    ) throws(KeyAgreementError) -> (ciphertext: [UInt8], secret: SecretBytes) {
        guard let parameters = parameters(of: method) else { throw .unknownGroup(method) }
        guard publicKey.count == parameters.publicKeyLength else {
            throw .publicValueLength(method, expected: parameters.publicKeyLength, had: publicKey.count)
        }
        do {
            let made: KEM.EncapsulationResult
            switch parameters {
            case .mlkem768: made = try MLKEM768.PublicKey(rawRepresentation: publicKey).encapsulate()
            case .mlkem1024: made = try MLKEM1024.PublicKey(rawRepresentation: publicKey).encapsulate()
            }
            return (Array(made.encapsulated), secret(made.sharedSecret))
        } catch {
            throw .publicValueRefused(method)
        }
    }

    private static func secret(_ key: SymmetricKey) -> SecretBytes {
        // Copied into memory of ours that is wiped as well; the pointer does not leave the call.
        unsafe key.withUnsafeBytes { octets in
            SecretBytes(count: octets.count) { output in
                for index in 0..<octets.count { unsafe output[index] = octets[index] }
            }
        }
    }
}
