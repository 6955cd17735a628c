public import WireFormat

/// The keys of one direction of an SA, as cut from the keying material (RFC 7296 §2.14, §2.17).
public struct PacketKeys: Sendable {
    /// The encryption key, and after it the salt or nonce that the cipher takes from the keying material.
    public let encryption: SecretBytes
    /// The integrity key; empty for an AEAD.
    public let integrity: SecretBytes

    /// Keys as they were cut.
    public init(encryption: SecretBytes, integrity: SecretBytes) {
        self.encryption = encryption
        self.integrity = integrity
    }
}

/// How many octets of keying material one direction of an SA takes, in the order in which they are cut.
public struct KeyMaterialLength: Hashable, Sendable {
    /// For the encryption key and its salt.
    public let encryption: Int
    /// For the integrity key.
    public let integrity: Int
    /// So many octets.
    public init(encryption: Int, integrity: Int) {
        self.encryption = encryption
        self.integrity = integrity
    }

    /// Together.
    public var total: Int { encryption + integrity }
}
