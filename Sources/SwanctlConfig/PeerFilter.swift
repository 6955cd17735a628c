public import GatewayModel
public import NetworkTypes

/// Which peers a command means, in the words of the configuration: `peer-ip` and `peer-id` of `swanctl --redirect`.
public struct PeerFilter: Hashable, Sendable {
    /// Where they are; nil for anywhere.
    public var addresses: AddressPattern?
    /// Who they are; nil for anybody.
    public var identity: IdentityPattern?

    /// Why a filter is none.
    public struct Problem: Error, Hashable {
        /// One clause.
        public var reason: String
    }

    /// An address, a block or a range, and an identity, which may have wildcards; nil for any.
    public init(address: String?, identity: String?) throws(Problem) {
        do throws(ValueProblem) {
            if let address {
                let pattern = try ValueSyntax.addressPattern(address)
                if case .name = pattern { throw ValueProblem("'\(address)' is no address, block or range", remedy: "") }
                addresses = pattern
            }
            self.identity = try identity.map { text throws(ValueProblem) in try IdentitySyntax.pattern(text) }
        } catch {
            throw Problem(reason: error.message)
        }
    }

    /// Whether a peer is one of them.
    public func matches(address: IPAddress, identity: Identity?) -> Bool {
        guard addresses?.contains(address) ?? true else { return false }
        guard let wanted = self.identity else { return true }
        return identity.map(wanted.matches) ?? false
    }
}
