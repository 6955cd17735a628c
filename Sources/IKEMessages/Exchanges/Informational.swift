/// Deletions, notifications and configuration within an IKE SA; empty, a question whether the peer is alive or its
/// answer (RFC 7296 §1.4).
public struct Informational: Hashable, Sendable {
    /// Whether it answers.
    public var isResponse: Bool
    /// SAs that the sender has closed.
    public var deletes: [DeletePayload]
    /// Notifications.
    public var notifies: [NotifyPayload]
    /// Configuration.
    public var configuration: ConfigurationPayload?
    /// Vendor IDs.
    public var vendorIDs: [VendorIDPayload]

    /// A message by its parts.
    public init(
        isResponse: Bool, deletes: [DeletePayload] = [], notifies: [NotifyPayload] = [],
        configuration: ConfigurationPayload? = nil, vendorIDs: [VendorIDPayload] = []
    ) {
        self.isResponse = isResponse
        self.deletes = deletes
        self.notifies = notifies
        self.configuration = configuration
        self.vendorIDs = vendorIDs
    }

    /// Reads a request or a response.
    public init(_ message: OpenedMessage) throws(GrammarError) {
        isResponse = message.header.isResponse
        try message.header.require(.informational, isResponse: isResponse)
        var bag = PayloadBag(message.payloads, of: .informational)
        deletes = bag.all(.delete)
        notifies = bag.all(.notify)
        configuration = try bag.optional(.configuration)
        vendorIDs = bag.all(.vendorID)
        try bag.finish()
    }

    /// Whether the IKE SA itself is closed.
    public var deletesIKESA: Bool { deletes.contains { $0.target == .ikeSA } }

    /// The payloads in the order in which they are sent.
    public var payloads: [Payload] {
        deletes.map { .delete($0) } + notifies.map { .notify($0) }
            + (configuration.map { [.configuration($0)] } ?? []) + vendorIDs.map { .vendorID($0) }
    }
}

/// Notifications in clear, outside of any IKE SA: INVALID_IKE_SPI, INVALID_MAJOR_VERSION, UNSUPPORTED_CRITICAL_PAYLOAD,
/// INVALID_SPI (RFC 7296 §1.5). Anybody may have sent them: they are a hint, never a fact.
public struct UnprotectedNotification: Hashable, Sendable {
    /// The exchange: INFORMATIONAL, or that of the request which it answers.
    public var exchange: ExchangeType
    /// The notifications; at least one.
    public var notifies: [NotifyPayload]

    /// A message by its parts.
    public init(exchange: ExchangeType = .informational, notifies: [NotifyPayload]) {
        self.exchange = exchange
        self.notifies = notifies
    }

    /// Reads a message that holds notifications and nothing else that is understood, but for vendor IDs.
    public init(_ message: Message) throws(GrammarError) {
        exchange = message.header.exchange
        var bag = PayloadBag(message.payloads, of: exchange)
        notifies = bag.all(.notify)
        _ = bag.all(.vendorID)
        guard !notifies.isEmpty else { throw .missing(.notify, exchange) }
        try bag.finish()
    }

    /// The payloads in the order in which they are sent.
    public var payloads: [Payload] { notifies.map { .notify($0) } }
}
