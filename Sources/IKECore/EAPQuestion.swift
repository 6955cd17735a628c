public import GatewayModel
public import NetworkTypes

/// One step of an EAP conversation, asked of whoever has the credentials: methods of our own, or a RADIUS server.
///
/// An engine carries messages and keeps the key that comes of them; it never looks into them. The first question of a
/// conversation has no message as the authenticator (who speaks first), and always one as the peer. Each is answered by
/// one `EAPStep`. The conversation is over with a success, a failure, or ``Effect/forget(_:)``.
public struct EAPQuestion: Sendable {
    /// Which conversation: one of an IKE SA's.
    public struct Conversation: Hashable, Sendable {
        /// The IKE SA that carries it.
        public var ikeSA: IKESAID
        /// 0 for its first conversation, and so on.
        public var number: Int

        /// A conversation.
        public init(ikeSA: IKESAID, number: Int) {
            self.ikeSA = ikeSA
            self.number = number
        }
    }

    /// Which conversation.
    public var conversation: Conversation
    /// The connection's name.
    public var connection: String
    /// Whether we are the authenticator, the end that asks.
    public var isAuthenticator: Bool
    /// What we prove: as the authenticator the certificates of TLS-based methods, as the peer everything.
    public var own: Connection.Authentication
    /// What the other end has to prove: as the authenticator the methods and identities, as the peer the authorities.
    public var required: Connection.PeerAuthentication
    /// Who we are in IKE.
    public var ownIdentity: Identity
    /// Who the other end is in IKE.
    public var otherIdentity: Identity
    /// Both ends' addresses.
    public var path: Path
    /// What the other end has sent; nil to begin.
    public var message: [UInt8]?

    /// A step.
    public init(
        conversation: Conversation, connection: Connection, isAuthenticator: Bool, ownIdentity: Identity,
        otherIdentity: Identity, path: Path, message: [UInt8]?
    ) {
        self.conversation = conversation
        self.connection = connection.name
        self.isAuthenticator = isAuthenticator
        own = connection.local
        required = connection.remote
        self.ownIdentity = ownIdentity
        self.otherIdentity = otherIdentity
        self.path = path
        self.message = message
    }
}
