public import WireFormat

/// A message of the Extensible Authentication Protocol (RFC 7296 §3.16, figures 24 and 25).
///
/// It owns the octets and checks that the EAP length is theirs. What the message means is the EAP engine's matter.
public struct EAPPayload: PayloadBody {
    /// The EAP message from its code to its end; at least 4 octets.
    public var message: [UInt8]

    /// An EAP message.
    public init(_ message: [UInt8]) { self.message = message }

    /// Reads the body; fails when the EAP header is short or its length is not the body's.
    public init(parsing reader: inout WireReader) throws(WireError) {
        message = try reader.rest("EAP message")
        guard message.count >= 4 else { throw .short(field: "EAP header", needed: 4, had: message.count) }
        let length = Int(message[2]) << 8 | Int(message[3])
        guard length == message.count else { throw .forbidden(field: "EAP length", value: UInt64(length)) }
    }

    /// Appends the body.
    public func write(into writer: inout WireWriter) { writer.append(message) }

    /// 1 request, 2 response, 3 success, 4 failure.
    public var code: UInt8? { message.first }
    /// The method of a request or response; nil in the others.
    public var method: UInt8? { code == 1 || code == 2 ? message.dropFirst(4).first : nil }
}

extension EAPPayload: CustomStringConvertible {
    /// `EAP/REQ/ID`, `EAP/RES/TLS`, `EAP/SUCC`, as logs write it.
    public var description: String {
        switch code {
        case 1: "EAP/REQ" + methodName
        case 2: "EAP/RES" + methodName
        case 3: "EAP/SUCC"
        case 4: "EAP/FAIL"
        default: "EAP/\(code ?? 0)"
        }
    }

    private var methodName: String {
        switch method {
        case nil: ""
        case 1: "/ID"
        case 2: "/NTF"
        case 3: "/NAK"
        case 4: "/MD5"
        case 6: "/GTC"
        case 13: "/TLS"
        case 18: "/SIM"
        case 21: "/TTLS"
        case 23: "/AKA"
        case 25: "/PEAP"
        case 26: "/MSCHAPV2"
        case 50: "/AKA'"
        case .some(let number): "/\(number)"
        }
    }
}
