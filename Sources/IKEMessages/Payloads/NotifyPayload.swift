public import IPsecCrypto
public import WireFormat

/// An error or a piece of status (RFC 7296 §3.10, figure 16).
public struct NotifyPayload: PayloadBody {
    /// The protocol of the SPI; nil (zero on the wire) where there is no SPI.
    public var securityProtocol: SecurityProtocol?
    /// The SPI that it is about; empty when it is about the IKE SA or about none.
    public var spi: [UInt8]
    /// What it says.
    public var type: NotifyType
    /// What goes with it.
    public var data: [UInt8]

    /// A notification about the IKE SA, or about none.
    public init(_ type: NotifyType, _ data: [UInt8] = []) {
        self.securityProtocol = nil
        self.spi = []
        self.type = type
        self.data = data
    }

    /// A notification about a Child SA.
    public init(_ type: NotifyType, _ securityProtocol: SecurityProtocol, spi: UInt32, _ data: [UInt8] = []) {
        self.securityProtocol = securityProtocol
        self.spi = WireProposal.octets(spi)
        self.type = type
        self.data = data
    }

    /// Reads the body; fails when it is short or when an SPI of AH or ESP doesn't have 4 octets.
    public init(parsing reader: inout WireReader) throws(WireError) {
        let number = try reader.uint8("protocol")
        securityProtocol = number == 0 ? nil : SecurityProtocol(rawValue: number)
        let size = Int(try reader.uint8("SPI size"))
        type = NotifyType(rawValue: try reader.uint16("notify type"))
        spi = try reader.bytes(size, "SPI")
        data = try reader.rest("notification data")
        if size != 0, size != 4, securityProtocol == .ah || securityProtocol == .esp {
            throw .forbidden(field: "SPI size", value: UInt64(size))
        }
    }

    /// Appends the body. An SPI above 255 octets can't be counted: the rest of it is left out.
    public func write(into writer: inout WireWriter) {
        let spi = spi.span.extracting(first: 255)
        writer.uint8(securityProtocol?.rawValue ?? 0)
        writer.uint8(UInt8(truncatingIfNeeded: spi.count))
        writer.uint16(type.rawValue)
        writer.append(spi)
        writer.append(data.span)
    }

    /// The SPI as a number; nil when it doesn't have 4 octets.
    public var spi32: UInt32? { spi.count == 4 ? spi.reduce(0) { $0 << 8 | UInt32($1) } : nil }
}

extension Sequence where Element == NotifyPayload {
    // Inlinable: calls from other modules are made for the array that it nearly always is.

    /// The first notification of a type.
    @inlinable
    public func first(_ type: NotifyType) -> NotifyPayload? { first { $0.type == type } }

    /// Whether there is a notification of a type.
    @inlinable
    public func contains(_ type: NotifyType) -> Bool { contains { $0.type == type } }

    /// The first that reports an error.
    public var firstError: NotifyPayload? { first { $0.type.isError } }
}
