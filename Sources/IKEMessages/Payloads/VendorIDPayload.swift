public import WireFormat

/// A mark by which implementations recognise each other (RFC 7296 §3.12, figure 18).
public struct VendorIDPayload: PayloadBody {
    /// The mark; any octets.
    public var data: [UInt8]

    /// A vendor's mark.
    public init(_ data: [UInt8]) { self.data = data }

    /// Reads the body.
    public init(parsing reader: inout WireReader) throws(WireError) { data = try reader.rest("vendor ID") }

    /// Appends the body.
    public func write(into writer: inout WireWriter) { writer.append(data) }
}
