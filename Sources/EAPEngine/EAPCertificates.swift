public import GatewayModel
public import Trust

/// Who has the keys and certificates of TLS-based methods, and knows whom to trust: one conversation's.
public protocol EAPCertificates {
    /// A TLS session that has not begun; nil where we have nothing to show that we need, or nobody to trust.
    /// - Parameter mutual: Whether the client shows a certificate as well.
    func session(isServer: Bool, mutual: Bool) -> TLSSession?
    /// The facts of the chain that the other end showed, its own certificate first, when it is good enough and belongs to
    /// whom we talk to: as the server, to the peer of this name.
    func judge(_ chain: [Certificate], name: [UInt8]?) throws(CertificateProblem) -> PeerCertificate
}
