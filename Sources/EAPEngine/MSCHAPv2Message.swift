import WireFormat

/// One message of EAP-MSCHAPv2: the data behind the type (draft-kamath-pppext-eap-mschapv2-02 §2).
///
/// ```
///  |   OpCode      |  MS-CHAPv2-ID |  MS-Length...
///  |   Data...
/// ```
///
/// It owns the form. Lengths that disagree are errors: nothing is read that was not counted.
enum MSCHAPv2Message: Hashable {
    /// The server's challenge, 16 octets, and its name.
    case challenge(identifier: UInt8, [UInt8], name: [UInt8])
    /// The peer's challenge of 16 octets, its response of 24, and its name.
    case response(identifier: UInt8, peerChallenge: [UInt8], ntResponse: [UInt8], name: [UInt8])
    /// The server's proof and words: `S=…  M=…`.
    case success(identifier: UInt8, text: [UInt8])
    /// The server's refusal: `E=691 R=0 C=… V=3 M=…`.
    case failure(identifier: UInt8, text: [UInt8])
    /// The peer has seen the success.
    case successSeen
    /// The peer has seen the failure.
    case failureSeen

    /// Reads a request of the server's.
    init(request data: [UInt8]) throws(WireError) {
        var reader = WireReader(data.span)
        let code = try reader.uint8("MSCHAPv2 code")
        let (identifier, body) = try Self.body(&reader, data.count)
        switch code {
        case 1:
            let (value, name) = try Self.value(body, 16)
            self = .challenge(identifier: identifier, value, name: name)
        case 3: self = .success(identifier: identifier, text: body)
        case 4: self = .failure(identifier: identifier, text: body)
        default: throw .forbidden(field: "MSCHAPv2 code", value: UInt64(code))
        }
    }

    /// Reads a response of the peer's.
    init(response data: [UInt8]) throws(WireError) {
        var reader = WireReader(data.span)
        let code = try reader.uint8("MSCHAPv2 code")
        switch code {
        case 3: self = .successSeen
        case 4: self = .failureSeen
        case 2:
            let (identifier, body) = try Self.body(&reader, data.count)
            let (value, name) = try Self.value(body, 49)
            self = .response(
                identifier: identifier, peerChallenge: Array(value[0..<16]), ntResponse: Array(value[24..<48]),
                name: name)
        default: throw .forbidden(field: "MSCHAPv2 code", value: UInt64(code))
        }
    }

    private static func body(
        _ reader: inout WireReader, _ count: Int
    ) throws(WireError) -> (identifier: UInt8, body: [UInt8]) {
        let identifier = try reader.uint8("MSCHAPv2 identifier")
        let length = Int(try reader.uint16("MSCHAPv2 length"))
        guard length == count else { throw .forbidden(field: "MSCHAPv2 length", value: UInt64(length)) }
        return (identifier, try reader.rest("MSCHAPv2 data"))
    }

    private static func value(
        _ body: [UInt8], _ wanted: Int
    ) throws(WireError) -> (value: [UInt8], name: [UInt8]) {
        var reader = WireReader(body.span)
        let size = Int(try reader.uint8("MSCHAPv2 value size"))
        guard size == wanted else { throw .forbidden(field: "MSCHAPv2 value size", value: UInt64(size)) }
        let value = try reader.bytes(size, "MSCHAPv2 value")
        let name = try reader.rest("MSCHAPv2 name")
        guard name.count <= 256 else { throw .forbidden(field: "MSCHAPv2 name length", value: UInt64(name.count)) }
        return (value, name)
    }

    /// The data behind the type.
    var data: [UInt8] {
        switch self {
        case .successSeen: [3]
        case .failureSeen: [4]
        case .challenge(let identifier, let value, let name):
            Self.framed(1, identifier, [UInt8(truncatingIfNeeded: value.count)] + value + name)
        case .response(let identifier, let peerChallenge, let ntResponse, let name):
            Self.framed(
                2, identifier,
                [49] + peerChallenge + [UInt8](repeating: 0, count: 8) + ntResponse + [0] + name)
        case .success(let identifier, let text): Self.framed(3, identifier, text)
        case .failure(let identifier, let text): Self.framed(4, identifier, text)
        }
    }

    private static func framed(_ code: UInt8, _ identifier: UInt8, _ body: [UInt8]) -> [UInt8] {
        let length = UInt16(clamping: body.count + 4)
        return [code, identifier, UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length)] + body
    }

    /// The 20 octets behind `S=` at the start of a success; nil where there are none.
    static func proof(in text: [UInt8]) -> [UInt8]? {
        guard text.count >= 42, text[0] == UInt8(ascii: "S"), text[1] == UInt8(ascii: "=") else { return nil }
        return Hex.decode(String(decoding: text[2..<42], as: UTF8.self))
    }
}
