public import WireFormat

/// One side's random contribution (RFC 7296 §3.9, figure 15).
public struct NoncePayload: PayloadBody {
    /// 16 to 256 octets.
    public static let lengths = 16...256

    /// The nonce.
    public var nonce: [UInt8]

    /// A nonce; its length must be one of ``lengths``.
    public init(_ nonce: [UInt8]) { self.nonce = nonce }

    /// Reads the body; fails when its length is not one of ``lengths``.
    public init(parsing reader: inout WireReader) throws(WireError) {
        guard reader.remaining >= Self.lengths.lowerBound else {
            throw .short(field: "nonce", needed: Self.lengths.lowerBound, had: reader.remaining)
        }
        guard reader.remaining <= Self.lengths.upperBound else {
            throw .trailing(structure: "nonce", count: reader.remaining - Self.lengths.upperBound)
        }
        nonce = try reader.rest("nonce")
    }

    /// Appends the body.
    public func write(into writer: inout WireWriter) { writer.append(nonce) }
}
