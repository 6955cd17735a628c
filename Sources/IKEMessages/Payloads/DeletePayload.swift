public import IPsecCrypto
public import WireFormat

/// SAs that the sender has closed (RFC 7296 §3.11, figure 17).
public struct DeletePayload: PayloadBody {
    /// Which SAs.
    public enum Target: Hashable, Sendable {
        /// The IKE SA that carries the message, and all its Child SAs.
        case ikeSA
        /// Child SAs, by the SPIs that the sender would expect in inbound packets.
        case children(SecurityProtocol, spis: [UInt32])
    }

    /// Which SAs.
    public var target: Target

    /// A deletion.
    public init(_ target: Target) { self.target = target }

    /// Reads the body; fails for a protocol that has no SAs to delete, or an SPI size that is not the protocol's.
    public init(parsing reader: inout WireReader) throws(WireError) {
        let securityProtocol = SecurityProtocol(rawValue: try reader.uint8("protocol"))
        let size = try reader.uint8("SPI size")
        let count = Int(try reader.uint16("number of SPIs"))
        switch securityProtocol {
        case .ike:
            guard size == 0 else { throw .forbidden(field: "SPI size for IKE", value: UInt64(size)) }
            guard count == 0 else { throw .forbidden(field: "number of SPIs for IKE", value: UInt64(count)) }
            target = .ikeSA
        case .ah, .esp:
            guard size == 4 else { throw .forbidden(field: "SPI size", value: UInt64(size)) }
            guard reader.remaining == count * 4 else {
                throw .forbidden(field: "number of SPIs", value: UInt64(count))
            }
            var spis: [UInt32] = []
            spis.reserveCapacity(count)
            for _ in 0..<count { spis.append(try reader.uint32("SPI")) }
            target = .children(securityProtocol, spis: spis)
        default:
            throw .forbidden(field: "protocol", value: UInt64(securityProtocol.rawValue))
        }
    }

    /// Appends the body.
    public func write(into writer: inout WireWriter) {
        switch target {
        case .ikeSA:
            writer.uint8(SecurityProtocol.ike.rawValue)
            writer.uint8(0)
            writer.uint16(0)
        case .children(let securityProtocol, let spis):
            writer.uint8(securityProtocol.rawValue)
            writer.uint8(4)
            let position = writer.count
            writer.uint16(0)
            writer.patch16(at: position, spis.count)
            for spi in spis { writer.uint32(spi) }
        }
    }
}
