public import WireFormat

/// The body of a payload that is not understood, kept as it came.
public struct UnknownPayload: PayloadBody {
    /// The body.
    public var data: [UInt8]

    /// A body.
    public init(_ data: [UInt8]) { self.data = data }

    /// Reads the body.
    public init(parsing reader: inout WireReader) throws(WireError) { data = try reader.rest("body") }

    /// Appends the body.
    public func write(into writer: inout WireWriter) { writer.append(data) }
}
