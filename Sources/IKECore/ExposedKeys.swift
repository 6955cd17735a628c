public import IPsecCrypto

/// What encrypts an IKE SA's messages (SK_e and SK_a of both directions), for whoever is to read a capture.
///
/// An engine puts it out only while ``Environment/exposesKeys`` says so. Neither SK_d nor SK_p is in it: nobody can make
/// other keys or a proof of it.
public struct ExposedKeys: Sendable {
    /// The initiator's SPI.
    public var initiatorSPI: UInt64
    /// The responder's SPI.
    public var responderSPI: UInt64
    /// The cipher.
    public var encryption: Transform
    /// The integrity algorithm; nil with a cipher that has its own.
    public var integrity: Transform?
    /// SK_ei and SK_ai: what the initiator sends is under these.
    public var initiator: PacketKeys
    /// SK_er and SK_ar.
    public var responder: PacketKeys
    /// The number of the IKE_INTERMEDIATE exchange that is sent under these and gives the IKE SA others, from 1 (RFC 9370
    /// §2.2.2); nil for those that everything else after IKE_SA_INIT is sent under.
    public var intermediate: Int?

    /// The keys of one IKE SA.
    public init(
        initiatorSPI: UInt64, responderSPI: UInt64, encryption: Transform, integrity: Transform?,
        initiator: PacketKeys, responder: PacketKeys, intermediate: Int? = nil
    ) {
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        self.encryption = encryption
        self.integrity = integrity
        self.initiator = initiator
        self.responder = responder
        self.intermediate = intermediate
    }
}
