public import WireFormat

/// One attribute inside EAP-TTLS (RFC 5281 §10.1).
///
/// ```
///  |                           AVP Code                            |
///  |V M r r r r r r|                  AVP Length                   |
///  |                        Vendor-ID (opt)                        |
///  |    Data ...
/// ```
public struct TunnelAttribute: Hashable, Sendable {
    /// What it is.
    public var code: UInt32
    /// Whose code it is; zero for RADIUS's own.
    public var vendor: UInt32
    /// Whether who does not know it has to give up.
    public var isMandatory: Bool
    /// What it says.
    public var data: [UInt8]

    /// User-Name.
    public static let userName: UInt32 = 1
    /// User-Password.
    public static let userPassword: UInt32 = 2
    /// EAP-Message.
    public static let eapMessage: UInt32 = 79

    /// One of RADIUS's own.
    public init(_ code: UInt32, _ data: [UInt8]) {
        self.code = code
        vendor = 0
        isMandatory = true
        self.data = data
    }

    /// Reads all of a message's attributes.
    public static func list(_ octets: [UInt8]) throws(WireError) -> [TunnelAttribute] {
        var reader = WireReader(octets.span)
        var list: [TunnelAttribute] = []
        while !reader.isAtEnd {
            guard list.count < 64 else { throw .forbidden(field: "number of AVPs", value: 65) }
            list.append(try TunnelAttribute(parsing: &reader))
        }
        return list
    }

    private init(parsing reader: inout WireReader) throws(WireError) {
        code = try reader.uint32("AVP code")
        let word = try reader.uint32("AVP length")
        let hasVendor = word & 0x8000_0000 != 0
        isMandatory = word & 0x4000_0000 != 0
        let length = Int(word & 0x00ff_ffff)
        let overhead = hasVendor ? 12 : 8
        guard length >= overhead else { throw .forbidden(field: "AVP length", value: UInt64(length)) }
        vendor = hasVendor ? try reader.uint32("AVP vendor") : 0
        data = try reader.bytes(length - overhead, "AVP data")
        // The last one's padding may be left out by some; no octet of it means anything.
        try reader.skip(min(reader.remaining, (4 - length % 4) % 4), "AVP padding")
    }

    /// The attribute as it travels, with its padding.
    public var encoded: [UInt8] {
        var writer = WireWriter(capacity: 16 + data.count)
        let overhead = vendor == 0 ? 8 : 12
        let length = UInt32(clamping: overhead + data.count) & 0x00ff_ffff
        writer.uint32(code)
        writer.uint32(length | (vendor == 0 ? 0 : 0x8000_0000) | (isMandatory ? 0x4000_0000 : 0))
        if vendor != 0 { writer.uint32(vendor) }
        writer.append(data)
        writer.zeros((4 - data.count % 4) % 4)
        return writer.bytes
    }
}
