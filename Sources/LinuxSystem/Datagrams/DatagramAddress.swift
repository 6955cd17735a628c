internal import CLinux
internal import NetworkTypes

// Between the alphabet's addresses and the shim's.

extension martlet_endpoint {
    init(_ endpoint: Endpoint, scope: UInt32 = 0) {
        self.init(
            high: UInt64(truncatingIfNeeded: endpoint.address.bits >> 64),
            low: UInt64(truncatingIfNeeded: endpoint.address.bits), scope: scope, port: endpoint.port,
            family: endpoint.address.family.rawValue)
    }

    /// Nil when the kernel gave none.
    var endpoint: Endpoint? {
        IPAddress.Family(rawValue: family).map {
            Endpoint(IPAddress($0, bits: UInt128(high) << 64 | UInt128(low)), port)
        }
    }
}

extension martlet_slot {
    /// Addresses the slot. An unspecified local address lets the kernel choose one. A link-local remote address needs
    /// the interface.
    mutating func setPath(_ path: Path, interface: UInt32) {
        let scope = path.remote.address.isLinkLocal && path.remote.address.family == .v6 ? interface : 0
        remote = martlet_endpoint(path.remote, scope: scope)
        local = path.local.address.isUnspecified ? martlet_endpoint() : martlet_endpoint(path.local)
        self.interface = interface
    }

    /// What came in, with the socket's own port, which the kernel does not repeat.
    func path(localPort: UInt16, family: IPAddress.Family) -> Path {
        let here = local.endpoint?.address ?? .unspecified(family)
        return Path(
            local: Endpoint(here, localPort), remote: remote.endpoint ?? Endpoint(.unspecified(family), 0))
    }
}
