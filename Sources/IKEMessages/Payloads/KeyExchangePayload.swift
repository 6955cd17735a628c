public import WireFormat

/// One side's public value of a key exchange (RFC 7296 §3.4, figure 10).
public struct KeyExchangePayload: PayloadBody {
    /// The key exchange method: a transform of type 4 (or 6 to 12, RFC 9370).
    public var method: UInt16
    /// The public value, KEM key or ciphertext; its length is the method's to judge. Never empty.
    public var data: [UInt8]

    /// A public value of `method`.
    public init(method: UInt16, data: [UInt8]) {
        self.method = method
        self.data = data
    }

    /// Reads the body; fails when it is short or has no data.
    public init(parsing reader: inout WireReader) throws(WireError) {
        method = try reader.uint16("key exchange method")
        try reader.skip(2, "reserved")
        guard !reader.isAtEnd else { throw .short(field: "key exchange data", needed: 1, had: 0) }
        data = try reader.rest("key exchange data")
    }

    /// Appends the body.
    public func write(into writer: inout WireWriter) {
        writer.uint16(method)
        writer.uint16(0)
        writer.append(data)
    }
}
