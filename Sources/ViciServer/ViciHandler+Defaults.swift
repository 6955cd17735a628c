public import GatewayModel

/// What a gateway answers that does not do these things: honestly, that it does not.
extension ViciHandler {
    /// The numbers of all IKE SAs, the oldest first.
    public func ikeSAIDs() -> [IKESAID] { ikeSAs().map(\.summary.id) }
    /// One IKE SA; nil when it is gone.
    public func ikeSA(_ id: IKESAID) -> ViciIKESA? { ikeSAs().first { $0.summary.id == id } }
    /// Nothing is taken in.
    public func load(_ items: [ViciItem]) -> ViciOutcome {
        .failure("loading is not supported by this gateway")
    }
    /// Nothing is there to be taken back.
    public func unload(_ kind: ViciItem.Kind, _ name: String) -> ViciOutcome { .failure("\(name) not found") }
    /// There are none.
    public func names(of kind: ViciItem.Kind) -> [String] { [] }
    /// There are none.
    public func policies() -> [ViciPolicy] { [] }
    /// There are none.
    public func certificates() -> [ViciCertificate] { [] }
    /// None can be read here.
    public func subject(of certificate: [UInt8]) -> String? { nil }
    /// There are none.
    public func authorities() -> [ViciAuthority] { [] }
    /// There are none.
    public func pools() -> [ViciPool] { [] }
    /// It is not done.
    public func install(_ wanted: Bool, child: String, connection: String?) -> ViciOutcome {
        .failure("policies can't be installed one by one yet; use start_action = trap")
    }
    /// It is not done.
    public func redirect(_ redirection: ViciRedirection) -> ViciOutcome {
        .failure("redirecting established IKE SAs is not supported yet")
    }
    /// There are none.
    public func counters(_ scope: ViciCounterScope) -> [ViciCounters] { [] }
    /// There is nothing to reset.
    public func resetCounters(_ scope: ViciCounterScope) {}
    /// Nothing is cached.
    public func flushCertificates(_ type: String?) {}
    /// There is nothing to forget.
    public func clearCredentials() {}
    /// It goes on as it is.
    public func restart(ticket: ViciTicket) {}
    /// It never was.
    public func restartReport() -> [(name: String, value: String)] { [] }
    /// Nothing is remembered.
    public func recentLog() -> [ViciLogLine] { [] }
}
