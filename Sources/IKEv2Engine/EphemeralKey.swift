import Clockwork
import IPsecCrypto
import WireFormat

/// Our half of one key exchange as the end that starts it: an agreement, or an encapsulation that the peer makes.
///
/// It owns the private value, which goes with it.
enum EphemeralKey {
    /// Both ends do the same.
    case agreement(KeyAgreement)
    /// The peer encapsulates to our key.
    case encapsulation(KeyEncapsulation)

    /// Makes a private value for a method; of an additional key exchange as well.
    init(_ method: Transform, entropy: inout some Entropy) throws(KeyAgreementError) {
        self =
            KeyEncapsulation.isEncapsulation(method)
            ? .encapsulation(try KeyEncapsulation(method: method.keyExchangeMethod, entropy: &entropy))
            : .agreement(try KeyAgreement(group: method.keyExchangeMethod, entropy: &entropy))
    }

    /// What the peer gets.
    var publicValue: [UInt8] {
        switch self {
        case .agreement(let agreement): agreement.publicValue
        case .encapsulation(let key): key.publicKey
        }
    }

    /// The shared secret from what the peer answered.
    func sharedSecret(with answer: [UInt8]) throws(KeyAgreementError) -> SecretBytes {
        switch self {
        case .agreement(let agreement): try agreement.sharedSecret(with: answer)
        case .encapsulation(let key): try key.decapsulate(answer)
        }
    }

    /// The answering end's half of an agreement, with both results at once. In additional key exchanges it is a question
    /// instead: see ``Query/encapsulate(method:publicKey:)``.
    static func answer(
        _ method: Transform, to value: [UInt8], entropy: inout some Entropy
    ) throws(KeyAgreementError) -> (value: [UInt8], secret: SecretBytes) {
        let agreement = try KeyAgreement(group: method.keyExchangeMethod, entropy: &entropy)
        return (agreement.publicValue, try agreement.sharedSecret(with: value))
    }
}
