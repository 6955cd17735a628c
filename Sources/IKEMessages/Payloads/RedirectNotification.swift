public import NetworkTypes
import WireFormat

/// The data of REDIRECT and REDIRECTED_FROM (RFC 5685 §9.2, §9.3): a gateway, and in IKE_SA_INIT the initiator's nonce.
public struct RedirectNotification: Hashable, Sendable {
    /// Where to go, or who has sent the initiator away.
    public var gateway: Host
    /// Ni; empty but in a REDIRECT of IKE_SA_INIT.
    public var nonce: [UInt8]

    /// A gateway, and the nonce where it belongs.
    public init(_ gateway: Host, nonce: [UInt8] = []) {
        self.gateway = gateway
        self.nonce = nonce
    }

    /// Reads a notification's data; nil when it is cut off, or names no host.
    public init?(_ data: [UInt8]) {
        guard data.count >= 2, data.count >= 2 + Int(data[1]) else { return nil }
        let identity = Array(data[2..<(2 + Int(data[1]))])
        switch (data[0], identity.count) {
        case (1, 4), (2, 16):
            guard let address = IPAddress(bytes: identity) else { return nil }
            gateway = .address(address)
        case (3, _):
            // A name as a log may show it: letters, digits, hyphens and dots.
            guard let text = String(validating: identity, as: UTF8.self), let host = Host(text), case .name = host
            else {
                return nil
            }
            gateway = host
        default: return nil
        }
        nonce = Array(data[(2 + identity.count)...])
    }

    /// The notification's data. A domain name is never longer than its length can say.
    public var data: [UInt8] {
        let (type, identity): (UInt8, [UInt8]) =
            switch gateway {
            case .address(let address): (address.family == .v4 ? 1 : 2, address.bytes)
            case .name(let name): (3, Array(name.utf8.prefix(255)))
            }
        return [type, UInt8(truncatingIfNeeded: identity.count)] + identity + nonce
    }
}
