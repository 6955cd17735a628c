import Clockwork
public import EAPEngine
import IPsecCrypto
import WireFormat

/// One password, by chance: it can't be found by trying.
public struct OnePassword: EAPSecrets, Sendable {
    private let secret: SecretBytes

    /// Another one in each process.
    public init() {
        var entropy = SystemEntropy()
        secret = SecretBytes(entropy.bytes(24).map { $0 & 0x3f | 0x40 })
    }

    /// It is that of `c`, and nobody else has one.
    public func password(of name: [UInt8]) -> EAPPassword? { name == [99] ? .text(secret) : nil }
}
