import GatewayModel
import Trust
import WireFormat

/// How TLS travels in EAP (RFC 5216 §3.1, RFC 5281 §9.1): in pieces, each but the last acknowledged by an empty message.
///
/// ```
///  |L M S R R| Ver |  TLS Message Length (if L) ...
///  |  TLS Data ...
/// ```
///
/// It owns what is not complete yet, in both directions, and the bound on it.
struct TLSFraming {
    /// Octets of one flight that are taken: a chain of certificates is not longer.
    static let most = 65_536
    /// Octets of TLS in one message of ours.
    static let piece = 1024

    /// What a message came to.
    enum Arrival: Equatable {
        /// Nothing in it: the other end wants our next piece, or has nothing to say.
        case acknowledgement
        /// A piece, and more follow.
        case part
        /// The last piece: all of them together.
        case whole([UInt8])
    }

    private var incoming: [UInt8] = []
    private var announced: Int?
    private var outgoing: ArraySlice<UInt8> = []
    private var isBeginning = false

    /// Whether pieces of ours wait.
    var hasMore: Bool { !outgoing.isEmpty }

    /// Takes a message in.
    mutating func take(_ data: [UInt8]) throws(EAPProblem) -> Arrival {
        var reader = WireReader(data.span)
        do throws(WireError) {
            let flags = try reader.uint8("TLS flags")
            if flags & 0x80 != 0 {
                let length = Int(try reader.uint32("TLS length"))
                guard length <= Self.most, announced == nil || announced == length else {
                    throw .forbidden(field: "TLS length", value: UInt64(length))
                }
                announced = length
            }
            let body = try reader.rest("TLS data")
            let hasMore = flags & 0x40 != 0
            if body.isEmpty {
                guard !hasMore, incoming.isEmpty else { throw .forbidden(field: "TLS data", value: 0) }
                announced = nil
                return .acknowledgement
            }
            guard !self.hasMore else { throw .forbidden(field: "TLS data while ours is on its way", value: 1) }
            let total = incoming.count + body.count
            guard total <= announced ?? Self.most else { throw .forbidden(field: "TLS data", value: UInt64(total)) }
            incoming += body
            if hasMore { return .part }
            if let announced, announced != total { throw .short(field: "TLS data", needed: announced, had: total) }
            defer {
                incoming = []
                announced = nil
            }
            return .whole(incoming)
        } catch {
            throw .malformed(error.description)
        }
    }

    /// What is to be sent next; pieces of it come from ``next()``.
    mutating func load(_ octets: [UInt8]) {
        outgoing = octets[...]
        isBeginning = true
    }

    /// The next message: a piece, or nothing when there is none.
    mutating func next() -> [UInt8] {
        let piece = outgoing.prefix(Self.piece)
        let total = outgoing.count
        outgoing = outgoing.dropFirst(Self.piece)
        defer { isBeginning = false }
        guard hasMore else { return [0] + piece }
        guard isBeginning else { return [0x40] + piece }
        var writer = WireWriter(capacity: 5 + piece.count)
        writer.uint8(0xc0)
        writer.uint32(UInt32(clamping: total))
        writer.append(piece)
        return writer.bytes
    }
}

/// The key that a TLS session leaves to EAP.
enum TLSKeys {
    /// The MSK, 64 octets: RFC 5216 §2.3, RFC 5281 §8 and with TLS 1.3 RFC 9190 §2.3, RFC 9427 §2.1.
    static func sessionKey(_ method: EAPMethod, _ session: TLSSession) -> SecretBytes? {
        switch session.version {
        case .tls13:
            session.exported("EXPORTER_EAP_TLS_Key_Material", context: [method.rawValue], count: 128)?.slice(0..<64)
        case .tls12:
            session.exported(
                method == .ttls ? "ttls keying material" : "client EAP encryption", context: nil, count: 64)
        }
    }
}
