public import ESPEngine
public import GatewayModel
public import LinuxSystem
public import NetworkTypes

/// Why the plane did not obey.
public enum PlaneError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The SA or its selectors cannot be.
    case association(SAError)
    /// No socket can send from this end.
    case noSocket(Endpoint, SecurityAssociation.Encapsulation?)
    /// No socket can send AH from this end.
    case noAHSocket(Endpoint)
    /// No SA has this SPI, or it is another Child SA's.
    case noSuchSA(SecurityAssociation.Direction, spi: UInt32)
    /// The child's own device is not there.
    case noInterface(String)
    /// The system refused.
    case system(SystemError)

    /// One sentence without a capital or a full stop.
    public var description: String {
        switch self {
        case .association(let error): error.description
        case .noSocket(let end, SecurityAssociation.Encapsulation.none?):
            "no raw socket for ESP from \(end.address); ESP in UDP may be forced with `encap = yes`"
        case .noSocket(let end, _): "no socket sends from \(end)"
        case .noAHSocket(let end): "no raw socket for AH from \(end.address)"
        case .noSuchSA(let direction, let spi):
            "there is no \(direction.rawValue) SA with SPI \(String(spi, radix: 16))"
        case .noInterface(let key): "there is no device for \(key): the log of the start says why"
        case .system(let error): error.description
        }
    }
}
